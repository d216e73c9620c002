"""Stopping: what runs may finish, what has not started goes to others, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_a_running_action_may_finish(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`stop` waits for it, at most `worker_grace_seconds`; its caller gets the answer."""
    going = asyncio.Event()

    async def bake(action: DomainAction) -> str:
        going.set()
        await asyncio.sleep(0.1)
        return "bread"

    worker = ServiceWorker(settings("bakery"), redis, Doing(bake))
    await worker.start()
    call = asyncio.create_task(client.call("bakery.bread.bake", timeout=5))
    await going.wait()
    await worker.stop()
    assert (await call).data == {"result": "bread"}


async def test_an_action_that_takes_too_long_starts_again_elsewhere(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """When the grace is over its handler is cancelled, and the action goes back to the stream, uncounted."""
    slow = Doing(lambda action: asyncio.sleep(60))
    worker = ServiceWorker(settings("bakery", worker_grace_seconds=0.05), redis, slow)
    await client.send("bakery.bread.bake")
    async with running(worker):
        await wait_until(lambda: slow.seen, "it has begun")
    quick = Doing(lambda action: None)
    async with running(ServiceWorker(settings("bakery"), redis, quick)):
        await wait_until(lambda: quick.seen, "another has done it")
    assert quick.seen == slow.seen


async def test_a_stopped_worker_has_left_the_group(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Names of workers that are gone do not pile up."""
    worker = ServiceWorker(settings("bakery"), redis, Doing(lambda action: None))
    async with running(worker):
        await client.call("bakery.bread.bake", timeout=5)
        consumers = await redis.xinfo_consumers(worker.action_stream_name, worker.consumer_group_name)
        assert [consumer["name"].decode() for consumer in consumers] == [worker.consumer_name]
    assert await redis.xinfo_consumers(worker.action_stream_name, worker.consumer_group_name) == []


async def test_a_worker_can_run_in_the_foreground_and_be_stopped_from_elsewhere(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`run` returns when somebody stops it; cancelling it, as Ctrl-C does, comes to rest in the same way."""
    worker = ServiceWorker(settings("bakery"), redis, Doing(lambda action: None))
    foreground = asyncio.create_task(worker.run())
    await client.call("bakery.bread.bake", timeout=5)
    await worker.stop()
    await asyncio.wait_for(foreground, 5)
