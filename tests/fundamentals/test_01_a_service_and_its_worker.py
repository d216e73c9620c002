"""A service holds the business logic; a worker takes actions from the service's stream and hands them to it.

Read the chapters in order: each test shows one thing, and builds on those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from nooble.services import BaseService
from nooble.workers import BaseWorker, ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import running

Settings = Callable[..., CommonAppSettings]


class Orders(BaseService):
    """A service by hand: one method that gets every action."""

    def __init__(self, app_settings: CommonAppSettings) -> None:
        super().__init__(app_settings)
        self.created: list[int] = []

    async def process_action(self, action: DomainAction) -> Any:
        if action.action_type == "orders.order.create":
            self.created.append(action.data["number"])
            return {"number": action.data["number"], "status": "created"}
        raise NotImplementedError(action.action_type)


class OrdersWorker(BaseWorker):
    """A worker by hand: one method that hands actions over."""

    async def _handle_action(self, action: DomainAction) -> Any:
        return await self.service.process_action(action)


async def test_a_worker_hands_the_actions_of_its_service_to_it(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """An action goes to the service that its type begins with."""
    service = Orders(settings("orders"))
    async with running(OrdersWorker(settings("orders"), redis, service)):
        await client.send("orders.order.create", {"number": 7})
        await wait_until(lambda: service.created == [7], "the order is created")


async def test_most_services_need_no_worker_of_their_own(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`ServiceWorker` is the worker above, ready-made."""
    service = Orders(settings("orders"))
    async with running(ServiceWorker(settings("orders"), redis, service)):
        await client.send("orders.order.create", {"number": 7})
        await wait_until(lambda: service.created == [7], "the order is created")


async def test_actions_wait_in_the_stream_until_a_worker_comes(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Who sends need not care whether anybody works just now; the order of sending is kept."""
    for number in range(3):
        await client.send("orders.order.create", {"number": number})
    service = Orders(settings("orders"))
    async with running(ServiceWorker(settings("orders"), redis, service)):
        await wait_until(lambda: service.created == [0, 1, 2], "they are done, in order")


async def test_an_action_that_is_done_leaves_the_stream(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """So the length of a stream says how much is still to be done."""
    worker = ServiceWorker(settings("orders"), redis, Orders(settings("orders")))
    await client.send("orders.order.create", {"number": 7})
    assert await redis.xlen(worker.action_stream_name) == 1
    async with running(worker):
        await wait_until(lambda: _is_empty(redis, worker), "the stream is empty")


async def _is_empty(redis: redis.asyncio.Redis, worker: BaseWorker) -> bool:
    return not await redis.xlen(worker.action_stream_name)
