"""A retry is in the retry set or in the stream, never in both, never in neither, and comes back as it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from nooble.errors import ServerFault, ServerRefused
from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import RETRY, ActionStream, Ending, Write, retry_member
from tests.support.streams import Raw, take

Consumer = Callable[..., Awaitable[ActionStream]]
pytestmark = pytest.mark.every_server

HOUR = 3_600_000


async def put_away(stream: ActionStream, raw: Raw, *due_ms: int) -> list[Delivery]:
    """Fail as many deliveries, to be due in so many milliseconds."""
    await raw.add(len(due_ms))
    deliveries = await take(stream)
    writes = [
        Write(RETRY, stream.retry_set, (due, retry_member(one, 1))) for one, due in zip(deliveries, due_ms, strict=True)
    ]
    await stream.commit([Ending(one, None, (w,)) for one, w in zip(deliveries, writes, strict=True)], held=10)
    return deliveries


async def waiting(raw: Raw) -> int:
    return int(await raw.redis.zcard(raw.retry_set))


async def test_only_what_is_due_is_moved(stream: ActionStream, raw: Raw) -> None:
    due, _ = await put_away(stream, raw, 0, HOUR)
    moved, next_due = await stream.move_retries()
    assert moved == 1
    assert next_due == pytest.approx(3_600, abs=10)
    (again,) = await take(stream)
    assert (again.data, again.first_id, again.attempts) == (due.data, due.entry_id, 1)
    assert await waiting(raw) == 1


async def test_what_is_due_first_goes_first(stream: ActionStream, raw: Raw) -> None:
    deliveries = await put_away(stream, raw, 30_000, 10_000, 20_000)
    assert await stream.move_retries(offset_ms=60_000) == (3, None)
    again = [one.first_id for one in await take(stream)]
    assert again == [deliveries[number].entry_id for number in (1, 2, 0)]


async def test_no_more_are_moved_in_one_call_than_was_said(stream: ActionStream, raw: Raw) -> None:
    await put_away(stream, raw, *range(10))
    moves = [await stream.move_retries(4, offset_ms=1_000) for _ in range(4)]
    assert moves == [(4, 0.0), (4, 0.0), (2, None), (0, None)]
    assert len(await raw.entries()) == 10


async def test_nothing_to_move_is_no_wait(stream: ActionStream) -> None:
    assert await stream.move_retries() == (0, None)


async def test_many_that_move_at_once_move_each_retry_once(stream: ActionStream, raw: Raw, consumer: Consumer) -> None:
    deliveries = await put_away(stream, raw, *[0] * 100)
    others = [stream, await consumer("b"), await consumer("c")]
    moves = await asyncio.gather(*(one.move_retries(9) for one in others for _ in range(5)))
    assert sum(moved for moved, _ in moves) == 100
    assert sorted(one.first_id for one in await take(stream)) == sorted(one.entry_id for one in deliveries)


async def test_waiting_readers_wake_for_what_is_moved(stream: ActionStream, raw: Raw, consumer: Consumer) -> None:
    await put_away(stream, raw, HOUR)
    reader = asyncio.create_task((await consumer("b")).read(1, 5_000))
    await asyncio.sleep(0)
    await stream.move_retries(offset_ms=2 * HOUR)
    assert len(await asyncio.wait_for(reader, 2.0)) == 1


async def test_a_stream_without_ids_leaves_retries_where_they_are(stream: ActionStream, raw: Raw) -> None:
    await put_away(stream, raw, 0, 0)
    await raw.exhaust(raw.key)
    with pytest.raises(ServerFault, match="exhausted"):
        await stream.move_retries()
    assert (await waiting(raw), await raw.entries()) == (2, [])


@pytest.mark.leaves_keys("it puts a stranger's key where the stream should be")
async def test_a_stream_of_the_wrong_type_leaves_retries_where_they_are(stream: ActionStream, raw: Raw) -> None:
    await put_away(stream, raw, 0, 0)
    await raw.redis.set(raw.key, "a stranger's")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await stream.move_retries()
    assert await waiting(raw) == 2


@pytest.mark.leaves_keys("it puts a stranger's key where the retry set should be")
async def test_a_retry_set_of_the_wrong_type_is_for_a_person_to_mend(stream: ActionStream, raw: Raw) -> None:
    await raw.redis.set(stream.retry_set, "a stranger's")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await stream.move_retries()


@pytest.mark.parametrize(
    "strange", [b"", b"\n", b"no line", b"\n\n", b"odd\n{}", b"a b c d\n{}", b"w " * 20_000 + b"\n{}", b"x" * 100_000]
)
async def test_a_strangers_member_does_not_hold_up_the_others(stream: ActionStream, raw: Raw, strange: bytes) -> None:
    await raw.redis.zadd(stream.retry_set, {strange: 0})
    (due,) = await put_away(stream, raw, 0)
    assert await stream.move_retries() == (2, None)
    _, again = await take(stream)
    assert (again.data, again.first_id) == (due.data, due.entry_id)
