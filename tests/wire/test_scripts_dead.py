"""A dead letter that is sent again is in its stream or in the dead letters, never in both, never in neither; reading is
bounded by letters and by bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from nooble.errors import ServerRefused
from nooble.operations.dead_letters import PAGE, REPLAY
from nooble.wire.dead_letters import dead_letter
from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import ActionStream
from tests.support.streams import Raw, take

pytestmark = pytest.mark.every_server

LAST = f"{2**64 - 1}-{2**64 - 1}"
ELSEWHERE = "nooble4:test:elsewhere:streams:main"


async def bury(raw: Raw, count: int = 1, **fields: Any) -> list[bytes]:
    """Dead letters as any writer might have left them; their ids."""
    key = raw.dead_letter_stream
    return [await raw.redis.xadd(key, {"reason": "X", "data": f'{{"n":{n}}}', **fields}) for n in range(count)]


async def replay(stream: ActionStream, *ids: bytes, to: str | None = None, data: bytes = b"") -> list[tuple[Any, Any]]:
    arguments = [word for one in ids for word in (one, to or stream.stream, data)]
    told = await REPLAY.run(stream.work, stream.dead_letters, *arguments)
    return list(zip(told[::2], told[1::2], strict=True))


# ── replay ──


async def test_a_letter_moves_to_its_stream(stream: ActionStream, raw: Raw) -> None:
    first, second = await bury(raw, 2, attempts="3", deliveries="7", first_id="5-1")
    ((state, entry_id),) = await replay(stream, second)
    (again,) = await take(stream)
    assert (state, entry_id, again.data) == (b"sent", again.entry_id, b'{"n":1}')
    assert (again.attempts, again.deliveries, again.first_id) == (0, 1, again.entry_id)
    assert [letter_id for letter_id, _ in await raw.redis.xrange(raw.dead_letter_stream)] == [first]


async def test_the_idempotency_key_goes_with_it_and_other_facts_do_not(stream: ActionStream, raw: Raw) -> None:
    delivery = Delivery(b"7-1", b'{"n":0}', 2, 0, {b"once": b"a.b:k", b"first_id": b"5-1", b"attempt": b"1"})
    fields = dead_letter(delivery, ValueError(), worker="me", attempts=1, max_payload_bytes=100)
    letter_id = await raw.redis.execute_command("XADD", raw.dead_letter_stream, "*", *fields, "anything", "else")
    await replay(stream, letter_id)
    assert await raw.entries() == [{b"data": b'{"n":0}', b"v": b"1", b"once": b"a.b:k"}]


async def test_other_bytes_can_be_sent_instead(stream: ActionStream, raw: Raw) -> None:
    await replay(stream, *await bury(raw), data=b"\xff\x00")
    assert [entry[b"data"] for entry in await raw.entries()] == [b"\xff\x00"]


async def test_doing_it_again_finds_it_gone(stream: ActionStream, raw: Raw) -> None:
    ids = await bury(raw, 3)
    assert [state for state, _ in await replay(stream, *ids, ids[0])] == [b"sent"] * 3 + [b"gone"]
    assert [state for state, _ in await replay(stream, *ids)] == [b"gone"] * 3
    assert len(await raw.entries()) == 3


async def test_many_that_replay_at_once_send_each_letter_once(stream: ActionStream, raw: Raw, consumer: Any) -> None:
    ids = await bury(raw, 50)
    others = [stream, await consumer("b"), await consumer("c")]
    told = await asyncio.gather(*(replay(one, *ids[n : n + 10]) for one in others for n in range(0, 50, 5)))
    assert sum(state == b"sent" for part in told for state, _ in part) == 50
    assert sorted(int(one[b"data"][5:-1]) for one in await raw.entries()) == list(range(50))
    assert await raw.dead_letters() == []


@pytest.mark.leaves_keys("it puts a stranger's key where a stream should be")
async def test_a_letter_whose_stream_is_something_else_stays_and_others_go(stream: ActionStream, raw: Raw) -> None:
    first, second = await bury(raw, 2)
    await raw.redis.set(ELSEWHERE, "a stranger's")
    told = await REPLAY.run(stream.work, stream.dead_letters, first, ELSEWHERE, b"", second, stream.stream, b"")
    assert told[:3] == [b"kept", f"WRONGTYPE {ELSEWHERE} is a string, not a stream".encode(), b"sent"]
    assert [letter_id for letter_id, _ in await raw.redis.xrange(raw.dead_letter_stream)] == [first]
    assert await raw.redis.get(ELSEWHERE) == b"a stranger's"


async def test_a_stream_without_ids_leaves_letters_where_they_are(stream: ActionStream, raw: Raw) -> None:
    ids = await bury(raw)
    await raw.exhaust(raw.key)
    ((state, why),) = await replay(stream, *ids)
    assert (state, b"exhausted" in why) == (b"kept", True)
    assert len(await raw.dead_letters()) == 1


async def test_a_letter_without_data_stays(stream: ActionStream, raw: Raw) -> None:
    letter_id = await raw.redis.xadd(raw.dead_letter_stream, {"reason": "DATA_LOST"})
    assert await replay(stream, letter_id) == [(b"kept", b"the letter holds no data")]
    assert await raw.entries() == []


@pytest.mark.leaves_keys("it puts a stranger's key where the dead letters should be")
async def test_dead_letters_that_are_something_else_are_for_a_person_to_mend(stream: ActionStream, raw: Raw) -> None:
    await raw.redis.set(raw.dead_letter_stream, "a stranger's")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await replay(stream, b"1-1")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await PAGE.run(stream.work, stream.dead_letters, b"XRANGE", b"-", b"+", 1, 1)


async def test_who_may_not_delete_sends_nothing(stream: ActionStream, raw: Raw, consumer: Any, redis_url: str) -> None:
    """Otherwise it would be in both."""
    ids = await bury(raw)
    await raw.redis.acl_setuser("half", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-xdel"])
    client = redis_asyncio.Redis.from_url(redis_url, username="half", password="any")
    try:
        half = await consumer("half", client=client)
        with pytest.raises(ServerRefused, match="no permission to delete in"):
            await replay(half, *ids)
    finally:
        await client.aclose()
        await raw.redis.acl_deluser("half")
    assert (await raw.entries(), len(await raw.dead_letters())) == ([], 1)


# ── reading ──


async def page(stream: ActionStream, command: str, begin: str, end: str, *bounds: Any) -> tuple[list[bytes], str]:
    rows, onward = await PAGE.run(stream.work, stream.dead_letters, command, begin, end, *bounds)
    return [letter_id for letter_id, _ in rows], onward.decode()


@pytest.mark.parametrize(("command", "begin", "end"), [("XRANGE", "-", "+"), ("XREVRANGE", "+", "-")])
@pytest.mark.parametrize(("count", "room"), [(1, 10**6), (3, 10**6), (100, 10**6), (100, 1), (100, 30)])
async def test_pages_together_are_all_letters(
    stream: ActionStream, raw: Raw, command: str, begin: str, end: str, count: int, room: int
) -> None:
    ids = await bury(raw, 7)
    found, sizes = [], []
    while begin:
        part, begin = await page(stream, command, begin, end, count, room)
        found += part
        sizes.append(len(part))
    assert found == (ids if command == "XRANGE" else ids[::-1])
    assert max(sizes) <= min(count, {10**6: 7, 1: 1, 30: 2}[room])


async def test_only_wanted_fields_travel(stream: ActionStream, raw: Raw) -> None:
    await bury(raw, traceback="x" * 10_000)
    rows, _ = await PAGE.run(stream.work, stream.dead_letters, "XRANGE", "-", "+", 9, 100, "reason", "error")
    assert [fields for _, fields in rows] == [[b"reason", b"X"]]


async def test_nothing_comes_after_the_last_id_there_can_be(stream: ActionStream, raw: Raw) -> None:
    await raw.redis.xadd(raw.dead_letter_stream, {"reason": "last"}, id=LAST)
    assert await page(stream, "XRANGE", "-", "+", 9, 10**6) == ([LAST.encode()], "")


async def test_where_nothing_is_there_are_no_letters(stream: ActionStream, raw: Raw) -> None:
    assert await page(stream, "XRANGE", "-", "+", 9, 10**6) == ([], "")
    assert await raw.redis.exists(raw.dead_letter_stream) == 0
