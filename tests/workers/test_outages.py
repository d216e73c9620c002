"""The server forgets, restarts, goes away, loses replies: the worker goes on, and tells what has happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import OutOfMemoryError

from nooble.config import CommonAppSettings
from nooble.events import CommitRefused, Completed, DataLost, Reclaimed, ServerBack, ServerLost
from nooble.models import DomainAction
from nooble.wire.scripts import CLAIM
from tests.support.platform import Platform
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running
from tests.workers.conftest import Employ

Settings = Callable[..., CommonAppSettings]
Launch = Callable[..., Server]
Forget = Callable[[Platform], Awaitable[None]]


def patient(server: Server) -> redis.asyncio.Redis:
    """A connection that opens again after the server was away."""
    return redis.asyncio.Redis.from_url(server.url, retry=Retry(ConstantBackoff(0.02), 200))


async def consumers(platform: Platform, count: int) -> bool:
    """Whether so many consumers are in the group."""
    return len(await platform.redis.xinfo_consumers(platform.stream, platform.group)) == count


# ── the server forgets ──


async def _destroy_group(platform: Platform) -> None:
    await platform.redis.xgroup_destroy(platform.stream, platform.group)


async def _delete_stream(platform: Platform) -> None:
    await platform.redis.delete(platform.stream)


async def _forget_everything(platform: Platform) -> None:
    await platform.redis.flushall()


@pytest.mark.every_server
@pytest.mark.parametrize("forget", [_destroy_group, _delete_stream, _forget_everything])
async def test_a_worker_whose_read_waits_goes_on_within_two_seconds(
    employ: Employ, platform: Platform, forget: Forget
) -> None:
    """It makes the group anew and says so."""
    worker = await employ(lambda action: None, worker_block_ms=60_000, worker_lease_seconds=60)
    await platform.ask("demo.thing.do")
    await forget(platform)
    assert (await platform.ask("demo.thing.do", timeout=2))["success"]
    (told,) = worker.heard(DataLost)
    assert "demo-group" in told.message


@pytest.mark.every_server
@pytest.mark.parametrize("forget", [_destroy_group, _delete_stream, _forget_everything])
async def test_a_worker_in_the_middle_of_an_action_goes_on(employ: Employ, platform: Platform, forget: Forget) -> None:
    """What it was doing has no place to end in any more; whether it is there to be done again is up to the server."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> None:
        if action.data and not begun.is_set():
            begun.set()
            await go_on.wait()

    worker = await employ(work, worker_lease_seconds=60)
    await platform.send("demo.thing.do", {"slow": True})
    await begun.wait()
    await forget(platform)
    go_on.set()
    assert (await platform.ask("demo.thing.do"))["success"]
    await wait_until(lambda: worker.heard(CommitRefused), "its end is refused")
    await wait_until(platform.is_done, "all is done")


@pytest.mark.every_server
async def test_scripts_that_the_server_forgets_are_taught_again(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: None)
    for _ in range(3):
        assert (await platform.ask("demo.thing.do"))["success"]
        await platform.redis.script_flush()
    assert worker.heard(ServerLost) == []


@pytest.mark.every_server
async def test_a_server_that_comes_back_empty_is_served_again(launch: Launch, settings: Settings) -> None:
    server = launch()
    client = patient(server)
    platform = Platform(client)
    worker = TellingWorker(settings(), client, Doing(lambda action: None))
    async with running(worker):
        await platform.ask("demo.thing.do")
        server.kill()
        await wait_until(lambda: worker.heard(ServerLost), "it is noticed")
        server.start()
        await wait_until(lambda: worker.heard(DataLost), "the loss is noticed")
        assert (await platform.ask("demo.thing.do"))["success"]
    assert len(worker.heard(ServerLost)) == len(worker.heard(ServerBack)) == 1
    await client.aclose()


@pytest.mark.every_server
async def test_a_server_that_comes_back_with_everything_finds_it_being_finished(
    launch: Launch, settings: Settings
) -> None:
    """What had ended while it was away ends when it is back; nothing runs twice."""
    server = launch(appendonly="yes", appendfsync="always")
    client = patient(server)
    platform = Platform(client)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> str:
        begun.set()
        await go_on.wait()
        return "done"

    worker = TellingWorker(settings(worker_lease_seconds=0.5), client, Doing(work))
    queue = platform.queue()
    async with running(worker):
        await platform.send("demo.thing.do", callback_queue_name=queue)
        await begun.wait()
        server.kill()
        await wait_until(lambda: worker.heard(ServerLost), "it is noticed")
        go_on.set()
        await asyncio.sleep(0.6)  # longer than the lease: the heartbeat comes before anybody claims
        server.start()
        assert (await platform.answer(queue))["data"] == {"result": "done"}
        await wait_until(platform.is_done, "all is done")
    assert len(worker.service.seen) == 1
    assert worker.heard(CommitRefused) == worker.heard(Reclaimed) == worker.heard(DataLost) == []
    await client.aclose()


@pytest.mark.slow
async def test_workers_give_each_other_a_lease_after_an_outage(launch: Launch, settings: Settings) -> None:
    """Time went on while the server was away: who comes back first must not take what others had for left behind."""
    server = launch(appendonly="yes", appendfsync="always")
    client = patient(server)
    platform = Platform(client)
    go_on = asyncio.Event()
    async with Proxy(server.port) as proxy, redis.asyncio.Redis.from_url(proxy.url) as far_away:
        late = TellingWorker(settings(worker_lease_seconds=1.2), far_away, Doing(lambda action: go_on.wait()))
        soon = TellingWorker(settings(worker_lease_seconds=1.2), client, Doing(lambda action: go_on.wait()))
        async with running(late):
            await platform.send("demo.thing.do")
            await wait_until(lambda: late.service.seen, "it has begun")
            async with running(soon):
                await wait_until(lambda: consumers(platform, 2), "both work")
                server.kill()
                proxy.deaf = True
                await asyncio.sleep(1.3)
                server.start()
                await wait_until(lambda: soon.heard(ServerBack), "one is back")
                await asyncio.sleep(0.3)
                proxy.deaf = False
                proxy.reset()
                await wait_until(lambda: late.heard(ServerBack), "the other is back")
                go_on.set()
                await wait_until(platform.is_done, "it is done")
    assert soon.service.seen == []
    assert len(late.service.seen) == 1
    await client.aclose()


@pytest.mark.slow
async def test_a_frozen_server_is_waited_for(launch: Launch, settings: Settings) -> None:
    """Connections stay open and nothing answers; the worker finds out by the clock and goes on when it thaws."""
    server = launch()
    client = redis.asyncio.Redis.from_url(server.url, socket_timeout=30)
    platform = Platform(client)
    worker = TellingWorker(settings(worker_block_ms=100), client, Doing(lambda action: None))
    async with running(worker):
        await platform.ask("demo.thing.do")
        server.freeze()
        await wait_until(lambda: worker.heard(ServerLost), "it is noticed", timeout=8)
        server.thaw()
        assert (await platform.ask("demo.thing.do"))["success"]
        await wait_until(lambda: worker.heard(ServerBack), "it is told")
    assert worker.heard(DataLost) == []
    await client.aclose()


async def test_a_server_without_memory_is_drained(launch: Launch, settings: Settings) -> None:
    """Nobody can send any more; what was sent is done and answered."""
    server = launch(maxmemory_policy="noeviction")
    client = patient(server)
    platform = Platform(client)
    for _ in range(50):
        await platform.send("demo.thing.do")
    server.client.config_set("maxmemory", "1mb")
    with pytest.raises(OutOfMemoryError):
        await platform.send("demo.thing.do")
    worker = TellingWorker(settings(), client, Doing(lambda action: None))
    async with running(worker):
        await wait_until(platform.is_done, "all is done")
    assert len(worker.service.seen) == 50
    await client.aclose()


# ── the link ──


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    """A bad link on demand between worker and server."""
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy, settings: Settings) -> AsyncIterator[Callable[..., TellingWorker]]:
    """Makes workers at the other end of the bad link."""
    client = redis.asyncio.Redis.from_url(proxy.url)
    yield lambda what, **values: TellingWorker(settings(**values), client, Doing(what))
    await client.aclose()


async def test_a_commit_whose_reply_is_lost_has_happened_once(
    platform: Platform, proxy: Proxy, far: Callable[..., TellingWorker]
) -> None:
    """It is repeated, and what is gone then was committed by the first: neither a second answer nor a refusal."""
    worker = far(lambda action: "done")
    queue = platform.queue()
    async with running(worker):
        await platform.ask("demo.warm.up")
        proxy.swallow(queue.encode())
        await platform.send("demo.thing.do", callback_queue_name=queue)
        await wait_until(lambda: len(worker.heard(Completed)) == 2, "it has ended")
    assert proxy.faults == 1
    assert await platform.redis.llen(queue) == 1
    assert worker.heard(CommitRefused) == []
    assert await platform.is_done()


async def test_a_read_whose_reply_is_lost_is_looked_up(
    platform: Platform, proxy: Proxy, far: Callable[..., TellingWorker]
) -> None:
    """The entry was given to this worker without its knowing: it finds out, and it is no second delivery."""
    worker = far(lambda action: "done", worker_block_ms=60_000, worker_lease_seconds=60)
    async with running(worker):
        await platform.ask("demo.warm.up")
        proxy.swallow(b"XREADGROUP")
        for _ in range(3):  # the read that waits now was sent before the fault was asked for
            assert (await platform.ask("demo.thing.do"))["success"]
        assert proxy.faults == 1
        assert await platform.is_done()
    assert worker.heard(Reclaimed) == []


async def test_the_first_read_of_all_can_lose_its_reply(
    platform: Platform, proxy: Proxy, far: Callable[..., TellingWorker]
) -> None:
    queue = platform.queue()
    await platform.send("demo.thing.do", callback_queue_name=queue)
    proxy.swallow(b"XREADGROUP")
    async with running(far(lambda action: "done", worker_lease_seconds=60)):
        assert (await platform.answer(queue))["success"]


async def test_a_claim_whose_reply_is_lost_is_looked_up(
    platform: Platform, proxy: Proxy, far: Callable[..., TellingWorker]
) -> None:
    """Otherwise nobody else would ever look at what is this worker's own."""
    dead = "demo-worker-dead-nb0123456789"
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    await platform.send("demo.thing.do")
    await platform.redis.xreadgroup(platform.group, dead, {platform.stream: ">"})
    worker = far(lambda action: "done", worker_lease_seconds=0.3)
    await platform.redis.script_load(CLAIM.text)
    proxy.swallow(CLAIM.digest.encode())
    async with running(worker):
        await wait_until(lambda: proxy.faults, "the reply is lost")
        await wait_until(lambda: worker.service.seen, "it is done all the same")
        await wait_until(platform.is_done, "it has ended")


async def test_a_link_that_breaks_again_and_again_loses_and_doubles_nothing(
    platform: Platform, proxy: Proxy, far: Callable[..., TellingWorker]
) -> None:
    queue = platform.queue()
    for _ in range(300):
        await platform.send("demo.thing.do", callback_queue_name=queue)
    worker = far(lambda action: asyncio.sleep(0.001), worker_lease_seconds=0.5, worker_concurrency=4)
    async with running(worker):
        for _ in range(10):
            await asyncio.sleep(0.03)
            proxy.reset()
        await wait_until(platform.is_done, "all is done", timeout=15)
    assert await platform.redis.llen(queue) == 300


@pytest.mark.slow
async def test_a_link_that_swallows_everything_is_noticed(
    platform: Platform, proxy: Proxy, far: Callable[..., TellingWorker]
) -> None:
    """Nothing is refused and nothing arrives: every wait has an end."""
    worker = far(lambda action: None)
    async with running(worker):
        await platform.ask("demo.thing.do")
        proxy.mute = True
        await wait_until(lambda: worker.heard(ServerLost), "it is noticed", timeout=8)
        proxy.mute = False
        assert (await platform.ask("demo.thing.do"))["success"]


@pytest.mark.nightly
@pytest.mark.timeout(150)
async def test_a_minute_without_a_server_heals_by_itself(launch: Launch, settings: Settings) -> None:
    """Longer than the lease, with calls in flight and work at hand; nobody does anything about it."""
    server = launch(appendonly="yes", appendfsync="always")
    client = patient(server)
    platform = Platform(client)

    async def work(action: DomainAction) -> dict[str, int]:
        await asyncio.sleep(0.05)
        return {"n": action.data["n"]}

    patient_about_answers = {"worker_lease_seconds": 2.0, "response_ttl_seconds": 300.0}
    workers = [TellingWorker(settings(**patient_about_answers), client, Doing(work)) for _ in range(2)]
    async with running(*workers):
        queue = platform.queue()
        for number in range(100):
            await platform.send("demo.thing.do", {"n": number}, callback_queue_name=queue)
        await wait_until(lambda: sum(len(worker.service.seen) for worker in workers) > 10, "they are at work")
        server.kill()
        await asyncio.sleep(60)
        server.start()
        began = time.monotonic()
        await wait_until(lambda: any(worker.heard(ServerBack) for worker in workers), "one has found it")
        assert time.monotonic() - began < 2
        await wait_until(platform.is_done, "all is done", timeout=20)
        answers = [(await platform.answer(queue))["data"]["n"] for _ in range(100)]
    assert sorted(answers) == list(range(100))
    assert await client.llen(queue) == 0
    assert sum(len(worker.service.seen) for worker in workers) <= 102
    await client.aclose()
