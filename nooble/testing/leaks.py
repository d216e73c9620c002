"""What a test has left in a real server: asked for from outside of any event loop, where fixtures are."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from nooble.clients.redis_manager import RedisManager
from nooble.testing.building import settings_for
from nooble.testing.clock import together
from nooble.wire.connection import Endpoint, Link


def keys_without_lifetime(url: str) -> set[bytes]:
    """Names of all keys in the server at *url* that never expire."""
    found: list[set[bytes]] = []
    failed: list[BaseException] = []

    def look() -> None:
        try:
            found.append(asyncio.run(_look(url)))
        except BaseException as error:  # told where it can be seen
            failed.append(error)

    thread = threading.Thread(target=look)  # the test's own loop may be running in this one
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


async def _look(url: str) -> set[bytes]:
    settings = settings_for(None, {"service_name": "guard", "redis_url": url})
    async with RedisManager(settings) as manager:
        link = Link(Endpoint(await manager.get_redis_connection()))
        try:
            keys: set[bytes] = set()
            cursor: Any = b"0"
            while True:
                cursor, page = await link.execute(b"SCAN", cursor, b"COUNT", 1000)
                keys.update(page)
                if int(cursor) == 0:
                    break
            names = sorted(keys)
            lifetimes = await together(link, ((b"PTTL", name) for name in names))
            return {name for name, left in zip(names, lifetimes, strict=True) if left == -1}
        finally:
            await link.close()
