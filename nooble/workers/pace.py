"""How far ahead a worker reads: no further than it can start soon, so that it never hoards what others could do."""

from __future__ import annotations

_HORIZON = 0.02
"""Seconds of work that may lie ready. Long enough to hide a read behind the handlers, too short for others to miss it."""
_UNKNOWN = 1.0
"""Seconds that a handler is taken to need until one has been seen."""


class Pace:
    """Learns how long handlers take.

    Args:
        concurrency: how many run at a time.
        most: upper bound of what is read ahead.

    Attributes:
        mean: seconds that a handler takes, by what was seen lately.
    """

    __slots__ = ("_concurrency", "_most", "mean")

    def __init__(self, concurrency: int, most: int) -> None:
        self._concurrency = concurrency
        self._most = most
        self.mean = _UNKNOWN

    def saw(self, seconds: float) -> None:
        """A handler took *seconds*. Quick ones are believed quickly."""
        mean = self.mean
        self.mean = mean + (seconds - mean) * (0.5 if seconds < mean else 0.1)

    def stalled(self, seconds: float) -> None:
        """Nothing has been started for *seconds*."""
        self.mean = max(self.mean, seconds * self._concurrency)

    @property
    def ahead(self) -> int:
        """How many may lie ready beside those at work."""
        return min(self._most, int(_HORIZON * self._concurrency / max(self.mean, 1e-6)))
