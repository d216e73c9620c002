"""What every chapter of the tutorial uses: a client to talk to the service with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings


@pytest.fixture
async def client(
    redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]
) -> AsyncIterator[BaseRedisClient]:
    """A client of the service `shop`."""
    async with BaseRedisClient("shop", redis, settings("shop")) as client:
        yield client
