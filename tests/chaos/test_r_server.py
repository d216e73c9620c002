"""Rows R: the server is killed, frozen, without memory, without its scripts, while workers are at it. They wait, go on by
themselves, and run nothing that they did not have to.

What a server forgets (R3) is the matter of `tests/workers/test_outages.py`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import ServerUnavailable
from nooble.events import LeaseLost, Reclaimed, ServerBack, ServerLost
from nooble.models import DomainAction
from tests.chaos.invariants import i8_the_fault_shows
from tests.chaos.scene import LEASE, Scene
from tests.support.platform import Platform
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running

Launch = Callable[..., Server]
LONGER = 1.5
"""A lease in seconds that outlasts the longest pause of a worker between two attempts to reach the server (1 s): all are
back before the first of them looks for what others have left."""
pytestmark = pytest.mark.every_server


@pytest.fixture
async def scene_on(tmp_path: Path) -> AsyncIterator[Callable[[Server], Scene]]:
    """Makes a scene on a server of the test's own, that may go away."""
    made: list[Scene] = []

    def scene_on(server: Server) -> Scene:
        patient = redis.asyncio.Redis.from_url(server.url, retry=Retry(ConstantBackoff(0.02), 500))
        made.append(Scene(server, Platform(patient), tmp_path))
        return made[-1]

    yield scene_on
    for scene in made:
        scene.ledger.close()
        await scene.platform.redis.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("fsync", [pytest.param("everysec", marks=pytest.mark.nightly), "always"])
async def test_r1_a_server_killed_again_and_again_has_forgotten_nothing(
    launch: Launch, scene_on: Callable[[Server], Scene], fsync: str
) -> None:
    """It had written down what it acknowledged. Nobody takes over what living workers have: nothing runs twice."""
    server = launch(appendonly="yes", appendfsync=fsync)
    scene = scene_on(server)
    await scene.send(300, seconds=0.03, fails_each=10)
    with scene.crew(worker_lease_seconds=LONGER) as crew:
        crew.hire(2)
        for ends in (50, 180):
            await scene.ended(ends)
            server.kill()
            await asyncio.sleep(LONGER + 0.1)
            server.start()
        await scene.done(20)
        await scene.holds()
    i8_the_fault_shows(scene.ledger, "ServerLost", "ServerBack")
    assert not {"Reclaimed", "CommitRefused", "LeaseLost", "DataLost"} & set(scene.ledger.count("told"))


@pytest.mark.slow
async def test_r1_who_was_busy_when_the_server_went_away_waits_a_lease_from_its_return_on(
    launch: Launch, settings: Callable[..., CommonAppSettings]
) -> None:
    """The outage is longer than the lease, and begins while the worker has no room to read."""
    server = launch(appendonly="yes", appendfsync="always")
    patient = redis.asyncio.Redis.from_url(server.url, retry=Retry(ConstantBackoff(0.02), 500))
    platform, go_on, finish = Platform(patient), asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> None:
        await (go_on if action.data["n"] == 0 else finish).wait()

    def worker(connection: redis.asyncio.Redis) -> TellingWorker:
        return TellingWorker(settings(redis_url=server.url, worker_lease_seconds=1.0), connection, Doing(work))

    async with Proxy(server.port) as proxy, redis.asyncio.Redis.from_url(proxy.url) as far_away, patient:
        busy, other = worker(patient), worker(far_away)
        async with running(busy):
            await platform.send("demo.thing.do", {"n": 0})
            await wait_until(lambda: busy.service.seen, "one is busy")
            async with running(other):
                await platform.send("demo.thing.do", {"n": 1})
                await wait_until(lambda: other.service.seen, "the other has something too")
                server.kill()
                proxy.deaf = True  # the other comes back a little later
                await wait_until(lambda: busy.heard(ServerLost), "it is noticed")
                go_on.set()
                await asyncio.sleep(1.2)
                server.start()
                await wait_until(lambda: busy.heard(ServerBack), "one is back")
                await asyncio.sleep(0.3)
                proxy.deaf = False
                proxy.reset()
                await wait_until(lambda: other.heard(ServerBack), "the other is back")
                finish.set()
                await wait_until(platform.is_done, "all is done")
    assert busy.heard(Reclaimed) == other.heard(LeaseLost) == []
    assert len(busy.service.seen) == len(other.service.seen) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 3 * LEASE], ids=["a second", "three leases"])
async def test_r4_a_server_frozen_past_the_lease_is_no_reason_to_take_over(
    launch: Launch, scene_on: Callable[[Server], Scene], seconds: float
) -> None:
    """Its clock goes on while it is frozen: what all hold has grown old when it thaws, and is renewed before anybody claims
    it."""
    server = launch()
    scene = scene_on(server)
    await scene.send(200, seconds=0.05)
    with scene.crew() as crew:
        crew.hire(3)
        for ends in (20, 100):
            await scene.ended(ends)
            server.freeze()
            await asyncio.sleep(seconds)
            server.thaw()
        await scene.done(20)
        await scene.holds()


async def test_r5_scripts_flushed_all_the_time_disturb_nobody(scene: Scene) -> None:
    """Each is taught again, and what the server did not know it did not run."""
    await scene.send(200, seconds=0.01, fails_each=10)
    with scene.crew() as crew:
        crew.hire(2)
        done = asyncio.create_task(scene.done())
        flushed = 0
        while not done.done():
            await scene.platform.redis.script_flush()
            flushed += 1
            await asyncio.sleep(0.005)
        await done
        await scene.holds()
    assert flushed > 10
    assert scene.ledger.count("told") == {}


@pytest.mark.slow
async def test_r6_a_server_without_memory_is_drained_and_producers_go_on(
    launch: Launch, scene_on: Callable[[Server], Scene], settings: Callable[..., CommonAppSettings]
) -> None:
    """Whoever sends is told at once; what was sent is done, answered and followed up; then there is room again."""
    server = launch(maxmemory_policy="noeviction")
    scene = scene_on(server)

    async def is_drained() -> bool:
        return not await scene.platform.backlog()

    async with BaseRedisClient("shop", scene.platform.redis, settings("shop")) as client:
        await scene.send(300, padding="x" * 1_000)
        full = server.client.info("memory")["used_memory"]
        server.client.config_set("maxmemory", full)
        with pytest.raises(ServerUnavailable, match="memory"):
            await client.send("demo.item.make", {"n": "refused", "padding": "x" * 100_000})
        with scene.crew() as crew:
            crew.hire(2)
            await wait_until(is_drained, "all that was sent has ended", timeout=20)
            server.client.config_set("maxmemory", full * 2)
            await scene.send(50)
            await scene.done()
            await scene.holds()
        assert "refused" not in scene.ledger.count("start")


@pytest.mark.slow
async def test_r_everything_in_turn(launch: Launch, scene_on: Callable[[Server], Scene]) -> None:
    """Killed, frozen and made to forget its scripts at random moments; the seed is printed."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed: {seed}")
    dice = random.Random(seed)
    server = launch(appendonly="yes", appendfsync="always")
    scene = scene_on(server)
    await scene.send(300, seconds=0.05, fails_each=7)

    def kill() -> None:
        server.kill()
        server.start()

    with scene.crew(worker_lease_seconds=LONGER) as crew, ExitStack() as last:
        last.callback(server.thaw)
        crew.hire(2)
        done = asyncio.create_task(scene.done(30))
        while not done.done():
            await asyncio.sleep(dice.uniform(0.05, 0.4))
            dice.choice([kill, server.freeze, server.client.script_flush])()
            await asyncio.sleep(dice.uniform(0, LEASE))
            server.thaw()
        await done
        await scene.holds()
