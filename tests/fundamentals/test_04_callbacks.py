"""Callbacks: the sender does not wait, and the result comes to it as an action of its own."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_the_result_arrives_as_an_action_in_a_list(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The platform's way: a list for each callback, which the sender reads itself."""
    action = DomainAction(action_type="reports.report.build", data={"year": 2026}, tenant_id="acme")
    await client.send_action_async_with_callback(action, "shop.report.built")
    async with running(ServiceWorker(settings("reports"), redis, Doing(lambda action: {"pages": 12}))):
        _, raw = await redis.brpop([action.callback_queue_name], timeout=5)
    callback = DomainAction.model_validate_json(raw)
    assert (callback.action_type, callback.data) == ("shop.report.built", {"pages": 12})
    assert (callback.origin_service, callback.tenant_id) == ("reports", "acme")
    assert callback.correlation_id == action.correlation_id
    assert callback.trace_id == action.trace_id


async def test_the_result_arrives_as_an_action_for_the_own_worker(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """nooble's way: the callback goes into the sender's own action stream, and its worker handles it like any other."""
    shop = Doing(lambda action: None)
    reports = Doing(lambda action: {"pages": 12})
    async with running(
        ServiceWorker(settings("shop"), redis, shop), ServiceWorker(settings("reports"), redis, reports)
    ):
        await client.call_back("reports.report.build", callback_action_type="shop.report.built")
        await wait_until(lambda: shop.seen, "the callback has come")
    assert (shop.seen[0].action_type, shop.seen[0].data) == ("shop.report.built", {"pages": 12})


async def test_a_failed_action_sends_no_callback(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """There is no result to send. The action is kept in the dead letters of the service that could not do it."""

    def fail(action: DomainAction) -> None:
        raise LookupError("no such year")

    shop = Doing(lambda action: None)
    reports = ServiceWorker(settings("reports", retry_attempts=1), redis, Doing(fail))
    async with running(ServiceWorker(settings("shop"), redis, shop), reports):
        await client.call_back("reports.report.build", callback_action_type="shop.report.built")
        dead = reports.queue_manager.get_dead_letter_stream("reports")
        await wait_until(lambda: redis.xlen(dead), "it is buried")
    assert shop.seen == []


async def test_a_callback_only_goes_where_callbacks_may_go(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """A name that comes with an action is a request, never an order: this one is refused before the handler runs."""
    service = Doing(lambda action: {})
    worker = ServiceWorker(settings("reports"), redis, service)
    hostile = {"action_type": "reports.report.build", "data": {}, "callback_queue_name": "sessions:of:everybody"}
    await redis.xadd(worker.action_stream_name, {"data": msgspec.json.encode(hostile)})
    async with running(worker):
        dead = worker.queue_manager.get_dead_letter_stream("reports")
        await wait_until(lambda: redis.xlen(dead), "it is buried")
    assert service.seen == []
    assert not await redis.exists("sessions:of:everybody")
