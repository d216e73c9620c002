"""Sending: the action is safe in the server once `send` returns, and nobody waits for what comes of it."""

from __future__ import annotations

from collections.abc import Callable

import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_sending_returns_the_id_of_the_action(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The id is the same one that the service sees."""
    service = Doing(lambda action: None)
    sent = await client.send("orders.order.ship", {"number": 7})
    async with running(ServiceWorker(settings("orders"), redis, service)):
        await wait_until(lambda: [action.action_id for action in service.seen] == [sent], "it is seen")


async def test_an_action_carries_data_and_the_ids_of_the_business(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """What the sender says of the action reaches the service; who sent it is said for the sender."""
    service = Doing(lambda action: None)
    await client.send("orders.order.ship", {"number": 7}, tenant_id="acme", task_id="t-1")
    async with running(ServiceWorker(settings("orders"), redis, service)):
        await wait_until(lambda: service.seen, "it is seen")
    action = service.seen[0]
    assert (action.data, action.tenant_id, action.task_id) == ({"number": 7}, "acme", "t-1")
    assert action.origin_service == "shop"


async def test_a_whole_action_can_be_made_by_hand(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The platform's way to send is there as well."""
    service = Doing(lambda action: None)
    await client.send_action_async(DomainAction(action_type="orders.order.ship", data={"number": 7}))
    async with running(ServiceWorker(settings("orders"), redis, service)):
        await wait_until(lambda: service.seen, "it is seen")


async def test_many_actions_leave_in_few_writes(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Their order is kept."""
    service = Doing(lambda action: None)
    await client.send_many(("orders.order.ship", {"number": number}) for number in range(500))
    async with running(ServiceWorker(settings("orders"), redis, service)):
        await wait_until(lambda: len(service.seen) == 500, "all are seen")
    assert [action.data["number"] for action in service.seen] == list(range(500))
