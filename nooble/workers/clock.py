"""The server's time, as this process reckons it. Deadlines are counted beside the ids of entries, which the server made, so
no two hosts' clocks are ever compared."""

from __future__ import annotations

import time


class ServerClock:
    """The server's clock, set by what it says of itself now and then.

    Attributes:
        monotonic: this process's own clock, in seconds.
    """

    def __init__(self) -> None:
        self.monotonic = time.monotonic
        self._ahead_ms = time.time() * 1000 - time.monotonic() * 1000

    def set(self, server_ms: int) -> float:
        """The server says that it is *server_ms*. Returns by how many seconds it has jumped against what was reckoned."""
        ahead = server_ms - self.monotonic() * 1000
        jump = (ahead - self._ahead_ms) / 1000
        self._ahead_ms = ahead
        return jump

    def now_ms(self) -> float:
        """The server's time in milliseconds."""
        return self.monotonic() * 1000 + self._ahead_ms

    def seconds_until(self, entry_id: bytes, ttl_ms: int) -> float:
        """Seconds until *ttl_ms* after the moment in which *entry_id* was made; negative if that has passed."""
        return (int(entry_id.partition(b"-")[0]) + ttl_ms - self.now_ms()) / 1000
