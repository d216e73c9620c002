"""The lasting tasks in which actions run, one after the other each. What happens here happens once per action, so it is
counted in nanoseconds; what is decided about an action is decided in `execution`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from nooble.errors import ActionTimeout, HandlerCancelled
from nooble.events import LeaseLost, Started, Teller
from nooble.models.context import set_current
from nooble.models.outcomes import Completed, Failed, Outcome, Released
from nooble.wire.delivery import Delivery
from nooble.workers.bell import Bell
from nooble.workers.execution import Execution
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.pace import Pace
from nooble.workers.reports import facts_of

_BUDGET = 0.002
"""Seconds after which handlers that never suspend give way to the other loops."""
_TICK = 0.025
"""Seconds between two looks at the clock."""
_AGAIN = 1.0
"""Seconds after which a handler that goes on in spite of its timeout is cancelled again."""


class Executors:
    """`concurrency` lasting tasks.

    Args:
        flight: where deliveries come from and go to.
        execution: what is done with them.
        pace: is told how long they take.
        teller: tells what happens.

    Attributes:
        owner: the task that ends the executors; while it is being cancelled, no cancellation is a handler's fault.
    """

    def __init__(self, *, flight: InFlight, execution: Execution, pace: Pace, teller: Teller) -> None:
        self._flight = flight
        self._execution = execution
        self._pace = pace
        self._teller = teller
        self._begun = Bell()
        self.owner: asyncio.Task[None] | None = None

    async def run(self, slot: int) -> None:
        """Run deliveries until cancelled."""
        try:
            await self._work(slot)
        finally:
            self._flight.running.pop(slot, None)
            self._flight.space.ring()

    async def _work(self, slot: int) -> None:
        flight, pace = self._flight, self._pace
        ready, space, begun = flight.ready, flight.space, self._begun
        execute, wants = self._execution.execute, self._teller.wants
        clock, task = time.monotonic, asyncio.current_task()
        assert task is not None
        since = clock()
        while True:
            if ready:
                delivery = ready.popleft()
            else:
                delivery = await self._next()
                since = clock()
            flight.taken += 1
            run = flight.running[slot] = Run(delivery, task, clock())
            if begun.waiting:
                begun.ring()
            if wants(Started):
                self._tell_started(run.delivery)
            try:
                outcome: Any = execute(run)
                if not isinstance(outcome, Outcome):
                    outcome = await outcome
            except asyncio.CancelledError as error:
                outcome = self._cut_short(run, error)
            else:
                if type(outcome) is Completed:  # also if it was done before a cancellation reached it
                    if outcome.is_plain:  # else another outcome may have to be found for it
                        run.envelope = run.context = None
                elif run.cancelled:
                    outcome = self._cut_short(run, outcome.error if isinstance(outcome, Failed) else None)
            del flight.running[slot]
            if outcome is not None:
                flight.finish(run, outcome)
            ended = clock()
            pace.saw(ended - run.started)
            if space.waiting and len(ready) <= flight.low:
                space.ring()
            if flight.suspects:
                flight.work.ring()
            if task.cancelling():
                if self._ending():
                    return
                await _forget_cancellation(task)
            if ended - since > _BUDGET:
                await asyncio.sleep(0)
                since = clock()

    async def _next(self) -> Delivery:
        """The next delivery; waits for it."""
        flight = self._flight
        while (delivery := flight.startable(time.monotonic())) is None:
            await flight.work.wait()
        return delivery

    def _tell_started(self, delivery: Delivery) -> None:
        set_current(None)  # which is still that of the action before
        self._teller.tell(Started, entry_id=delivery.entry_id.decode(), attempt=delivery.attempts + 1)

    def _cut_short(self, run: Run, error: BaseException | None) -> Outcome | None:
        """The outcome of a delivery whose handler was cancelled, and ended with *error*."""
        if run.cancelled == "lost":
            self._teller.tell(LeaseLost, **facts_of(run))
            return None
        if run.cancelled == "timeout":
            late = ActionTimeout(f"the handler ran longer than its timeout of {run.terms.timeout:g} s")
            late.__cause__ = error  # tells where it was
            return self._execution.fail(run, late)
        if run.cancelled or self._ending():
            return Released()
        return self._execution.fail(run, HandlerCancelled("the handler was cancelled by something it awaited"))

    def _ending(self) -> bool:
        return self.owner is not None and self.owner.cancelling() > 0

    async def watch(self) -> None:
        """Cancel what runs over its timeout, and start what has waited for others to prove harmless. One look for all:
        a timer per action would cost more than the action."""
        flight = self._flight
        while True:
            if not flight.running:
                await self._begun.wait()
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            for run in list(flight.running.values()):
                if 0 < run.until <= now:
                    run.until = now + _AGAIN
                    run.cancel("timeout")
            if flight.suspects:
                flight.work.ring()


async def _forget_cancellation(task: asyncio.Task[None]) -> None:
    """Take back what a handler was cancelled with, delivered or not, so that it does not hit the next one."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        pass
    while task.uncancel():
        pass
