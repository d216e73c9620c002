"""The server's moods, waited out. Every command of a worker that can wait goes through here: an outage is told once when it
begins and once when it ends, never retried in a hot loop, and never the end of a worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nooble.errors import GroupMissing, ServerUnavailable
from nooble.events import ServerBack, ServerLost, Teller
from nooble.workers.in_flight import Bell

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Patience:
    """Does what needs the server, as often as it takes.

    Args:
        teller: tells what happens.
        on_group_missing: puts the group back when it has vanished.

    Attributes:
        outages: how many there were.
        back: rings when the server is back.
    """

    def __init__(self, teller: Teller, on_group_missing: Callable[[], Awaitable[None]]) -> None:
        self._teller = teller
        self._on_group_missing = on_group_missing
        self._down_since = 0.0
        self._pause = _FIRST_PAUSE
        self.outages = 0
        self.back = Bell()

    @property
    def down(self) -> bool:
        """Whether the server is away just now."""
        return self._down_since > 0

    async def persist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Await *step()* until the server has done it.

        Raises:
            ServerRefused: a person must mend something.
        """
        while True:
            try:
                result = await step()
            except GroupMissing:
                await self._restore()
            except ServerUnavailable as fault:
                await self._wait(fault)
            else:
                if self._down_since:
                    self._back()
                return result

    async def _restore(self) -> None:
        try:
            await self._on_group_missing()
        except ServerUnavailable as fault:
            await self._wait(fault)

    async def _wait(self, fault: ServerUnavailable) -> None:
        loop = asyncio.get_running_loop()
        if not self._down_since:
            self._down_since, self._pause = loop.time(), _FIRST_PAUSE
            self.outages += 1
            self._teller.tell(ServerLost, message=str(fault))
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)

    def _back(self) -> None:
        seconds = asyncio.get_running_loop().time() - self._down_since
        self._down_since = 0.0
        self._teller.tell(ServerBack, seconds=seconds)
        self.back.ring(len(self.back.waiting))
