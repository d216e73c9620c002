"""The heartbeat: renews the lease of everything that is held, read-ahead included, and gives up what others have taken. It
hears the server's clock by the way, and puts right what a jump backward has done to the leases of the dead."""

from __future__ import annotations

import time

from nooble.events import LoopBlocked, Teller
from nooble.wire.redis_stream import ActionStream
from nooble.workers.clock import ServerClock
from nooble.workers.in_flight import InFlight
from nooble.workers.outage import Patience


class Lease:
    """Renews.

    Args:
        stream: where the lease is.
        flight: what is held.
        patience: waits out outages.
        clock: is set by the server's answers.
        teller: tells what happens.
        seconds: how long a lease lasts.
    """

    def __init__(
        self,
        *,
        stream: ActionStream,
        flight: InFlight,
        patience: Patience,
        clock: ServerClock,
        teller: Teller,
        seconds: float,
    ) -> None:
        self._stream = stream
        self._flight = flight
        self._patience = patience
        self._clock = clock
        self._teller = teller
        self._seconds = seconds
        self._restamped = -1  # nobody may have been there when the clock was set back

    async def run(self) -> None:
        """Renew three times a lease, and at once after an outage or a jump of the clock, until cancelled."""
        beat = self._seconds / 3
        await self._restamp()
        while True:
            before = time.monotonic()
            await self._patience.back.wait(beat)
            late = time.monotonic() - before - beat
            if late > beat:
                self._teller.tell(LoopBlocked, seconds=late, lease=self._seconds, action_types=self._at_work(late))
            await self.renew()
            await self._restamp()

    async def renew(self) -> None:
        """Renew everything that is held now; what is not ours any more is cancelled or never started."""
        asked, server_ms, lost = await self._patience.persist(self._ask)
        self._patience.hear_clock(server_ms, asked)
        if lost:
            self._give_up(lost)

    async def _ask(self) -> tuple[float, int, set[bytes]]:
        asked = self._clock.monotonic()
        return asked, *await self._stream.renew(list(self._flight))

    async def _restamp(self) -> None:
        """Once at the beginning, and after each jump backward, let age what others hold."""
        if (setbacks := self._patience.setbacks) > self._restamped:
            if self._restamped >= 0:  # the server would end a read that waits only when its clock has caught up
                self._patience.cuts += 1
                await self._stream.reader.close()
            await self._patience.persist(self._stream.restamp)
            self._restamped = setbacks

    def _at_work(self, seconds: float) -> str:
        """Types of the actions that were at work for all of the last *seconds*, and may have ended just now."""
        flight = self._flight
        runs = [*flight.running.values(), *(run for run, _ in (*flight.finished, *flight.committing))]
        since = time.monotonic() - seconds
        types = [run.action_type for run in runs if run.action_type and run.started <= since]
        return ", ".join(dict.fromkeys(types))

    def _give_up(self, lost: set[bytes]) -> None:
        """What has an outcome already is left to the fence."""
        self._flight.drop(lost)
        self._flight.unsure = True  # an entry that was lost and is ours again has the same id
        for run in list(self._flight.running.values()):
            if run.delivery.entry_id in lost:
                run.cancel("lost")
