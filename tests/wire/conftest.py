"""What the tests of the wire share: names, consumers of one service, and a raw look at its keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio as redis_asyncio

from nooble.wire.connection import Endpoint
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import ActionStream
from tests.support.streams import Raw

Consumer = Callable[..., Awaitable[ActionStream]]


@pytest.fixture
def keys() -> QueueManager:
    return QueueManager(environment="test")


@pytest.fixture
async def consumer(redis: redis_asyncio.Redis, keys: QueueManager) -> AsyncIterator[Consumer]:
    """Makes consumers of a service, each with connections of its own: `await consumer("a")`."""
    made: list[ActionStream] = []

    async def consumer(
        suffix: str = "a", service: str = "orders", client: redis_asyncio.Redis | None = None
    ) -> ActionStream:
        name = keys.get_consumer_name(service, suffix)
        made.append(ActionStream(Endpoint(client or redis), keys, service, name, answer_ttl_ms=20_000))
        await made[-1].ensure_group()
        return made[-1]

    yield consumer
    for stream in made:
        await stream.close()


@pytest.fixture
async def stream(consumer: Consumer) -> ActionStream:
    """The consumer that a test is about."""
    return await consumer("a")


@pytest.fixture
def raw(redis: redis_asyncio.Redis, stream: ActionStream) -> Raw:
    return Raw(redis, stream)
