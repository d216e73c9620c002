"""Rows N: slow, silent and broken links between workers, callers and the server, and callers that give up at any moment.
Every wait has an end, every repetition is recognised, and no answer goes to the wrong caller.

Links that break again and again, and some single replies that are lost, are the matter of `tests/workers/test_outages.py`
and `tests/clients/test_base_redis_client.py`."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, RetryLater, ServerUnavailable
from nooble.events import CommitRefused, Reclaimed, ServerBack
from nooble.models import DomainAction, current_context
from nooble.wire.scripts import MOVE_RETRIES, RENEW, Script
from tests.chaos.invariants import broken, i8_the_fault_shows
from tests.chaos.scene import Scene
from tests.support.platform import Platform
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running

Settings = Callable[..., CommonAppSettings]


def seeded() -> random.Random:
    """Another seed each time, printed, unless `NOOBLE_SEED` repeats one."""
    seed = int(os.environ.get("NOOBLE_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"seed: {seed}")
    return random.Random(seed)


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    """A bad link on demand."""
    async with Proxy(server.port) as proxy:
        yield proxy


@asynccontextmanager
async def caller(proxy: Proxy, settings: Settings) -> AsyncIterator[BaseRedisClient]:
    """A client at the other end of the bad link."""
    async with (
        redis.asyncio.Redis.from_url(proxy.url) as far,
        BaseRedisClient("shop", far, settings("shop")) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.every_server
async def test_n1_a_slow_and_narrow_link_doubles_nothing(scene: Scene, proxy: Proxy) -> None:
    """50 to 100 ms each way, and 100 kB a second."""
    proxy.delay, proxy.jitter, proxy.bandwidth = 0.05, 0.05, 100_000
    await scene.send(150, seconds=0.02, fails_each=10, padding="x" * 500)
    with scene.crew(proxy.url, worker_lease_seconds=1.5) as crew:
        crew.hire(2)
        await scene.done(20)
        await scene.holds()
    assert not {"Reclaimed", "CommitRefused", "LeaseLost"} & set(scene.ledger.count("told"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(("mute",), marks=pytest.mark.nightly),
        pytest.param(("deaf",), marks=pytest.mark.nightly),
        ("mute", "deaf"),
    ],
    ids=" and ".join,
)
async def test_n2_a_link_that_swallows_everything_lets_every_call_end_in_time(
    scene: Scene, proxy: Proxy, settings: Settings, lost: tuple[str, ...]
) -> None:
    """One worker and the callers are behind it. What was sent is done once the link is whole again."""
    await scene.send(30, seconds=0.02)
    with scene.crew(proxy.url, worker_lease_seconds=8) as crew:
        crew.hire()
        async with caller(proxy, settings) as client:
            await client.call("demo.item.make", {"n": "warm-up"}, timeout=10)
            for which in lost:
                setattr(proxy, which, True)

            async def call() -> str:
                try:
                    async with asyncio.timeout(4):  # no later than two seconds after the deadline of the call
                        await client.call("demo.item.make", {"n": "in the dark"}, timeout=2)
                except (CallTimeout, ServerUnavailable) as error:
                    return type(error).__name__
                return "answered"

            ends = Counter(await asyncio.gather(*(call() for _ in range(20))))
            print(dict(ends))
            assert "answered" not in ends
            proxy.mute = proxy.deaf = False

            async def answered() -> bool:
                try:
                    return (await client.call("demo.item.make", {"n": "in the light"}, timeout=2)).success
                except (CallTimeout, ServerUnavailable):
                    return False

            await wait_until(answered, "calls are answered again", timeout=15)
        await wait_until(lambda: "ServerBack" in scene.ledger.count("told"), "the worker is back", timeout=10)
        await scene.done(20)
    i8_the_fault_shows(scene.ledger, "ServerLost", "ServerBack")
    found = await scene.evidence()
    for number in ("warm-up", "in the dark", "in the light"):  # the callers have their answers
        found.notes.pop(number, None)
    assert broken(found) == {}


async def fail_first(action: DomainAction) -> str:
    """Fails in its first attempt, and takes long enough to be renewed in its second."""
    if current_context().attempt == 1:
        raise RetryLater(after=0.01)
    await asyncio.sleep(0.4)
    return "done"


@pytest.mark.every_server
@pytest.mark.parametrize("script", [RENEW, MOVE_RETRIES], ids=lambda script: script.name)
async def test_n3_a_step_whose_reply_is_lost_is_done_once(
    redis: redis.asyncio.Redis, proxy: Proxy, settings: Settings, script: Script
) -> None:
    """The heartbeat, and the move of retries; beside them see commit, claim and read in `test_outages.py`."""
    platform = Platform(redis)
    async with connection(proxy) as far:
        worker = TellingWorker(settings(worker_lease_seconds=0.6), far, Doing(fail_first))
        queue = platform.queue()
        async with running(worker):
            await wait_until(lambda: worker_is_up(platform), "it works")
            proxy.swallow(script.digest.encode())
            await platform.send("demo.thing.do", callback_queue_name=queue)
            await wait_until(lambda: proxy.faults, "the reply is lost")
            assert (await platform.answer(queue))["success"]
            await wait_until(platform.is_done, "it has ended")
            await wait_until(lambda: worker.heard(ServerBack), "the outage is over")
    assert len(worker.service.seen) == 2
    assert await platform.redis.llen(queue) == 0
    assert worker.heard(Reclaimed) == worker.heard(CommitRefused) == []


@pytest.mark.every_server
@pytest.mark.parametrize("what", [b"XADD", b"BLMOVE"], ids=["the request", "the answer"])
async def test_n3_a_call_whose_reply_is_lost_is_done_once_and_answered(
    redis: redis.asyncio.Redis, proxy: Proxy, settings: Settings, what: bytes
) -> None:
    """The server's word that it has the action, or the message that brings the answer."""
    worker = TellingWorker(settings(), redis, Doing(lambda action: action.data))
    async with running(worker), caller(proxy, settings) as client:
        await client.call("demo.thing.do", {"n": 0})
        proxy.swallow(what)
        answer = await client.call("demo.thing.do", {"n": 1}, timeout=5)
        assert answer.data == {"n": 1}
        assert proxy.faults == 1
        await wait_until(Platform(redis).is_done, "nothing is left")
    assert [action.data["n"] for action in worker.service.seen] == [0, 1]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_n4_replies_cut_off_anywhere_are_never_mixed_up(
    redis: redis.asyncio.Redis, proxy: Proxy, settings: Settings
) -> None:
    """Replies end after some of their bytes, for worker and callers alike; each answer is that of its call."""
    dice, cuts = seeded(), 60
    async with connection(proxy) as far, caller(proxy, settings) as client:
        worker = TellingWorker(
            settings(worker_concurrency=8, worker_lease_seconds=5), far, Doing(lambda action: action.data)
        )
        done, wrong, failed = 0, [], Counter[str]()

        async def call(first: int) -> None:
            nonlocal done
            token = first
            while proxy.faults < cuts:
                token += 1
                try:
                    answer = await client.call(
                        "demo.token.echo", {"token": token, "more": "x" * (token % 300)}, timeout=10
                    )
                except (CallTimeout, ServerUnavailable) as error:
                    failed[type(error).__name__] += 1
                    await asyncio.sleep(0.01)
                    continue
                done += 1
                if answer.data["token"] != token:
                    wrong.append((token, answer.data))

        async def cut() -> None:
            while proxy.faults < cuts:
                answers, cut_off = done, proxy.faults
                await wait_until(lambda before=answers: done > before, "somebody is answered in between", timeout=20)
                proxy.cut(dice.randrange(200))
                await wait_until(lambda before=cut_off: proxy.faults > before, "a reply is cut off")

        async with running(worker):
            await asyncio.gather(cut(), *(call(1_000_000 * number) for number in range(10)))
            await wait_until(Platform(redis).is_done, "nothing is left", timeout=20)
        print(f"{done} answers, {dict(failed)}, {proxy.accepted} connections")
    assert wrong == []
    assert done > 100
    twice = [
        token for token, times in Counter(action.data["token"] for action in worker.service.seen).items() if times > 1
    ]
    assert twice == []


@pytest.mark.slow
@pytest.mark.every_server
async def test_n5_callers_and_handlers_cancelled_anywhere_leave_nothing_behind(
    redis: redis.asyncio.Redis, settings: Settings
) -> None:
    """Callers give up at any moment, and handlers are cancelled from within. Who does not give up gets the right answer."""
    dice = seeded()

    async def work(action: DomainAction) -> object:
        await asyncio.sleep(dice.uniform(0, 0.01))
        if dice.random() < 0.1:
            raise asyncio.CancelledError
        return action.data

    worker = TellingWorker(settings(worker_concurrency=8, worker_lease_seconds=1.0), redis, Doing(work))
    ends, wrong = Counter[str](), []
    async with running(worker), BaseRedisClient("shop", redis, settings("shop")) as client:

        async def call(number: int) -> None:
            answer = await client.call("demo.item.echo", {"n": number}, timeout=20)
            ends["answered" if answer.success else "failed"] += 1
            if answer.success and answer.data != {"n": number}:
                wrong.append(answer)

        for first in range(0, 2_000, 100):
            calls = [asyncio.create_task(call(first + number)) for number in range(100)]
            while any(not task.done() for task in calls):
                await asyncio.sleep(dice.uniform(0, 0.01))
                victim = dice.choice(calls)
                ends["cancelled"] += victim.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert all(task.cancelled() or task.exception() is None for task in calls)
        await wait_until(Platform(redis).is_done, "nothing is left")
    print(dict(ends))
    assert wrong == []
    assert ends["answered"] > 500
    assert ends["cancelled"] > 100
    assert worker.heard(Reclaimed) == worker.heard(CommitRefused) == []


@asynccontextmanager
async def connection(proxy: Proxy) -> AsyncIterator[redis.asyncio.Redis]:
    """A connection through the bad link."""
    async with redis.asyncio.Redis.from_url(proxy.url) as far:
        yield far


async def worker_is_up(platform: Platform) -> bool:
    """Whether somebody reads the stream."""
    try:
        groups = await platform.redis.xinfo_groups(platform.stream)
    except redis.asyncio.ResponseError:
        return False
    return bool(groups)
