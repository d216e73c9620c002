"""Everything that one worker has taken and that has not ended yet, and the bells by which its loops wake each other.

The stations of a delivery, in order: `ready` or `suspects`, `running`, `finished`, `committing`. What is in none of them
is either not taken or ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Iterator

import msgspec

from nooble.models.context import ActionContext
from nooble.models.envelope import Envelope
from nooble.models.outcomes import Outcome
from nooble.wire.delivery import Delivery
from nooble.workers.bell import Bell
from nooble.workers.judgement import NO_TERMS, Terms


class Run(msgspec.Struct, eq=False, gc=False):
    """One delivery at work: what is known of it so far.

    Attributes:
        delivery: which.
        task: the executor that runs it; `None` where it is run without one.
        started: moment at which it was taken up, in seconds of `time.monotonic`.
        envelope: what it is, once it could be read; forgotten when it was done, as what waits for its commit by the hundred
            would keep the garbage collector busy.
        action_type, action_id: its name, once it could be read.
        context: what its handler knows, once it was called.
        terms: retry and timeout that hold for it.
        time_left: seconds until its deadline, when it was read; `None` without one.
        until: moment at which its timeout ends; 0 without one.
        cancelled: why it was cancelled from outside: `timeout`, `lost` or `stop`; empty if it was not.
        held: whether it has been told that its outcome cannot be written.
    """

    delivery: Delivery
    task: asyncio.Task[None] | None = None
    started: float = 0.0
    envelope: Envelope | None = None
    action_type: str = ""
    action_id: object = ""
    context: ActionContext | None = None
    terms: Terms = NO_TERMS
    time_left: float | None = None
    until: float = 0.0
    cancelled: str = ""
    held: bool = False

    def cancel(self, why: str) -> None:
        """Cancel the handler; the executor goes on with the next delivery. The first reason stands.

        May be called again: a handler can swallow a cancellation.
        """
        if self.task is not None:
            self.cancelled = self.cancelled or why
            self.task.cancel()


class InFlight:
    """What a worker holds.

    Attributes:
        ready: taken, not started.
        suspects: taken, not started, and delivered before without an end: each may be what kills workers, so it starts
            alone, and nothing else starts until it has proved harmless.
        running: at work, by number of the executor.
        finished: have an outcome that is not written yet.
        committing: their outcome is being written.
        held: their outcome cannot be written now and is tried again.
        taken_in: rings when something was taken.
        work: rings when there is something to start.
        space: rings when something has ended and no more than `low` lie ready, and when a batch was written.
        settle: rings when there is something to write.
        retried: rings when something was put into the retry set.
        taken: how many were started so far.
        unsure: whether entries may be ours without our knowing; the pending list knows.

    Args:
        trial: seconds at work after which a delivery is taken to be harmless; if it kills, it kills by then.
    """

    def __init__(self, trial: float = 15.0) -> None:
        self._trial = trial
        self.ready: deque[Delivery] = deque()
        self.suspects: deque[Delivery] = deque()
        self.running: dict[int, Run] = {}
        self.finished: list[tuple[Run, Outcome]] = []
        self.committing: list[tuple[Run, Outcome]] = []
        self.held: list[tuple[Run, Outcome]] = []
        self.taken_in, self.work, self.space, self.settle, self.retried = (Bell() for _ in range(5))
        self.low = 0
        self.taken = 0
        self.unsure = False

    # ── taking ──
    def add(self, deliveries: list[Delivery]) -> None:
        """Take *deliveries* in, and wake executors for them."""
        for delivery in deliveries:
            (self.ready if delivery.is_fresh or not is_suspect(delivery) else self.suspects).append(delivery)
        self.work.ring(len(deliveries))
        if self.taken_in.waiting:
            self.taken_in.ring()

    def drop(self, entry_ids: Container[bytes]) -> None:
        """Forget what has not started and is not ours any more."""
        for station in (self.ready, self.suspects):
            kept = [delivery for delivery in station if delivery.entry_id not in entry_ids]
            if len(kept) < len(station):
                station.clear()
                station.extend(kept)
                self.space.ring()

    def take_excess(self, keep: int) -> list[Delivery]:
        """Takes out of `ready` all but the *keep* that are next."""
        newest = [self.ready.pop() for _ in range(len(self.ready) - keep)]
        return newest[::-1]

    def take_unstarted(self) -> list[Delivery]:
        """Takes out everything that has not started."""
        unstarted = [*self.suspects, *self.ready]
        self.suspects.clear()
        self.ready.clear()
        return unstarted

    # ── starting ──
    def startable(self, now: float) -> Delivery | None:
        """Takes out what may start *now*; `None` if nothing may."""
        if self.ready:
            return self.ready.popleft()
        if self.suspects and not self.unproven(now):
            return self.suspects.popleft()
        return None

    def unproven(self, now: float) -> float:
        """Seconds from *now* until all that is at work has ended or proved harmless; 0 if it has."""
        youngest = max((run.started for run in self.running.values()), default=-self._trial)
        return max(0.0, youngest + self._trial - now)

    def on_trial(self, now: float) -> bool:
        """Whether a suspect waits to start or has not proved harmless yet."""
        if self.suspects:
            return True
        trial = self._trial
        return any(now - run.started < trial and is_suspect(run.delivery) for run in self.running.values())

    # ── ending ──
    def finish(self, run: Run, outcome: Outcome) -> None:
        """*run* has an outcome; it is written with the next batch."""
        self.finished.append((run, outcome))
        if self.settle.waiting:
            self.settle.ring()

    @property
    def unsettled(self) -> int:
        """How many have an outcome that is not written yet."""
        return len(self.finished) + len(self.committing) + len(self.held)

    def __iter__(self) -> Iterator[Delivery]:
        """Every delivery that is held, wherever it stands."""
        yield from self.ready
        yield from self.suspects
        for run in self.running.values():
            yield run.delivery
        for station in (self.finished, self.committing, self.held):
            for run, _ in station:
                yield run.delivery

    def __len__(self) -> int:
        return len(self.ready) + len(self.suspects) + len(self.running) + self.unsettled

    def __repr__(self) -> str:
        return (
            f"<InFlight ready={len(self.ready)} suspects={len(self.suspects)} running={len(self.running)} "
            f"finished={len(self.finished)} committing={len(self.committing)} held={len(self.held)}>"
        )


def is_suspect(delivery: Delivery) -> bool:
    """Whether *delivery* was delivered before without an end."""
    return delivery.token > 1 or (delivery.facts is not None and delivery.deliveries > 1)
