"""Writes outcomes and decides nothing: one table from outcome to writes, and a loop that writes everything that finished
since its last call in one call of one script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from nooble.errors import EffectRefused, GroupMissing, ReplyLost, ServerFault, ServerRefused, ServerUnavailable
from nooble.models.outcomes import Answered, Buried, Completed, Expired, Once, Outcome, Post, Released, Retried
from nooble.wire.dead_letters import dead_letter
from nooble.wire.delivery import DATA, VERSION, WIRE_VERSION, Delivery
from nooble.wire.redis_stream import (
    EFFECT,
    ONCE,
    OWN,
    POST,
    RETRY,
    ActionStream,
    Committed,
    Ending,
    Write,
    retry_member,
)
from nooble.workers.execution import Execution
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.outage import Patience
from nooble.workers.reports import Reports

_MOST_MESSAGES, _MOST_BYTES = 256, 1_048_576
_GATHER_BELOW, _GATHER_TURNS = 64, 4
_HELD_PAUSE = 1.0
"""Seconds between two attempts to write what is held."""


class Settlement:
    """The settler.

    Args:
        stream: where outcomes are written.
        flight: where they come from.
        patience: waits out outages.
        execution: gives another outcome to what the server does not take as it is.
        reports: tells what was written.
        max_payload_bytes: largest action that a dead letter keeps whole.
    """

    def __init__(
        self,
        *,
        stream: ActionStream,
        flight: InFlight,
        patience: Patience,
        execution: Execution,
        reports: Reports,
        max_payload_bytes: int,
    ) -> None:
        self._stream = stream
        self._flight = flight
        self._patience = patience
        self._execution = execution
        self._reports = reports
        self._max_payload_bytes = max_payload_bytes
        self._hold_until = 0.0
        self._cut_off = False
        self._writes: dict[type[Outcome], Callable[[Delivery, Any], Ending]] = {
            Completed: self._completed,
            Answered: lambda delivery, outcome: Ending(delivery, outcome.reply),
            Retried: self._retried,
            Buried: self._buried,
            Expired: self._expired,
            Released: self._released,
        }

    async def run(self) -> None:
        """Settle until cancelled. What is being written then goes back to what has finished."""
        flight = self._flight
        while True:
            if flight.held and time.monotonic() >= self._hold_until:
                self._try_held()
            if not flight.finished:
                await flight.settle.wait(_HELD_PAUSE if flight.held else None)
                continue
            turns = _GATHER_TURNS
            while turns and flight.ready and len(flight.finished) < _GATHER_BELOW:
                turns -= 1  # more is about to finish: a few turns of the loop make one call of several
                await asyncio.sleep(0)
            await self._settle(self._next_batch())

    async def finish(self) -> None:
        """Settle what is there, and return. What is held is tried once more."""
        self._try_held()
        while self._flight.finished:
            await self._settle(self._next_batch())

    def _next_batch(self) -> list[Ending]:
        """What is written with the next call: everything that has finished, within the bounds of a call."""
        flight = self._flight
        endings: list[Ending] = []
        size = 0
        for run, outcome in flight.finished[:_MOST_MESSAGES]:
            if type(outcome) is Completed and outcome.is_plain:  # most are
                ending = Ending(run.delivery, outcome.reply)
            else:
                ending = self.ending(run.delivery, outcome)
                size += _size(ending.writes)
            if ending.reply is not None:
                size += len(ending.reply.value)
            if size > _MOST_BYTES and endings:
                break
            endings.append(ending)
        flight.committing = flight.finished[: len(endings)]
        del flight.finished[: len(endings)]
        return endings

    def ending(self, delivery: Delivery, outcome: Outcome) -> Ending:
        """What is written for *outcome*."""
        ending = self._writes[type(outcome)](delivery, outcome)
        if outcome.once is not None:
            ending.writes = (self._record(delivery, outcome.once), *ending.writes)  # looked at before all others
        return ending

    # ── the table ──
    def _completed(self, delivery: Delivery, outcome: Completed) -> Ending:
        if not outcome.posts and not outcome.effects:
            return Ending(delivery, outcome.reply)
        effects = (Write(EFFECT, effect.key, effect.arguments) for effect in outcome.effects)
        return Ending(delivery, outcome.reply, (*map(_post, outcome.posts), *effects))

    def _retried(self, delivery: Delivery, outcome: Retried) -> Ending:
        due_ms = max(0, round(outcome.delay * 1000))
        member = retry_member(delivery, outcome.attempt)
        return Ending(delivery, None, (Write(RETRY, self._stream.retry_set, (due_ms, member)),))

    def _buried(self, delivery: Delivery, outcome: Buried) -> Ending:
        return Ending(delivery, outcome.reply, (self._dead_letter(delivery, outcome.error, outcome.attempt),))

    def _expired(self, delivery: Delivery, outcome: Expired) -> Ending:
        if outcome.reply is not None:
            return Ending(delivery, outcome.reply)
        return Ending(delivery, None, (self._dead_letter(delivery, outcome.error, delivery.attempts),))

    def _released(self, delivery: Delivery, _: Released) -> Ending:
        return Ending(delivery, None, (Write(OWN, self._stream.stream, delivery.onward()),))

    def _record(self, delivery: Delivery, once: Once) -> Write:
        facts = (delivery.first_id, once.window_ms, once.answer, once.how, once.action_id)
        return Write(ONCE, self._stream.once_record(once.context), facts)

    def _dead_letter(self, delivery: Delivery, error: BaseException, attempts: int) -> Write:
        fields = dead_letter(
            *(delivery, error),
            worker=self._stream.consumer,
            attempts=attempts,
            max_payload_bytes=self._max_payload_bytes,
        )
        return Write(OWN, self._stream.dead_letters, fields)

    # ── writing ──
    async def _settle(self, endings: list[Ending]) -> None:
        flight = self._flight
        if len(endings) > 1:
            endings.sort(key=_by_order)
        try:
            committed = await self._patience.persist(lambda: self._commit(endings))
        except BaseException:
            flight.finished[:0] = flight.committing
            flight.committing = []
            raise
        batch, flight.committing = flight.committing, []
        flight.space.ring()
        if committed.held:
            self._hold(batch, committed)
        if committed.spoilt or committed.repeated:
            batch = self._give_other_outcomes(batch, committed)
        if any(type(outcome) is Retried for _, outcome in batch):
            flight.retried.ring()
        self._reports.committed(batch, committed)

    async def _commit(self, endings: list[Ending]) -> Committed:
        """Write a batch; what stands in the way of all is cut down to whom it concerns."""
        try:
            committed = await self._stream.commit(endings, len(self._flight))
        except (ReplyLost, asyncio.CancelledError):
            self._cut_off = True
            raise
        except (ServerUnavailable, ServerRefused, GroupMissing):
            raise
        except ServerFault as fault:
            committed = await self._one_by_one(endings, fault)
        if self._cut_off:  # what is gone now was committed by the call whose reply was lost
            self._cut_off = False
            committed.refused = [(delivery, why) for delivery, why in committed.refused if why != b"gone"]
        return committed

    async def _one_by_one(self, endings: list[Ending], fault: ServerFault) -> Committed:
        """The server does not take the batch: find the one that is to blame, and hold it back."""
        if len(endings) == 1:
            return Committed(held=[(endings[0].delivery, str(fault))])
        total = Committed()
        for ending in endings:
            try:
                part = await self._commit([ending])
            except BaseException:
                self._cut_off = True  # those before it are committed
                raise
            total += part
        return total

    def _give_other_outcomes(self, batch: list[tuple[Run, Outcome]], committed: Committed) -> list[tuple[Run, Outcome]]:
        """What the server did not take as it is gets the outcome that follows from it. Returns the rest of the batch."""
        spoilt = {id(delivery): why for delivery, why in committed.spoilt}
        repeated = {id(delivery): answer for delivery, answer in committed.repeated}
        rest = []
        for item in batch:
            run, which = item[0], id(item[0].delivery)
            if which in spoilt:
                self._flight.finish(run, self._execution.fail(run, EffectRefused(spoilt[which])))
            elif which in repeated:
                self._flight.finish(run, self._execution.repeat(run, repeated[which]))
            else:
                rest.append(item)
        return rest

    # ── what cannot be written now ──
    def _hold(self, batch: list[tuple[Run, Outcome]], committed: Committed) -> None:
        """They stay pending and ours; their outcomes are kept until their keys can be written again."""
        stuck = {id(delivery) for delivery, _ in committed.held}
        self._flight.held += [item for item in batch if id(item[0].delivery) in stuck]
        self._hold_until = time.monotonic() + _HELD_PAUSE

    def _try_held(self) -> None:
        self._flight.finished += self._flight.held
        self._flight.held = []


_by_order = attrgetter("delivery.order")


def _post(post: Post) -> Write:
    return Write(POST, post.stream, (DATA, post.data, VERSION, WIRE_VERSION))


def _size(writes: tuple[Write, ...]) -> int:
    return sum(len(part) for write in writes for part in write.arguments if isinstance(part, bytes | str))
