"""The server's time, as this process reckons it. Deadlines are counted beside the ids of entries, which the server made, so
no two hosts' clocks are ever compared."""

from __future__ import annotations

import time


class ServerClock:
    """The server's clock, set by what it says of itself now and then.

    A reply that took long says little: the server looked at its clock at some moment between question and answer. So
    what is known is a span, narrowed by every reply; a clock has jumped when a reply leaves no room for the old span.

    Attributes:
        monotonic: this process's own clock, in seconds.
    """

    def __init__(self) -> None:
        self.monotonic = time.monotonic
        self._least_ahead = self._most_ahead = time.time() * 1000 - time.monotonic() * 1000
        self._is_a_guess = True

    def set(self, server_ms: int, asked: float | None = None) -> float:
        """The server says that it is *server_ms*.

        Args:
            server_ms: its clock in milliseconds, rounded down.
            asked: moment of `monotonic` at which it was asked; now, if not given.

        Returns:
            By how many seconds, at the least, its clock has jumped since it was last heard; 0 at the first time.
        """
        now = self.monotonic()
        least, most = server_ms - now * 1000, server_ms + 1 - (now if asked is None else asked) * 1000
        jump = max(0.0, least - self._most_ahead) or min(0.0, most - self._least_ahead)
        if jump or self._is_a_guess:  # clocks that drift apart leave the span by a hair
            self._least_ahead, self._most_ahead = least, most
        else:
            self._least_ahead, self._most_ahead = max(least, self._least_ahead), min(most, self._most_ahead)
        if self._is_a_guess:
            self._is_a_guess = False
            return 0.0
        return jump / 1000

    def now_ms(self) -> float:
        """The server's time in milliseconds."""
        return self.monotonic() * 1000 + self._least_ahead

    def seconds_until(self, entry_id: bytes, ttl_ms: int) -> float:
        """Seconds until *ttl_ms* after the moment in which *entry_id* was made; negative if that has passed.

        An id from the future, as a server makes them whose clock was set back, is taken to be made now.
        """
        now = self.now_ms()
        return (min(int(entry_id.partition(b"-")[0]), now) + ttl_ms - now) / 1000
