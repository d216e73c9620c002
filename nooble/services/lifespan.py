"""When a service starts and ends: once per event loop, however many workers share it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary


class Lifespan:
    """Counts the users of one service in each event loop.

    Args:
        startup: runs before the first user of a loop goes on.
        shutdown: runs after its last user has left.
    """

    def __init__(self, startup: Callable[[], Awaitable[None]], shutdown: Callable[[], Awaitable[None]]) -> None:
        self._startup = startup
        self._shutdown = shutdown
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Users] = WeakKeyDictionary()

    async def enter(self) -> None:
        """Be a user. Whoever comes while the service starts waits until it has started."""
        users = self._users()
        async with users.lock:
            if users.count == 0:
                await self._startup()
            users.count += 1

    async def leave(self) -> None:
        """Be a user no longer; without effect if there is none."""
        users = self._users()
        async with users.lock:
            if users.count > 0:
                users.count -= 1
                if users.count == 0:
                    await self._shutdown()

    def _users(self) -> _Users:
        return self._loops.setdefault(asyncio.get_running_loop(), _Users())


class _Users:
    """The users in one event loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.count = 0
