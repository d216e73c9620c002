"""What any worker of a service does for all of them: due retries go back to the stream, old dead letters and the names of
dead consumers go away."""

from __future__ import annotations

import asyncio
import time

from nooble.errors import ServerFault, ServerUnavailable
from nooble.events import DeadLettersTrimmed, Teller, Unwritten
from nooble.wire.redis_stream import ActionStream
from nooble.workers.clock import ServerClock
from nooble.workers.in_flight import InFlight
from nooble.workers.outage import Patience

_LONGEST_PAUSE = 1.0
_MOST_MOVED = 100
_BETWEEN_TRIMS = 30.0
_BETWEEN_VISITS = 3600.0


class Upkeep:
    """Moves, trims, forgets.

    Args:
        stream: the service's keys.
        flight: rings when a retry was put away.
        patience: waits out outages.
        clock: the server's time.
        teller: tells what happens.
        max_dead_letters: most dead letters that are kept; 0 sets no bound.
        dead_letter_ttl: seconds that they are kept; 0 keeps them for ever.
    """

    def __init__(
        self,
        *,
        stream: ActionStream,
        flight: InFlight,
        patience: Patience,
        clock: ServerClock,
        teller: Teller,
        max_dead_letters: int,
        dead_letter_ttl: float,
    ) -> None:
        self._stream = stream
        self._flight = flight
        self._patience = patience
        self._clock = clock
        self._teller = teller
        self._max_dead_letters = max_dead_letters
        self._dead_letter_ttl_ms = int(dead_letter_ttl * 1000)
        self._next_trim = self._next_visit = 0.0
        self._told = ""

    async def run(self) -> None:
        """Look after things until cancelled."""
        while True:
            try:
                pause = await self._round()
            except ServerFault as fault:
                if isinstance(fault, ServerUnavailable):
                    raise
                self._tell_once(str(fault))
                pause = _LONGEST_PAUSE
                await asyncio.sleep(pause)
            else:
                await self._flight.retried.wait(pause)

    async def _round(self) -> float:
        """One look at everything. Returns the seconds until the next."""
        moved, next_due = await self._patience.persist(lambda: self._stream.move_retries(_MOST_MOVED))
        now = time.monotonic()
        if now >= self._next_trim:
            self._next_trim = now + _BETWEEN_TRIMS
            await self._trim()
        if now >= self._next_visit:
            self._next_visit = now + _BETWEEN_VISITS
            await self._patience.persist(self._stream.forget_dead)
        if moved == _MOST_MOVED:
            return 0.0
        return _LONGEST_PAUSE if next_due is None else min(_LONGEST_PAUSE, next_due)

    async def _trim(self) -> None:
        bounds = self._max_dead_letters, self._dead_letter_ttl_ms, int(self._clock.now_ms())
        dropped = await self._patience.persist(lambda: self._stream.trim_dead_letters(*bounds))
        if dropped:
            self._teller.tell(DeadLettersTrimmed, count=dropped)

    def _tell_once(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._teller.tell(Unwritten, key=self._stream.retry_set, message=message)
