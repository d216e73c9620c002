"""The lasting tasks in which actions run, one after the other each. What happens here happens once per action, so it is
counted in nanoseconds; what is decided about an action is decided in `execution`."""

from __future__ import annotations

import asyncio
import time

from nooble.errors import ActionTimeout, HandlerCancelled
from nooble.events import LeaseLost, Started, Teller
from nooble.models.outcomes import Outcome, Released
from nooble.wire.delivery import Delivery
from nooble.workers.execution import Execution
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.pace import Pace
from nooble.workers.reports import facts_of

_BUDGET = 0.002
"""Seconds after which handlers that never suspend give way to the other loops."""
_TICK = 0.025
"""Seconds between two looks at the timeouts."""


class Executors:
    """`concurrency` lasting tasks.

    Args:
        flight: where deliveries come from and go to.
        execution: what is done with them.
        pace: is told how long they take.
        teller: tells what happens.
    """

    def __init__(self, *, flight: InFlight, execution: Execution, pace: Pace, teller: Teller) -> None:
        self._flight = flight
        self._execution = execution
        self._pace = pace
        self._teller = teller
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, slot: int) -> None:
        """Run deliveries until cancelled."""
        flight, pace = self._flight, self._pace
        ready, space = flight.ready, flight.space
        clock, task = time.monotonic, asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        since = clock()
        while True:
            if ready:
                delivery = ready.popleft()
            else:
                delivery = await self._next()
                since = clock()
            flight.taken += 1
            if flight.lost and delivery.entry_id in flight.lost:
                flight.lost.discard(delivery.entry_id)
                continue
            run = flight.running[slot] = Run(delivery, task, clock())
            outcome = await self._outcome(run)
            del flight.running[slot]
            if outcome is not None:
                flight.finish(run, outcome)
            ended = clock()
            pace.saw(ended - run.started)
            if space.waiting and len(ready) <= flight.low:
                space.ring()
            if flight.suspects and not flight.running:
                flight.work.ring()
            if ended - since > _BUDGET:
                await asyncio.sleep(0)
                since = clock()

    async def _next(self) -> Delivery:
        """The next delivery. One that was delivered before waits until nothing else is ready or at work."""
        flight = self._flight
        while True:
            if flight.ready:
                return flight.ready.popleft()
            if flight.suspects and not flight.running:
                return flight.next_suspect(time.monotonic())
            await flight.work.wait()

    async def _outcome(self, run: Run) -> Outcome | None:
        """The outcome of one delivery; `None` if it is not ours any more."""
        if self._teller.wants(Started):
            self._teller.tell(Started, entry_id=run.delivery.entry_id.decode(), attempt=run.delivery.attempts + 1)
        outcome = None
        try:
            outcome = await self._execution.execute(run)
        except asyncio.CancelledError:
            if not run.cancelled:
                if run.task is not None and run.task.cancelling():
                    raise  # the loop itself ends
                return self._execution.fail(run, HandlerCancelled("the handler was cancelled by something it awaited"))
        return self._cancelled(run, outcome) if run.cancelled else outcome

    def _cancelled(self, run: Run, outcome: Outcome | None) -> Outcome | None:
        assert run.task is not None
        run.task.uncancel()
        if run.cancelled == "lost":
            self._teller.tell(LeaseLost, **facts_of(run))
            return None
        if outcome is not None:
            return outcome  # it was done before the cancellation reached it
        if run.cancelled == "timeout":
            error = ActionTimeout(f"the handler ran longer than its timeout of {run.terms.timeout:g} s")
            return self._execution.fail(run, error)
        return Released()

    async def watch(self) -> None:
        """Cancel what runs over its timeout. One look for all: a timer per action would cost more than the action."""
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            for run in list(self._flight.running.values()):
                if 0 < run.until <= now:
                    run.cancel("timeout")
