"""The server's clock is set by an hour, forward or back: the living keep what they hold, what the dead left is taken over
in time, and it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis.asyncio

from nooble.config import CommonAppSettings
from nooble.events import ClockJumped, Completed, Reclaimed, ServerLost
from nooble.workers.clock import ServerClock
from tests.support.clock_shim import ClockShim, shifting_server
from tests.support.kinds import here_and_slowly_there
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running

HOUR = 3600
DEAD = "demo-worker-dead-nb0123456789"
Make = Callable[..., TellingWorker]


@pytest.fixture
def shifting(server_kind: str) -> Iterator[tuple[Server, ClockShim]]:
    with shifting_server(server_kind) as made:
        yield made


@pytest.fixture
def clock(shifting: tuple[Server, ClockShim]) -> ClockShim:
    """The clock of the server."""
    return shifting[1]


@pytest.fixture
async def make(shifting: tuple[Server, ClockShim], settings: Callable[..., CommonAppSettings]) -> AsyncIterator[Make]:
    """Makes workers at the server."""
    async with AsyncExitStack() as stack:
        client = redis.asyncio.Redis.from_url(shifting[0].url)
        stack.push_async_callback(client.aclose)
        yield lambda what, **values: TellingWorker(settings(**values), client, Doing(what))


@pytest.fixture
async def here(shifting: tuple[Server, ClockShim]) -> AsyncIterator[Platform]:
    """A service of the platform at the server, which has its group."""
    async with redis.asyncio.Redis.from_url(shifting[0].url) as client:
        platform = Platform(client)
        await client.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
        yield platform


@pytest.fixture
def redis_url(shifting: tuple[Server, ClockShim]) -> str:
    return shifting[0].url


async def take_as(consumer: str, platform: Platform, count: int) -> list[bytes]:
    """A worker takes so many actions; whether it is ever heard of again is up to the test."""
    ids = [await platform.send("demo.thing.do") for _ in range(count)]
    await platform.redis.xreadgroup(platform.group, consumer, {platform.stream: ">"}, count=count)
    return ids


# ── workers ──


@here_and_slowly_there
@pytest.mark.parametrize(
    "jump", [pytest.param(HOUR, id="forward"), pytest.param(-HOUR, id="back", marks=pytest.mark.slow)]
)
async def test_what_a_living_worker_holds_stays_with_it(
    make: Make, here: Platform, clock: ClockShim, jump: int
) -> None:
    """After a jump forward all that is pending looks abandoned: its owner has a lease in which to renew it."""
    lease = 0.8
    (entry_id,) = await take_as(DEAD, here, 1)  # not dead, only late: it renews more than half a lease after the jump
    worker = make(lambda action: None, worker_lease_seconds=lease)
    async with running(worker):
        await here.ask("demo.warm.up")
        clock.jump(jump)
        await wait_until(lambda: worker.heard(ClockJumped), "it is noticed")
        await asyncio.sleep(0.6 * lease)
        for _ in range(4):
            await here.redis.xclaim(here.stream, here.group, DEAD, 0, [entry_id], justid=True)
            await asyncio.sleep(0.2 * lease)
    assert worker.heard(Reclaimed) == []
    assert [round(told.seconds / HOUR) for told in worker.heard(ClockJumped)] == [jump // HOUR]


@here_and_slowly_there
async def test_who_notices_while_looking_for_the_abandoned_takes_nothing_and_renews_its_own(
    make: Make, here: Platform, clock: ClockShim
) -> None:
    go_on = asyncio.Event()
    (theirs,) = await take_as(DEAD, here, 1)
    worker = make(lambda action: go_on.wait() if action.data else None, worker_lease_seconds=60, worker_concurrency=4)
    async with running(worker):
        await here.ask("demo.warm.up")
        await here.send("demo.thing.do", {"slow": True})
        await wait_until(lambda: len(worker.service.seen) == 2, "it works")
        clock.jump(HOUR)
        worker._engine._consumer._next_claim = 0.0  # type: ignore[union-attr]  # the heartbeat would be seconds away
        await wait_until(lambda: worker.heard(ClockJumped), "it is noticed")

        async def renewed() -> bool:
            rows = await here.pending()
            return [row["time_since_delivered"] < HOUR * 1000 for row in rows] == [False, True]

        await wait_until(renewed, "its own is renewed")
        go_on.set()
        await wait_until(lambda: worker.heard(Completed)[1:], "it has ended")
    assert worker.heard(Reclaimed) == []
    assert [row["message_id"] for row in await here.pending()] == [theirs]


@here_and_slowly_there
@pytest.mark.parametrize(
    "jump", [pytest.param(HOUR, id="forward", marks=pytest.mark.slow), pytest.param(-HOUR, id="back")]
)
async def test_what_a_dead_worker_left_is_taken_over_within_two_leases(
    make: Make, here: Platform, clock: ClockShim, jump: int
) -> None:
    """Also while a read waits, which the server ends only when a clock that was set back has caught up."""
    lease = 0.9
    worker = make(lambda action: None, worker_lease_seconds=lease, worker_block_ms=60_000)
    await take_as(DEAD, here, 3)
    async with running(worker):
        await here.ask("demo.warm.up")  # it has heard the clock before
        clock.jump(jump)
        jumped = time.monotonic()
        await wait_until(lambda: worker.heard(Reclaimed), "one is taken over", timeout=3 * lease)
        assert (
            time.monotonic() - jumped < 2.5 * lease
        )  # a third to notice, one to age, half to look, and a slow machine
        await wait_until(here.is_done, "all are done")
    assert [told.deliveries for told in worker.heard(Reclaimed)] == [2, 2, 2]
    assert len(worker.service.seen) == 4
    assert worker.heard(ServerLost) == []


@here_and_slowly_there
async def test_a_clock_that_was_set_back_while_nobody_was_there_is_put_right(
    make: Make, here: Platform, clock: ClockShim
) -> None:
    """Who comes to work later has no earlier reckoning to compare with."""
    await take_as(DEAD, here, 1)
    clock.jump(-HOUR)
    worker = make(lambda action: None, worker_lease_seconds=0.5)
    async with running(worker):
        await wait_until(here.is_done, "it is done")
    assert [told.deliveries for told in worker.heard(Reclaimed)] == [2]
    assert worker.heard(ClockJumped) == []


async def test_a_clock_that_jumps_between_the_look_and_the_claim_is_noticed_by_the_server(
    make: Make, here: Platform, clock: ClockShim
) -> None:
    """The claim says how late it can be at the most."""
    await take_as(DEAD, here, 1)
    worker = make(lambda action: None, worker_lease_seconds=60)
    async with running(worker):
        await here.ask("demo.warm.up")
        now = int((await here.redis.time())[0]) * 1000
        stream = worker._stream
        clock.jump(HOUR)
        later = await wait_until(lambda: stream.abandoned(60_000), "the server has looked at its clock")
        assert later >= now + HOUR * 1000
        assert await stream.claim(1, 60_000, now + 60_000) == ([], [])
        ((taken,), _) = await stream.claim(1, 60_000, now + HOUR * 2000)
        assert taken.token == 2


async def test_a_jump_is_told_in_one_line(
    make: Make, here: Platform, clock: ClockShim, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = make(lambda action: None, worker_lease_seconds=0.6)
    async with running(worker):
        await here.ask("demo.warm.up")
        clock.jump(-HOUR)
        await wait_until(lambda: worker.heard(ClockJumped), "it is noticed")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "server_clock_jumped" in line]
    assert "seconds=-3" in line
    assert "taken over all the same" in line


# ── deadlines ──


async def test_deadlines_of_what_is_sent_after_a_jump_back_are_not_an_hour_late(
    make: Make, here: Platform, clock: ClockShim
) -> None:
    """Ids never go back: what is sent now looks as if it were from the future."""
    left: list[Any] = []
    worker = make(lambda action: left.append(worker.redis_client) or None, worker_lease_seconds=0.6)
    async with running(worker):
        await here.ask("demo.thing.do")
        clock.jump(-HOUR)
        await wait_until(lambda: worker.heard(ClockJumped), "it is noticed")
        entry_id = await here.send("demo.thing.do")
        assert 0 <= worker._clock.seconds_until(entry_id, 5_000) <= 5


# ── the repair ──


@here_and_slowly_there
async def test_delivery_times_in_the_future_are_set_to_now_and_nothing_else(
    make: Make, here: Platform, clock: ClockShim
) -> None:
    """Not those of other programs, nor of what was deleted, which the claim is to record; nor those that lie in the past."""
    ours, foreign = DEAD, "somebody-else"
    ids = [await here.send("demo.thing.do") for _ in range(1200)]
    take = here.redis.xreadgroup
    await take(here.group, ours, {here.stream: ">"}, count=1150)
    await take(here.group, foreign, {here.stream: ">"}, count=50)
    await here.redis.xclaim(here.stream, here.group, ours, 0, ids[:5], idle=2 * HOUR * 1000, retrycount=7, justid=True)
    await here.redis.xdel(here.stream, ids[5])
    clock.jump(-HOUR)
    stream = make(lambda action: None)._stream
    before = {
        row["message_id"]: row for row in await here.redis.xpending_range(here.stream, here.group, "-", "+", 2000)
    }
    assert await stream.restamp() == 1150 - 5 - 1
    await asyncio.sleep(0.01)
    after = {row["message_id"]: row for row in await here.redis.xpending_range(here.stream, here.group, "-", "+", 2000)}
    facts = ("consumer", "times_delivered")
    assert {i: [row[f] for f in facts] for i, row in before.items()} == {
        i: [row[f] for f in facts] for i, row in after.items()
    }
    still = {i for i, row in after.items() if row["time_since_delivered"] == 0}
    assert still == {ids[5], *ids[1150:]}
    assert all(after[i]["time_since_delivered"] >= HOUR * 1000 for i in ids[:5])
    await stream.close()


# ── the reckoning ──


class Times:
    """A clock of one's own, for a reckoning without waiting."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clock = ServerClock()
        self.clock.monotonic = lambda: self.now

    def ask(self, server_ms: float, took: float = 0.0) -> float:
        """The server is asked now, and answers after *took* seconds that it is *server_ms*."""
        asked = self.now
        self.now += took
        return self.clock.set(int(server_ms), asked)


def test_the_first_word_is_no_jump() -> None:
    times = Times()
    assert times.ask(5_000_000) == 0
    assert times.clock.now_ms() == 5_000_000


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 2.0, -2.0])
def test_a_jump_is_reckoned(jump: float) -> None:
    times = Times()
    times.ask(5_000_000)
    times.now += 10
    assert times.ask(5_010_000 + jump * 1000) == pytest.approx(jump, abs=0.01)
    assert times.clock.now_ms() == 5_010_000 + jump * 1000


@pytest.mark.parametrize("looked", [0.0, 2.0, 4.0], ids=["at once", "midway", "at the end"])
def test_a_slow_reply_is_no_jump_whenever_the_server_looked_at_its_clock(looked: float) -> None:
    times = Times()
    times.ask(5_000_000)
    assert times.ask(5_000_000 + looked * 1000, took=4.0) == 0
    assert times.clock.now_ms() == pytest.approx(5_004_000, abs=2)
    times.now += 10
    assert times.ask(5_014_000) == 0


def test_a_slow_reply_is_narrowed_by_a_quick_one() -> None:
    times = Times()
    times.ask(5_000_000, took=4.0)
    assert times.clock.now_ms() == 5_000_000
    assert times.ask(5_003_000) == 0
    assert times.clock.now_ms() == 5_003_000


def test_clocks_that_drift_apart_are_followed() -> None:
    times = Times()
    for beat in range(1000):
        times.now = 100 + beat * 10
        assert abs(times.ask(5_000_000 + beat * 10_005)) < 0.05
    assert times.clock.now_ms() == pytest.approx(5_000_000 + 999 * 10_005, abs=50)
