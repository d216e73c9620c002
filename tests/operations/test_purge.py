"""What waits is deleted in bounded steps; what is at work stays, and so does what comes while it is done."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerRefused
from nooble.models import DomainAction
from nooble.operations import Purged, purge
from nooble.operations.purge import Waiting, count_waiting
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]
pytestmark = pytest.mark.every_server

STREAM = "nooble4:test:demo:streams:main"
RETRIES = "nooble4:test:demo:retries:main"
DEAD = "nooble4:test:demo:dead_letters:main"


async def write(redis: Redis, count: int, **fields: str) -> list[bytes]:
    pipe = redis.pipeline(transaction=False)
    for number in range(count):
        pipe.xadd(STREAM, {"data": f'{{"n":{number}}}', **fields})
    return list(await pipe.execute())


async def test_what_waits_goes_and_what_is_at_work_stays(redis: Redis, settings: Settings) -> None:
    ids = await write(redis, 1_500)
    await redis.xgroup_create(STREAM, "demo-group", "0")
    await redis.xreadgroup("demo-group", "somebody", {STREAM: ">"}, count=3)
    await redis.zadd(RETRIES, {"1-0\n{}": 1})
    await redis.xadd(DEAD, {"reason": "X"})
    told: list[Purged] = []
    assert await purge(redis, settings(), progress=told.append) == Purged(waiting=1_497)
    assert [one.waiting for one in told] == [*range(100, 1_401, 100), 1_497]
    assert [entry for entry, _ in await redis.xrange(STREAM)] == ids[:3]
    assert (await redis.xpending(STREAM, "demo-group"))["pending"] == 3
    assert (await redis.zcard(RETRIES), await redis.xlen(DEAD)) == (1, 1)
    assert await purge(redis, settings()) == Purged()


async def test_all_of_it_goes_if_it_is_asked_for(redis: Redis, settings: Settings) -> None:
    await write(redis, 5)
    await redis.zadd(RETRIES, {f"{n}-0\n{{}}": n for n in range(1_200)})
    for _ in range(700):
        await redis.xadd(DEAD, {"reason": "X"})
    mine, others = "nooble4:test:demo:responses:inbox:1", "nooble4:test:demo2:responses:inbox:1"
    for queue in (mine, "nooble4:test:demo:callbacks:x:1", others):
        await redis.lpush(queue, "answer")
        await redis.expire(queue, 60)
    done = await purge(redis, settings(), retries=True, dead=True, answers=True)
    assert done == Purged(waiting=5, retries=1_200, dead=700, answers=2)
    assert await redis.exists(RETRIES, mine) == 0
    assert (await redis.xlen(STREAM), await redis.xlen(DEAD), await redis.llen(others)) == (0, 0, 1)


async def test_the_server_never_counts_what_was_deleted_as_waiting(redis: Redis, settings: Settings) -> None:
    await redis.xgroup_create(STREAM, "demo-group", "0", mkstream=True)
    await write(redis, 10)
    await redis.xreadgroup("demo-group", "somebody", {STREAM: ">"}, count=3)
    assert (await purge(redis, settings())).waiting == 7
    ids = await write(redis, 5)
    ((_, taken),) = await redis.xreadgroup("demo-group", "somebody", {STREAM: ">"}, count=2)
    assert [entry for entry, _ in taken] == ids[:2]
    (group,) = await redis.xinfo_groups(STREAM)
    assert group["lag"] in (3, None)  # it may know that it does not know
    assert group["pending"] == 5


async def test_only_what_is_asked_for_goes(redis: Redis, settings: Settings) -> None:
    await write(redis, 5)
    await redis.zadd(RETRIES, {"1-0\n{}": 1})
    assert await purge(redis, settings(), waiting=False, retries=True) == Purged(retries=1)
    assert await redis.xlen(STREAM) == 5


async def test_where_nothing_is_nothing_is_made(redis: Redis, settings: Settings) -> None:
    assert await purge(redis, settings(), retries=True, dead=True, answers=True) == Purged()
    assert await redis.keys() == []


async def test_what_comes_meanwhile_stays(redis: Redis, settings: Settings) -> None:
    await write(redis, 1_100)
    tasks = []
    done = await purge(
        redis, settings(), progress=lambda _: tasks.append(asyncio.ensure_future(write(redis, 1, late="1")))
    )
    await asyncio.gather(*tasks)
    assert done.waiting == 1_100
    assert [fields[b"late"] for _, fields in await redis.xrange(STREAM)] == [b"1"] * len(tasks)


async def test_workers_go_on_with_what_they_have(redis: Redis, settings: Settings) -> None:
    go_on = asyncio.Event()

    async def wait(action: DomainAction) -> str:
        await go_on.wait()
        return "done"

    service = Doing(wait)
    async with (
        BaseRedisClient("web", redis, settings("web")) as client,
        running(ServiceWorker(settings(worker_read_ahead=1), redis, service)),
    ):
        call = asyncio.create_task(client.call("demo.thing.do", {}, timeout=30))
        await wait_until(lambda: service.seen, "it is at work")
        await client.send_many([("demo.thing.do", {})] * 50)
        done = await purge(redis, settings())
        go_on.set()
        assert (await call).success
        assert done.waiting >= 49
        await wait_until(lambda: _is_empty(redis), "the stream is empty")


async def _is_empty(redis: Redis) -> bool:
    return int(await redis.xlen(STREAM)) == 0


async def test_the_idempotency_keys_of_what_never_ran_are_free_again(redis: Redis, settings: Settings) -> None:
    async with BaseRedisClient("web", redis, settings("web")) as client:
        first = await client.send("demo.thing.do", {"n": 1}, idempotency_key="k")
        assert await client.send("demo.thing.do", {"n": 1}, idempotency_key="k") == first
        assert (await purge(redis, settings())).waiting == 1
        assert await client.send("demo.thing.do", {"n": 1}, idempotency_key="k") != first
        assert await redis.xlen(STREAM) == 1


async def test_answers_are_looked_for_among_all_keys(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("nooble.operations.purge"), "_SCANNED", 1)
    pipe = redis.pipeline(transaction=False)
    for number in range(9_000):
        pipe.set(f"nooble4:test:{'demo:responses' if number % 2 else 'other:once'}:{number}", "x", ex=60)
    await pipe.execute()
    assert (await purge(redis, settings(), waiting=False, answers=True)).answers == 4_500


async def test_what_waits_is_counted_as_it_will_be_deleted(redis: Redis, settings: Settings) -> None:
    assert await count_waiting(redis, settings()) == Waiting()
    ids = await write(redis, 5)
    assert await count_waiting(redis, settings()) == Waiting(entries=5, waiting=5)  # no worker has ever come
    await redis.xgroup_create(STREAM, "demo-group", "0")
    await redis.xreadgroup("demo-group", "somebody", {STREAM: ">"}, count=3)
    assert await count_waiting(redis, settings()) == Waiting(entries=5, waiting=2, at_work=3)
    await redis.xdel(STREAM, *ids[:3])  # what is held is gone
    assert await count_waiting(redis, settings()) == Waiting(entries=2, waiting=2, at_work=3)
    await redis.xdel(STREAM, ids[3])  # from here on the server does not know
    counted = await count_waiting(redis, settings())
    assert (counted.entries, counted.waiting in (1, None)) == (1, True)
    await redis.delete(STREAM)
    await redis.set(STREAM, "x", ex=60)
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await count_waiting(redis, settings())


async def test_what_others_read_is_left_to_them(redis: Redis, settings: Settings) -> None:
    await write(redis, 3)
    await redis.xgroup_create(STREAM, "audit", "0")
    with pytest.raises(ConfigurationFault, match="audit"):
        await purge(redis, settings())
    assert await redis.xlen(STREAM) == 3


async def test_a_key_of_another_type_is_told(redis: Redis, settings: Settings) -> None:
    await redis.set(STREAM, "x", ex=60)
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await purge(redis, settings())
