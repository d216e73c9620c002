"""Everything that one worker has taken and that has not ended yet, and the bells by which its loops wake each other.

The stations of a delivery, in order: `ready` or `suspects`, `running`, `finished`, `committing`. What is in none of them
is either not taken or ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

import msgspec

from nooble.models.actions import DomainAction
from nooble.models.context import ActionContext
from nooble.models.outcomes import Outcome
from nooble.wire.delivery import Delivery
from nooble.workers.judgement import NO_TERMS, Terms


class Run(msgspec.Struct, eq=False):
    """One delivery at work: what is known of it so far.

    Attributes:
        delivery: which.
        task: the executor that runs it; `None` where it is run without one.
        started: moment at which it was taken up, in seconds of `time.monotonic`.
        action: what it is, once it could be read.
        context: what its handler knows, once it was called.
        terms: retry and timeout that hold for it.
        time_left: seconds until its deadline, when it was read; `None` without one.
        until: moment at which its timeout ends; 0 without one.
        cancelled: why it was cancelled from outside: `timeout`, `lost` or `stop`; empty if it was not.
    """

    delivery: Delivery
    task: asyncio.Task[None] | None = None
    started: float = 0.0
    action: DomainAction | None = None
    context: ActionContext | None = None
    terms: Terms = NO_TERMS
    time_left: float | None = None
    until: float = 0.0
    cancelled: str = ""

    def cancel(self, why: str) -> None:
        """Cancel the handler; the executor goes on with the next delivery. The first reason stands."""
        if not self.cancelled and self.task is not None:
            self.cancelled = why
            self.task.cancel()


class Bell:
    """Wakes who waits. Ringing where nobody waits costs a comparison."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[bool]] = deque()

    def ring(self, times: int = 1) -> None:
        """Wake the *times* who have waited longest."""
        waiting = self.waiting
        while times > 0 and waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(True)
                times -= 1

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next ring, at most *timeout* seconds. Returns whether it rang."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self.waiting.append(future)
        if timeout is None:
            return await future
        timer = loop.call_later(timeout, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()


def _give_up(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


class InFlight:
    """What a worker holds.

    Attributes:
        ready: taken, not started.
        suspects: taken, not started, and delivered before: each runs alone, because it may be what kills workers.
        running: at work, by number of the executor.
        finished: have an outcome that is not written yet.
        committing: their outcome is being written.
        held: their outcome cannot be written now and is tried again.
        lost: ids that are not ours any more and must not be started.
        work: rings when there is something to start.
        space: rings when something has ended and no more than `low` lie ready, and when a batch was written.
        settle: rings when there is something to write.
        retried: rings when something was put into the retry set.
        taken: how many were started so far.
        alone_until: moment until which what is at work is to stay alone.

    Args:
        solitude: seconds that a suspect stays alone at most; if it kills, it kills by then.
    """

    def __init__(self, solitude: float = 15.0) -> None:
        self.solitude = solitude
        self.ready: deque[Delivery] = deque()
        self.suspects: deque[Delivery] = deque()
        self.running: dict[int, Run] = {}
        self.finished: list[tuple[Run, Outcome]] = []
        self.committing: list[tuple[Run, Outcome]] = []
        self.held: list[tuple[Run, Outcome]] = []
        self.lost: set[bytes] = set()
        self.work, self.space, self.settle, self.retried = Bell(), Bell(), Bell(), Bell()
        self.low = 0
        self.taken = 0
        self.alone_until = 0.0

    def add(self, deliveries: list[Delivery], *, alone: bool = True) -> None:
        """Take *deliveries* in, and wake executors for them. Those delivered before are to run *alone*."""
        for delivery in deliveries:
            suspect = delivery.token > 1 or (delivery.facts is not None and delivery.deliveries > 1)
            (self.suspects if suspect and alone else self.ready).append(delivery)
        self.work.ring(len(deliveries))

    def next_suspect(self, now: float) -> Delivery:
        """The next suspect; from *now* on it is alone."""
        self.alone_until = now + self.solitude
        return self.suspects.popleft()

    def alone(self, now: float) -> bool:
        """Whether a suspect is waiting, or is at work and to be left alone."""
        return bool(self.suspects) or (bool(self.running) and now < self.alone_until)

    def finish(self, run: Run, outcome: Outcome) -> None:
        """*run* has an outcome; it is written with the next batch."""
        self.finished.append((run, outcome))
        if self.settle.waiting:
            self.settle.ring()

    def take_unstarted(self) -> list[Delivery]:
        """Everything that has not started, taken out."""
        unstarted = [*self.ready, *self.suspects]
        self.ready.clear()
        self.suspects.clear()
        return unstarted

    def settled(self) -> bool:
        """Whether nothing has an outcome that is not written yet."""
        return not (self.finished or self.committing or self.held)

    def __iter__(self) -> Iterator[Delivery]:
        """Every delivery that is held, wherever it stands."""
        yield from self.ready
        yield from self.suspects
        for run in self.running.values():
            yield run.delivery
        for list_ in (self.finished, self.committing, self.held):
            for run, _ in list_:
                yield run.delivery

    def __len__(self) -> int:
        return len(self.ready) + len(self.suspects) + len(self.running) + self.unsettled

    @property
    def unsettled(self) -> int:
        """How many have an outcome that is not written yet."""
        return len(self.finished) + len(self.committing) + len(self.held)

    def __repr__(self) -> str:
        return (
            f"<InFlight ready={len(self.ready)} suspects={len(self.suspects)} running={len(self.running)} "
            f"finished={len(self.finished)} committing={len(self.committing)} held={len(self.held)}>"
        )
