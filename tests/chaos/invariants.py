"""What must hold whatever befalls workers, links and server: one function for each invariant, over the ledger and what the
server holds in the end. What one raises begins with its name."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.ledger import Ledger
from tests.support.keys import PERMANENT_KINDS, immortal_keys
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until

DONE, BURIED = "done", "buried"
"""What is to become of an action."""


@dataclass
class Evidence:
    """What is known in the end.

    Attributes:
        sent: how often each number was sent and acknowledged; by what is to become of it.
        answers, notes: the runs that each number's answers and follow-ups come from.
        refusals: codes of the error answers of each number.
        letters: reasons of the dead letters of each number.
        started: runs of each number, each with its process and the id of its action.
        failed: how many runs of each number failed as they were asked to.
        disturbed: processes that were killed, frozen or had to be stopped.
        lost: runs that were told that they count no more.
    """

    sent: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refusals: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    letters: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    started: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))
    failed: Counter[str] = field(default_factory=Counter)
    disturbed: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    @property
    def numbers(self) -> list[str]:
        """All that were sent."""
        return [number for kind in (DONE, BURIED) for number in self.sent[kind]]

    def runs_of(self, number: str, *, undisturbed: bool = False) -> int:
        """How often *number* was started; or only those runs that nothing befell."""
        return sum(not (undisturbed and pid in self.disturbed) for pid, *_ in self.started[number])


async def collect(ledger: Ledger, platform: Platform, queue: str) -> Evidence:
    """Read what there is: the ledger, the answers in the list *queue*, the follow-ups, the dead letters."""
    found = Evidence()
    for number, fate in ledger.lines("sent"):
        found.sent[fate][number] += 1
    for number, *run in ledger.lines("start"):
        found.started[number].append(run)
    found.failed = ledger.count("failed")
    found.disturbed = {pid for pid, why, *_ in ledger.lines("disturbed") if why != "term_at"}
    for raw in await platform.redis.lrange(queue, 0, -1):
        answer = json.loads(raw)
        if answer["success"]:
            found.answers[str(answer["data"]["n"])].append(answer["data"]["run"])
        else:
            found.refusals[_number_of(ledger, answer)].append(answer["error"]["error_code"])
    for _, fields in await platform.redis.xrange("nooble4:test:out:streams:main"):
        data = json.loads(fields[b"data"])["data"]
        found.notes[str(data["n"])].append(data["run"])
    for letter in await platform.buried():
        number = str(json.loads(letter["data"])["data"]["n"]) if letter.get("data") else "?"
        found.letters[number].append(letter["reason"])
    found.lost = _lost_runs(ledger, found)
    return found


def _number_of(ledger: Ledger, answer: dict[str, Any]) -> str:
    asked = {action_id: number for number, action_id in ledger.lines("asked")}
    return asked.get(answer.get("correlation_id", ""), "?")


def _lost_runs(ledger: Ledger, found: Evidence) -> set[str]:
    """Runs that were refused or had lost their lease: those of a process that has run the action only once."""
    told = {
        (pid, whom[0]) for kind, pid, *whom in ledger.lines("told") if kind in {"CommitRefused", "LeaseLost"} and whom
    }
    runs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for started in found.started.values():
        for pid, run, action_id, *_ in started:
            runs[pid, action_id].append(run)
    return {runs[who][0] for who in told if len(runs[who]) == 1}


# ── the invariants ──


def i1_every_action_has_its_outcome(found: Evidence) -> None:
    """I1: what was sent and acknowledged is answered and followed up, or buried if that is its fate."""
    for number, times in found.sent[DONE].items():
        assert len(found.answers[number]) >= times, f"I1: {number} has no answer; {_story(found, number)}"
        assert len(found.notes[number]) >= times, f"I1: {number} has no follow-up; {_story(found, number)}"
        assert not found.letters[number], f"I1: {number} was buried and should be done; {_story(found, number)}"
    for number, times in found.sent[BURIED].items():
        assert len(found.letters[number]) >= times, f"I1: {number} was not buried; {_story(found, number)}"


def i2_no_outcome_comes_twice(found: Evidence) -> None:
    """I2: nobody hears anything twice: not an answer, not a follow-up, not a dead letter."""
    for number in found.numbers:
        times = found.sent[DONE][number] + found.sent[BURIED][number]
        for what, outcomes in (("answer", found.answers), ("follow-up", found.notes), ("dead letter", found.letters)):
            assert len(outcomes[number]) <= times, f"I2: {number} has {what} twice; {_story(found, number)}"
    unknown = (set(found.answers) | set(found.notes)) - set(found.numbers)
    assert not unknown, f"I2: outcomes of what nobody sent: {unknown}"


def i3_nothing_comes_from_a_refused_commit(found: Evidence) -> None:
    """I3: what a run has to say appears whole or not at all, and of a run that was refused nothing appears."""
    for number in found.numbers:
        if len(found.answers[number]) == len(found.notes[number]):  # else it is incomplete, which is I1's
            torn = set(found.answers[number]) ^ set(found.notes[number])
            assert not torn, f"I3: half of a commit is there, of {torn}; {_story(found, number)}"
        refused = found.lost & {*found.answers[number], *found.notes[number]}
        assert not refused, f"I3: outcomes of runs that were refused, {refused}; {_story(found, number)}"


def i6_nothing_runs_more_often_than_it_may(found: Evidence) -> None:
    """I6: beside the runs of processes that something befell, an action runs once, and once more for each failure."""
    for number in found.numbers:
        times = found.sent[DONE][number] + found.sent[BURIED][number]
        failures = found.failed[number]
        runs = found.runs_of(number, undisturbed=True)
        assert runs <= times + failures, f"I6: {number} ran {runs} times and failed {failures}; {_story(found, number)}"


async def i4_nothing_is_left(platform: Platform, timeout: float) -> None:
    """I4: stream, pending list and retry set are empty within *timeout* seconds."""
    try:
        await wait_until(platform.is_done, "nothing is left", timeout=timeout)
    except AssertionError:
        left = await platform.backlog(), len(await platform.pending()), await platform.redis.zcard(platform.retries)
        raise AssertionError("I4: of entries, pending, retries are left {}, {}, {}".format(*left)) from None


def i5_every_key_has_a_lifetime(server: Server) -> None:
    """I5: no key stays for ever but those of the kinds that may."""
    leaked = immortal_keys(server.client)
    assert not leaked, f"I5: keys without a lifetime that are none of {PERMANENT_KINDS}: {leaked}"


def i7_it_ends_as_it_should(code: int, seconds: float, *, expected: int, within: float) -> None:
    """I7: a process that was asked to stop ends by itself, in time and with the exit code that says why."""
    assert code == expected, f"I7: exit code {code}, expected {expected}"
    assert seconds < within, f"I7: it took {seconds:.2f} s to end, more than {within:g}"


def i8_the_fault_shows(ledger: Ledger, *kinds: str) -> None:
    """I8: each of these kinds of events was told by somebody."""
    missing = set(kinds) - set(ledger.count("told"))
    assert not missing, f"I8: nobody told of {missing}; told was {dict(ledger.count('told'))}"


OVER_EVIDENCE: Iterable[Callable[[Evidence], None]] = (
    i1_every_action_has_its_outcome,
    i2_no_outcome_comes_twice,
    i3_nothing_comes_from_a_refused_commit,
    i6_nothing_runs_more_often_than_it_may,
)
"""Those that are about what is found in the end."""


def broken(found: Evidence) -> dict[str, str]:
    """The invariants that do not hold, by name, each with what it says."""
    told = {}
    for invariant in OVER_EVIDENCE:
        try:
            invariant(found)
        except AssertionError as error:
            told[str(error)[:2]] = str(error)
    return told


def _story(found: Evidence, number: str) -> str:
    """Everything that is known of *number*, for whoever has to find out."""
    runs = [" ".join(run) for run in found.started[number]]
    return (
        f"answers of runs {found.answers[number]}, follow-ups of runs {found.notes[number]}, error answers "
        f"{found.refusals[number]}, dead letters {found.letters[number]}; runs (process, run, action, delivery, attempt, "
        f"time): {runs}; disturbed processes: {sorted(found.disturbed)}; runs that lost: {sorted(found.lost)}"
    )
