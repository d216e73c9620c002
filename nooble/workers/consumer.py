"""The reader: takes entries from the stream when there is room for them, takes over what dead workers left, and hands back
what it cannot start soon."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial

from nooble.errors import GroupMissing, ServerUnavailable
from nooble.events import DataLost, Reclaimed, Teller
from nooble.models.outcomes import Released
from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import ActionStream
from nooble.workers.batches import tell_received
from nooble.workers.bell import Bell
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.outage import Patience
from nooble.workers.pace import Pace

_SOON = 0.25
"""Seconds within which what lies ready is to be started; others may have it otherwise."""
_MOST_UNSETTLED = 512
_LATE_MS = 1000
"""Milliseconds that a claim may take to the server; if its clock says more, it has jumped, and nothing is claimed."""
_AFTER_ALL = 1.0
"""Seconds after a read was cut off in which the server may still have handed it something."""


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

    Attributes:
        is_quiet: whether it is to take nothing new.
        is_at_rest: whether it takes nothing new, and has handed back what had not started.
        rested: rings when it is at rest.
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
        self._upsets = 0
        self.is_quiet = self.is_at_rest = False
        self.rested, self._resumed = Bell(), Bell()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            room = await self._room()
            if self.is_quiet:
                await self._rest()
                continue
            if self._claim_is_due() and (await self._claim() or self.is_quiet):
                continue
            deliveries = await self._patience.persist(partial(self._take, room))
            tell_received(self._teller, deliveries)
            self._flight.add(deliveries)

    # ── quiet ──
    async def be_quiet(self) -> None:
        """Take nothing new from now on. A read that waits is cut off."""
        if not self.is_quiet:
            self.is_quiet = True
            self._flight.space.ring_all()
            self._patience.cuts += 1
            await self._stream.reader.close()

    def resume(self) -> None:
        """Take up reading again."""
        self.is_quiet = False
        self._resumed.ring_all()

    async def _rest(self) -> None:
        """Hand back what has not started, and wait until it goes on. The read that was cut off may have been given entries,
        in its very last moment even after the first look."""
        self._hand_back(self._flight.take_unstarted())
        pause: float | None = _AFTER_ALL
        while self.is_quiet:
            self._hand_back(await self._patience.persist(self._strays))
            if self.is_quiet:
                self.is_at_rest = True
                self.rested.ring_all()
                await self._resumed.wait(pause)
                pause = None
        self.is_at_rest = False

    async def _strays(self) -> list[Delivery]:
        return await self._stream.unseen(delivery.entry_id for delivery in self._flight)

    # ── reading ──
    async def _take(self, room: int) -> list[Delivery]:
        """Fresh entries, at most *room*; or those that were given to us without our hearing of it."""
        flight, cuts = self._flight, self._patience.cuts
        until_claim = max(1, int((self._next_claim - time.monotonic()) * 1000))
        try:
            if flight.unsure:
                flight.unsure = False
                if (strays := await self._strays()) or self.is_quiet:
                    return strays
            return await self._stream.read(room, min(self._block_ms, until_claim))
        except ServerUnavailable:
            flight.unsure = True
            if self._patience.cuts > cuts and not self._patience.down:  # no outage
                return []
            raise
        except BaseException:
            flight.unsure = True
            raise

    # ── claiming ──
    def _claim_is_due(self) -> bool:
        """Idle times run on while the server is away, and jump with its clock: living workers get a lease to renew
        theirs, from the moment on at which it is over."""
        now = time.monotonic()
        if self._patience.upsets > self._upsets:
            if self._patience.down:
                return False
            self._upsets = self._patience.upsets
            self._next_claim = now + self._lease
        return now >= self._next_claim

    async def _claim(self) -> bool:
        """Take over one entry that a silent consumer left. Returns whether there was one.

        One at a time, and while nothing unproven is at work: taking an entry over raises its delivery count, and a
        crash must blame nobody else.
        """
        lease_ms, patience = int(self._lease * 1000), self._patience
        try:
            asked, upsets = patience.clock.monotonic(), patience.upsets
            if server_ms := await self._stream.abandoned(lease_ms):
                patience.hear_clock(server_ms, asked)
                if patience.upsets == upsets:
                    await self._quiet()
                if patience.upsets > upsets or self.is_quiet:  # after an upset, idle times say nothing
                    return False
                latest_ms = int(patience.clock.now_ms()) + _LATE_MS
                taken, gone = await self._stream.claim(1, lease_ms, latest_ms)
                self._tell(taken, gone)
                self._flight.add(taken)
                if taken:
                    return True
        except (ServerUnavailable, GroupMissing):
            self._flight.unsure = True  # the read that follows looks, and waits it out
        self._next_claim = time.monotonic() + self._lease * random.uniform(0.25, 0.5)
        return False

    async def _quiet(self) -> None:
        """Wait until all that is at work has ended or proved harmless; what has not started yet is for others."""
        flight = self._flight
        self._hand_back(flight.take_unstarted())
        while (seconds := flight.unproven(time.monotonic())) > 0 and not self.is_quiet:
            await flight.space.wait(seconds)

    def _tell(self, taken: list[Delivery], gone: list[bytes]) -> None:
        if gone:
            ids = ", ".join(entry_id.decode() for entry_id in gone)
            self._teller.tell(DataLost, message=f"deleted from the stream while pending: {ids}")
        for delivery in taken:
            self._teller.tell(Reclaimed, entry_id=delivery.entry_id.decode(), deliveries=delivery.deliveries)

    # ── room ──
    async def _room(self) -> int:
        """How many entries may be taken now; waits until it is one or more, or none at all are to be taken."""
        flight = self._flight
        while not self.is_quiet:
            ahead = self._pace.ahead
            surplus = len(flight.ready) + len(flight.running) - self._concurrency  # beyond what can start at once
            flight.low = ahead // 2  # refilled at half: reads stay large and overlap the handlers
            if surplus <= flight.low and (room := ahead - surplus) > 0 and self._may_take():
                return room
            await flight.space.wait(_SOON)
        return 0

    def _may_take(self) -> bool:
        return self._flight.unsettled < _MOST_UNSETTLED and not self._flight.on_trial(time.monotonic())

    async def share(self) -> None:
        """Hand back what is not started soon, so that others start it, until cancelled."""
        flight = self._flight
        while True:
            if not flight.ready:
                await flight.taken_in.wait()
            before = flight.taken
            await asyncio.sleep(_SOON)
            if len(flight.running) == self._concurrency:  # else what waits, waits to be alone
                self._share(flight.taken - before)

    def _share(self, started: int) -> None:
        """As many as were *started* of late may stay."""
        if started:
            self._hand_back(self._flight.take_excess(keep=started))
        else:
            self._pace.stalled(_SOON)
            self._hand_back(self._flight.take_unstarted())

    def _hand_back(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._flight.finish(Run(delivery), Released())
