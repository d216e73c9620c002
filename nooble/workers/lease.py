"""The heartbeat: renews the lease of everything that is held, read-ahead included, and gives up what others have taken."""

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

    async def run(self) -> None:
        """Renew three times a lease, and at once after an outage, until cancelled."""
        beat = self._seconds / 3
        while True:
            before = time.monotonic()
            await self._patience.back.wait(beat)
            late = time.monotonic() - before - beat
            if late > beat:
                self._teller.tell(LoopBlocked, seconds=late, lease=self._seconds)
            await self.renew()

    async def renew(self) -> None:
        """Renew everything that is held now; what is not ours any more is cancelled or never started."""
        server_ms, lost = await self._patience.persist(lambda: self._stream.renew(list(self._flight)))
        self._clock.set(server_ms)
        if lost:
            self._give_up(lost)

    def _give_up(self, lost: set[bytes]) -> None:
        """What has an outcome already is left to the fence."""
        self._flight.drop(lost)
        self._flight.unsure = True  # an entry that was lost and is ours again has the same id
        for run in list(self._flight.running.values()):
            if run.delivery.entry_id in lost:
                run.cancel("lost")
