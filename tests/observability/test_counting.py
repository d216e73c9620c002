"""Counting in plain lists: every outcome, every bound, and labels only for what is declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.errors import Reject
from nooble.events import Ended, Settled
from nooble.models.outcomes import Answered, Buried, Completed, Expired, Outcome, Post, Released, Reply, Retried
from nooble.observability.counting import OUTCOMES, PROCESS_BOUNDS, UNKNOWN, WAIT_BOUNDS, Names, Tallies

NO = Reject("no")
NOW = 1_000.0
"""Moment of the commit, of a clock that is as far as the server's."""


def tallies(declared: Sequence[str] = ("demo.a", "demo.b"), sent: Any = None) -> Tallies:
    return Tallies(lambda: declared, lambda: NOW * 1000, sent or (lambda stream: None), lambda: NOW)


def ended(outcome: Outcome, action: str = "demo.a", *, written: float = NOW - 3, started: float = NOW - 2) -> Ended:
    return Ended(action, b"%d-7" % round(written * 1000), started, outcome)


def settled(*every: Ended) -> Settled:
    return Settled(service="demo", consumer="me", ended=every)


@pytest.mark.parametrize(
    ("outcome", "name", "ran"),
    [
        (Completed(), "completed", True),
        (Answered(NO, Reply("q", b"")), "failed", True),
        (Retried(NO, 1.0, 1), "retried", True),
        (Buried(NO), "buried", True),
        (Expired(NO), "expired", False),
    ],
)
def test_each_outcome_is_counted_by_its_name(outcome: Outcome, name: str, ran: bool) -> None:
    counting = tallies()
    counting.add(settled(ended(outcome), ended(outcome)))
    tally = counting.take()["demo.a"]
    assert tally.outcomes == {name: 2}
    assert (sum(tally.wait), tally.wait_sum) == (2, pytest.approx(2.0))
    assert (sum(tally.process), tally.process_sum) == ((2, pytest.approx(4.0)) if ran else (0, 0.0))


def test_every_kind_of_outcome_has_a_name() -> None:
    def leaves(kind: type[Outcome]) -> set[type[Outcome]]:
        below = set[type[Outcome]]().union(*(leaves(child) for child in kind.__subclasses__()))
        return below or {kind}

    assert set(OUTCOMES) == leaves(Outcome)


def test_what_was_handed_back_has_neither_waited_nor_run() -> None:
    counting = tallies()
    counting.add(settled(ended(Released(), "", started=0.0), ended(Released())))
    taken = counting.take()
    assert {name: tally.outcomes for name, tally in taken.items()} == {
        UNKNOWN: {"released": 1},
        "demo.a": {"released": 1},
    }
    assert not any(sum(tally.wait) + sum(tally.process) for tally in taken.values())


def test_types_that_are_not_declared_are_one() -> None:
    counting = tallies()
    counting.add(settled(*(ended(Completed(), f"demo.{hostile}") for hostile in ("x", '"}\n', "ü" * 999, "", "b"))))
    assert {name: tally.outcomes for name, tally in counting.take().items()} == {
        UNKNOWN: {"completed": 4},
        "demo.b": {"completed": 1},
    }


def test_what_is_declared_later_is_counted_by_its_name() -> None:
    """A service may include routers in its startup, after the first action was counted."""
    declared = ["demo.a"]
    counting = tallies(declared)
    counting.add(settled(ended(Completed()), ended(Completed(), "demo.b")))
    declared.append("demo.b")
    counting.add(settled(*(ended(Completed(), name) for name in ("demo.x", "demo.b", "demo.b"))))
    assert {name: tally.outcomes["completed"] for name, tally in counting.take().items()} == {
        "demo.a": 1,
        "demo.b": 2,
        UNKNOWN: 2,
    }
    declared.clear()  # the worker is gone
    counting.add(settled(ended(Completed(), "demo.x"), ended(Completed(), "demo.b")))
    assert set(counting.take()) == {"demo.b", UNKNOWN}


def test_whoever_floods_with_unknown_types_has_them_asked_for_once_a_batch() -> None:
    asked = 0

    def declared() -> list[str]:
        nonlocal asked
        asked += 1
        return ["demo.a"]

    counting = Tallies(declared, lambda: NOW * 1000, lambda stream: None, lambda: NOW)
    counting.add(settled(*(ended(Completed(), f"demo.{number}") for number in range(100))))
    assert asked == 2
    counting.add(settled(ended(Completed())))
    assert asked == 2


def test_what_was_taken_is_not_there_again() -> None:
    counting = tallies()
    counting.add(settled(ended(Completed()), ended(Completed(), "demo.nobody.knows")))
    assert counting.take()
    assert counting.take() == {}


def test_a_clock_that_runs_behind_makes_no_negative_wait() -> None:
    counting = tallies()
    counting.add(settled(ended(Completed(), written=NOW + 60)))
    tally = counting.take()["demo.a"]
    assert (tally.wait[0], tally.wait_sum) == (1, 0.0)


def test_what_a_commit_has_sent_is_told() -> None:
    streams: list[str] = []
    counting = tallies(sent=streams.append)
    counting.add(settled(ended(Completed(posts=(Post("s:1", b""), Post("s:2", b""))))))
    assert streams == ["s:1", "s:2"]


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=20))
def test_a_bound_belongs_to_what_is_below_it(seconds: list[float]) -> None:
    """As Prometheus means it: inclusive. The sum of what was counted is that of what was observed."""
    counting = Tallies(lambda: ["demo.a"], lambda: 20_000_000.0, lambda stream: None, lambda: 20_000.0)
    counting.add(settled(*(ended(Completed(), written=0.0, started=20_000.0 - one) for one in seconds)))
    tally = counting.take()["demo.a"]
    took = [20_000.0 - (20_000.0 - one) for one in seconds]
    for place, bound in enumerate(PROCESS_BOUNDS):
        assert sum(tally.process[: place + 1]) == sum(one <= bound for one in took)
    assert sum(tally.process) == sum(tally.wait) == len(seconds)
    assert tally.process_sum == pytest.approx(sum(took))
    assert len(tally.wait) == len(WAIT_BOUNDS) + 1


def test_names_are_known_up_to_a_number() -> None:
    names = Names(most=2)
    assert [names(one) for one in ("a", "b", "c", "a", "d", "b")] == ["a", "b", UNKNOWN, "a", UNKNOWN, "b"]
