"""What any worker of a service does for all of them: due retries go back to the stream, old dead letters and the names of
dead consumers go away."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nooble.errors import ServerFault
from nooble.events import DeadLettersTrimmed, Teller, Unwritten
from nooble.wire.redis_stream import ActionStream
from nooble.workers.clock import ServerClock
from nooble.workers.in_flight import InFlight
from nooble.workers.outage import Patience

T = TypeVar("T")
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
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Look after things until cancelled."""
        while True:
            pause = await self._move()
            await self._tidy()
            await self._flight.retried.wait(pause)

    async def _move(self) -> float:
        """Put due retries back into the stream. Returns the seconds until the next look."""
        done = await self._do(self._stream.retry_set, lambda: self._stream.move_retries(_MOST_MOVED))
        if done is None:
            return _LONGEST_PAUSE
        moved, next_due = done
        if moved == _MOST_MOVED:
            return 0.0
        return _LONGEST_PAUSE if next_due is None else min(_LONGEST_PAUSE, next_due)

    async def _tidy(self) -> None:
        now, stream = time.monotonic(), self._stream
        if now >= self._next_trim:
            self._next_trim = now + _BETWEEN_TRIMS
            bounds = self._max_dead_letters, self._dead_letter_ttl_ms, int(self._clock.now_ms())
            dropped = await self._do(stream.dead_letters, lambda: stream.trim_dead_letters(*bounds))
            if dropped:
                self._teller.tell(DeadLettersTrimmed, count=dropped)
        if now >= self._next_visit:
            self._next_visit = now + _BETWEEN_VISITS
            await self._do(stream.stream, stream.forget_dead)

    async def _do(self, key: str, step: Callable[[], Awaitable[T]]) -> T | None:
        """Do *step*, waiting out outages. `None` if the server does not let us: that is told, and told once."""
        try:
            result = await self._patience.persist(step)
        except ServerFault as fault:
            if self._told.get(key) != str(fault):
                self._told[key] = str(fault)
                self._teller.tell(Unwritten, key=key, message=str(fault))
            return None
        self._told.pop(key, None)
        return result
