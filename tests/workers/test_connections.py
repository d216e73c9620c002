"""Whatever connection is handed in, the worker behaves the same, and neither disturbs the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import fakeredis
import pytest
import redis.asyncio

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerRefused
from nooble.models import DomainAction, current_context
from nooble.workers import ServiceWorker
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running

Settings = Callable[..., CommonAppSettings]


def blocking_pool(url: str) -> redis.asyncio.Redis:
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=1, timeout=1)
    return redis.asyncio.Redis(connection_pool=pool)


def idle(settings: Settings, connection: Any) -> ServiceWorker:
    """A worker whose service has little to do."""
    return ServiceWorker(settings(), connection, Doing(lambda action: None))


MAKERS: dict[str, Callable[[str], redis.asyncio.Redis]] = {
    "bytes": redis.asyncio.Redis.from_url,
    "text": lambda url: redis.asyncio.Redis.from_url(url, decode_responses=True),
    "latin": lambda url: redis.asyncio.Redis.from_url(url, decode_responses=True, encoding="latin-1"),
    "resp3": lambda url: redis.asyncio.Redis.from_url(url, protocol=3),
    "impatient": lambda url: redis.asyncio.Redis.from_url(url, socket_timeout=0.05),
    "blocking pool of one": blocking_pool,
    "single connection": lambda url: redis.asyncio.Redis.from_url(url, single_connection_client=True),
    "small pool": lambda url: redis.asyncio.Redis.from_url(url, max_connections=1),
    "checked": lambda url: redis.asyncio.Redis.from_url(url, health_check_interval=1, client_name="mine"),
}


@pytest.fixture(params=[*MAKERS, "fake"])
async def handed_in(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[tuple[Any, Platform]]:
    """A connection of each kind, and a service of the platform at the same server."""
    if request.param == "fake":
        there = fakeredis.FakeServer()
        given, seen = (fakeredis.FakeAsyncRedis(server=there) for _ in range(2))
    else:
        given, seen = MAKERS[request.param](server.url), redis.asyncio.Redis.from_url(server.url)
    async with AsyncExitStack() as stack:
        for client in (given, seen):
            stack.push_async_callback(client.aclose)
        yield given, Platform(seen)


async def test_every_road_is_open_on_every_connection(handed_in: tuple[Any, Platform], settings: Settings) -> None:
    """Answer, error, retry, dead letter, follow-up, binary-safe text."""
    connection, platform = handed_in

    async def work(action: DomainAction) -> Any:
        if action.action_type == "demo.bad.do":
            raise OSError("ñandú")
        await current_context().send("next.thing.do", {"text": "ñ\x00"})
        return {"text": "ñ\x00", "attempt": current_context().attempt}

    async with running(TellingWorker(settings(retry_attempts=2), connection, Doing(work))):
        answer = await platform.ask("demo.thing.do")
        assert answer["data"] == {"text": "ñ\x00", "attempt": 1}
        await platform.send("demo.bad.do")
        (letter,) = await wait_until(platform.buried, "it is buried")
        assert (letter["error"], letter["attempts"]) == ("OSError: ñandú", "2")
        assert await Platform(platform.redis, "next").backlog() == 1
        await wait_until(platform.is_done, "all is done")


async def test_many_actions_on_every_connection(handed_in: tuple[Any, Platform], settings: Settings) -> None:
    connection, platform = handed_in
    worker = TellingWorker(settings(worker_concurrency=4), connection, Doing(lambda action: None))
    async with running(worker):
        for _ in range(100):
            await platform.send("demo.thing.do")
        await wait_until(platform.is_done, "all is done", timeout=10)
    assert len(worker.service.seen) == 100


async def test_a_connection_that_its_user_keeps_busy_does_not_disturb(
    server: Server, settings: Settings, redis: redis.asyncio.Redis
) -> None:
    """Its user blocks its only connection; the worker has its own."""
    given = blocking_pool(server.url)
    platform = Platform(redis)
    async with running(idle(settings, given)):
        busy = asyncio.create_task(given.blpop(["nothing:ever:comes:here"], timeout=5))
        await wait_until(lambda: "blpop" in [one["cmd"] for one in server.client.client_list()], "it blocks")
        for _ in range(20):
            assert (await platform.ask("demo.thing.do", timeout=1))["success"]
        assert not busy.done()
        busy.cancel()
    await given.aclose(close_connection_pool=True)


async def test_a_worker_does_not_close_what_it_was_handed(server: Server, settings: Settings) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as given:
        async with running(idle(settings, given)):
            await Platform(given).ask("demo.thing.do")
        assert await given.ping()


async def test_a_handler_may_use_what_the_worker_was_handed(
    server: Server, settings: Settings, redis: redis.asyncio.Redis
) -> None:
    """As the standard's service does, which gets the same connection as `direct_redis_conn`."""
    given = blocking_pool(server.url)

    async def count(action: DomainAction) -> int:
        number = int(await given.incr("nooble4:test:demo:count:main"))
        await given.expire("nooble4:test:demo:count:main", 60)
        return number

    async with running(ServiceWorker(settings(worker_concurrency=5), given, Doing(count))):
        answers = await asyncio.gather(*(Platform(redis).ask("demo.thing.do") for _ in range(20)))
    assert sorted(answer["data"]["result"] for answer in answers) == list(range(1, 21))
    await given.aclose(close_connection_pool=True)


async def test_a_password_is_carried_over(launch: Callable[..., Server], settings: Settings) -> None:
    server = launch(password="s3cret")
    async with redis.asyncio.Redis.from_url(server.url) as given, running(idle(settings, given)):
        assert (await Platform(given).ask("demo.thing.do"))["success"]


async def test_a_wrong_password_ends_run_and_says_so(launch: Callable[..., Server], settings: Settings) -> None:
    server = launch(password="s3cret")
    async with redis.asyncio.Redis(host="127.0.0.1", port=server.port, password="wrong") as given:
        with pytest.raises(ServerRefused, match="password"):
            await asyncio.wait_for(idle(settings, given).run(), 5)


async def test_a_socket_is_as_good_as_a_port(launch: Callable[..., Server], settings: Settings) -> None:
    server = launch(unix=True)
    async with redis.asyncio.Redis.from_url(server.url) as given, running(idle(settings, given)):
        assert (await Platform(given).ask("demo.thing.do"))["success"]


def test_what_is_no_connection_is_refused_when_the_worker_is_made(settings: Settings) -> None:
    with pytest.raises(ConfigurationFault, match=r"expected a redis\.asyncio\.Redis, got str"):
        idle(settings, "redis://localhost")
