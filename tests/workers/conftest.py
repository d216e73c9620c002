"""What tests of workers share: a service that runs the platform's code, to talk to workers with, and workers that end with
the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
import redis.asyncio

from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from tests.support.platform import Platform
from tests.support.workers import Doing, TellingWorker


class Employ(Protocol):
    """Starts a worker whose service does *what* with every action; it stops with the test."""

    async def __call__(
        self, what: Callable[[DomainAction], Any], service_name: str = "demo", *, redis: Any = None, **values: Any
    ) -> TellingWorker: ...


@pytest.fixture
def platform(redis: redis.asyncio.Redis) -> Platform:
    """A service that runs the platform's code and talks to the service `demo`."""
    return Platform(redis)


@pytest.fixture
async def employ(redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]) -> AsyncIterator[Employ]:
    """Starts workers: `worker = await employ(what)`, `await employ(what, worker_concurrency=4)`."""
    connection = redis
    async with AsyncExitStack() as workers:

        async def employ(
            what: Callable[[DomainAction], Any], service_name: str = "demo", *, redis: Any = None, **values: Any
        ) -> TellingWorker:
            worker = TellingWorker(settings(service_name, **values), redis or connection, Doing(what))
            await worker.start()
            workers.push_async_callback(worker.stop)
            return worker

        yield employ
