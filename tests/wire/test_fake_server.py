"""A server of Python objects, as unit tests of users have it, does all that a real one does on the straight road."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import fakeredis
import pytest

from nooble.errors import GroupMissing
from nooble.models.outcomes import Reply
from nooble.wire.connection import Endpoint
from nooble.wire.delivery import DATA
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import OWN, POST, RETRY, ActionStream, Ending, Write, retry_member
from tests.support.streams import Raw, take

ANSWERS = "nooble4:test:shop:responses:inbox:1"
BILLING = "nooble4:test:billing:streams:main"
LEASE = 30_000


@pytest.fixture
async def streams(fake_redis: fakeredis.FakeAsyncRedis, keys: QueueManager) -> AsyncIterator[list[ActionStream]]:
    """Two consumers of the same service."""
    names = [keys.get_consumer_name("orders", suffix) for suffix in "ab"]
    made = [ActionStream(Endpoint(fake_redis), keys, "orders", name, 20_000) for name in names]
    await made[0].ensure_group()
    yield made
    for stream in made:
        await stream.close()


@pytest.fixture
def stream(streams: list[ActionStream]) -> ActionStream:
    return streams[0]


@pytest.fixture
def raw(fake_redis: fakeredis.FakeAsyncRedis, stream: ActionStream) -> Raw:
    return Raw(fake_redis, stream)


async def test_deliveries_end_with_all_that_they_have_to_say(stream: ActionStream, raw: Raw) -> None:
    await raw.add(5)
    deliveries = await take(stream)
    batch = [
        Ending(
            one,
            Reply(ANSWERS, str(number).encode()),
            (
                Write(POST, BILLING, (DATA, b"{}")),
                Write(RETRY, stream.retry_set, (50_000, retry_member(one, 1))),
                Write(OWN, stream.dead_letters, ["reason", "X"]),
            ),
        )
        for number, one in enumerate(deliveries)
    ]
    committed = await stream.commit(batch, held=5)
    assert (committed.count, committed.refused, committed.held, committed.unwritten) == (5, [], [], [])
    assert await raw.redis.lrange(ANSWERS, 0, -1) == [b"4", b"3", b"2", b"1", b"0"]
    assert 0 < await raw.redis.pttl(ANSWERS) <= 20_000
    assert await raw.redis.xlen(BILLING) == await raw.redis.zcard(stream.retry_set) == 5
    assert (len(await raw.dead_letters()), await raw.entries(), await raw.pending()) == (5, [], {})
    assert [why for _, why in (await stream.commit(batch, held=5)).refused] == [b"gone"] * 5


async def test_a_key_of_the_wrong_type_is_told(stream: ActionStream, raw: Raw) -> None:
    await raw.add(2)
    await raw.redis.mset({stream.retry_set: "x", BILLING: "x"})
    one, two = await take(stream)
    held = Ending(one, None, (Write(RETRY, stream.retry_set, (0, retry_member(one, 1))),))
    committed = await stream.commit([held, Ending(two, None, (Write(POST, BILLING, (DATA, b"{}")),))], held=2)
    assert (committed.count, [delivery for delivery, _ in committed.held]) == (1, [one])
    assert [key for key, _ in committed.unwritten] == [BILLING]
    assert len(await raw.dead_letters()) == 1


async def test_what_a_silent_consumer_held_is_taken_over_and_its_commit_refused(
    streams: list[ActionStream], raw: Raw
) -> None:
    stream, other = streams
    ids = await raw.add(2)
    deliveries = await take(stream)
    await raw.age(*ids)
    assert await other.abandoned(LEASE)
    taken, gone = await other.claim(1, LEASE)
    assert ([one.entry_id for one in taken], gone, taken[0].token) == (ids[:1], [], 2)
    clock, lost = await stream.renew(deliveries)
    assert (clock > 1_600_000_000_000, lost) == (True, {ids[0]})
    committed = await stream.commit([Ending(one) for one in deliveries], held=2)
    assert (committed.count, committed.refused) == (1, [(deliveries[0], b"taken")])
    assert (await other.commit([Ending(taken[0])], held=1)).count == 1


async def test_a_retry_comes_back(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    await stream.commit([Ending(one, None, (Write(RETRY, stream.retry_set, (50_000, retry_member(one, 1))),))], held=1)
    moved, wait = await stream.move_retries()
    assert (moved, wait) == (0, pytest.approx(50, abs=10))
    assert await stream.move_retries(offset_ms=60_000) == (1, None)
    (again,) = await take(stream)
    assert (again.data, again.first_id, again.attempts) == (one.data, one.entry_id, 1)


async def test_what_was_delivered_and_not_seen_is_found(stream: ActionStream, raw: Raw) -> None:
    ids = await raw.add(2)
    await take(stream)
    assert [one.entry_id for one in await stream.unseen(ids[:1])] == ids[1:]


async def test_a_read_that_the_server_does_not_let_wait_takes_a_breath(stream: ActionStream) -> None:
    """It answers at once that there is nothing; asked again at once, it would take a whole processor."""
    before = time.monotonic()
    for _ in range(5):
        assert await stream.read(10, 1_000) == []
    assert time.monotonic() - before >= 0.045


async def test_a_stream_can_be_looked_at(stream: ActionStream, raw: Raw) -> None:
    ids = await raw.add(3)
    await take(stream, 2)
    standing = await stream.standing()
    assert (standing.entries, standing.pending, standing.foreign, standing.history) == (3, 2, {}, False)
    await raw.redis.xack(raw.key, raw.group, ids[0])
    assert (await stream.standing()).history


async def test_a_consumer_leaves(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    assert not await stream.leave()
    await stream.commit([Ending(one)], held=1)
    assert await stream.leave()


async def test_dead_letters_are_trimmed(stream: ActionStream, raw: Raw) -> None:
    for milliseconds in range(1_000, 6_000, 1_000):
        await raw.redis.xadd(stream.dead_letters, {"reason": "X"}, id=f"{milliseconds}-0")
    assert await stream.trim_dead_letters(4, 2_500, 5_000) == 2
    assert len(await raw.dead_letters()) == 3


async def test_a_missing_group_is_told(stream: ActionStream, raw: Raw) -> None:
    await raw.redis.flushall()
    with pytest.raises(GroupMissing):
        await take(stream)
    with pytest.raises(GroupMissing):
        await stream.renew([])
    assert await stream.ensure_group()
