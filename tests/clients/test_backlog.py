"""A service says how much may wait for it; whoever sends more is refused, or waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import QueueFull
from nooble.models import current_context
from nooble.workers import ServiceWorker
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

pytestmark = pytest.mark.every_server
Settings = Callable[..., CommonAppSettings]
BOUND = "nooble4:test:demo:limits:backlog"


@pytest.fixture
async def client(redis: redis_asyncio.Redis, settings: Settings) -> AsyncIterator[BaseRedisClient]:
    async with BaseRedisClient("shop", redis, settings("shop")) as client:
        yield client


@pytest.fixture
def platform(redis: redis_asyncio.Redis) -> Platform:
    return Platform(redis)


async def test_a_worker_publishes_its_bound_and_takes_it_back(redis: redis_asyncio.Redis, settings: Settings) -> None:
    for bound, published in ((7, b"7"), (9, b"9"), (0, None)):
        worker = ServiceWorker(settings(stream_max_backlog=bound), redis, Doing(lambda action: None))
        await worker.initialize()
        await worker.stop()
        assert await redis.get(BOUND) == published


async def test_the_bound_is_there_again_after_the_server_has_lost_all(
    redis: redis_asyncio.Redis, settings: Settings
) -> None:
    worker = ServiceWorker(settings(stream_max_backlog=7), redis, Doing(lambda action: None))
    async with running(worker):
        await wait_until(lambda: redis.exists(BOUND), "it is published")
        await redis.flushall()
        await wait_until(lambda: redis.exists(BOUND), "it is published again")


async def test_more_than_the_bound_is_refused(client: BaseRedisClient, redis: Any, platform: Platform) -> None:
    await redis.set(BOUND, 3)
    for _ in range(3):
        await client.send("demo.thing.do")
    for send in (client.send, client.call, lambda name: client.send(name, idempotency_key="7")):
        with pytest.raises(QueueFull, match="stream_max_backlog") as refused:
            await send("demo.thing.do")
        assert refused.value.details["length"] == refused.value.details["limit"] == 3
    assert await platform.backlog() == 3
    assert [key async for key in redis.scan_iter("*:once:*")] == []


async def test_of_many_there_are_as_many_as_there_is_room_for(
    client: BaseRedisClient, redis: Any, platform: Platform
) -> None:
    await redis.set(BOUND, 450)
    with pytest.raises(QueueFull) as refused:
        await client.send_many(("demo.thing.do", {"n": number}) for number in range(1_000))
    assert refused.value.details["sent"] == 450
    assert await platform.backlog() == 450


async def test_many_senders_do_not_outrun_the_bound(
    redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    await redis.set(BOUND, 50)
    clients = [BaseRedisClient("shop", redis, settings("shop")) for _ in range(4)]

    async def push(client: BaseRedisClient) -> int:
        refusals = 0
        for _ in range(50):
            try:
                await client.send("demo.thing.do")
            except QueueFull:
                refusals += 1
        return refusals

    assert sum(await asyncio.gather(*map(push, clients))) == 150
    assert await platform.backlog() == 50
    for client in clients:
        await client.close()


async def test_who_waits_goes_on_as_soon_as_there_is_room(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    service = Doing(lambda action: asyncio.sleep(0.001))
    worker = ServiceWorker(settings(stream_max_backlog=5), redis, service)
    await redis.set(BOUND, 5)
    sending = asyncio.gather(*(client.send("demo.thing.do", room_timeout=10) for _ in range(100)))
    await wait_until(lambda: platform.redis.xlen(platform.stream), "the stream is full")
    async with running(worker):
        await sending
        await wait_until(platform.is_done, "all is done")
    assert len(service.seen) == 100


async def test_waiting_for_room_ends(client: BaseRedisClient, redis: redis_asyncio.Redis) -> None:
    await redis.set(BOUND, 1)
    await client.send("demo.thing.do")
    with pytest.raises(QueueFull):
        await client.send("demo.thing.do", room_timeout=0.05)


async def test_a_bound_that_is_set_while_a_client_sends_is_found(
    client: BaseRedisClient, redis: redis_asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nooble.wire.outgoing._BOUND_IS_KNOWN_FOR", 0.01)
    await client.send("demo.thing.do")
    await redis.set(BOUND, 1)

    async def is_refused() -> bool:
        try:
            await client.send("demo.thing.do")
        except QueueFull:
            return True
        return False

    await wait_until(is_refused, "the bound is found")


@pytest.mark.parametrize("nonsense", ["many", "-5", "0", ""])
async def test_a_bound_that_is_none_bounds_nothing(
    client: BaseRedisClient, redis: Any, platform: Platform, nonsense: str
) -> None:
    await redis.set(BOUND, nonsense)
    await client.send("demo.thing.do")
    await client.send("demo.thing.do", idempotency_key="7")
    assert await platform.backlog() == 2


async def test_a_key_of_another_type_in_its_place_bounds_nothing(
    client: BaseRedisClient, redis: Any, platform: Platform
) -> None:
    await redis.sadd(BOUND, "a stranger's")
    await client.send("demo.thing.do")
    assert await platform.backlog() == 1


async def test_follow_ups_are_not_bounded(redis: redis_asyncio.Redis, settings: Settings, platform: Platform) -> None:
    """An action that has been done must be able to say so."""

    async def work(action: Any) -> None:
        for _ in range(10):
            await current_context().send("out.thing.note")

    await redis.set("nooble4:test:out:limits:backlog", 1)
    async with running(ServiceWorker(settings(), redis, Doing(work))):
        assert (await platform.ask("demo.thing.do"))["success"]
    assert await redis.xlen("nooble4:test:out:streams:main") == 10
