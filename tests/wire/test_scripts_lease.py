"""Who holds an entry keeps it by renewing; what nobody renews is taken over, counted, and never lost from sight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from nooble.errors import GroupMissing
from nooble.wire.redis_stream import ActionStream, Ending
from tests.support.streams import Raw, take

Consumer = Callable[..., Awaitable[ActionStream]]
pytestmark = pytest.mark.every_server

LEASE = 30_000


async def idle_times(raw: Raw) -> list[int]:
    rows = await raw.redis.xpending_range(raw.key, raw.group, "-", "+", 10_000)
    return [row["time_since_delivered"] for row in rows]


# ── renewing ──


@pytest.mark.parametrize("count", [1, 100, 2_500])
async def test_renewing_makes_everything_that_is_held_young_and_counts_nothing(
    stream: ActionStream, raw: Raw, count: int
) -> None:
    ids = await raw.add(count)
    deliveries = await take(stream, count)
    await raw.age(*ids)
    before = time.time() * 1_000
    clock, lost = await stream.renew(deliveries)
    assert lost == set()
    assert abs(clock - before) < 60_000
    assert max(await idle_times(raw)) < LEASE
    assert set((await raw.pending()).values()) == {(stream.consumer, 1)}


async def test_what_is_held_but_not_named_is_left_to_grow_old(stream: ActionStream, raw: Raw) -> None:
    ids = await raw.add(2)
    one, _ = await take(stream)
    await raw.age(*ids)
    await stream.renew([one])
    young, old = await idle_times(raw)
    assert young < LEASE < old


async def test_renewing_nothing_tells_the_time(stream: ActionStream, raw: Raw) -> None:
    clock, lost = await stream.renew([])
    seconds, _ = await raw.redis.time()
    assert abs(clock / 1_000 - seconds) < 5
    assert lost == set()


async def test_what_others_have_taken_over_is_told_and_not_stolen_back(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    ids = await raw.add(5)
    deliveries = await take(stream)
    other = await consumer("b")
    await raw.age(ids[1], ids[3])
    await other.claim(2, LEASE)
    assert (await stream.renew(deliveries))[1] == {ids[1], ids[3]}
    owners = {entry_id: owner for entry_id, (owner, _) in (await raw.pending()).items()}
    assert owners[ids[1]] == owners[ids[3]] == other.consumer
    assert owners[ids[0]] == stream.consumer


async def test_an_earlier_delivery_of_what_came_back_is_lost(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    (entry_id,) = await raw.add()
    (first,) = await take(stream)
    await raw.age(entry_id)
    await (await consumer("b")).claim(1, LEASE)
    await raw.age(entry_id)
    (again,), _ = await stream.claim(1, LEASE)
    assert (await stream.renew([first]))[1] == {entry_id}
    assert (await stream.renew([again]))[1] == set()


async def test_what_was_acknowledged_or_deleted_by_hand_is_lost(stream: ActionStream, raw: Raw) -> None:
    """Deleting an entry calls it off: whoever is at work on it is told with the next renewal."""
    acknowledged, deleted, kept = await raw.add(3)
    deliveries = await take(stream)
    await raw.redis.xack(raw.key, raw.group, acknowledged)
    await raw.redis.xdel(raw.key, deleted)
    assert (await stream.renew(deliveries))[1] == {acknowledged, deleted}
    assert list(await raw.pending()) == [kept]


async def test_more_pending_entries_than_were_expected_are_not_taken_for_lost(stream: ActionStream, raw: Raw) -> None:
    await raw.add(100)
    deliveries = await take(stream)
    assert (await stream.renew(deliveries[90:]))[1] == set()


async def test_a_group_that_has_vanished_is_told(stream: ActionStream, raw: Raw) -> None:
    await raw.redis.delete(raw.key)
    verbs = [
        lambda: stream.renew([]),
        lambda: stream.claim(1, LEASE),
        lambda: stream.abandoned(LEASE),
        lambda: stream.read(1, 1),
        lambda: stream.unseen([]),
        stream.standing,
        stream.leave,
    ]
    for verb in verbs:
        with pytest.raises(GroupMissing):
            await verb()


# ── claiming ──


async def test_what_a_dead_consumer_held_is_taken_over_with_all_that_came_with_it(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    ids = await raw.add(2, v="1", attempt="2", first_id="5-0", deliveries="1")
    await take(await consumer("dead"))
    await raw.age(*ids)
    taken, gone = await stream.claim(10, LEASE)
    assert gone == []
    assert [one.entry_id for one in taken] == ids
    for one in taken:
        assert (one.data, one.first_id, one.attempts) == (b'{"n":%d}' % ids.index(one.entry_id), b"5-0", 2)
        assert (one.token, one.deliveries, one.order) == (2, 3, -1)
    assert set((await raw.pending()).values()) == {(stream.consumer, 2)}
    assert (await stream.commit([Ending(one) for one in taken], held=2)).count == 2


async def test_what_is_renewed_is_not_taken_over(stream: ActionStream, raw: Raw, consumer: Consumer) -> None:
    other = await consumer("b")
    ids = await raw.add(3)
    deliveries = await take(other)
    await raw.age(*ids)
    await other.renew(deliveries)
    assert not await stream.abandoned(LEASE)
    assert await stream.claim(10, LEASE) == ([], [])


async def test_what_programs_of_others_hold_is_left_to_them(stream: ActionStream, raw: Raw) -> None:
    strangers = [
        "orders-worker-instance1",
        "me",
        f"{stream.consumer}x",
        f"x{stream.consumer}",
        "billing-worker-a-nb0123456789",
    ]
    for name in strangers:
        (entry_id,) = await raw.add()
        await raw.redis.xreadgroup(raw.group, name, {raw.key: ">"})
        await raw.age(entry_id)
    assert not await stream.abandoned(LEASE)
    assert await stream.claim(10, LEASE) == ([], [])
    assert sorted(owner for owner, _ in (await raw.pending()).values()) == sorted(strangers)


async def test_a_consumer_does_not_take_over_from_itself(stream: ActionStream, raw: Raw) -> None:
    ids = await raw.add(2)
    await take(stream)
    await raw.age(*ids)
    assert not await stream.abandoned(LEASE)
    assert await stream.claim(10, LEASE) == ([], [])


async def test_no_more_is_taken_over_than_there_is_room_for(stream: ActionStream, raw: Raw, consumer: Consumer) -> None:
    for suffix in "bcd":
        ids = await raw.add(4)
        await take(await consumer(suffix))
        await raw.age(*ids)
    assert [len((await stream.claim(5, LEASE))[0]) for _ in range(4)] == [5, 5, 2, 0]


async def test_two_that_take_over_at_once_share_without_overlap(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    ids = await raw.add(40)
    await take(await consumer("dead"))
    await raw.age(*ids)
    others = [await consumer(suffix) for suffix in "bc"]
    taken = await asyncio.gather(*(one.claim(7, LEASE) for one in [stream, *others] for _ in range(3)))
    claimed = [delivery.entry_id for deliveries, _ in taken for delivery in deliveries]
    assert sorted(claimed) == sorted(ids)


async def test_what_was_deleted_while_it_was_pending_is_told_and_recorded(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    dead = await consumer("dead")
    lost, kept = await raw.add(2)
    await take(dead)
    await raw.age(lost, kept)
    await raw.redis.xdel(raw.key, lost)
    taken, gone = await stream.claim(10, LEASE)
    assert ([one.entry_id for one in taken], gone) == ([kept], [lost])
    (record,) = await raw.dead_letters()
    assert (record[b"reason"], record[b"entry_id"]) == (b"DATA_LOST", lost)
    assert (record[b"worker"], record[b"deliveries"]) == (dead.consumer.encode(), b"2")
    assert list(await raw.pending()) == [kept]


@pytest.mark.leaves_keys("it puts a stranger's key where the dead letters should be")
async def test_what_was_deleted_is_told_even_if_it_cannot_be_recorded(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    (lost,) = await raw.add()
    await take(await consumer("dead"))
    await raw.age(lost)
    await raw.redis.xdel(raw.key, lost)
    await raw.redis.set(stream.dead_letters, "a stranger's")
    assert await stream.claim(10, LEASE) == ([], [lost])


async def test_looking_for_abandoned_entries_changes_nothing(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    (entry_id,) = await raw.add()
    dead = await consumer("dead")
    await take(dead)
    assert not await stream.abandoned(LEASE)
    await raw.age(entry_id)
    assert await stream.abandoned(LEASE)
    assert await raw.pending() == {entry_id: (dead.consumer, 1)}
    assert min(await idle_times(raw)) > LEASE


@pytest.mark.parametrize(
    ("service", "stranger"),
    [("a.b-c_d", "axb-c_d"), ("mi-servicio", "mi"), ("x", "xx"), ("100-", "100"), ("A.-_z", "A_-_z")],
)
async def test_services_with_odd_names_take_over_only_from_themselves(
    consumer: Consumer, raw: Raw, service: str, stranger: str
) -> None:
    """The names are part of a Lua pattern, in which a dot and a dash mean something."""
    stream = await consumer("a", service)
    own = Raw(raw.redis, stream)
    dead = await consumer("dead", service)
    names = [dead.consumer, dead.consumer.replace(service, stranger, 1)]
    for name in names:
        (entry_id,) = await own.add()
        await own.redis.xreadgroup(own.group, name, {own.key: ">"})
        await own.age(entry_id)
    taken, _ = await stream.claim(10, LEASE)
    assert len(taken) == 1
    assert {owner for owner, _ in (await own.pending()).values()} == {stream.consumer, names[1]}


# ── leaving ──


async def test_a_consumer_that_owns_nothing_leaves(stream: ActionStream, raw: Raw, consumer: Consumer) -> None:
    await take(await consumer("b"))
    await raw.add()
    (one,) = await take(stream)
    assert not await stream.leave()
    assert list(await raw.pending()) == [one.entry_id]
    await stream.commit([Ending(one)], held=1)
    assert await stream.leave()
    names = {row["name"].decode() for row in await raw.redis.xinfo_consumers(raw.key, raw.group)}
    assert stream.consumer not in names


@pytest.mark.parametrize("service", ["orders", "a.b-c_d"])
async def test_a_consumer_takes_nobody_else_with_it(consumer: Consumer, raw: Raw, service: str) -> None:
    stream = await consumer("a.b", service)
    own = Raw(raw.redis, stream)
    others = {stream.consumer.replace("a.b", "axb"), f"{stream.consumer}0", f"0{stream.consumer}", "orders-worker-1"}
    for name in {stream.consumer, *others}:
        await raw.redis.xgroup_createconsumer(own.key, own.group, name)
    assert await stream.leave()
    assert {row["name"].decode() for row in await raw.redis.xinfo_consumers(own.key, own.group)} == others


async def test_only_dead_consumers_of_this_framework_that_own_nothing_are_forgotten(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    owner, idle = await consumer("owner"), await consumer("idle")
    (entry_id,) = await raw.add()
    await take(owner)
    for name in (idle.consumer, "orders-worker-instance1"):
        await raw.redis.xgroup_createconsumer(raw.key, raw.group, name)
    assert await stream.forget_dead() == []  # a day has not passed
    assert await stream._forget(stream._pattern, 0) == [idle.consumer]
    names = {row["name"].decode() for row in await raw.redis.xinfo_consumers(raw.key, raw.group)}
    assert names == {owner.consumer, "orders-worker-instance1"}
    assert list(await raw.pending()) == [entry_id]


async def test_a_consumer_that_was_forgotten_while_it_lived_reads_on(stream: ActionStream, raw: Raw) -> None:
    await take(stream)
    await stream.leave()
    await raw.add()
    (one,) = await take(stream)
    assert (await stream.commit([Ending(one)], held=1)).count == 1
