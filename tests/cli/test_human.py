"""Numbers are shown as people read them, and short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.cli import human


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        *[
            (None, "-"),
            (-5, "0 ms"),
            (0, "0 ms"),
            (999, "999 ms"),
            (999.6, "1.0 s"),
            (1_000, "1.0 s"),
            (9_940, "9.9 s"),
        ],
        *[(9_960, "10 s"), (59_400, "59 s"), (60_000, "1 min"), (3_599_000, "59 min"), (3_600_000, "1 h")],
        *[(7_500_000, "2 h 5 min"), (36_300_000, "10 h"), (90_000_000, "1 d 1 h"), (10**12, "11574 d")],
    ],
)
def test_durations(ms: float | None, text: str) -> None:
    assert human.duration(ms) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1_536, "1.5 kB"),
        (10_240, "10 kB"),
        (2**26, "64 MB"),
        (2**54, "16384 TB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert human.size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0"), (9_999, "9999"), (12_345, "12.3k"), (123_456, "123k"), (1_234_567, "1.2M"), (5e9, "5.0G")],
)
def test_counts(count: float | None, text: str) -> None:
    assert human.number(count) == text


@pytest.mark.parametrize(("pace", "text"), [(None, "-"), (0, "0"), (0.42, "0.4"), (12.3, "12"), (3_400_000, "3.4M")])
def test_rates(pace: float | None, text: str) -> None:
    assert human.rate(pace) == text


@given(st.integers(-(2**70), 2**70))
def test_any_moment_can_be_told(ms: int) -> None:
    assert len(human.moment(ms)) == 19


def test_a_sparkline_is_as_wide_as_it_is_asked_to_be() -> None:
    assert human.sparkline([], 3) == "   "
    assert human.sparkline([0, 0], 3) == " ▁▁"
    assert human.sparkline([None, 0, 5, 10], 4) == " ▁▅█"
    assert human.sparkline([9, 9, 9, 9, 1, 2, 8], 3) == "▂▃█"
