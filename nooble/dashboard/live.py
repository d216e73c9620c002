"""Changes of a page as server-sent events: what is shown is drawn once for all browsers that look at the same page, and sent
only if it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from weakref import WeakKeyDictionary

from nooble.dashboard.watch import Seen, Watch

_RETRY_MS = 1_000
Key = tuple[str, ...]


class Drawings:
    """What was drawn of the last reading, by page."""

    def __init__(self) -> None:
        self._version = -1
        self._drawn: dict[Key, asyncio.Task[str]] = {}

    async def of(self, key: Key, seen: Seen, draw: Callable[[Seen], Awaitable[str]]) -> str:
        """The page of *key*, drawn once for each version of what is seen."""
        if self._version != seen.version:
            self._version, self._drawn = seen.version, {}
        task = self._drawn.get(key)
        if task is None:
            task = self._drawn[key] = asyncio.ensure_future(_drawing(draw, seen))
        return await asyncio.shield(task)


async def _drawing(draw: Callable[[Seen], Awaitable[str]], seen: Seen) -> str:
    return await draw(seen)


_drawings: WeakKeyDictionary[Watch, Drawings] = WeakKeyDictionary()


async def events(watch: Watch, key: Key, draw: Callable[[Seen], Awaitable[str]]) -> AsyncIterator[bytes]:
    """The stream for one browser.

    Args:
        watch: the shared reader.
        key: what tells pages apart.
        draw: draws this one.
    """
    drawings = _drawings.setdefault(watch, Drawings())
    before = ""
    yield b"retry: %d\n\n" % _RETRY_MS
    async for seen in watch.changes():
        drawn = await drawings.of(key, seen, draw)
        if drawn == before:
            yield b": as before\n\n"
            continue
        before = drawn
        whole = drawn.replace("\r", "&#13;")  # which would end a line, too, for who reads the stream
        lines = "".join(f"data: {line}\n" for line in whole.split("\n"))
        yield f"id: {seen.version}\n{lines}\n".encode("utf-8", "backslashreplace")
