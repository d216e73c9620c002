"""Messages are found wherever they are, by any of their ids, by bounded reads, and no bytes break who looks at them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerRefused, ServerUnavailable
from nooble.models import DomainAction
from nooble.operations import Message, Messages
from nooble.workers import ServiceWorker
from tests.support.settings import make_settings
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]
pytestmark = pytest.mark.every_server

STREAM = "nooble4:test:demo:streams:main"
RETRIES = "nooble4:test:demo:retries:main"
DEAD = "nooble4:test:demo:dead_letters:main"


def action(number: int = 0, kind: str = "demo.thing.do", **more: Any) -> bytes:
    """The bytes of an action, whole."""
    return msgspec.json.encode(DomainAction(action_type=kind, data={"n": number}, **more).model_dump(mode="json"))


async def write(redis: Redis, count: int, key: str = STREAM, **fields: Any) -> list[str]:
    """Entries as any sender writes them; their ids."""
    pipe = redis.pipeline(transaction=False)
    for number in range(count):
        pipe.xadd(key, {"data": action(number), **fields})
    return [one.decode() for one in await pipe.execute()]


async def hold(redis: Redis, count: int, consumer: str = "demo-worker-a-nb0123456789") -> None:
    """Give the first *count* entries to a consumer."""
    await redis.xgroup_create(STREAM, "demo-group", "0", mkstream=True)
    if count:
        await redis.xreadgroup("demo-group", consumer, {STREAM: ">"}, count=count)


@pytest.fixture
async def messages(redis: Redis, settings: Settings) -> AsyncIterator[Messages]:
    async with Messages(redis, settings("whoever")) as some:
        yield some


# ── a page of the stream ──


async def test_a_page_says_what_waits_and_who_holds_the_rest(redis: Redis, messages: Messages) -> None:
    ids = await write(redis, 4)
    await hold(redis, 3)
    await redis.xack(STREAM, "demo-group", ids[0])
    page = await messages.page("demo", newest_first=False)
    assert [one.entry_id for one in page.messages] == ids
    assert [one.place for one in page.messages] == ["history", "at_work", "at_work", "waiting"]
    assert [one.consumer for one in page.messages] == ["", *["demo-worker-a-nb0123456789"] * 2, ""]
    assert [one.deliveries for one in page.messages] == [0, 1, 1, 0]
    assert {one.written_ms for one in page.messages} == {int(one.partition("-")[0]) for one in ids}
    assert (page.cursor, page.scanned, page.cut) == (None, 4, False)
    assert all(one.envelope is None for one in page.messages)


async def test_pages_follow_each_other_in_both_directions(redis: Redis, messages: Messages) -> None:
    ids = await write(redis, 1_203)
    for newest_first in (True, False):
        found: list[str] = []
        cursor = None
        while True:
            page = await messages.page("demo", limit=500, cursor=cursor, newest_first=newest_first)
            found += [one.entry_id for one in page.messages]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == (ids[::-1] if newest_first else ids)


async def test_a_page_of_large_messages_comes_in_small_replies(redis: Redis, messages: Messages) -> None:
    for number in range(5):
        await redis.xadd(STREAM, {"data": action(number, metadata={"x": "y" * 900_000})})
    before = await _replies(redis)
    page = await messages.page("demo", limit=50)
    assert [one.size > 900_000 for one in page.messages] == [True] * 5
    assert await _replies(redis) - before >= 5


async def _replies(redis: Redis) -> int:
    """How many scripts the server has run."""
    stats = await redis.info("commandstats")
    return sum(stats[name]["calls"] for name in ("cmdstat_eval", "cmdstat_evalsha") if name in stats)


async def test_only_what_is_meant_is_on_the_page(redis: Redis, messages: Messages) -> None:
    await write(redis, 3)
    other = await redis.xadd(STREAM, {"data": action(kind="demo.thing.undo", tenant_id="ACME \u00f1")})
    assert [one.entry_id for one in (await messages.page("demo", action="*.undo")).messages] == [other.decode()]
    assert [one.entry_id for one in (await messages.page("demo", action="demo.thing.undo")).messages] == [
        other.decode()
    ]
    for text in ("acme", "ACME \u00f1", "UNDO"):
        assert [one.entry_id for one in (await messages.page("demo", text=text)).messages] == [other.decode()]
    assert (await messages.page("demo", text="nothing like it")).messages == ()
    page = await messages.page("demo", text="acme", with_payload=True)
    assert page.messages[0].envelope is not None
    assert page.messages[0].envelope["data"] == {"n": 0}
    cut = await messages.page("demo", text="nothing like it", scan=2)
    assert (cut.cut, cut.scanned, cut.cursor is not None) == (True, 2, True)


async def test_where_nothing_is_there_is_an_empty_page(redis: Redis, messages: Messages) -> None:
    assert (await messages.page("demo")).messages == ()
    assert (await messages.retries("demo")).messages == ()
    assert await messages.find("1-1", ["demo"]) == ()
    assert await messages.find("  ") == ()
    assert await messages.services() == ()
    assert await redis.keys() == []


async def test_what_is_no_cursor_is_told(messages: Messages) -> None:
    for look in (messages.page, messages.retries):
        with pytest.raises(ConfigurationFault, match="nonsense"):
            await look("demo", cursor="nonsense")


# ── found ──


async def test_an_action_is_found_by_each_of_its_ids_wherever_it_is(
    redis: Redis, messages: Messages, settings: Settings
) -> None:
    def jam(action: DomainAction) -> None:
        raise OSError("paper jam")

    async with BaseRedisClient("web", redis, settings("web")) as client:
        action_id = await client.send("demo.thing.do", {"n": 1}, task_id="task-7")
        (waiting,) = await messages.find(str(action_id))
        assert (waiting.place, waiting.service, waiting.task_id) == ("waiting", "demo", "task-7")
        assert waiting.envelope is not None
        assert waiting.envelope["data"] == {"n": 1}
        slowly = settings(retry_attempts=2, retry_backoff_seconds=60.0, retry_max_delay_seconds=60.0)
        async with running(ServiceWorker(slowly, redis, Doing(jam))):
            await wait_until(lambda: redis.zcard(RETRIES), "it waits for its next attempt")
        (retrying,) = await messages.find("TASK-7", ["demo"])
        assert (retrying.place, retrying.attempts, retrying.first_id) == ("retrying", 1, waiting.entry_id)
        assert retrying.due_ms is not None
        assert await messages.find(waiting.entry_id) == (retrying,)
    async with running(ServiceWorker(settings(retry_attempts=1), redis, Doing(jam))):
        await redis.zadd(RETRIES, dict.fromkeys(await redis.zrange(RETRIES, 0, -1), 0))
        await wait_until(lambda: redis.xlen(DEAD), "it is buried")
    for identifier in (waiting.trace_id, waiting.entry_id, str(action_id).upper()):
        (dead,) = await messages.find(identifier)
        assert (dead.place, dead.reason, dead.error) == ("dead", "HANDLER_ERROR", "OSError: paper jam")
        assert (dead.attempts, dead.first_id, dead.action_type) == (2, waiting.entry_id, "demo.thing.do")
    assert await messages.find(dead.entry_id, ["demo"]) == (dead,)
    assert "in jam" in dead.traceback


async def test_ids_that_a_sender_left_out_are_those_that_workers_derive(redis: Redis, messages: Messages) -> None:
    entry = await redis.xadd(STREAM, {"data": '{"action_type":"demo.thing.do","data":{}}'})
    derived = uuid.uuid5(uuid.NAMESPACE_OID, f"demo.thing.do {entry.decode()}")
    (found,) = await messages.find(str(derived))
    assert (found.entry_id, found.action_id, found.trace_id) == (entry.decode(), str(derived), str(derived))


async def test_a_conversation_is_all_that_shares_trace_or_correlation(redis: Redis, messages: Messages) -> None:
    trace, correlation = uuid.uuid4(), uuid.uuid4()
    other = "nooble4:test:other:streams:main"
    await redis.xadd(STREAM, {"data": action(1, trace_id=trace)}, id="7-1")
    await redis.xadd(other, {"data": action(2, "other.it.do", trace_id=trace, correlation_id=correlation)}, id="8-1")
    await redis.xadd(DEAD, {"first_id": "5-1", "data": action(3, correlation_id=correlation)})
    await redis.xadd(other, {"data": action(4, "other.it.do")}, id="9-1")
    await redis.xadd(STREAM, {"data": action(5)}, id="8-1")
    (message,) = await messages.find("8-1", ["other"])
    talk = await messages.conversation(message)
    assert [(one.service, one.place, one.first_id) for one in talk] == [
        ("demo", "dead", "5-1"),
        ("demo", "waiting", "7-1"),
        ("other", "waiting", "8-1"),
    ]


async def test_a_search_has_a_budget_and_says_when_it_was_not_enough(redis: Redis, messages: Messages) -> None:
    ids = await write(redis, 1_200)
    page = await messages.search([str(uuid.uuid4())], ["demo"], scan=1_000)
    assert (page.messages, page.cut) == ((), True)
    assert page.scanned < 1_200
    assert (await messages.search([ids[0]], ["demo"], scan=1_000)).messages[0].entry_id == ids[0]
    whole = await messages.search([str(uuid.uuid4())], ["demo"])
    assert (whole.scanned, whole.cut) == (1_200, False)


async def test_a_search_ends_when_much_was_looked_at(
    redis: Redis, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = b"x" * 300_000
    pipe = redis.pipeline(transaction=False)
    for number in range(20):
        pipe.xadd(STREAM, {"data": action(number) + large})
        pipe.xadd(DEAD, {"reason": "X", "data": action(number) + large})
        pipe.zadd(RETRIES, {b"%d-0 v 1\n" % number + action(number) + large: number})
    await pipe.execute()
    whole = await messages.search([str(uuid.uuid4())], ["demo"])
    assert (whole.scanned, whole.cut) == (60, False)
    monkeypatch.setattr("nooble.operations.messages._MOST_BYTES", 3_000_000)
    page = await messages.search([str(uuid.uuid4())], ["demo"])
    assert page.cut
    assert 6 <= page.scanned <= 18  # of each of the three places some


async def test_a_search_keeps_no_more_than_it_may_of_what_it_finds(
    redis: Redis, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = uuid.uuid4()
    pipe = redis.pipeline(transaction=False)
    for number in range(2_000):
        pipe.xadd(STREAM, {"data": action(number, trace_id=trace)})
    await pipe.execute()
    assert len(await messages.find(str(trace))) == 2_000
    monkeypatch.setattr("nooble.operations.messages._MOST_BYTES", 3_000)
    monkeypatch.setattr("nooble.operations.messages.CHUNK_BYTES", 1_000)
    page = await messages.search([str(trace)])
    assert page.cut
    assert 0 < len(page.messages) < 20


async def test_a_key_of_the_wrong_type_hides_nothing_else(redis: Redis, messages: Messages) -> None:
    (entry,) = await write(redis, 1)
    await redis.set("nooble4:test:broken:streams:main", "x", ex=60)
    await redis.set("nooble4:test:bro ken:streams:main", "x", ex=60)
    assert await messages.services() == ("broken", "demo")
    assert [one.entry_id for one in await messages.find(entry)] == [entry]
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await messages.find(entry, ["broken"])
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await messages.page("broken")


async def test_a_server_that_is_away_is_told(launch: Any) -> None:
    server = launch()
    redis = Redis.from_url(server.url)
    server.kill()
    async with Messages(redis, make_settings()) as messages:
        with pytest.raises(ServerUnavailable):
            await messages.find("1-1")
    await redis.aclose()


# ── followed ──


async def test_the_tail_tells_what_is_written_and_what_is_buried(redis: Redis, messages: Messages) -> None:
    await write(redis, 2)
    heard: list[Message] = []

    async def listen() -> None:
        async for message in messages.tail(["demo"], poll=0.05):
            heard.append(message)

    listener = asyncio.create_task(listen())
    try:
        await wait_until(lambda: _is_blocked(redis), "it listens")
        (entry,) = await write(redis, 1)
        letter = await redis.xadd(DEAD, {"reason": "TIMEOUT", "data": action(9)})
        await wait_until(lambda: len(heard) == 2, "both are heard")
        assert [(one.entry_id, one.place) for one in heard] == [(entry, "waiting"), (letter.decode(), "dead")]
        assert heard[0].envelope is not None
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def test_the_tail_of_all_hears_of_services_that_come_later(
    redis: Redis, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nooble.operations.following._LOOK_SECONDS", 0.2)
    await redis.set("nooble4:test:broken:streams:main", "x", ex=60)
    tail = messages.tail(poll=0.2)
    first = asyncio.ensure_future(anext(tail))
    try:
        await wait_until(lambda: _is_blocked(redis), "it listens to what there is")
        await redis.xadd(STREAM, {"data": action(1)})
        message = await asyncio.wait_for(first, 10)
        assert (message.service, message.action_type) == ("demo", "demo.thing.do")
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await tail.aclose()  # type: ignore[attr-defined]


async def test_a_tail_of_what_is_no_stream_is_refused_if_it_was_asked_for(redis: Redis, messages: Messages) -> None:
    await redis.set(STREAM, "x", ex=60)
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await anext(messages.tail(["demo"]))


async def _is_blocked(redis: Redis) -> bool:
    return (await redis.info("clients"))["blocked_clients"] > 0
