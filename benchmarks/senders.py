"""Who sends: nooble's `send` awaited by 100 tasks and its `send_many`, redis-py's own pipeline, and one packed by hiredis.

python -m benchmarks.senders send|send_many|pipeline|packed
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

import hiredis
import msgspec
from redis.asyncio import Redis

from benchmarks.entries import STREAM, encode
from benchmarks.harness import Subject, serve
from benchmarks.nooble_worker import settings_of
from benchmarks.payload import ORDER
from benchmarks.tight import connect
from nooble import BaseRedisClient

TYPE = "pedidos.pedido.crear"
CHUNK, TASKS = 100, 100


def body() -> bytes:
    """What a hand-written sender encodes, with ids of its own."""
    return encode(
        {
            "action_id": str(uuid.uuid4()),
            "action_type": TYPE,
            "timestamp": "2026-11-22T00:00:00Z",
            "trace_id": str(uuid.uuid4()),
            "correlation_id": None,
            "origin_service": "banco",
            "callback_queue_name": None,
            "data": ORDER,
            "metadata": {},
        }
    )


class Sender(Subject):
    """Sends, and then looks whether what came out is what went in."""

    packages: tuple[str, ...] = ("redis", "hiredis", "msgspec", "uvloop")

    async def setup(self) -> None:
        """Connections first: they are not what is measured."""
        self._redis = Redis.from_url(self.url)
        await self._redis.ping()

    async def arrived(self) -> int:
        """How many readable actions the stream holds."""
        good = 0
        found: Any = await self._redis.xrange(STREAM)
        for _, fields in found:
            action: Any = msgspec.json.decode(fields[b"data"])
            good += action["action_type"] == TYPE and action["data"] == ORDER and bool(action["action_id"])
        return good


class Pipeline(Sender):
    """redis-py's own pipeline of 100."""

    async def send(self, count: int) -> int:
        """Send."""
        sent = 0
        for start in range(0, count, CHUNK):
            pipe = self._redis.pipeline(transaction=False)
            for _ in range(min(CHUNK, count - start)):
                pipe.xadd(STREAM, {"data": body()})
            sent += len(await pipe.execute())
        return sent


class Packed(Sender):
    """The same, packed by `hiredis.pack_command` and written to a bare socket."""

    async def setup(self) -> None:
        """A socket of its own as well."""
        await super().setup()
        self._socket = await connect(self.url)

    async def send(self, count: int) -> int:
        """Send."""
        pack: Any = hiredis.pack_command
        sent = 0
        for start in range(0, count, CHUNK):
            chunk = min(CHUNK, count - start)
            packed = b"".join(pack((b"XADD", STREAM, b"*", b"data", body())) for _ in range(chunk))
            replies = await self._socket.ask(packed, chunk)
            sent += sum(isinstance(reply, bytes) for reply in replies)
        return sent


class Nooble(Sender):
    """nooble's client."""

    packages = (*Sender.packages, "nooble")

    async def setup(self) -> None:
        """One client, connected by its first send."""
        await super().setup()
        self._client = BaseRedisClient("banco", self._redis, settings_of("banco", self.url))
        await self._client.send("otro.cosa.hacer", {})


class Send(Nooble):
    """`send`, awaited by 100 tasks."""

    async def send(self, count: int) -> int:
        """Send."""
        left, sent = iter(range(count)), 0

        async def one() -> None:
            nonlocal sent
            for _ in left:
                await self._client.send(TYPE, ORDER)
                sent += 1

        await asyncio.gather(*(one() for _ in range(TASKS)))
        return sent


class SendMany(Nooble):
    """`send_many`."""

    async def send(self, count: int) -> int:
        """Send."""
        return len(await self._client.send_many([(TYPE, ORDER)] * count))


if __name__ == "__main__":
    serve({"pipeline": Pipeline, "packed": Packed, "send": Send, "send_many": SendMany}[sys.argv[1]]())
