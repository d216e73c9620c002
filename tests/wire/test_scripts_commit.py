"""A delivery ends once, by whoever has it, with everything that it had to say, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from nooble.errors import GroupMissing, ReplyLost, ServerFault, ServerRefused, ServerUnavailable
from nooble.models.outcomes import Reply
from nooble.wire.connection import Endpoint
from nooble.wire.delivery import DATA, VERSION, WIRE_VERSION
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import OWN, POST, RETRY, ActionStream, Ending, Write, retry_member
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.streams import Raw, endings, take

Consumer = Callable[..., Awaitable[ActionStream]]
pytestmark = pytest.mark.every_server

ANSWERS = "nooble4:test:shop:responses:inbox:1"
BILLING = "nooble4:test:billing:streams:main"
MAIL = "nooble4:test:mail:streams:main"


def post(data: bytes = b"{}", stream: str = BILLING) -> Write:
    return Write(POST, stream, (DATA, data, VERSION, WIRE_VERSION))


def retry(stream: ActionStream, delivery: Any, milliseconds: int = 50_000) -> Write:
    return Write(RETRY, stream.retry_set, (milliseconds, retry_member(delivery, 1)))


def letter(stream: ActionStream, reason: str = "HANDLER_ERROR") -> Write:
    return Write(OWN, stream.dead_letters, ["reason", reason, DATA, b"{}"])


def everything(stream: ActionStream, delivery: Any) -> Ending:
    """An ending with every kind of write."""
    number = delivery.entry_id
    return Ending(
        delivery, Reply(ANSWERS, number), (post(number), retry(stream, delivery), letter(stream, number.decode()))
    )


async def written(raw: Raw) -> dict[str, int]:
    """How much is in each place that `everything` writes to."""
    redis = raw.redis
    return {
        "answers": await redis.llen(ANSWERS),
        "posts": await redis.xlen(BILLING),
        "retries": await redis.zcard(raw.retry_set),
        "letters": await redis.xlen(raw.dead_letter_stream),
    }


def all_of(count: int) -> dict[str, int]:
    return dict.fromkeys(("answers", "posts", "retries", "letters"), count)


# ── what is ours ──


async def test_an_ended_delivery_is_neither_pending_nor_in_the_stream(stream: ActionStream, raw: Raw) -> None:
    await raw.add(3)
    one, *_ = await take(stream)
    committed = await stream.commit([Ending(one)], held=3)
    assert (committed.count, committed.refused, committed.held, committed.unwritten) == (1, [], [], [])
    assert one.entry_id not in await raw.pending()
    assert (len(await raw.pending()), len(await raw.entries())) == (2, 2)


async def test_everything_that_a_delivery_has_to_say_is_written_with_its_end(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    committed = await stream.commit([everything(stream, one)], held=1)
    assert committed.count == 1
    assert await written(raw) == all_of(1)
    assert await raw.redis.lrange(ANSWERS, 0, -1) == [one.entry_id]
    assert await raw.entries(BILLING) == [{DATA: one.entry_id, VERSION: WIRE_VERSION}]


@pytest.mark.parametrize("size", [1, 2, 256, 1_000])
async def test_a_batch_ends_in_one_call(stream: ActionStream, raw: Raw, size: int) -> None:
    await raw.redis.eval(
        "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'data', tostring(i)) end", 1, raw.key, size
    )
    deliveries = await take(stream, size)
    committed = await stream.commit([everything(stream, one) for one in deliveries], held=size)
    assert committed.count == size
    assert await written(raw) == all_of(size)
    assert (await raw.pending(), await raw.entries()) == ({}, [])


async def test_bytes_of_every_kind_arrive_as_they_are(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    odd = bytes(range(256)) + b"\r\n$3\r\n" + random.Random(0).randbytes(1_048_576)
    await stream.commit([Ending(one, Reply(ANSWERS, odd), (post(odd),))], held=1)
    assert await raw.redis.lrange(ANSWERS, 0, -1) == [odd]
    assert [fields[DATA] for fields in await raw.entries(BILLING)] == [odd]


# ── the fence ──


async def test_what_another_has_taken_over_is_refused_and_nothing_is_written(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    (entry_id,) = await raw.add()
    (one,) = await take(stream)
    await raw.age(entry_id)
    (theirs,), _ = await (await consumer("b")).claim(1, 1_000)
    committed = await stream.commit([everything(stream, one)], held=1)
    assert (committed.count, committed.refused) == (0, [(one, b"taken")])
    assert await written(raw) == all_of(0)
    assert (await raw.pending())[entry_id][1] == theirs.token == 2


async def test_what_was_taken_over_and_taken_back_ends_only_by_its_last_delivery(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    (entry_id,) = await raw.add()
    (first,) = await take(stream)
    await raw.age(entry_id)
    await (await consumer("b")).claim(1, 1_000)
    await raw.age(entry_id)
    (again,), _ = await stream.claim(1, 1_000)
    assert (await stream.commit([everything(stream, first)], held=1)).refused == [(first, b"taken")]
    assert await written(raw) == all_of(0)
    assert (await stream.commit([everything(stream, again)], held=1)).count == 1
    assert await written(raw) == all_of(1)


async def test_what_was_acknowledged_by_hand_is_gone(stream: ActionStream, raw: Raw) -> None:
    (entry_id,) = await raw.add()
    (one,) = await take(stream)
    await raw.redis.xack(raw.key, raw.group, entry_id)
    assert (await stream.commit([everything(stream, one)], held=1)).refused == [(one, b"gone")]
    assert await written(raw) == all_of(0)


async def test_what_was_deleted_from_the_stream_by_hand_still_ends(stream: ActionStream, raw: Raw) -> None:
    (entry_id,) = await raw.add()
    (one,) = await take(stream)
    await raw.redis.xdel(raw.key, entry_id)
    assert (await stream.commit([everything(stream, one)], held=1)).count == 1
    assert (await written(raw), await raw.pending()) == (all_of(1), {})


async def test_a_commit_that_is_repeated_writes_nothing_twice(stream: ActionStream, raw: Raw) -> None:
    await raw.add(5)
    batch = [everything(stream, one) for one in await take(stream)]
    assert (await stream.commit(batch, held=5)).count == 5
    repeated = await stream.commit(batch, held=5)
    assert (repeated.count, [why for _, why in repeated.refused]) == (0, [b"gone"] * 5)
    assert await written(raw) == all_of(5)


async def test_a_commit_whose_reply_was_lost_can_be_repeated(server: Server, keys: QueueManager, raw: Raw) -> None:
    async with Proxy(server.port) as proxy, redis_asyncio.Redis.from_url(proxy.url) as client:
        stream = ActionStream(Endpoint(client), keys, "orders", keys.get_consumer_name("orders", "a"))
        await raw.add(4)
        first, *others = await take(stream)
        await stream.commit([Ending(first)], held=4)  # the server knows the script from now on
        batch = [everything(stream, one) for one in others]
        proxy.swallow(b"EVALSHA")
        with pytest.raises(ReplyLost):
            await stream.commit(batch, held=3)
        assert proxy.faults == 1
        assert [why for _, why in (await stream.commit(batch, held=3)).refused] == [b"gone"] * 3
        assert await written(raw) == all_of(3)
        await stream.close()


async def test_of_a_batch_what_is_lost_is_refused_and_the_rest_ends(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    ids = await raw.add(256)
    deliveries = await take(stream)
    stolen, acknowledged = set(ids[10:20]), {ids[0], ids[100], ids[255]}
    await raw.age(*stolen)
    assert len((await (await consumer("b")).claim(10, 1_000))[0]) == 10
    await raw.redis.xack(raw.key, raw.group, *acknowledged)
    committed = await stream.commit([everything(stream, one) for one in deliveries], held=256)
    assert committed.count == 243
    assert {one.entry_id for one, why in committed.refused if why == b"taken"} == stolen
    assert {one.entry_id for one, why in committed.refused if why == b"gone"} == acknowledged
    assert await written(raw) == all_of(243)
    assert not stolen & set(await raw.redis.lrange(ANSWERS, 0, -1))
    assert set(await raw.pending()) == stolen


async def test_claimed_and_read_entries_end_in_one_batch_whatever_their_ids(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    other = await consumer("b")
    ids = await raw.add(4)
    left = await take(other, 2)
    read = await take(stream)
    await raw.age(*(one.entry_id for one in left))
    claimed, _ = await stream.claim(10, 1_000)
    assert sorted(one.entry_id for one in claimed + read) == sorted(ids)
    batch = [*reversed(claimed), *read]
    assert (await stream.commit(endings(batch, reply=Reply(ANSWERS, b"x")), held=4)).count == 4
    assert await raw.pending() == {}


async def test_entries_whose_ids_go_down_in_the_order_of_reading_end_too(stream: ActionStream, raw: Raw) -> None:
    """An operator has set the group back, so that older entries are read after younger ones."""
    ids = await raw.add(4)
    await raw.redis.xgroup_setid(raw.key, raw.group, ids[1])
    younger = await take(stream)
    await raw.redis.xgroup_setid(raw.key, raw.group, 0)
    older = await take(stream, 2)
    assert [one.entry_id for one in younger + older] == [ids[2], ids[3], ids[0], ids[1]]
    assert (await stream.commit(endings(younger + older), held=4)).count == 4
    assert await raw.pending() == {}


async def test_more_pending_entries_than_were_expected_hide_nothing(stream: ActionStream, raw: Raw) -> None:
    await raw.add(100)
    deliveries = await take(stream)
    assert (await stream.commit(endings([deliveries[0], *deliveries[95:]]), held=0)).count == 6
    assert len(await raw.pending()) == 94


async def test_two_that_commit_the_same_at_once_write_it_once(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    await raw.add(50)
    first = await take(stream)
    await raw.age(*(one.entry_id for one in first))
    other = await consumer("b")
    second, _ = await other.claim(25, 1_000)
    results = await asyncio.gather(
        stream.commit([everything(stream, one) for one in first], held=50),
        other.commit([everything(other, one) for one in second], held=25),
    )
    assert [result.count for result in results] == [25, 25]
    assert await written(raw) == all_of(50)


# ── answers ──


async def test_answers_for_one_queue_lie_in_the_order_of_the_batch_and_live_for_their_time(
    stream: ActionStream, raw: Raw
) -> None:
    await raw.add(6)
    queues = [f"{ANSWERS}{number % 2}" for number in range(6)]
    batch = [
        Ending(one, Reply(queue, str(number).encode()))
        for number, (one, queue) in enumerate(zip(await take(stream), queues, strict=True))
    ]
    await stream.commit(batch, held=6)
    assert await raw.redis.lrange(queues[0], 0, -1) == [b"4", b"2", b"0"]
    assert await raw.redis.lrange(queues[1], 0, -1) == [b"5", b"3", b"1"]
    for queue in queues[:2]:
        assert 15_000 < await raw.redis.pttl(queue) <= 20_000


@pytest.mark.leaves_keys("it puts a stranger's key where an answer should go")
async def test_an_answer_that_cannot_be_written_is_told_and_holds_nothing_back(stream: ActionStream, raw: Raw) -> None:
    await raw.add(3)
    await raw.redis.set(ANSWERS, "a stranger's")
    one, two, three = await take(stream)
    batch = [Ending(one, Reply(ANSWERS, b"1")), Ending(two, Reply(ANSWERS + "2", b"2"), (post(),)), Ending(three)]
    committed = await stream.commit(batch, held=3)
    assert committed.count == 3
    ((queue, error),) = committed.unwritten
    assert queue == ANSWERS
    assert error.startswith("WRONGTYPE")
    assert await raw.redis.lrange(ANSWERS + "2", 0, -1) == [b"2"]
    assert (await raw.pending(), await raw.redis.xlen(BILLING)) == ({}, 1)


# ── what goes to other services ──


@pytest.mark.leaves_keys("it puts a stranger's key where a stream should be")
async def test_a_follow_up_that_cannot_be_written_is_kept_in_the_dead_letters(stream: ActionStream, raw: Raw) -> None:
    await raw.add(2)
    await raw.redis.set(BILLING, "a stranger's")
    one, two = await take(stream)
    batch = [Ending(one, Reply(ANSWERS, b"1"), (post(b"lost?"), post(b"fine", MAIL))), Ending(two)]
    committed = await stream.commit(batch, held=2)
    assert committed.count == 2
    ((key, error),) = committed.unwritten
    assert key == BILLING
    assert error.startswith("WRONGTYPE")
    (kept,) = await raw.dead_letters()
    assert kept[b"reason"] == b"UNWRITABLE_FOLLOW_UP"
    assert (kept[b"target"], kept[b"error"]) == (BILLING.encode(), error.encode())
    assert (kept[DATA], kept[VERSION]) == (b"lost?", WIRE_VERSION)
    assert [fields[DATA] for fields in await raw.entries(MAIL)] == [b"fine"]
    assert await raw.redis.llen(ANSWERS) == 1


async def test_a_follow_up_to_a_stream_without_ids_is_kept_in_the_dead_letters(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    await raw.exhaust(BILLING)
    (one,) = await take(stream)
    committed = await stream.commit([Ending(one, None, (post(b"lost?"),))], held=1)
    assert committed.count == 1
    assert "exhausted" in committed.unwritten[0][1]
    assert [kept[DATA] for kept in await raw.dead_letters()] == [b"lost?"]


# ── what the own service cannot write ──


async def held_back(stream: ActionStream, raw: Raw, ending: Ending) -> str:
    """Commit *ending* beside one that is well: it is held back alone, and stays pending. Returns why."""
    await raw.add()
    (well,) = await take(stream)
    committed = await stream.commit([ending, Ending(well)], held=2)
    assert committed.count == 1
    assert committed.refused == committed.unwritten == []
    ((delivery, why),) = committed.held
    assert delivery is ending.delivery
    assert list(await raw.pending()) == [delivery.entry_id]
    return why


@pytest.mark.leaves_keys("it puts a stranger's key where one of the service should be")
@pytest.mark.parametrize("kind", [RETRY, OWN])
async def test_a_delivery_whose_own_place_is_a_strangers_stays_pending_and_writes_nothing(
    stream: ActionStream, raw: Raw, kind: bytes
) -> None:
    await raw.add()
    (one,) = await take(stream)
    key = stream.retry_set if kind == RETRY else stream.dead_letters
    await raw.redis.set(key, "a stranger's")
    ending = everything(stream, one)
    assert (await held_back(stream, raw, ending)).startswith("WRONGTYPE")
    await raw.redis.delete(key)
    assert await written(raw) == all_of(0)
    assert (await stream.commit([ending], held=1)).count == 1
    assert await written(raw) == all_of(1)


@pytest.mark.leaves_keys("it puts strangers' keys where streams should be")
async def test_a_follow_up_that_can_be_written_nowhere_holds_its_delivery_back(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    await raw.redis.mset({BILLING: "a stranger's", stream.dead_letters: "a stranger's"})
    await held_back(stream, raw, Ending(one, Reply(ANSWERS, b"1"), (post(b"fine", MAIL), post())))
    assert (await raw.redis.xlen(MAIL), await raw.redis.llen(ANSWERS)) == (0, 0)


async def test_a_dead_letter_stream_without_ids_holds_back_what_it_should_keep(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    await raw.exhaust(stream.dead_letters)
    why = await held_back(stream, raw, Ending(one, Reply(ANSWERS, b"1"), (letter(stream),)))
    assert "exhausted" in why
    assert await raw.redis.llen(ANSWERS) == 0


async def test_what_was_sent_on_is_taken_back_when_the_rest_can_be_written_nowhere(
    stream: ActionStream, raw: Raw
) -> None:
    """That a stream has used up its ids shows only when it is written to."""
    await raw.add()
    (one,) = await take(stream)
    await raw.exhaust(stream.dead_letters)
    await raw.exhaust(BILLING)
    await held_back(stream, raw, Ending(one, Reply(ANSWERS, b"1"), (post(b"fine", MAIL), post())))
    assert (await raw.redis.xlen(MAIL), await raw.redis.llen(ANSWERS)) == (0, 0)


# ── retries and releases ──


async def test_a_retry_is_due_by_the_servers_clock(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    seconds, micros = await raw.redis.time()
    await stream.commit([Ending(one, None, (retry(stream, one, 50_000),))], held=1)
    ((member, score),) = await raw.redis.zrange(stream.retry_set, 0, -1, withscores=True)
    assert 0 <= score - (seconds * 1_000 + micros // 1_000) - 50_000 < 5_000
    assert member == one.entry_id + b' attempt 1\n{"n":0}'


async def test_two_retries_of_the_same_bytes_are_two(stream: ActionStream, raw: Raw) -> None:
    for _ in range(2):
        await raw.redis.xadd(raw.key, {"data": "same"})
    deliveries = await take(stream)
    await stream.commit([Ending(one, None, (retry(stream, one),)) for one in deliveries], held=2)
    assert await raw.redis.zcard(stream.retry_set) == 2


async def test_what_is_released_wakes_another_reader_at_once_and_is_not_counted(
    stream: ActionStream, raw: Raw, consumer: Consumer
) -> None:
    other = await consumer("b")
    await raw.add(v="1", attempt="2", deliveries="1")
    (one,) = await take(stream)
    waiting = asyncio.create_task(other.read(1, 5_000))
    await asyncio.sleep(0)
    await stream.commit([Ending(one, None, (Write(OWN, stream.stream, one.onward()),))], held=1)
    (theirs,) = await asyncio.wait_for(waiting, 2.0)
    assert (theirs.data, theirs.first_id) == (one.data, one.entry_id)
    assert (theirs.attempts, theirs.deliveries) == (one.attempts, one.deliveries) == (2, 2)
    assert list(await raw.pending()) == [theirs.entry_id]


# ── the server's moods ──


async def test_a_server_that_has_forgotten_the_script_is_told_it_again(stream: ActionStream, raw: Raw) -> None:
    await raw.add(2)
    for one in await take(stream):
        await raw.redis.script_flush()
        assert (await stream.commit([everything(stream, one)], held=1)).count == 1
    assert await written(raw) == all_of(2)


async def test_a_group_that_has_vanished_is_told(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    await raw.redis.flushall()
    with pytest.raises(GroupMissing):
        await stream.commit([everything(stream, one)], held=1)
    assert await written(raw) == all_of(0)


@pytest.mark.leaves_keys("it puts a stranger's key where the stream should be")
async def test_a_stream_of_the_wrong_type_is_for_a_person_to_mend(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    await raw.redis.set(raw.key, "a stranger's")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await stream.commit([everything(stream, one)], held=1)
    assert await written(raw) == all_of(0)


async def test_a_batch_beyond_what_lua_can_take_is_refused_whole(stream: ActionStream, raw: Raw) -> None:
    await raw.add()
    (one,) = await take(stream)
    with pytest.raises(ServerFault, match="1000 deliveries at most"):
        await stream.commit([everything(stream, one)] * 1_001, held=1)
    assert await written(raw) == all_of(0)


async def test_a_server_out_of_memory_still_lets_deliveries_end(
    launch: Callable[..., Server], keys: QueueManager
) -> None:
    """Ending frees memory; what has not begun waits."""
    server = launch()
    async with redis_asyncio.Redis.from_url(server.url) as client:
        stream = ActionStream(Endpoint(client), keys, "orders", keys.get_consumer_name("orders", "a"))
        await stream.ensure_group()
        raw = Raw(client, stream)
        await raw.add(20)
        deliveries = await take(stream)
        server.client.config_set("maxmemory", "1")
        with pytest.raises(ServerUnavailable, match="OOM"):
            await stream.work.execute("XADD", BILLING, "*", "a", "b")
        assert (await stream.renew(deliveries))[1] == set()
        assert (await stream.commit([everything(stream, one) for one in deliveries], held=20)).count == 20
        assert await written(raw) == all_of(20)
        assert await raw.pending() == {}
        assert await stream.move_retries(offset_ms=60_000) == (20, None)
        assert not await stream.ensure_group()
        await stream.close()


# ── permissions ──

LEAST = (
    "-@all +ping +evalsha +eval +script|load +xreadgroup +xpending +xack +xdel +xclaim +xadd +xlen +xrange +zadd "
    "+xgroup|create +xinfo|consumers +lpush +pexpire +time +type ~nooble4:test:orders:*"
)
"""What a worker of the service needs on its own keys."""


@pytest.fixture
async def restricted(
    launch: Callable[..., Server], keys: QueueManager
) -> AsyncIterator[Callable[[str], Awaitable[tuple[ActionStream, Raw]]]]:
    """A consumer with one entry added, whose user may do what the rules say."""
    server = launch()
    open_: list[Any] = []

    async def restricted(rules: str) -> tuple[ActionStream, Raw]:
        server.client.execute_command("ACL", "SETUSER", "worker", "on", ">pw", *_rules(rules))
        client = redis_asyncio.Redis.from_url(server.url, username="worker", password="pw")
        admin = redis_asyncio.Redis.from_url(server.url)
        stream = ActionStream(Endpoint(client), keys, "orders", keys.get_consumer_name("orders", "a"))
        open_.extend((stream.close, client.aclose, admin.aclose))
        await stream.ensure_group()
        raw = Raw(admin, stream)
        await raw.add()
        return stream, raw

    yield restricted
    for close in open_:
        await close()


def _rules(text: str) -> list[str]:
    """The rules in *text*; a selector in parentheses is one rule."""
    outside, *selectors = text.split("(")
    return [*outside.split(), *(f"({selector.strip()}" for selector in selectors)]


async def test_a_worker_needs_nothing_on_the_keys_of_others_but_to_add(restricted: Any) -> None:
    """Neither to look at their type, nor to read, nor to delete there."""
    stream, raw = await restricted(f"{LEAST} (+xadd %W~{BILLING}) (+lpush +pexpire %W~{ANSWERS})")
    (one,) = await take(stream)
    committed = await stream.commit([everything(stream, one)], held=1)
    assert (committed.count, committed.unwritten) == (1, [])
    assert await written(raw) == all_of(1)


async def test_a_follow_up_without_permission_is_kept_in_the_dead_letters(restricted: Any) -> None:
    stream, raw = await restricted(LEAST)
    (one,) = await take(stream)
    committed = await stream.commit([Ending(one, None, (post(b"forbidden"),))], held=1)
    assert committed.count == 1
    assert committed.unwritten == [(BILLING, f"NOPERM no permission to write {BILLING}")]
    assert [kept[DATA] for kept in await raw.dead_letters()] == [b"forbidden"]


async def test_what_was_sent_on_need_not_be_taken_back_from_where_nothing_may_be_deleted(restricted: Any) -> None:
    """What can be known before the first write is known then."""
    stream, raw = await restricted(f"{LEAST} (+xadd %W~{MAIL})")
    await raw.redis.set(stream.dead_letters, "a stranger's")
    (one,) = await take(stream)
    committed = await stream.commit([Ending(one, None, (post(b"fine", MAIL), post()))], held=1)
    assert [delivery for delivery, _ in committed.held] == [one]
    assert await raw.redis.xlen(MAIL) == 0


@pytest.mark.parametrize("selector", ["", f"(+lpush %W~{ANSWERS})"], ids=["to write", "to limit its life"])
async def test_an_answer_without_permission_is_told_and_holds_nothing_back(restricted: Any, selector: str) -> None:
    stream, raw = await restricted(f"{LEAST} {selector}")
    (one,) = await take(stream)
    committed = await stream.commit([Ending(one, Reply(ANSWERS, b"x"), (letter(stream),))], held=1)
    assert (committed.count, [key for key, _ in committed.unwritten]) == (1, [ANSWERS])
    assert (await raw.pending(), len(await raw.dead_letters())) == ({}, 1)


@pytest.mark.parametrize("missing", ["xack", "xdel", "time"])
async def test_a_worker_that_may_not_end_its_deliveries_is_told_before_anything_is_written(
    restricted: Any, missing: str
) -> None:
    """Otherwise everything would be written again with every repetition."""
    stream, raw = await restricted(f"{LEAST.replace('+' + missing + ' ', '')} (+xadd %W~{BILLING})")
    (one,) = await take(stream)
    for _ in range(2):
        with pytest.raises(ServerRefused, match=r"permission|can't run this command"):
            await stream.commit([everything(stream, one)], held=1)
    assert await written(raw) == all_of(0)
    assert list(await raw.pending()) == [one.entry_id]


async def test_a_worker_that_may_not_write_its_own_retries_is_held_back(restricted: Any) -> None:
    stream, raw = await restricted(f"{LEAST.replace('+zadd ', '')} (+xadd %W~{BILLING}) (+lpush +pexpire %W~{ANSWERS})")
    (one,) = await take(stream)
    committed = await stream.commit([everything(stream, one)], held=1)
    assert committed.held == [(one, f"NOPERM no permission to write {stream.retry_set}")]
    assert await written(raw) == all_of(0)
