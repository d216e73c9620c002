"""Dead letters are looked through without being read whole, sent again exactly once, and never break who looks at them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import (
    ConfigurationFault,
    MalformedAction,
    PayloadTooLarge,
    Reject,
    ReplyLost,
    ServerRefused,
    ServerUnavailable,
)
from nooble.models import DomainAction
from nooble.operations import DeadLetters, Which
from nooble.operations.dead_letters import REPLAY
from nooble.wire.codec import decode_action
from nooble.workers import ServiceWorker
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]
pytestmark = pytest.mark.every_server

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "dead-letters.md"
STREAM = "nooble4:test:demo:streams:main"
DEAD = "nooble4:test:demo:dead_letters:main"
OTHER = "nooble4:test:other:streams:main"


def action(number: int = 0, kind: str = "demo.thing.do", **more: Any) -> bytes:
    """The bytes of an action, whole."""
    return msgspec.json.encode(DomainAction(action_type=kind, data={"n": number}, **more).model_dump(mode="json"))


async def bury(redis: Redis, count: int = 1, **fields: Any) -> list[str]:
    """Dead letters; their ids."""
    pipe = redis.pipeline(transaction=False)
    for number in range(count):
        letter = {
            "reason": "HANDLER_ERROR",
            "error": "OSError: jam",
            "first_id": "5-1",
            "data": action(number),
        } | fields
        pipe.xadd(DEAD, letter)
    return [one.decode() for one in await pipe.execute()]


async def sent(redis: Redis, key: str = STREAM) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in await redis.xrange(key)]


async def ids_of(redis: Redis) -> list[str]:
    return [one.decode() for one, _ in await redis.xrange(DEAD)]


@pytest.fixture
async def dead(redis: Redis, settings: Settings) -> AsyncIterator[DeadLetters]:
    async with DeadLetters(redis, settings()) as letters:
        yield letters


# ── looking ──


async def test_a_letter_says_all_that_was_kept(redis: Redis, settings: Settings, dead: DeadLetters) -> None:
    def jam(action: DomainAction) -> None:
        raise OSError("paper jam")

    async with (
        BaseRedisClient("web", redis, settings("web")) as client,
        running(worker := ServiceWorker(settings(retry_attempts=2), redis, Doing(jam))),
    ):
        action_id = await client.send("demo.thing.do", {"n": 1})
        await wait_until(lambda: redis.xlen(DEAD), "it is buried")
    (letter,) = (await dead.list()).letters
    assert (letter.reason, letter.error, letter.attempts) == ("HANDLER_ERROR", "OSError: paper jam", 2)
    assert (letter.action_type, letter.action_id) == ("demo.thing.do", str(action_id))
    assert "in jam" in letter.traceback
    assert letter.payload() == {"n": 1}
    assert letter.worker.startswith("demo-worker-")
    assert worker is not None
    assert timedelta(0) <= datetime.now(UTC) - letter.buried_at < timedelta(minutes=1)
    assert await dead.show(letter.id) == letter
    assert await dead.show("1-1") is None


async def test_ten_thousand_letters_come_by_pages(redis: Redis, dead: DeadLetters) -> None:
    ids = await bury(redis, 10_000)
    for oldest_first in (True, False):
        found: list[str] = []
        cursor, pages = None, 0
        while True:
            page = await dead.list(limit=700, cursor=cursor, oldest_first=oldest_first)
            assert len(page.letters) <= 700
            found += [letter.id for letter in page.letters]
            pages, cursor = pages + 1, page.cursor
            if cursor is None:
                break
        assert found == (ids if oldest_first else ids[::-1])
        assert pages == 15


async def test_letters_larger_than_a_reply_should_be_come_one_by_one(redis: Redis, dead: DeadLetters) -> None:
    ids = await bury(redis, 5, data=b"x" * 900_000)
    assert [letter.id for letter in (await dead.list()).letters] == ids[::-1]


async def test_a_search_that_finds_little_is_cut_and_goes_on(redis: Redis, dead: DeadLetters) -> None:
    (wanted,) = await bury(redis, reason="RARE")
    await bury(redis, 50)
    page = await dead.list(Which(reasons=["RARE"]), scan=20)
    assert (page.letters, page.scanned, page.cut) == ((), 20, True)
    page = await dead.list(Which(reasons=["RARE"]), scan=40, cursor=page.cursor)
    assert ([one.id for one in page.letters], page.cursor, page.cut) == ([wanted], None, False)


async def test_a_full_page_at_the_end_is_the_last(redis: Redis, dead: DeadLetters) -> None:
    await bury(redis, 4)
    page = await dead.list(limit=4)
    assert (len(page.letters), page.cursor) == (4, None)
    rest = await dead.list(limit=4, cursor=page.letters[-1].id)
    assert (rest.letters, rest.cursor) == ((), None)


async def test_filters_join(redis: Redis, dead: DeadLetters) -> None:
    (old,) = [
        (await redis.xadd(DEAD, {"reason": "A", "error": "one", "data": action(kind="demo.old.do")}, id="1000-0"))
    ]
    (a,) = await bury(redis, reason="A", error="ValueError: No such Customer", data=action(kind="demo.order.make"))
    (b,) = await bury(redis, reason="B", error="TimeoutError", data=action(kind="demo.order.ship"))
    (c,) = await bury(redis, reason="A", error="", data=b"\xff")

    async def found(**which: Any) -> list[str]:
        return [letter.id for letter in (await dead.list(Which(**which), oldest_first=True)).letters]

    assert await found() == [old.decode(), a, b, c]
    assert await found(reasons=["A"]) == [old.decode(), a, c]
    assert await found(reasons=["A", "B"], action="demo.order.*") == [a, b]
    assert await found(action="demo.*.make") == [a]
    assert await found(text="no such customer") == [a]
    assert await found(since=timedelta(hours=1)) == [a, b, c]
    assert await found(until=timedelta(hours=1)) == [old.decode()]
    assert await found(since=datetime.fromtimestamp(1, UTC), until=datetime.fromtimestamp(2, UTC)) == [old.decode()]
    assert await found(reasons=["B"], text="customer") == []


async def test_they_are_counted_by_reason(redis: Redis, dead: DeadLetters) -> None:
    await bury(redis, 300, reason="A")
    await bury(redis, 450, reason="B", data=action(kind="demo.b.do"))
    counted = await dead.count()
    assert (counted.total, list(counted.by_reason.items()), counted.cut) == (750, [("B", 450), ("A", 300)], False)
    assert dict((await dead.count(Which(action="demo.b.*"))).by_reason) == {"B": 450}
    some = await dead.count(scan=500)
    assert (some.total, sum(some.by_reason.values()), some.cut) == (750, 500, True)


async def test_looking_makes_nothing(redis: Redis, dead: DeadLetters) -> None:
    assert (await dead.list()).letters == ()
    assert (await dead.count()).total == 0
    assert await dead.replay(Which()) == await dead.replay([])
    assert (await dead.discard(Which())).discarded == 0
    assert [line async for line in dead.export()] == []
    assert await redis.keys("*") == []


HOSTILE: list[dict[Any, Any]] = [
    {"x": "nothing of ours"},
    {b"\xff\xfe": b"\x00\x9b"},
    {"reason": b"\xff", "error": b"\x1b[2J", "attempts": "many", "deliveries": "-1", "data": b"\xc1"},
    {"attempts": "9" * 5_000, "deliveries": "٣", "first_id": "٣-٣", "data_size": "1e9", "data_head": b"\x80"},
    {"first_id": "9" * 5_000 + "-1", "data": b'{"action_type":"demo.thing.do","data":{}}'},
    {"data": b'{"action_type":' + b"[" * 100_000},
    {"data": b'{"action_type":{"a":1},"action_id":[2],"data":3}'},
    {"data": b'{"action_type":"' + b"a" * 10_000 + b'"}'},
    {"data": b'{"action_type":"\\ud800","data":{}}'},
    {"data": b"\xdf\xff\xff\xff\xff"},
    {"data": b""},
    {"reason": "UNWRITABLE_FOLLOW_UP", "target": b"\xff:x", "data": "{}"},
    {"reason": "x" * 100_000, "others": "y" * 100_000},
    {f"field-{n}": "z" for n in range(5_000)},
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_hostile_letters_are_text(redis: Redis, dead: DeadLetters, hostile: dict[Any, Any]) -> None:
    letter_id = (await redis.xadd(DEAD, hostile)).decode()
    (letter,) = (await dead.list()).letters
    assert letter.id == letter_id
    assert {type(part) for part in (letter.reason, letter.error, letter.action_type, letter.action_id)} == {str}
    assert (await dead.count(Which(action="*", text=""))).total == 1
    (line,) = [line async for line in dead.export()]
    assert json.loads(line)["id"] == letter_id
    done = await dead.replay(letter_id)
    assert done.replayed + len(done.kept) == 1
    assert len(await ids_of(redis)) == len(done.kept)


async def test_every_hostile_letter_is_replayed_or_kept(redis: Redis, dead: DeadLetters) -> None:
    """One does not stand in the way of another."""
    for hostile in HOSTILE:
        await redis.xadd(DEAD, hostile)
    await bury(redis)
    done = await dead.replay(Which())
    assert done.replayed + len(done.kept) == len(HOSTILE) + 1
    assert len(await sent(redis)) == done.replayed
    assert await ids_of(redis) == list(done.kept)


# ── sending again ──


async def test_replaying_sends_the_bytes_that_came(redis: Redis, dead: DeadLetters) -> None:
    data = b' { "rag_config" : {"k": 1.50}, ' + action(tenant_id="t").lstrip(b"{")
    (letter_id,) = await bury(redis, attempts="3", data=data)
    assert (await dead.replay(letter_id)).replayed == 1
    assert await sent(redis) == [{b"data": data, b"v": b"1"}]
    assert await ids_of(redis) == []


async def test_replaying_twice_is_replaying_once(redis: Redis, dead: DeadLetters) -> None:
    ids = await bury(redis, 3)
    done = await dead.replay([*ids, *ids])
    assert (done.replayed, done.gone) == (3, 0)
    done = await dead.replay(ids)
    assert (done.replayed, done.gone, done.kept) == (0, 3, {})
    assert len(await sent(redis)) == 3


async def test_two_people_at_once_send_each_letter_once(redis: Redis, settings: Settings) -> None:
    ids = await bury(redis, 450)
    clerks = [DeadLetters(redis, settings()) for _ in range(2)]
    done = await asyncio.gather(
        clerks[0].replay(Which()), clerks[1].replay(Which()), clerks[0].replay(ids[::9]), clerks[1].discard(ids[3::9])
    )
    for clerk in clerks:
        await clerk.close()
    numbers = [msgspec.json.decode(entry[b"data"])["data"]["n"] for entry in await sent(redis)]
    assert len(numbers) == len(set(numbers)) == sum(one.replayed for one in done[:3])
    assert len(numbers) + done[3].discarded == 450
    assert await ids_of(redis) == []


async def test_those_that_are_meant_are_replayed_and_no_others(redis: Redis, dead: DeadLetters) -> None:
    await bury(redis, 250, reason="A")
    left = await bury(redis, 3, reason="B")
    steps: list[int] = []
    done = await dead.replay(Which(reasons=["A"]), progress=lambda so_far: steps.append(so_far.replayed))
    assert (done.replayed, await ids_of(redis)) == (250, left)
    assert steps == sorted(steps)
    assert len(steps) > 1


async def test_what_is_buried_again_meanwhile_is_not_replayed_for_ever(redis: Redis, settings: Settings) -> None:
    """A replay is of the letters that were there when it began."""

    def jam(action: DomainAction) -> None:
        raise Reject("still jammed")

    await bury(redis, 400)
    worker = ServiceWorker(settings(worker_concurrency=8), redis, Doing(jam))
    async with running(worker), DeadLetters(redis, settings()) as dead:
        assert (await dead.replay(Which())).replayed == 400
        await wait_until(lambda: _is(redis.xlen(DEAD), 400), "all are buried again")
    assert {letter[b"reason"] for _, letter in await redis.xrange(DEAD)} == {b"REJECTED"}


async def _is(value: Any, wanted: int) -> bool:
    return bool(await value == wanted)


async def test_a_replay_begins_anew(redis: Redis, settings: Settings, dead: DeadLetters) -> None:
    """Its time to live counts from now, and it has as many attempts as any other."""
    (letter_id,) = await bury(redis, attempts="3", deliveries="9", data=action(7, metadata={"ttl_ms": 60_000}))
    service = Doing(lambda action: None)
    async with running(ServiceWorker(settings(), redis, service)):
        await dead.replay(letter_id)
        await wait_until(lambda: service.seen, "it has run")
    assert service.seen[0].data == {"n": 7}
    assert await ids_of(redis) == []


async def test_what_the_sender_left_out_stays_as_it_was_derived(redis: Redis, dead: DeadLetters) -> None:
    data = b'{"action_type": "demo.thing.do", "action_id": null, "data": {"n": 1.50}}'
    for first_id, derived_from in (("5-1", "5-1"), ("٣-١", None), ("", None)):
        (letter_id,) = await bury(redis, first_id=first_id, data=data)
        before = decode_action(data, (derived_from or letter_id).encode())
        await dead.replay(letter_id)
        raw = (await sent(redis))[-1][b"data"]
        after = decode_action(raw, b"999-9")
        assert (after.action_id, after.trace_id, after.timestamp) == (
            before.action_id,
            before.trace_id,
            before.timestamp,
        )
        assert b'{"n": 1.50}' in raw


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
async def test_nobody_waits_for_an_answer_any_more(
    redis: Redis, settings: Settings, dead: DeadLetters, encode: Callable[[Any], bytes]
) -> None:
    """So a failure is buried again, and not told to nobody."""

    def jam(action: DomainAction) -> None:
        raise OSError("still jammed")

    queue = "nooble4:test:web:responses:inbox:1"
    call = msgspec.json.decode(action(callback_queue_name=queue))
    (letter_id,) = await bury(redis, data=encode(call), reason="CRASH_LOOP")
    async with running(ServiceWorker(settings(retry_attempts=1), redis, Doing(jam))):
        await dead.replay(letter_id)
        await wait_until(lambda: redis.xlen(DEAD), "it is buried again")
    (letter,) = (await dead.list()).letters
    assert (letter.reason, letter.action_id) == ("HANDLER_ERROR", call["action_id"])
    assert await redis.exists(queue) == 0


async def test_a_callback_is_wanted_still(redis: Redis, dead: DeadLetters) -> None:
    data = action(callback_queue_name="nooble4:test:web:callbacks:x", callback_action_type="web.thing.done")
    await dead.replay(await bury(redis, data=data))
    assert [entry[b"data"] for entry in await sent(redis)] == [data]


async def test_an_unreadable_action_is_sent_as_it_is(redis: Redis, dead: DeadLetters) -> None:
    await dead.replay(await bury(redis, data=b'{"half'))
    assert [entry[b"data"] for entry in await sent(redis)] == [b'{"half']


async def test_what_could_not_be_sent_on_goes_where_it_was_to_go(redis: Redis, dead: DeadLetters) -> None:
    await dead.replay(await bury(redis, reason="UNWRITABLE_FOLLOW_UP", target=OTHER, first_id=""))
    assert len(await sent(redis, OTHER)) == 1
    assert await sent(redis) == []


@pytest.mark.parametrize(
    "target",
    [
        "",
        "x",
        DEAD,
        "nooble4:test:other:retries:main",
        "nooble4:production:other:streams:main",
        "nooble9:test:other:streams:main",
        "nooble4:test:other:streams:side",
        "nooble4:test:a:b:streams:main",
        "nooble4:test::streams:main",
        "nooble4:test:nooble4:test:other:streams:main:streams:main",
    ],
)
async def test_a_target_that_is_no_action_stream_of_ours_is_refused(
    redis: Redis, dead: DeadLetters, target: str
) -> None:
    ids = await bury(redis, reason="UNWRITABLE_FOLLOW_UP", target=target)
    done = await dead.replay(ids)
    assert "is no action stream of nooble4:test" in done.kept[ids[0]]
    assert await redis.keys("*") == [DEAD.encode()]


async def test_a_target_means_something_in_letters_of_one_reason_only(redis: Redis, dead: DeadLetters) -> None:
    """A stranger's entry that was buried could carry a field of that name."""
    await redis.execute_command(
        *("XADD", DEAD, "*", "reason", "ADOPTED", "data", action(), "reason", "UNWRITABLE_FOLLOW_UP", "target", OTHER)
    )
    (letter,) = (await dead.list()).letters
    assert (letter.reason, letter.target) == ("ADOPTED", "")
    assert (await dead.replay(Which(reasons=["ADOPTED"]))).replayed == 1
    assert await sent(redis, OTHER) == []
    assert len(await sent(redis)) == 1


async def test_what_was_not_kept_cannot_be_sent(redis: Redis, settings: Settings) -> None:
    async with (
        BaseRedisClient("web", redis, settings("web")) as client,
        running(ServiceWorker(settings(max_payload_bytes=2_000), redis, Doing(lambda action: None))),
        DeadLetters(redis, settings()) as dead,
    ):
        await client.send("demo.thing.do", {"text": "x" * 5_000})
        await wait_until(lambda: redis.xlen(DEAD), "it is buried")
        (large,) = (await dead.list()).letters
        lost = (await redis.xadd(DEAD, {"reason": "DATA_LOST", "first_id": "1-1"})).decode()
        empty = (await redis.xadd(DEAD, {"reason": "MALFORMED_ACTION"})).decode()
        done = await dead.replay(Which())
    assert (large.reason, large.action_type, large.data) == ("PAYLOAD_TOO_LARGE", "demo.thing.do", None)
    assert large.size is not None
    assert large.size > 5_000
    assert done.replayed == 0
    assert "only the fingerprint of its" in done.kept[large.id]
    assert "its data were deleted" in done.kept[lost]
    assert "it has no data" in done.kept[empty]
    assert await ids_of(redis) == [large.id, lost, empty]


async def test_what_its_worker_would_not_keep_again_stays(redis: Redis, settings: Settings) -> None:
    """A worker that finds it too large buries it by its fingerprint: the payload would be lost."""
    whole = action()
    short = b'{"action_type":"demo.thing.do","data":{"n":"' + b"x" * (len(whole) - 50) + b'"}}'
    ids = [*await bury(redis, data=whole + b" "), *await bury(redis, data=short)]
    async with DeadLetters(redis, settings(max_payload_bytes=len(whole))) as dead:
        done = await dead.replay(Which())
    assert list(done.kept) == ids  # the second would grow by the ids that its sender left out
    assert all(f"more than max_payload_bytes={len(whole)}" in why for why in done.kept.values())
    assert (await ids_of(redis), await sent(redis)) == (ids, [])


async def test_what_may_not_be_answered_there_runs_without_an_answer(redis: Redis, settings: Settings) -> None:
    """Nobody waits for it any more, so nobody has to be told."""
    service = Doing(lambda action: None)
    async with (
        running(ServiceWorker(settings(), redis, service)),
        DeadLetters(redis, settings()) as dead,
    ):
        await redis.xadd(STREAM, {"data": action(callback_queue_name="somebody:elses:list")})
        await wait_until(lambda: redis.xlen(DEAD), "it is buried")
        await dead.replay(Which(reasons=["FORBIDDEN_CALLBACK"]))
        await wait_until(lambda: service.seen, "it has run")
    assert (await ids_of(redis), await redis.exists("somebody:elses:list")) == ([], 0)


async def test_a_lost_reply_loses_and_doubles_nothing(redis: Redis, server: Server, settings: Settings) -> None:
    """Whoever repeats it finds gone what was sent."""
    ids = await bury(redis, 20)
    async with Proxy(server.port) as proxy, Redis.from_url(proxy.url) as far, DeadLetters(far, settings()) as dead:
        assert (await dead.replay(ids[0])).replayed == 1  # the server knows the script now
        proxy.swallow(REPLAY.digest.encode())
        with pytest.raises(ReplyLost):
            await dead.replay(Which())
        assert proxy.faults == 1
        again = await dead.replay(ids)
    assert (again.replayed, again.gone) == (0, 20)
    assert sorted(msgspec.json.decode(entry[b"data"])["data"]["n"] for entry in await sent(redis)) == list(range(20))
    assert await ids_of(redis) == []


@pytest.mark.leaves_keys("it puts a stranger's key where the stream should be")
async def test_a_stream_that_is_something_else_keeps_the_letters(redis: Redis, dead: DeadLetters) -> None:
    ids = await bury(redis, 2)
    await redis.set(STREAM, "a stranger's")
    done = await dead.replay(ids)
    assert done.replayed == 0
    assert set(done.kept.values()) == {f"WRONGTYPE {STREAM} is a string, not a stream"}
    assert await ids_of(redis) == ids


@pytest.mark.leaves_keys("it puts a stranger's key where the dead letters should be")
async def test_dead_letters_that_are_something_else_are_told(redis: Redis, dead: DeadLetters) -> None:
    await redis.set(DEAD, "a stranger's")
    for doing in (dead.list(), dead.count(), dead.show("1-1"), dead.replay("1-1"), dead.discard("1-1")):
        with pytest.raises(ServerRefused, match="WRONGTYPE"):
            await doing


async def test_a_server_without_memory_is_told_and_nothing_is_lost(
    launch: Callable[..., Any], settings: Settings
) -> None:
    server = launch(maxmemory_policy="noeviction")
    async with Redis.from_url(server.url) as redis, DeadLetters(redis, settings(redis_url=server.url)) as dead:
        ids = await bury(redis, 3)
        await redis.config_set("maxmemory", 1)
        with pytest.raises(ServerUnavailable, match="OOM"):
            await dead.replay(ids)
        assert (await sent(redis), await ids_of(redis)) == ([], ids)
        assert (await dead.discard(ids[0])).discarded == 1


# ── with another payload ──


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
async def test_a_mended_action_runs_to_success(
    redis: Redis, settings: Settings, dead: DeadLetters, encode: Callable[[Any], bytes]
) -> None:
    def take(action: DomainAction) -> None:
        if action.data["n"] < 0:
            raise Reject("less than nothing")

    service = Doing(take)
    async with running(worker := ServiceWorker(settings(), redis, service)):
        whole = msgspec.json.decode(action(-1, tenant_id="t")) | {"rag_config": {"k": 1}}
        await redis.xadd(STREAM, {"data": encode(whole)})
        await wait_until(lambda: redis.xlen(DEAD), "it is buried")
        (letter,) = (await dead.list()).letters
        assert (await dead.replay(letter.id, data={**letter.payload(), "n": 5})).replayed == 1
        await wait_until(lambda: len(service.seen) == 2, "it has run again")
    assert worker is not None
    again = service.seen[1]
    assert (again.data, again.tenant_id, again.extra) == ({"n": 5}, "t", {"rag_config": {"k": 1}})
    assert str(again.action_id) == whole["action_id"]
    assert await ids_of(redis) == []


async def test_all_but_the_payload_stays_as_it_was_written(redis: Redis, dead: DeadLetters) -> None:
    data = action(metadata={"k": 1}).replace(b'"k":1', b'"k" : 1.50').replace(b'"n":0', b'"n":"wrong"')
    (letter_id,) = await bury(redis, data=data)
    await dead.replay(letter_id, data={"n": 2})
    assert [entry[b"data"] for entry in await sent(redis)] == [data.replace(b'"n":"wrong"', b'"n":2')]


async def test_a_payload_that_was_none_can_be_mended(redis: Redis, dead: DeadLetters) -> None:
    (letter_id,) = await bury(redis, data=b'{"action_type":"demo.thing.do","data":[1]}')
    await dead.replay(letter_id, data={"n": 2})
    assert decode_action((await sent(redis))[0][b"data"]).data == {"n": 2}


async def test_what_stays_broken_with_another_payload_is_not_sent(redis: Redis, dead: DeadLetters) -> None:
    (no_type,) = await bury(redis, data=b'{"data":{}}')
    (no_json,) = await bury(redis, data=b'{"half')
    (fine,) = await bury(redis)
    (lost,) = [(await redis.xadd(DEAD, {"reason": "DATA_LOST"})).decode()]
    for letter_id, data in (
        (no_type, {}),
        (no_json, {}),
        (fine, {"n": object()}),
        (fine, {1: {2, 3}, "x": fine.__eq__}),
    ):
        with pytest.raises(MalformedAction):
            await dead.replay(letter_id, data=data)
    with pytest.raises(PayloadTooLarge, match="max_payload_bytes"):
        await dead.replay(fine, data={"n": "x" * 2_000_000})
    with pytest.raises(ConfigurationFault, match="one letter"):
        await dead.replay([fine], data={})
    assert list((await dead.replay(lost, data={})).kept) == [lost]
    assert (await dead.replay("1-1", data={})).gone == 1
    assert (await sent(redis), await ids_of(redis)) == ([], [no_type, no_json, fine, lost])


# ── deleting and taking along ──


async def test_discarding_deletes_and_counts_what_was_gone(redis: Redis, dead: DeadLetters) -> None:
    ids = await bury(redis, 3)
    done = await dead.discard([ids[0], "1-1"])
    assert (done.discarded, done.gone) == (1, 1)
    assert await ids_of(redis) == ids[1:]


async def test_those_that_are_meant_are_discarded(redis: Redis, dead: DeadLetters) -> None:
    await bury(redis, 450, reason="A", data=action(kind="demo.a.do"))
    left = await bury(redis, 2)
    steps: list[int] = []
    which = Which(action="demo.a.*", text="jam")
    done = await dead.discard(which, progress=lambda so_far: steps.append(so_far.discarded))
    assert (done.discarded, done.gone, await ids_of(redis)) == (450, 0, left)
    assert len(steps) > 1


async def test_an_export_is_a_line_of_json_a_letter(redis: Redis, dead: DeadLetters) -> None:
    await bury(redis, 250, error="line\nline\u2028ñ")
    await bury(redis, data=b"\xff\x00", strange=b"\xfe")
    lines = [line async for line in dead.export()]
    assert not any("\n" in line for line in lines)
    letters = [json.loads(line) for line in lines]
    assert [letter["id"] for letter in letters] == await ids_of(redis)
    assert letters[0]["error"] == "line\nline\u2028ñ"
    assert json.loads(letters[3]["data"])["data"] == {"n": 3}
    assert letters[-1]["data_base64"] == "/wA="
    assert letters[-1]["others"] == {"strange_base64": "/g=="}
    assert "data" not in letters[-1]


async def test_the_example_of_the_guide_runs(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    (example,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    dead = "nooble4:development:pedidos:dead_letters:main"
    for reason in ("INVALID_PAYLOAD", "HANDLER_ERROR", "OUT_OF_STOCK", "OTHER"):
        await redis.xadd(dead, {"reason": reason, "data": action(1, "pedidos.pedido.crear")})
    await asyncio.to_thread(exec, compile(example, str(GUIDE), "exec", dont_inherit=True), {"__name__": "guide"})
    assert capsys.readouterr().out.splitlines() == [
        "INVALID_PAYLOAD pedidos.pedido.crear {'n': 1}",
        "Replayed(replayed=1, gone=0, kept={})",
        "Discarded(discarded=1, gone=0)",
        "{'OTHER': 1}",
    ]
    entries = await sent(redis, "nooble4:development:pedidos:streams:main")
    assert [decode_action(entry[b"data"]).data for entry in entries] == [{"n": 1, "cliente": "acme"}, {"n": 1}]


@pytest.mark.parametrize("text", ["", "x", "1", "1-", "-1", "(1-1", "1-1 ", "٣-٣", f"{2**64}-0", "1-1\n", "+", "-"])
async def test_what_is_no_id_is_told(dead: DeadLetters, text: str) -> None:
    for doing in (dead.show(text), dead.replay([text]), dead.discard(text), dead.list(cursor=text)):
        with pytest.raises(ConfigurationFault, match="is no id of a dead letter"):
            await doing
