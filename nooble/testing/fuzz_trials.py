"""The trials that an action is put to, each a search for the smallest example that fails: sound payloads, payloads with one
thing wrong, entries of strangers, and the same action twice."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisWarning

from nooble.events import Completed, Failed, Retried
from nooble.models import DomainAction
from nooble.routing import Route
from nooble.routing.checks import answer_reader
from nooble.testing import strategies
from nooble.testing.fuzz_findings import Finding, Verdict, call_line
from nooble.testing.fuzz_judging import (
    Fault,
    described,
    judge_hostile,
    judge_invalid,
    judge_sound,
    place_of,
)
from nooble.testing.fuzz_place import Seen, Stage
from nooble.testing.fuzz_watch import resident

Trial = Literal["valid", "invalid", "hostile", "twice"]
TRIALS: tuple[Trial, ...] = ("valid", "invalid", "hostile", "twice")
Tell = Callable[[str, Trial, int, int], None]
"""Told of progress: action, trial, how many examples are done, of how many."""

_SLOW = 1.0
"""Seconds after which an example that fails is not made smaller: each step would take as long."""
_SHRINKING = 8.0
"""Seconds in which an example that fails is made smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How much is tried.

    Attributes:
        examples: sound payloads for each action; of the other trials there are fewer.
        seed: of chance; the same seed tries the same.
        memory: bytes by which the process may grow over the sound payloads of one action.
        tell: told of progress.
    """

    examples: int = 100
    seed: int = 0
    memory: int = 64 * 1024 * 1024
    tell: Tell = lambda action_type, trial, done, total: None

    def count(self, trial: Trial) -> int:
        """How many examples there are of a trial."""
        return max(1, self.examples // {"valid": 1, "invalid": 2, "hostile": 4, "twice": 4}[trial])


class _Failed(Exception):
    """An example has failed: hypothesis goes on from here to a smaller one."""


def try_action(stage: Stage, route: Route, runner: asyncio.Runner, terms: Terms) -> Verdict:
    """Put one action to every trial that there is for it.

    Args:
        stage: the service at work.
        route: the action.
        runner: of the loop in which it works.
        terms: how much is tried.
    """
    tested = Verdict(route.action_type, stage.name)
    tester = _Tester(stage, route, runner, terms, tested)
    try:
        payloads = strategies.payloads_of(route)
    except strategies.Unmakeable as error:
        tested.findings.append(Finding(action_type=route.action_type, kind="UNMAKEABLE", message=str(error)))
        return tested
    before = _memory()
    tester.search("valid", payloads, tester.sound)
    tester.weigh(_memory() - before)
    try:
        tester.search("invalid", strategies.invalid_payloads(route.model), tester.invalid)
    except strategies.NothingInvalid:
        pass
    tester.search("hostile", strategies.hostile_entries([route.action_type], payloads), tester.hostile)
    if route.once_for:
        tester.search("twice", payloads, tester.twice)
    return tested


class _Tester:
    """One action at its trials."""

    def __init__(self, stage: Stage, route: Route, runner: asyncio.Runner, terms: Terms, tested: Verdict) -> None:
        self._stage = stage
        self._route = route
        self._runner = runner
        self._terms = terms
        self._tested = tested
        self._read_answer = answer_reader(route)
        self._timeout = stage.terms_of(route).timeout
        stage.waits = stage.patience + self._timeout

    # ── searching ──
    def search(
        self, trial: Trial, cases: st.SearchStrategy[Any], check: Callable[[Any], Coroutine[Any, Any, Fault | None]]
    ) -> None:
        """Look for an example that fails, make it small, and note it."""
        total = self._terms.count(trial)
        hunt = _Hunt(lambda case: self._runner.run(check(case)), lambda done: self._told(trial, done, total))
        hunted = settings(
            max_examples=total,
            deadline=None,
            database=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(given(cases)(_as_test(hunt)))
        always = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            try:
                seed(self._terms.seed)(hunted)()
            except _Failed:
                pass
            except Flaky:
                always = False
        self._tested.counts[trial] = hunt.done
        if hunt.fault is not None:
            self._note(hunt.fault, hunt.case, always)

    def weigh(self, grown: int) -> None:
        """Note it if the sound payloads have left more in memory than they may."""
        if grown > self._terms.memory:
            told = f"the process grew by {grown / 2**20:.0f} MiB over {self._tested.counts['valid']} sound payloads"
            self._note(Fault("MEMORY", f"{told}, more than {self._terms.memory / 2**20:.0f} MiB"), None, True)

    def _told(self, trial: Trial, done: int, total: int) -> None:
        self._terms.tell(self._route.action_type, trial, done, total)

    def _note(self, fault: Fault, case: Any, always: bool) -> None:
        payload = case.payload if isinstance(case, strategies.Invalid) else case
        call = ""
        if isinstance(payload, dict):
            call = call_line(self._route.action_type, payload, self._stage.name)
        elif isinstance(payload, list):
            payload = [[name.decode("latin-1"), value[:2_000].decode("latin-1")] for name, value in payload]
        self._tested.findings.append(
            Finding(
                action_type=self._route.action_type,
                kind=fault.kind,
                message=fault.message,
                call=call,
                payload=payload,
                where=fault.where,
                always=always,
            )
        )

    # ── trials ──
    async def sound(self, payload: dict[str, Any]) -> Fault | None:
        """A sound payload is done, or refused for a reason of the business."""
        seen = await self._stage.ask(self._action(payload))
        fault = judge_sound(seen, self._read_answer, self._timeout, self._stage.waits)
        return fault if fault is None else await self._after_a_retry(seen, payload) or fault

    async def _after_a_retry(self, first: Seen, payload: dict[str, Any]) -> Fault | None:
        """Whether the fault of a first run is hidden by a second one, as its policy would bring about."""
        error = first.error
        if not isinstance(first.end, Failed) or error is None:
            return None
        terms = self._stage.terms_of(self._route)
        policy = terms.own_retry or terms.retry
        if policy is None or policy.delay(1, error) is None:
            return None
        again = await self._stage.ask(self._action(payload), attempt="1")
        if not isinstance(again.end, Completed):
            return None
        said = f"the first run raised {described(first)}; the second one succeeded, and nobody would have noticed"
        return Fault("SWALLOWED_RETRY", said, place_of(error))

    async def invalid(self, case: strategies.Invalid) -> Fault | None:
        """A payload with one thing wrong is refused before the handler, and the field is named."""
        seen = await self._stage.ask(self._action(case.payload))
        return judge_invalid(seen, case, self._route.action_type, self._stage.waits)

    async def hostile(self, entry: list[tuple[bytes, bytes]]) -> Fault | None:
        """What strangers write comes to an end."""
        return judge_hostile(await self._stage.write(entry), self._stage.waits)

    async def twice(self, payload: dict[str, Any]) -> Fault | None:
        """Done once more, an action that is declared `once_for` changes nothing."""
        action = self._action(payload)
        first = await self._stage.ask(action)
        if not isinstance(first.end, Completed):
            return None  # the trial of sound payloads tells
        await self._stage.quiet()
        changed, again = await self._changed_by(action)
        if changed:  # by this action, or by something else that is at work: if it is this one, it does it again
            changed &= (await self._changed_by(action))[0]
        if changed:
            names = ", ".join(sorted(changed)[:5])
            return Fault("NOT_IDEMPOTENT", f"handled a second time, it has changed {names}, and a third time again")
        if not isinstance(again.end, Completed) and not isinstance(again.end, Retried):
            return Fault(
                "NOT_IDEMPOTENT", f"handled a second time, it ended with {described(again)}", place_of(again.error)
            )
        return None

    async def _changed_by(self, action: DomainAction) -> tuple[set[str], Seen]:
        """What is another after *action* than it was before, and how the action ended."""
        before = await self._stage.state()
        seen = await self._stage.ask(action)
        await self._stage.quiet()
        after = await self._stage.state()
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}, seen

    def _action(self, payload: dict[str, Any]) -> DomainAction:
        action_id = uuid.uuid4()
        metadata = {"idempotency_key": str(action_id)} if self._route.once_for else {}
        return DomainAction(
            action_id=action_id, action_type=self._route.action_type, data=payload, metadata=metadata, tenant_id="fuzz"
        )


class _Hunt:
    """A test for hypothesis that remembers the last example that failed, which is the smallest, and does not make small what
    takes long to fail.

    Args:
        check: gives the fault of an example.
        told: told how many examples are done.
    """

    def __init__(self, check: Callable[[Any], Fault | None], told: Callable[[int], None]) -> None:
        self._check = check
        self._told = told
        self._until: float | None = None
        self.done = 0
        self.case: Any = None
        self.fault: Fault | None = None

    def hunt(self, case: Any) -> None:
        """One example."""
        if self._until is not None and time.monotonic() > self._until:
            if repr(case) == repr(self.case):
                _fail()
            return
        began = time.monotonic()
        fault = self._check(case)
        if self.fault is None:
            self.done += 1
            self._told(self.done)
        if fault is None or (self.fault is not None and fault.kind != self.fault.kind):
            return
        if self._until is None:
            took = time.monotonic() - began
            self._until = time.monotonic() + (_SHRINKING if took < _SLOW else 0.0)
        self.case, self.fault = case, fault
        _fail()


def _fail() -> None:
    """Raised in one place: to hypothesis, failures are the same if they come from the same line."""
    raise _Failed


def _as_test(hunt: _Hunt) -> Callable[[Any], None]:
    def test(case: Any) -> None:
        hunt.hunt(case)

    return test


def _memory() -> int:
    gc.collect()
    return resident()
