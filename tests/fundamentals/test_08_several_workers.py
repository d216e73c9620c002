"""Several workers: they share the stream of their service, each action goes to one of them, and nothing is lost with one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_workers_share_the_work(redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient) -> None:
    """Each action is done once, by whoever is free."""
    done: Counter[int] = Counter()
    by: Counter[str] = Counter()

    def worker(name: str) -> ServiceWorker:
        async def cook(action: DomainAction) -> None:
            await asyncio.sleep(0.002)
            done[action.data["n"]] += 1
            by[name] += 1

        return ServiceWorker(settings("kitchen"), redis, Doing(cook), name)

    await client.send_many(("kitchen.meal.cook", {"n": n}) for n in range(100))
    async with running(worker("anna"), worker("bert"), worker("carl")):
        await wait_until(lambda: sum(done.values()) == 100, "all meals are cooked")
    assert set(done.values()) == {1}
    assert len(by) == 3


async def test_a_worker_does_one_action_at_a_time(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The standard's way; a service may use `asyncio.gather` within one action."""
    most = await most_at_once(redis, settings, client)
    assert most == 1


async def test_a_worker_does_several_at_a_time_if_it_is_told_to(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`worker_concurrency` says how many."""
    most = await most_at_once(redis, settings, client, worker_concurrency=4)
    assert most == 4


async def test_what_a_stopped_worker_leaves_is_done_by_another(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Also what it had read already and not started."""
    await client.send_many(("kitchen.meal.cook", {"n": n}) for n in range(20))
    first, second = Doing(lambda action: asyncio.sleep(0.01)), Doing(lambda action: None)
    async with running(ServiceWorker(settings("kitchen"), redis, first)):
        await wait_until(lambda: first.seen, "the first has begun")
    async with running(ServiceWorker(settings("kitchen"), redis, second)):
        await wait_until(lambda: len(first.seen) + len(second.seen) == 20, "the second has done the rest")


async def most_at_once(redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient, **values: int) -> int:
    """The largest number of handlers that ran at the same time."""
    now = most = done = 0

    async def cook(action: DomainAction) -> None:
        nonlocal now, most, done
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        done += 1

    await client.send_many([("kitchen.meal.cook", {})] * 12)
    async with running(ServiceWorker(settings("kitchen", **values), redis, Doing(cook))):
        await wait_until(lambda: done == 12, "all meals are cooked")
    return most
