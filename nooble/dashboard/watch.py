"""One shared reader for everybody who looks: while anybody does, the system is read every two seconds, however many they
are; while nobody does, never. A server that is away is told as such, and asked again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from nooble.dashboard.history import History
from nooble.errors import NoobleError
from nooble.operations.reading import Reading

EVERY = 2.0
"""Seconds between two readings."""
MOST_WATCHERS = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to show.

    Attributes:
        version: grows with every attempt to read.
        reading: the last one that succeeded; `None` if none has.
        history: what moved lately.
        away: why the last attempt did not succeed; empty if it did.
    """

    version: int
    reading: Reading | None
    history: History
    away: str = ""


class TooManyWatchers(Exception):
    """More browsers watch than are let in."""


class Watch:
    """Reads for all.

    Args:
        read: makes one reading.
        every: seconds between two.
    """

    def __init__(self, read: Callable[[], Awaitable[Reading]], every: float = EVERY) -> None:
        self._read = read
        self._every = every
        self._history = History()
        self._seen = Seen(0, None, self._history)
        self._read_at = -1e9
        self._reading: asyncio.Task[None] | None = None
        self._loop: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._closed = False
        self.watchers = 0
        self.reads = 0

    @property
    def seen(self) -> Seen:
        """What there is to show, however old."""
        return self._seen

    async def now(self) -> Seen:
        """What there is to show, not older than the time between two readings."""
        if time.monotonic() - self._read_at > self._every * 1.5:
            await self._again()
        return self._seen

    async def changes(self) -> AsyncIterator[Seen]:
        """What there is to show, now and after every reading, until this is closed.

        Raises:
            TooManyWatchers: too many watch already.
        """
        if self.watchers >= MOST_WATCHERS:
            raise TooManyWatchers
        self.watchers += 1
        try:
            seen = await self.now()
            if self._loop is None or self._loop.done():
                self._loop = asyncio.create_task(self._keep_reading(), name="nooble-dashboard-reader")
            while not self._closed:
                yield seen
                async with self._changed:
                    while self._seen.version == seen.version and not self._closed:
                        await self._changed.wait()
                seen = self._seen
        finally:
            self.watchers -= 1

    async def close(self) -> None:
        """Let everybody go who watches."""
        self._closed = True
        for task in (self._loop, self._reading):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        async with self._changed:
            self._changed.notify_all()

    async def _keep_reading(self) -> None:
        while self.watchers and not self._closed:
            await asyncio.sleep(self._every)
            if self.watchers:
                await self._again()

    async def _again(self) -> None:
        """Read; all who want it at the same time share one attempt, which the end of one of them does not end."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._once(), name="nooble-dashboard-reading")
        await asyncio.wait({self._reading})
        if not self._reading.cancelled():
            self._reading.result()

    async def _once(self) -> None:
        self.reads += 1
        version = self._seen.version + 1
        try:
            reading = await self._read()
        except Exception as error:  # one who looks must not end because of what is looked at
            known = isinstance(error, NoobleError | OSError)
            away = str(error) if known and str(error) else f"{type(error).__name__}: {error}"
            self._seen = Seen(version, self._seen.reading, self._history, away)
        else:
            self._history.add(reading)
            self._seen = Seen(version, reading, self._history)
        self._read_at = time.monotonic()
        async with self._changed:
            self._changed.notify_all()

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self.close()
