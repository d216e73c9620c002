"""The reader: takes entries from the stream when there is room for them, takes over what dead workers left, and hands back
what it cannot start soon."""

from __future__ import annotations

import random
import time

from nooble.events import DataLost, Reclaimed, Teller
from nooble.models.outcomes import Released
from nooble.wire.redis_stream import ActionStream
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.outage import Patience
from nooble.workers.pace import Pace

_STALLED = 0.5
_MOST_UNSETTLED = 512


class Consumer:
    """Reads, claims, holds back.

    Args:
        stream: where entries come from.
        flight: where they go.
        patience: waits out outages.
        pace: how far ahead to read.
        teller: tells what happens.
        concurrency: how many actions run at a time.
        block_ms: how long a read waits.
        lease: seconds after which entries of a silent consumer are taken over.
    """

    def __init__(
        self,
        *,
        stream: ActionStream,
        flight: InFlight,
        patience: Patience,
        pace: Pace,
        teller: Teller,
        concurrency: int,
        block_ms: int,
        lease: float,
    ) -> None:
        self._stream = stream
        self._flight = flight
        self._patience = patience
        self._pace = pace
        self._teller = teller
        self._concurrency = concurrency
        self._block_ms = block_ms
        self._lease = lease
        self._next_claim = 0.0
        self._links = 0
        self._cut_off = False

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            room = await self._room()
            if time.monotonic() >= self._next_claim and await self._claim():
                continue
            await self._read(room)

    # ── reading ──
    async def _read(self, room: int) -> None:
        until_claim = max(1, int((self._next_claim - time.monotonic()) * 1000))
        block_ms = min(self._block_ms, until_claim)
        if self._cut_off:
            await self._recover_unseen()
        self._cut_off = True  # until the reply is here, entries may be ours without our knowing
        deliveries = await self._patience.persist(lambda: self._stream.read(room, block_ms))
        self._cut_off = self._links not in (0, self._stream.reader.opened)
        if self._links != self._stream.reader.opened:
            self._links = self._stream.reader.opened
            self._postpone_claim()
        if deliveries:
            self._flight.add(deliveries)

    async def _recover_unseen(self) -> None:
        """A read that was cut off may have been given entries that we never saw; the pending list knows."""
        strays = await self._patience.persist(lambda: self._stream.unseen(d.entry_id for d in self._flight))
        self._cut_off = False
        if strays:
            self._flight.add(strays)

    def _postpone_claim(self) -> None:
        """Idle times run on while the server is away: living workers get a lease to renew theirs."""
        if self._patience.outages:
            self._next_claim = time.monotonic() + self._lease

    # ── claiming ──
    async def _claim(self) -> bool:
        """Take over one entry that a silent consumer left. Returns whether there was one.

        One at a time, and alone: taking an entry over raises its delivery count, and a crash must blame nobody else.
        Handlers that take longer than half a lease are not waited for; then it runs beside them.
        """
        alone = await self._all_ended(self._lease / 2)
        lease_ms = int(self._lease * 1000)
        taken, gone = await self._patience.persist(lambda: self._stream.claim(1, lease_ms))
        if gone:
            ids = ", ".join(entry_id.decode() for entry_id in gone)
            self._teller.tell(DataLost, message=f"deleted from the stream while pending: {ids}")
        if not taken:
            self._next_claim = time.monotonic() + self._lease * random.uniform(0.25, 0.5)
            return False
        for delivery in taken:
            self._teller.tell(Reclaimed, entry_id=delivery.entry_id.decode(), deliveries=delivery.deliveries)
        self._flight.add(taken, alone=alone)
        return True

    async def _all_ended(self, timeout: float) -> bool:
        """Wait until nothing is ready or at work, at most *timeout* seconds. Returns whether it is so."""
        flight, until = self._flight, time.monotonic() + timeout
        flight.low = 0
        while flight.ready or flight.suspects or flight.running:
            if (left := until - time.monotonic()) <= 0:
                return False
            await flight.space.wait(left)
        return True

    # ── room ──
    async def _room(self) -> int:
        """How many entries may be taken now; waits until it is one or more."""
        flight = self._flight
        while True:
            idle, ahead, ready = self._concurrency - len(flight.running), self._pace.ahead, len(flight.ready)
            flight.low = ahead // 2  # refilled at half: reads stay large and overlap the handlers
            if ready <= flight.low and (room := idle + ahead - ready) > 0 and self._may_take():
                return room
            taken = flight.taken
            if not await flight.space.wait(_STALLED) and flight.ready and flight.taken == taken:
                self._hand_back()

    def _may_take(self) -> bool:
        return self._flight.unsettled < _MOST_UNSETTLED and not self._flight.alone(time.monotonic())

    def _hand_back(self) -> None:
        """Everybody here is busy for long: others may start what lies ready."""
        self._pace.stalled(_STALLED)
        for delivery in self._flight.take_unstarted():
            self._flight.finish(Run(delivery), Released())
