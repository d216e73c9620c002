"""Who calls: nooble's client, and XADD + BRPOP written by hand on redis-py, a connection for each call in flight.

python -m benchmarks.callers nooble|hand
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

import msgspec
from redis.asyncio import Redis

from benchmarks.entries import STREAM, encode
from benchmarks.harness import Subject, serve
from benchmarks.nooble_worker import settings_of
from benchmarks.payload import ORDER
from nooble import BaseRedisClient, CallTimeout

TYPE = "pedidos.pedido.crear"
decode = msgspec.json.Decoder().decode


class NoobleCaller(Subject):
    """nooble's client."""

    packages = ("nooble", "redis")

    async def setup(self) -> None:
        """One client."""
        self._redis = Redis.from_url(self.url)
        self._client = BaseRedisClient("banco", self._redis, settings_of("banco", self.url))

    async def call(self) -> bool:
        """One call."""
        answer: Any = await self._client.call(TYPE, ORDER, timeout=30)
        return bool(answer.success and answer.data["ok"])

    async def time_out(self, count: int) -> int:
        """Calls that nobody answers. Returns how many ended by their timeout."""

        async def one() -> bool:
            try:
                await self._client.call("nadie.cosa.hacer", ORDER, timeout=0.2)
            except CallTimeout:
                return True
            return False

        ended = 0
        for _ in range(0, count, 250):
            ended += sum(await asyncio.gather(*(one() for _ in range(250))))
        return ended

    async def close(self) -> None:
        """Close it."""
        await self._client.close()
        await self._redis.aclose()


class HandCaller(Subject):
    """What people write: XADD, then BRPOP on a list of the call's own."""

    packages = ("redis",)

    async def open_calls(self, in_flight: int) -> None:
        """A pool as large as what is in flight, each connection used once."""
        self._redis = Redis.from_url(self.url, max_connections=in_flight + 8)
        await asyncio.gather(*(self._redis.ping() for _ in range(in_flight)))

    async def call(self) -> bool:
        """One call."""
        correlation = str(uuid.uuid4())
        queue = f"nooble4:bench:banco:responses:{correlation}"
        await self._redis.xadd(STREAM, {"data": self._request(queue, correlation)})
        found = await self._redis.brpop([queue], timeout=30)
        answer: Any = decode(found[1]) if found else {"success": False}
        return bool(answer["success"] and answer["correlation_id"] == correlation)

    @staticmethod
    def _request(queue: str, correlation: str) -> bytes:
        return encode(
            {
                "action_id": str(uuid.uuid4()),
                "action_type": TYPE,
                "timestamp": "2026-11-22T00:00:00Z",
                "trace_id": str(uuid.uuid4()),
                "correlation_id": correlation,
                "origin_service": "banco",
                "callback_queue_name": queue,
                "data": ORDER,
                "metadata": {},
            }
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._redis.aclose()


if __name__ == "__main__":
    serve({"nooble": NoobleCaller, "hand": HandCaller}[sys.argv[1]]())
