"""How far ahead a worker reads: by what it has seen, never more than it can start soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.workers.pace import Pace

durations = st.floats(min_value=0, max_value=3600)


def test_a_worker_that_has_seen_nothing_reads_nothing_ahead() -> None:
    assert Pace(1, 100).ahead == 0


def test_quick_handlers_are_believed_after_a_few() -> None:
    pace = Pace(1, 100)
    for _ in range(15):
        pace.saw(0.0001)
    assert pace.ahead == 100


def test_slow_handlers_end_the_reading_ahead_soon() -> None:
    pace = Pace(1, 100)
    pace.mean = 0.0001
    pace.saw(0.5)
    assert pace.ahead == 0


def test_one_slow_handler_among_quick_ones_is_soon_forgotten() -> None:
    pace = Pace(1, 100)
    pace.mean = 0.0001
    pace.saw(1.0)
    for _ in range(12):
        pace.saw(0.0001)
    assert pace.ahead > 50


def test_who_runs_more_at_a_time_reads_further_ahead() -> None:
    one, ten = Pace(1, 1000), Pace(10, 1000)
    one.mean = ten.mean = 0.001
    assert (one.ahead, ten.ahead) == (20, 200)


@pytest.mark.parametrize("concurrency", [1, 10])
def test_a_stall_says_that_handlers_are_slow(concurrency: int) -> None:
    """Whatever was believed of them: nothing was started for half a second."""
    pace = Pace(concurrency, 100)
    pace.mean = 0.0001
    pace.stalled(0.5)
    assert pace.ahead == 0


@given(st.integers(1, 100), st.integers(1, 1000), st.lists(durations))
def test_the_bound_holds_whatever_was_seen(concurrency: int, most: int, seen: list[float]) -> None:
    pace = Pace(concurrency, most)
    for one in seen:
        pace.saw(one)
    assert 0 <= pace.ahead <= most


@given(st.lists(durations, min_size=1))
def test_the_mean_stays_among_what_was_seen(seen: list[float]) -> None:
    pace = Pace(1, 100)
    pace.mean = seen[0]
    for one in seen:
        pace.saw(one)
    assert min(seen) <= pace.mean * (1 + 1e-9)
    assert pace.mean <= max(seen) * (1 + 1e-9)


def test_quick_ones_are_believed_quickly_and_slow_ones_slowly() -> None:
    quick, slow = Pace(1, 100), Pace(1, 100)
    quick.mean = slow.mean = 0.01
    quick.saw(0.0)
    slow.saw(0.02)
    assert quick.mean == pytest.approx(0.005)
    assert slow.mean == pytest.approx(0.011)
