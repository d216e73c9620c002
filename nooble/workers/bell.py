"""How the loops of a worker wake each other."""

from __future__ import annotations

import asyncio
from collections import deque


class Bell:
    """Wakes who waits. Ringing where nobody waits costs a comparison.

    Attributes:
        waiting: who waits, the longest first; true or false is all that others look at.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[bool]] = deque()

    def ring(self, times: int = 1) -> None:
        """Wake the *times* who have waited longest."""
        waiting = self.waiting
        while times > 0 and waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(True)
                times -= 1

    def ring_all(self) -> None:
        """Wake everybody."""
        self.ring(len(self.waiting))

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next ring, at most *timeout* seconds. Returns whether it rang."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self.waiting.append(future)
        timer = None if timeout is None else loop.call_later(timeout, _give_up, future)
        rang = False
        try:
            rang = await future
        finally:
            if timer is not None:
                timer.cancel()
            if not rang and future in self.waiting:  # given up or cancelled: nobody may ring for it in vain
                self.waiting.remove(future)
        return rang


def _give_up(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)
