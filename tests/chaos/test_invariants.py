"""Each invariant fails when it does not hold, and says its name first. Those that no single protection stands for are shown
here on made-up evidence; `test_controls.py` shows the others on real workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import invariants
from tests.chaos.invariants import BURIED, DONE, Evidence, broken
from tests.chaos.ledger import Ledger
from tests.support.servers import Server


def good() -> Evidence:
    """One action that was done, one that failed once, and one that was buried."""
    found = Evidence()
    found.sent[DONE].update(["1", "2"])
    found.sent[BURIED].update(["3"])
    for number, runs in {"1": ["7.1"], "2": ["7.2", "7.3"], "3": ["7.4"]}.items():
        found.started[number] = [["7", run, f"action {number}"] for run in runs]
    found.answers |= {"1": ["7.1"], "2": ["7.3"]}
    found.notes |= {"1": ["7.1"], "2": ["7.3"]}
    found.letters |= {"3": ["CRASH_LOOP"]}
    found.failed["2"] = 1
    return found


def answer_missing(found: Evidence) -> None:
    found.answers["1"] = []


def follow_up_missing(found: Evidence) -> None:
    found.notes["2"] = []


def buried_instead(found: Evidence) -> None:
    found.letters["1"] = ["FAILED"]


def not_buried(found: Evidence) -> None:
    found.letters["3"] = []


def answered_twice(found: Evidence) -> None:
    found.answers["1"] *= 2


def buried_twice(found: Evidence) -> None:
    found.letters["3"] *= 2


def never_sent(found: Evidence) -> None:
    found.answers["4"] = ["7.9"]


def torn(found: Evidence) -> None:
    found.notes["2"] = ["7.2"]


def refused_and_there(found: Evidence) -> None:
    found.lost = {"7.1"}


def ran_again(found: Evidence) -> None:
    found.started["1"].append(["8", "8.1", "action 1"])


def test_what_holds_breaks_nothing() -> None:
    """A run of a process that something befell does not count."""
    found = good()
    ran_again(found)
    found.disturbed = {"8"}
    assert broken(found) == {}


@pytest.mark.parametrize(
    ("breaks", "names"),
    [
        (answer_missing, "I1"),
        (follow_up_missing, "I1"),
        (buried_instead, "I1"),
        (not_buried, "I1"),
        (answered_twice, "I2"),
        (buried_twice, "I2"),
        (never_sent, "I2"),
        (torn, "I3"),
        (refused_and_there, "I3"),
        (ran_again, "I6"),
    ],
)
def test_what_does_not_hold_is_named(breaks: Callable[[Evidence], None], names: str) -> None:
    """And nothing else is."""
    found = good()
    breaks(found)
    assert set(broken(found)) == {names}


@pytest.mark.leaves_keys("a key that should not be there")
def test_a_key_without_a_lifetime_is_named(server: Server) -> None:
    server.client.set("nooble4:test:shop:responses:left", "1")
    with pytest.raises(AssertionError, match=r"^I5: .*responses:left"):
        invariants.i5_every_key_has_a_lifetime(server)


def test_an_end_that_is_late_or_wrong_is_named() -> None:
    invariants.i7_it_ends_as_it_should(0, 0.1, expected=0, within=1)
    with pytest.raises(AssertionError, match=r"^I7: exit code -9"):
        invariants.i7_it_ends_as_it_should(-9, 0.1, expected=0, within=1)
    with pytest.raises(AssertionError, match=r"^I7: it took 2\.00 s"):
        invariants.i7_it_ends_as_it_should(0, 2, expected=0, within=1)


def test_a_fault_that_nobody_told_of_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.write("told", "ServerLost", 7)
    invariants.i8_the_fault_shows(ledger, "ServerLost")
    with pytest.raises(AssertionError, match=r"^I8: nobody told of \{'ServerBack'\}"):
        invariants.i8_the_fault_shows(ledger, "ServerLost", "ServerBack")
    ledger.close()
