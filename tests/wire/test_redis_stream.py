"""The verbs of one consumer on one stream: reading, finding again, looking around, trimming."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from nooble.errors import GroupMissing, ServerRefused, ServerUnavailable
from nooble.wire.connection import Endpoint
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import ActionStream, Ending
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.streams import Raw, take
from tests.support.waiting import wait_until

Consumer = Callable[..., Awaitable[ActionStream]]
pytestmark = pytest.mark.every_server


# ── the group ──


async def test_a_group_is_made_once_and_reads_from_the_beginning(
    redis: redis_asyncio.Redis, keys: QueueManager
) -> None:
    await redis.xadd(keys.get_service_action_stream("orders"), {"data": "before the first worker"})
    stream = ActionStream(Endpoint(redis), keys, "orders", "me")
    assert [await stream.ensure_group() for _ in range(2)] == [True, False]
    assert [one.data for one in await take(stream)] == [b"before the first worker"]
    await stream.close()


async def test_a_group_that_is_made_anew_can_begin_after_what_must_not_run_again(
    stream: ActionStream, raw: Raw
) -> None:
    first, second = await raw.add(2)
    await raw.redis.xgroup_destroy(raw.key, raw.group)
    assert await stream.ensure_group(first)
    assert [one.entry_id for one in await take(stream)] == [second]


@pytest.mark.leaves_keys("it puts a stranger's key where the stream should be")
async def test_no_group_can_be_made_where_something_else_is(
    redis: redis_asyncio.Redis, keys: QueueManager, consumer: Consumer
) -> None:
    await redis.set(keys.get_service_action_stream("orders"), "a stranger's")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await consumer("a")


# ── reading ──


async def test_entries_are_read_in_order_and_numbered_across_reads(stream: ActionStream, raw: Raw) -> None:
    ids = await raw.add(5)
    deliveries = [*await take(stream, 2), *await take(stream, 2), *await take(stream, 2)]
    assert [one.entry_id for one in deliveries] == ids
    assert [one.order for one in deliveries] == [0, 1, 2, 3, 4]
    assert {one.token for one in deliveries} == {1}


async def test_two_consumers_never_read_the_same(stream: ActionStream, raw: Raw, consumer: Consumer) -> None:
    ids = await raw.add(100)
    other = await consumer("b")
    reads = await asyncio.gather(*(one.read(7, 1) for _ in range(10) for one in (stream, other)))
    assert sorted(one.entry_id for deliveries in reads for one in deliveries) == sorted(ids)


async def test_a_read_waits_for_the_first_entry_and_no_longer(stream: ActionStream, raw: Raw) -> None:
    reading = asyncio.create_task(stream.read(10, 5_000))
    await wait_until(_blocked(raw), "the read waits")
    before = time.monotonic()
    await raw.add()
    assert len(await reading) == 1
    assert time.monotonic() - before < 1.0


async def test_a_read_that_finds_nothing_comes_back_empty(stream: ActionStream) -> None:
    assert await stream.read(10, 20) == []


@pytest.mark.parametrize("end", ["DEL", "FLUSHALL", "DESTROY"])
async def test_a_read_that_waits_hears_when_the_group_vanishes(stream: ActionStream, raw: Raw, end: str) -> None:
    reading = asyncio.create_task(stream.read(10, 5_000))
    await wait_until(_blocked(raw), "the read waits")
    if end == "DESTROY":
        await raw.redis.xgroup_destroy(raw.key, raw.group)
    else:
        await raw.redis.execute_command(end, *([raw.key] if end == "DEL" else []))
    with pytest.raises(GroupMissing):
        await asyncio.wait_for(reading, 2.0)


async def test_entries_that_strangers_wrote_are_read_as_they_are(stream: ActionStream, raw: Raw) -> None:
    strange: list[dict[Any, Any]] = [
        {"no": "data"},
        {"data": b"\xff\x00"},
        {"data": "", "attempt": "-5", "first_id": "x"},
        {"x": "1", "data": "last", "attempt": "7", "deliveries": "2", "v": "1"},
    ]
    for fields in strange:
        await raw.redis.xadd(raw.key, fields)
    deliveries = await take(stream)
    assert [one.data for one in deliveries] == [None, b"\xff\x00", b"", b"last"]
    assert [(one.attempts, one.deliveries) for one in deliveries] == [(0, 1), (0, 1), (0, 1), (7, 3)]
    assert all(one.first_id == one.entry_id for one in deliveries)


# ── what a cut-off read was given ──


async def test_what_a_lost_reply_delivered_is_found_again(server: Server, keys: QueueManager, raw: Raw) -> None:
    async with Proxy(server.port) as proxy, redis_asyncio.Redis.from_url(proxy.url) as client:
        stream = ActionStream(Endpoint(client), keys, "orders", keys.get_consumer_name("orders", "a"))
        await raw.add(2)
        known = await take(stream)
        ids = await raw.add(3, v="1", attempt="2")
        proxy.swallow(b"XREADGROUP")
        with pytest.raises(ServerUnavailable):
            await take(stream)
        found = await stream.unseen(one.entry_id for one in known)
        assert [one.entry_id for one in found] == ids
        assert [(one.data, one.attempts, one.token, one.order) for one in found] == [
            (b'{"n":%d}' % number, 2, 1, -1) for number in range(3)
        ]
        assert (await stream.commit([Ending(one) for one in [*found, *known]], held=5)).count == 5
        await stream.close()


async def test_what_a_cancelled_read_was_given_is_found_again(stream: ActionStream, raw: Raw) -> None:
    reading = asyncio.create_task(stream.read(10, 5_000))
    await wait_until(_blocked(raw), "the read waits")
    reading.cancel()
    ids = await raw.add()
    await wait_until(raw.pending, "the entry was delivered")
    assert [one.entry_id for one in await stream.unseen([])] == ids
    assert await stream.unseen(ids) == []


async def test_what_was_deleted_before_it_was_seen_has_no_data(stream: ActionStream, raw: Raw) -> None:
    (entry_id,) = await raw.add()
    await take(stream)
    await raw.redis.xdel(raw.key, entry_id)
    (found,) = await stream.unseen([])
    assert (found.entry_id, found.data) == (entry_id, None)


async def test_an_entry_that_cannot_be_looked_at_is_not_taken_for_empty(
    launch: Callable[..., Server], keys: QueueManager
) -> None:
    """Otherwise an action that is well would be buried as one without data."""
    server = launch()
    rules = ["on", ">pw", "-@all", "+ping", "+evalsha", "+eval", "+xreadgroup", "+xgroup|create", "+xpending", "~*"]
    server.client.execute_command("ACL", "SETUSER", "worker", *rules)
    async with redis_asyncio.Redis.from_url(server.url, username="worker", password="pw") as client:
        stream = ActionStream(Endpoint(client), keys, "orders", keys.get_consumer_name("orders", "a"))
        await stream.ensure_group()
        server.client.xadd(stream.stream, {"data": "x"})
        await take(stream)
        with pytest.raises(ServerRefused):
            await stream.unseen([])
        await stream.close()


# ── looking around ──


async def test_a_new_stream_has_no_history(stream: ActionStream, raw: Raw) -> None:
    standing = await stream.standing()
    assert (standing.entries, standing.pending, standing.foreign, standing.history) == (0, 0, {}, False)
    assert standing.last_delivered == b"0-0"


async def test_entries_that_wait_or_are_at_work_are_no_history(stream: ActionStream, raw: Raw) -> None:
    ids = await raw.add(30)
    done, *_ = await take(stream, 20)
    await stream.commit([Ending(done)], held=20)
    standing = await stream.standing()
    assert (standing.entries, standing.pending, standing.history) == (29, 19, False)
    assert standing.last_delivered == ids[19]


@pytest.mark.parametrize("unread_deleted", [False, True], ids=["the server can count", "the server cannot count"])
async def test_entries_that_were_acknowledged_and_not_deleted_are_history(
    stream: ActionStream, raw: Raw, unread_deleted: bool
) -> None:
    ids = await raw.add(1_200)
    await take(stream, 1_195)
    if unread_deleted:
        await raw.redis.xdel(raw.key, ids[1_197])
    assert not (await stream.standing()).history
    await raw.redis.xack(raw.key, raw.group, ids[1_100])
    standing = await stream.standing()
    assert standing.history
    assert (standing.pending, standing.last_delivered) == (1_194, ids[1_194])


async def test_looking_around_does_not_fetch_the_stream(stream: ActionStream, raw: Raw) -> None:
    """A thousand pending actions of a megabyte each would be a gigabyte."""
    await raw.add(3)
    await take(stream)
    await raw.redis.config_resetstat()
    await stream.standing()
    assert "cmdstat_xrange" not in await raw.redis.info("commandstats")


async def test_pending_entries_of_other_programs_are_told_by_their_owner(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    await raw.add(3)
    await take(await consumer("b"), 1)
    await raw.redis.xreadgroup(raw.group, "orders-worker-instance1", {raw.key: ">"}, count=2)
    assert (await stream.standing()).foreign == {"orders-worker-instance1": 2}


# ── trimming ──


async def test_dead_letters_are_kept_up_to_a_number_and_an_age(stream: ActionStream, raw: Raw) -> None:
    for milliseconds in range(1_000, 11_000, 1_000):
        await raw.redis.xadd(stream.dead_letters, {"reason": "X"}, id=f"{milliseconds}-0")
    assert await stream.trim_dead_letters(0, 0, 20_000) == 0
    assert await stream.trim_dead_letters(8, 0, 20_000) == 2
    assert await stream.trim_dead_letters(0, 15_000, 20_000) == 2
    assert await stream.trim_dead_letters(5, 14_000, 20_000) == 1
    assert await stream.trim_dead_letters(5, 10**15, 20_000) == 0
    first, *_ = await raw.redis.xrange(stream.dead_letters)
    assert first[0] == b"6000-0"


def _blocked(raw: Raw) -> Callable[[], Awaitable[bool]]:
    async def blocked() -> bool:
        return bool((await raw.redis.info("clients"))["blocked_clients"])

    return blocked
