"""The server's moods, waited out. Every command of a worker that can wait goes through here: an outage is told once when it
begins and once when it ends, never retried in a hot loop, and never the end of a worker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nooble.errors import GroupMissing, ServerFault, ServerUnavailable
from nooble.events import ServerBack, ServerLost, Teller
from nooble.workers.bell import Bell

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Patience:
    """Does what needs the server, as often as it takes.

    Args:
        teller: tells what happens.
        restore_group: puts the group back when it has vanished.

    Attributes:
        outages: how many there were.
        back: rings when the server is back.
    """

    def __init__(self, teller: Teller, restore_group: Callable[[], Awaitable[None]]) -> None:
        self._teller = teller
        self._restore_group = restore_group
        self._down_since: float | None = None
        self.outages = 0
        self.back = Bell()

    @property
    def down(self) -> bool:
        """Whether the server is away just now."""
        return self._down_since is not None

    async def persist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Await *step()* until the server has done it.

        Raises:
            ServerRefused: a person must mend something.
        """
        pause = 0.0
        while True:
            try:
                result = await self._attempt(step)
            except (ServerUnavailable, GroupMissing) as fault:
                self._lost(fault)
                pause = min(_LONGEST_PAUSE, pause * 2) or _FIRST_PAUSE
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            else:
                if pause:  # who did not meet the outage cannot say that it is over
                    self._found()
                return result

    async def _attempt(self, step: Callable[[], Awaitable[T]]) -> T:
        try:
            return await step()
        except GroupMissing:
            await self._restore_group()
        return await step()

    def _lost(self, fault: ServerFault) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic()
            self.outages += 1
            self._teller.tell(ServerLost, message=str(fault))

    def _found(self) -> None:
        if self._down_since is not None:
            seconds = time.monotonic() - self._down_since
            self._down_since = None
            self._teller.tell(ServerBack, seconds=seconds)
            self.back.ring_all()
