"""Workers are killed in the middle and frozen past their lease, while others go on. Nothing is lost, and nobody hears
anything twice: not an answer, not a follow-up."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from tests.chaos.crew import Crew
from tests.chaos.ledger import Ledger
from tests.support.kinds import slowly_on_each
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 0.4


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def platform(redis: redis.asyncio.Redis) -> Platform:
    """Who sends, and who looks at what came of it."""
    return Platform(redis)


async def numbers_in(platform: Platform, queue: str) -> Counter[int]:
    """How often each number was answered with success."""
    answers = [json.loads(raw) for raw in await platform.redis.lrange(queue, 0, -1)]
    assert all(answer["success"] for answer in answers), answers
    return Counter(answer["data"]["n"] for answer in answers)


async def numbers_noted(platform: Platform) -> Counter[int]:
    """How often each number is in a follow-up."""
    entries = await platform.redis.xrange("nooble4:test:out:streams:main")
    return Counter(json.loads(fields[b"data"])["data"]["n"] for _, fields in entries)


async def havoc(
    crew: Crew, dice: random.Random, until_done: asyncio.Task[object], server: Server | None = None
) -> Counter[str]:
    """Kill and freeze at random until *until_done* is, now and then the *server* too; somebody is always awake.

    Returns:
        What befell how many.
    """
    befell: Counter[str] = Counter()
    thaw_at = 0.0
    while not until_done.done():
        await asyncio.sleep(dice.uniform(0.05, 0.2))
        if server is not None and dice.random() < 0.1:
            server.kill()
            await asyncio.sleep(dice.uniform(0, 0.5))
            server.start()
            befell["server"] += 1
        if thaw_at and time.monotonic() > thaw_at:
            crew.thaw()
            thaw_at = 0.0
        if len(crew.awake) < 2:
            continue
        member = dice.choice(crew.awake)
        if dice.random() < 0.5:
            crew.kill(member)
            crew.hire()
            befell["killed"] += 1
        elif not thaw_at:
            crew.freeze(member)
            thaw_at = time.monotonic() + LEASE * 2.5
            befell["frozen"] += 1
    crew.thaw()
    return befell


async def chaos(
    platform: Platform,
    ledger: Ledger,
    server: Server,
    *,
    actions: int,
    seed: int,
    timeout: float,
    server_too: bool = False,
) -> None:
    """Let *actions* be done amid havoc, and look at everything that came of them."""
    print(f"seed: {seed}")
    dice = random.Random(seed)
    queue = platform.queue()
    for number in range(actions):
        data = {"n": number, "seconds": 0.05}
        await platform.send("demo.item.make", data, callback_queue_name=queue)
    values = {"worker_lease_seconds": LEASE, "worker_max_deliveries": 100, "worker_concurrency": 4}
    with Crew(server.url, ledger.path, **values) as crew:
        crew.hire(4)
        done = asyncio.create_task(wait_until(platform.is_done, "all is done", timeout=timeout))
        befell = await havoc(crew, dice, done, server if server_too else None)
        await done
        await asyncio.sleep(LEASE)  # who was frozen says what it believes it still has to say
    print(dict(befell), dict(ledger.count("told")), f"{len(ledger.lines('start'))} runs of {actions} actions")
    once = Counter(range(actions))
    assert await numbers_in(platform, queue) == once
    assert await numbers_noted(platform) == once
    assert await platform.buried() == []
    assert befell["killed"]
    assert befell["frozen"]
    assert len(ledger.lines("end")) >= actions


@slowly_on_each
async def test_nothing_is_lost_and_nothing_is_heard_twice(platform: Platform, ledger: Ledger, server: Server) -> None:
    """Some seconds of it."""
    await chaos(platform, ledger, server, actions=600, seed=20_261_122, timeout=40)


@pytest.mark.nightly
@pytest.mark.every_server
@pytest.mark.timeout(240)
async def test_nothing_is_lost_and_nothing_is_heard_twice_for_long(
    platform: Platform, ledger: Ledger, server: Server
) -> None:
    """A minute of it, another each time; the seed is printed, and `NOOBLE_SEED` repeats it."""
    await chaos(platform, ledger, server, actions=6_000, seed=another_seed(), timeout=200)


@pytest.mark.nightly
@pytest.mark.every_server
@pytest.mark.timeout(240)
async def test_nothing_is_lost_though_the_server_is_killed_as_well(
    ledger: Ledger, launch: Callable[..., Server]
) -> None:
    """It writes everything down at once, so that it forgets nothing; everybody else has to cope."""
    server = launch(appendonly="yes", appendfsync="always")
    patience = Retry(ConstantBackoff(0.05), 200)
    async with redis.asyncio.Redis.from_url(server.url, retry=patience) as connection:
        platform = Platform(connection)
        await chaos(platform, ledger, server, actions=2_000, seed=another_seed(), timeout=200, server_too=True)


def another_seed() -> int:
    """Another one each time, unless `NOOBLE_SEED` repeats one that was printed."""
    return int(os.environ.get("NOOBLE_SEED", "0")) or random.SystemRandom().randrange(2**32)


@pytest.mark.every_server
async def test_one_that_was_frozen_past_its_lease_finds_that_others_have_finished(
    platform: Platform, ledger: Ledger, server: Server
) -> None:
    """It ends what it believes to have, and is refused: its answer and its follow-up are nowhere."""
    queue = platform.queue()
    with Crew(server.url, ledger.path, worker_lease_seconds=LEASE) as crew:
        crew.hire()
        await platform.send("demo.item.make", {"n": 1, "seconds": 0.001}, callback_queue_name=queue)
        await wait_until(lambda: ledger.lines("end"), "it works")
        (zombie,) = crew.members
        for number in range(2, 10):
            await platform.send("demo.item.make", {"n": number, "seconds": 0.3}, callback_queue_name=queue)
        await wait_until(lambda: len(ledger.lines("start")) > 2, "it is in the middle")
        crew.freeze(zombie)
        crew.hire(3)
        await wait_until(platform.is_done, "others have done it all", timeout=20)
        crew.thaw()
        refusals = {"CommitRefused", "LeaseLost"}
        await wait_until(lambda: refusals & set(ledger.count("told")), "the frozen one is refused")
    once = Counter(range(1, 10))
    assert await numbers_in(platform, queue) == once
    assert await numbers_noted(platform) == once


@slowly_on_each
async def test_what_a_killed_one_had_is_done_by_others(platform: Platform, ledger: Ledger, server: Server) -> None:
    """All that it had at work and all that it had read ahead, a lease later."""
    queue = platform.queue()
    with Crew(server.url, ledger.path, worker_lease_seconds=LEASE, worker_concurrency=4) as crew:
        crew.hire()
        for number in range(400):
            data = {"n": number, "seconds": 0 if number < 300 else 0.05}
            await platform.send("demo.item.make", data, callback_queue_name=queue)
        await wait_until(lambda: len(ledger.lines("end")) > 300, "it is in the middle", timeout=10)
        (victim,) = crew.members
        crew.kill(victim)
        left = await platform.backlog()
        crew.hire(2)
        await wait_until(platform.is_done, "others have done the rest", timeout=15)
    assert left
    once = Counter(range(400))
    assert await numbers_in(platform, queue) == once
    assert await numbers_noted(platform) == once
