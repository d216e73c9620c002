"""FastStream on Redis Streams.

Its documentation recommends for speed: uvloop (`faststream run --loop uvloop:EventLoopPolicy`), a consumer group with
`max_records` above 1, and for throughput `batch=True`, where one handler call takes a whole batch and one
acknowledgement ends it. Settings here: uvloop, hiredis, `max_records=100`, no log line for each message, the default
binary message format, the default acknowledgement. Answers go by `reply_to`, its own request/reply; `request()` is
the call. With the argument `batch` the handler takes a list: it answers nobody, as there is one result for a hundred
messages."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis

from benchmarks.harness import GROUP_LEFT, Subject, serve
from benchmarks.payload import HANDLED, ORDER, Order, handle, taken

STREAM = "orders"
BATCH = sys.argv[1:] == ["batch"]


class FastStream(Subject):
    """A broker with one subscriber."""

    packages = ("faststream", "redis", "hiredis", "pydantic", "uvloop")

    async def setup(self) -> None:
        """A broker for sending."""
        self._sender = RedisBroker(self.url, logger=None, max_connections=1000)
        await self._sender.connect()

    async def fill(self, count: int, answered: bool) -> str:
        """Publish a backlog."""
        async with Redis.from_url(self.url) as redis:
            await redis.xgroup_create(STREAM, "group", id="0", mkstream=True)
        extra = {"reply_to": "answers"} if answered else {}
        for start in range(0, count, 50):
            batch = range(min(50, count - start))
            await asyncio.gather(*(self._sender.publish(ORDER, stream=STREAM, **extra) for _ in batch))
        return GROUP_LEFT.format(stream=STREAM)

    async def start(self) -> None:
        """Start a broker that listens."""
        self._broker = RedisBroker(self.url, logger=None, max_connections=1000)
        where = StreamSub(STREAM, group="group", consumer="me", max_records=100, batch=BATCH, polling_interval=1000)
        if BATCH:

            @self._broker.subscriber(stream=where)
            async def take(orders: list[Order]) -> None:
                HANDLED.count += len(orders)

        else:

            @self._broker.subscriber(stream=where)
            async def take_one(order: Order) -> dict[str, Any]:
                return await handle(order)

        await self._broker.start()

    async def stop(self) -> int:
        """Stop it."""
        await self._broker.stop()
        return taken()

    async def call(self) -> bool:
        """Its own request/reply."""
        answer = await self._sender.request(ORDER, stream=STREAM, timeout=30)
        return bool((await answer.decode())["ok"])

    async def close(self) -> None:
        """Close the sender."""
        await self._sender.stop()


if __name__ == "__main__":
    serve(FastStream())
