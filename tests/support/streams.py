"""A stream as a person with a raw client sees it, and consumers that come and go."""

from __future__ import annotations

from typing import Any

import redis.asyncio as redis_asyncio

from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import ActionStream, Ending


class Raw:
    """What is really in the server, beside what the wire says of it.

    Args:
        redis: a connection that does not decode.
        stream: whose keys are looked at.
    """

    def __init__(self, redis: redis_asyncio.Redis, stream: ActionStream) -> None:
        self.redis = redis
        self.key, self.group = stream.stream, stream.group
        self.retry_set, self.dead_letter_stream = stream.retry_set, stream.dead_letters

    async def add(self, count: int = 1, **fields: Any) -> list[bytes]:
        """Add entries as any sender might; their ids."""
        return [await self.redis.xadd(self.key, {"data": f'{{"n":{number}}}', **fields}) for number in range(count)]

    async def pending(self) -> dict[bytes, tuple[str, int]]:
        """Owner and delivery count of every pending entry, by id."""
        rows = await self.redis.xpending_range(self.key, self.group, "-", "+", 10_000)
        return {row["message_id"]: (row["consumer"].decode(), row["times_delivered"]) for row in rows}

    async def entries(self, key: str | None = None) -> list[dict[bytes, bytes]]:
        """The fields of every entry of a stream, by default of the action stream."""
        return [fields for _, fields in await self.redis.xrange(key or self.key)]

    async def dead_letters(self) -> list[dict[bytes, bytes]]:
        """The fields of every dead letter."""
        return await self.entries(self.dead_letter_stream)

    async def age(self, *ids: bytes, milliseconds: int = 60_000) -> None:
        """Make pending entries look as if they had not been renewed for so long."""
        pending = await self.pending()
        for entry_id in ids:
            owner, count = pending[entry_id]
            aged = {"idle": milliseconds, "retrycount": count, "justid": True}
            await self.redis.xclaim(self.key, self.group, owner, 0, [entry_id], **aged)

    async def exhaust(self, key: str) -> None:
        """Use up the ids of a stream: nothing can be added to it any more."""
        last = f"{2**64 - 1}-{2**64 - 1}"
        await self.redis.xadd(key, {"the": "last"}, id=last)
        await self.redis.xdel(key, last)


async def take(stream: ActionStream, count: int = 1_000) -> list[Delivery]:
    """Read what is there, without waiting for long."""
    return await stream.read(count, 1)


def endings(deliveries: list[Delivery], **parts: Any) -> list[Ending]:
    """One ending of the same kind for each."""
    return [Ending(delivery, **parts) for delivery in deliveries]
