"""What workers of one service take, keep and leave to each other: read-ahead, leases, crashes, and what they hand back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from nooble.events import Buried, DataLost, Reclaimed, Released
from nooble.models import DomainAction, current_context
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ

DEAD = "demo-worker-dead-nb0123456789"


async def leave_behind(platform: Platform, count: int = 1, *, consumer: str = DEAD) -> list[bytes]:
    """What a worker that was killed leaves: entries that were delivered to it and have no end."""
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    entries = [await platform.send("demo.thing.do", {"n": n}) for n in range(count)]
    await platform.redis.xreadgroup(platform.group, consumer, {platform.stream: ">"}, count=count)
    return entries


async def hang(action: DomainAction) -> None:
    await asyncio.sleep(60)


# ── concurrency and read-ahead ──


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_worker_runs_as_many_at_a_time_as_it_may(employ: Employ, platform: Platform, concurrency: int) -> None:
    count = Counter[str]()

    async def work(action: DomainAction) -> None:
        count["now"] += 1
        count["most"] = max(count["most"], count["now"])
        await asyncio.sleep(0.01)
        count["now"] -= 1

    for _ in range(4 * concurrency):
        await platform.send("demo.thing.do")
    await employ(work, worker_concurrency=concurrency)
    await wait_until(platform.is_done, "all is done")
    assert count["most"] == concurrency


async def test_a_slow_worker_takes_only_what_it_can_start(employ: Employ, platform: Platform) -> None:
    for _ in range(10):
        await platform.send("demo.thing.do")
    worker = await employ(hang, worker_concurrency=2, worker_grace_seconds=0)
    await wait_until(lambda: len(worker.service.seen) == 2, "both have begun")
    await asyncio.sleep(0.2)
    assert len(await platform.pending()) == 2


async def test_quick_handlers_are_read_ahead_for(employ: Employ, platform: Platform) -> None:
    """A read of many at a time, which is what makes it quick."""
    most = 0

    async def work(action: DomainAction) -> None:
        nonlocal most
        if len(worker.service.seen) % 100 == 0:
            most = max(most, len(await platform.pending()))

    for _ in range(1_000):
        await platform.send("demo.thing.do")
    worker = await employ(work)
    await wait_until(platform.is_done, "all is done")
    assert 20 < most <= 100 + 512


async def test_the_read_ahead_has_a_bound(employ: Employ, platform: Platform) -> None:
    most = 0

    async def work(action: DomainAction) -> None:
        nonlocal most
        if len(worker.service.seen) > 500:
            await asyncio.sleep(0.1)
            most = max(most, len(await platform.pending()))
            worker.service.seen.clear()

    for _ in range(600):
        await platform.send("demo.thing.do")
    worker = await employ(work, worker_read_ahead=5)
    await wait_until(platform.is_done, "all is done")
    assert most <= 6


class Tiring:
    """A handler that is quick at first and then slow.

    Args:
        after: how many actions it does quickly.
        seconds: how long each takes then.
    """

    def __init__(self, after: int, seconds: float) -> None:
        self.after = after
        self.seconds = seconds
        self.begun = 0

    @property
    def is_slow(self) -> bool:
        return self.begun > self.after

    async def __call__(self, action: DomainAction) -> None:
        self.begun += 1
        if self.is_slow:
            await asyncio.sleep(self.seconds)


@pytest.mark.parametrize(
    ("concurrency", "seconds"),
    [(1, 60.0), (4, 60.0), pytest.param(1, 0.2, marks=pytest.mark.slow), pytest.param(4, 0.4, marks=pytest.mark.slow)],
)
async def test_a_worker_that_turns_slow_hoards_nothing(
    employ: Employ, platform: Platform, concurrency: int, seconds: float
) -> None:
    """What it had read ahead while it was quick is another's within a second or so."""
    for _ in range(500):
        await platform.send("demo.thing.do")
    tiring = Tiring(300, seconds)
    first = await employ(tiring, worker_concurrency=concurrency, worker_grace_seconds=0)
    await wait_until(lambda: tiring.is_slow, "it turns slow")
    assert len(await platform.pending()) > 50 or first.heard(Released)
    second = await employ(lambda action: None)
    began = time.monotonic()
    await wait_until(platform_has_only(platform, concurrency), "only what is at work is left")
    assert time.monotonic() - began < 4
    assert len(first.service.seen) + len(second.service.seen) == 500


def platform_has_only(platform: Platform, count: int) -> Any:
    async def has_only() -> bool:
        return await platform.backlog() <= count

    return has_only


async def test_what_is_handed_back_in_between_is_not_counted_as_a_delivery(employ: Employ, platform: Platform) -> None:
    """Nor as an attempt, and it keeps its first id: its deadline goes on."""
    entries = [await platform.send("demo.thing.do") for _ in range(300)]
    tiring = Tiring(150, 0.7)
    first = await employ(tiring, worker_grace_seconds=0)
    await wait_until(lambda: first.heard(Released), "it hands back")
    left = await platform.redis.xrange(platform.stream)
    assert {fields.get(b"first_id", entry_id) for entry_id, fields in left} <= set(entries)
    counts: set[tuple[int, int]] = set()
    await employ(lambda action: counts.add((current_context().deliveries, current_context().attempt)))
    await wait_until(platform_has_only(platform, 1), "the other has done the rest")
    assert counts == {(1, 1)}


# ── leases ──


async def test_a_handler_that_takes_longer_than_the_lease_runs_once(employ: Employ, platform: Platform) -> None:
    """The heartbeat holds it, though others look for what was left behind all the time."""

    async def work(action: DomainAction) -> None:
        await asyncio.sleep(0.6)

    workers = [await employ(work, worker_lease_seconds=0.2) for _ in range(3)]
    assert (await platform.ask("demo.thing.do"))["success"]
    assert sum(len(worker.service.seen) for worker in workers) == 1
    assert not any(worker.heard(Reclaimed) for worker in workers)


async def test_what_is_read_ahead_is_held_as_well(employ: Employ, platform: Platform) -> None:
    runs = Counter[int]()

    async def work(action: DomainAction) -> None:
        runs[action.data["n"]] += 1
        await asyncio.sleep(0.02)

    for n in range(60):
        await platform.send("demo.thing.do", {"n": n})
    workers = [await employ(work, worker_lease_seconds=0.2) for _ in range(2)]
    await wait_until(platform.is_done, "all is done")
    assert set(runs.values()) == {1}
    assert not any(worker.heard(Reclaimed) for worker in workers)


async def test_what_a_dead_worker_had_is_taken_over_after_a_lease(employ: Employ, platform: Platform) -> None:
    (entry,) = await leave_behind(platform)
    worker = await employ(lambda action: current_context().deliveries, worker_lease_seconds=0.3)
    (told,) = await wait_until(lambda: worker.heard(Reclaimed), "it is taken over")
    assert (told.entry_id, told.deliveries) == (entry.decode(), 2)
    await wait_until(platform.is_done, "it is done")


async def test_everything_that_a_dead_worker_had_is_taken_over(employ: Employ, platform: Platform) -> None:
    await leave_behind(platform, 30)
    workers = [await employ(lambda action: None, worker_lease_seconds=0.2) for _ in range(2)]
    await wait_until(platform.is_done, "all is done")
    seen = Counter(action.data["n"] for worker in workers for action in worker.service.seen)
    assert set(seen) == set(range(30))
    assert set(seen.values()) == {1}


async def test_what_kills_workers_is_buried_in_the_end(employ: Employ, platform: Platform) -> None:
    """Three deliveries without an end, and it is not started a fourth time; who waits is told."""
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    queue = platform.queue()
    entry = await platform.send("demo.thing.do", callback_queue_name=queue)
    await platform.redis.xreadgroup(platform.group, DEAD, {platform.stream: ">"})
    for _ in range(2):
        await platform.redis.xclaim(platform.stream, platform.group, DEAD, 0, [entry])
    worker = await employ(lambda action: None, worker_lease_seconds=0.2)
    assert (await platform.answer(queue))["error"]["error_code"] == "CRASH_LOOP"
    await wait_until(lambda: worker.heard(Buried), "it is buried")
    assert worker.service.seen == []
    (letter,) = await platform.buried()
    assert (letter["reason"], letter["deliveries"], letter["attempts"]) == ("CRASH_LOOP", "4", "0")
    assert b"demo.thing.do" in letter["data"]


async def test_what_was_taken_over_runs_alone(employ: Employ, platform: Platform) -> None:
    """If it kills again, nobody else is blamed: nothing runs beside it, and nothing is read meanwhile."""
    count = Counter[str]()
    beside: list[int] = []

    async def work(action: DomainAction) -> None:
        count["now"] += 1
        if "n" in action.data:
            beside.append(count["now"])
            await asyncio.sleep(0.1)
            beside.append(count["now"])
        else:
            await asyncio.sleep(0.01)
        count["now"] -= 1

    await leave_behind(platform, 3)
    await employ(work, worker_concurrency=4, worker_lease_seconds=0.5)
    for _ in range(100):
        await platform.send("demo.other.do")
    await wait_until(platform.is_done, "all is done")
    assert beside == [1] * 6


async def test_work_goes_on_at_full_width_though_there_is_nothing_to_take_over(
    employ: Employ, platform: Platform
) -> None:
    """Looking for what was left behind, here some three times a second, does not wait for those at work."""

    async def work(action: DomainAction) -> None:
        await asyncio.sleep(0.35 if action.action_type == "demo.slow.do" else 0)

    await employ(work, worker_concurrency=2, worker_lease_seconds=0.8)

    async def keep_one_busy() -> None:
        for _ in range(4):
            await platform.ask("demo.slow.do")

    busy, waited = asyncio.create_task(keep_one_busy()), []
    while not busy.done():
        began = time.monotonic()
        await platform.ask("demo.quick.do")
        waited.append(time.monotonic() - began)
    assert sorted(waited)[len(waited) // 2] < 0.2


async def test_nothing_is_taken_over_while_what_is_at_work_may_still_kill(employ: Employ, platform: Platform) -> None:
    """Taking over raises the count of deliveries: a crash would blame an innocent."""
    begun: list[float] = []

    async def work(action: DomainAction) -> None:
        if action.action_type == "demo.young.do":
            begun.append(time.monotonic())
            await asyncio.sleep(5)

    (entry,) = await leave_behind(platform)
    worker = await employ(work, worker_concurrency=2, worker_lease_seconds=1.2, worker_grace_seconds=0)
    await platform.send("demo.young.do")
    await wait_until(lambda: begun, "it has begun")
    await platform.redis.xclaim(platform.stream, platform.group, DEAD, 0, [entry], idle=60_000, justid=True)
    await wait_until(lambda: worker.heard(Reclaimed), "it is taken over")
    assert time.monotonic() - begun[0] >= 0.6


async def test_a_long_handler_does_not_keep_others_from_being_taken_over(employ: Employ, platform: Platform) -> None:
    """It has proved harmless by then; the worker has room for more."""
    await platform.send("demo.long.do")
    worker = await employ(
        lambda action: hang(action) if action.action_type == "demo.long.do" else None,
        worker_concurrency=2,
        worker_lease_seconds=0.3,
        worker_grace_seconds=0,
    )
    await wait_until(lambda: worker.service.seen, "it has begun")
    await platform.send("demo.thing.do")
    await wait_until(lambda: len(worker.service.seen) == 2, "another was done beside it")
    entry = await platform.send("demo.late.do")
    await platform.redis.xclaim(platform.stream, platform.group, DEAD, 0, [entry])
    await wait_until(lambda: len(worker.service.seen) == 3, "what was left behind is done beside it")


async def test_after_what_was_taken_over_the_full_width_is_back(employ: Employ, platform: Platform) -> None:
    """Once it has ended, nothing keeps others waiting for the rest of its trial."""
    meet = asyncio.Barrier(3)

    async def work(action: DomainAction) -> None:
        if "n" not in action.data:
            async with asyncio.timeout(5):
                await meet.wait()

    await platform.redis.xclaim(
        platform.stream, platform.group, DEAD, 0, await leave_behind(platform), idle=60_000, justid=True
    )
    worker = await employ(work, worker_concurrency=3, worker_lease_seconds=3.0)
    await wait_until(lambda: worker.service.seen, "it is taken over")
    began = time.monotonic()
    await asyncio.gather(*(platform.ask("demo.other.do") for _ in range(3)))
    assert time.monotonic() - began < 1.2


async def test_an_entry_that_was_deleted_while_it_was_pending_is_recorded(employ: Employ, platform: Platform) -> None:
    (entry,) = await leave_behind(platform)
    await platform.redis.xdel(platform.stream, entry)
    worker = await employ(lambda action: None, worker_lease_seconds=0.2)
    (told,) = await wait_until(lambda: worker.heard(DataLost), "it is told")
    assert entry.decode() in told.message
    await wait_until(platform.is_done, "nothing is pending")
    assert [letter["reason"] for letter in await platform.buried()] == ["DATA_LOST"]


# ── what a worker hands back when it stops ──


@pytest.mark.every_server
async def test_stop_hands_back_at_once_what_was_read_ahead(employ: Employ, platform: Platform) -> None:
    """Others have it in a moment, with their first ids and without counting it as a delivery."""
    entries = [await platform.send("demo.thing.do") for _ in range(300)]
    tiring = Tiring(150, 0.2)
    first = await employ(tiring, worker_lease_seconds=60)
    await wait_until(lambda: tiring.is_slow, "it turns slow")
    await first.stop()
    assert await platform.pending() == []
    left = await platform.redis.xrange(platform.stream)
    assert len(left) + len(first.service.seen) == 300
    assert {fields.get(b"first_id", entry_id) for entry_id, fields in left} <= set(entries)
    counts: list[int] = []
    await employ(lambda action: counts.append(current_context().deliveries), worker_lease_seconds=60)
    await wait_until(platform.is_done, "the rest is done", timeout=1)
    assert counts == [1] * len(left)


@pytest.mark.every_server
async def test_a_reader_that_waits_gets_what_another_hands_back_at_once(employ: Employ, platform: Platform) -> None:
    """It does not find out when its own read ends, nor a lease later."""
    first = await employ(hang, worker_grace_seconds=0)
    await platform.send("demo.thing.do")
    await wait_until(lambda: first.service.seen, "it has begun")
    second = await employ(lambda action: None, worker_block_ms=60_000, worker_lease_seconds=60)
    await asyncio.sleep(0.05)
    await first.stop()
    await wait_until(lambda: second.service.seen, "the other has it", timeout=0.5)
    assert len(first.heard(Released)) == 1


async def test_a_stopping_worker_hands_back_at_once_what_it_was_given_unseen(
    employ: Employ, platform: Platform
) -> None:
    """The server had answered a read whose reply was lost; others need not wait for the grace, nor for the lease."""
    go_on = asyncio.Event()
    first = await employ(lambda action: go_on.wait(), worker_grace_seconds=60, worker_lease_seconds=60)
    await platform.send("demo.thing.do")
    await wait_until(lambda: first.service.seen, "it has begun")
    await platform.send("demo.unseen.do")
    await platform.redis.xreadgroup(platform.group, first.consumer_name, {platform.stream: ">"})
    stop = asyncio.create_task(first.stop())

    async def is_handed_back() -> bool:
        return len(await platform.pending()) == 1

    await wait_until(is_handed_back, "only what is at work is pending")
    assert not stop.done()
    go_on.set()
    await stop


async def test_a_stopping_worker_hands_back_what_is_given_to_it_after_all(employ: Employ, platform: Platform) -> None:
    """The server had answered a read that nobody waited for any more."""
    first = await employ(hang, worker_grace_seconds=0.3, worker_lease_seconds=60)
    await platform.send("demo.thing.do")
    await wait_until(lambda: first.service.seen, "it has begun")
    stop = asyncio.create_task(first.stop())
    await asyncio.sleep(0.1)
    late = await platform.send("demo.late.do")
    await platform.redis.xreadgroup(platform.group, first.consumer_name, {platform.stream: ">"})
    await stop
    assert await platform.pending() == []
    left = await platform.redis.xrange(platform.stream)
    assert late in {fields.get(b"first_id") for _, fields in left}


async def test_a_stopped_worker_hands_back_what_was_given_to_it_in_the_last_moment(
    employ: Employ, platform: Platform
) -> None:
    """Its read was cut off while the server answered it; sending and stopping race each other here."""
    for _ in range(20):
        worker = await employ(lambda action: None)
        await platform.ask("demo.thing.do")
        stop = asyncio.create_task(worker.stop())
        sends = asyncio.gather(*(platform.send("demo.thing.do") for _ in range(5)))
        await asyncio.gather(stop, sends)
        assert await platform.pending() == []
        assert await platform.redis.xinfo_consumers(platform.stream, platform.group) == []
        await platform.redis.xtrim(platform.stream, maxlen=0)
