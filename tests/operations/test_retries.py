"""Retries are listed as they are due, run at once or given up exactly once, and who waits for one is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import ReplyLost, RetryLater, ServerRefused
from nooble.models import DomainAction
from nooble.operations import DeadLetters, RetriesDone, RetrySet
from nooble.operations.retries import CANCEL, RUN
from nooble.wire.connection import Endpoint, Link
from nooble.workers import ServiceWorker
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]
pytestmark = pytest.mark.every_server

STREAM = "nooble4:test:demo:streams:main"
RETRIES = "nooble4:test:demo:retries:main"
DEAD = "nooble4:test:demo:dead_letters:main"


def member(number: int, facts: str = " v 1 attempt 1", **more: Any) -> bytes:
    action = DomainAction(action_type="demo.thing.do", data={"n": number}, **more)
    return f"{number + 1}-0{facts}\n".encode() + msgspec.json.encode(action.model_dump(mode="json"))


async def wait_for_later(redis: Redis, count: int, due: Callable[[int], int] = lambda n: 1_000 + n) -> list[str]:
    """Retries; their ids, in the order in which they are due."""
    await redis.zadd(RETRIES, {member(number): due(number) for number in range(count)})
    return [f"{number + 1}-0" for number in range(count)]


@pytest.fixture
async def retries(redis: Redis, settings: Settings) -> AsyncIterator[RetrySet]:
    async with RetrySet(redis, settings()) as some:
        yield some


async def sent(redis: Redis, key: str = STREAM) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in await redis.xrange(key)]


# ── looking ──


@pytest.mark.parametrize("due", [lambda n: 1_000 + n, lambda n: 1_000, lambda n: 1_000 + n // 7])
async def test_they_come_page_by_page_as_they_are_due(
    redis: Redis, retries: RetrySet, due: Callable[[int], int]
) -> None:
    ids = await wait_for_later(redis, 60, due)
    found, cursor = [], None
    while True:
        page = await retries.list(25, cursor)
        found += page.messages
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(one.entry_id for one in found) == sorted(ids)
    assert [one.due_ms for one in found] == sorted(due(n) for n in range(60))
    assert {(one.attempts, one.place, one.action_type) for one in found} == {(1, "retrying", "demo.thing.do")}
    assert await retries.count() == 60


async def test_a_page_stays_right_while_those_before_it_leave(redis: Redis, retries: RetrySet) -> None:
    ids = await wait_for_later(redis, 9)
    first = await retries.list(3)
    await redis.zremrangebyrank(RETRIES, 0, 1)
    second = await retries.list(10, first.cursor)
    assert [one.entry_id for one in (*first.messages, *second.messages)] == ids


# ── run at once ──


async def test_a_retry_runs_at_once_with_all_that_it_had(redis: Redis, retries: RetrySet) -> None:
    whole = member(0, " v 1 once a:b attempt 2 deliveries 1")
    other = member(1)
    await redis.zadd(RETRIES, {whole: 9e12, other: 9e12})
    assert await retries.run_now("1-0") == RetriesDone(done=1)
    assert await retries.run_now("1-0") == RetriesDone(gone=1)
    (fields,) = await sent(redis)
    assert fields == {
        b"data": whole.partition(b"\n")[2],
        b"first_id": b"1-0",
        b"v": b"1",
        b"once": b"a:b",
        b"attempt": b"2",
        b"deliveries": b"1",
    }
    assert await redis.zrange(RETRIES, 0, -1) == [other]


@pytest.mark.parametrize("due", [lambda n: 1_000 + n, lambda n: 1_000])
@pytest.mark.parametrize("doing", ["run_now", "cancel"])
async def test_all_or_some_are_done_in_bounded_steps_and_once(
    redis: Redis, retries: RetrySet, due: Callable[[int], int], doing: str
) -> None:
    ids = await wait_for_later(redis, 950, due)
    key = STREAM if doing == "run_now" else DEAD
    do = getattr(retries, doing)
    assert (await do(ids[100:250])).done == 150
    assert sorted(int(one[b"first_id"][:-2]) for one in await sent(redis, key)) == list(range(101, 251))
    told: list[RetriesDone] = []
    assert (await do("all", progress=told.append)).done == 800
    assert len(told) >= 4
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert sorted(int(one[b"first_id"][:-2]) for one in await sent(redis, key)) == list(range(1, 951))
    assert await do("all") == RetriesDone()


async def test_what_runs_and_fails_meanwhile_is_not_run_again(redis: Redis, retries: RetrySet, server: Server) -> None:
    ids = await wait_for_later(redis, 450)
    ran: list[str] = []

    def fail_again(_: RetriesDone) -> None:
        for entry, fields in server.client.xrange(STREAM):
            ran.append(fields["first_id"])
            server.client.zadd(RETRIES, {f"{fields['first_id']} v 1 attempt 2\n{fields['data']}": 1_440.5})
            server.client.xdel(STREAM, entry)

    assert (await retries.run_now("all", progress=fail_again)).done == 450
    assert sorted(ran) == sorted(ids)
    assert await redis.zcard(RETRIES) == 450


async def test_a_retry_whose_stream_is_unusable_stays(redis: Redis, retries: RetrySet) -> None:
    ids = await wait_for_later(redis, 3)
    await redis.set(STREAM, "x")
    await redis.set(DEAD, "x")
    for do in (retries.run_now, retries.cancel):
        done = await do("all")
        assert (done.done, sorted(done.kept)) == (0, ids)
        assert all("WRONGTYPE" in why for why in done.kept.values())
    assert await redis.zcard(RETRIES) == 3
    await redis.set(RETRIES, "x")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await retries.run_now("all")
    await redis.delete(STREAM, DEAD, RETRIES)


# ── given up ──


async def test_a_retry_that_is_given_up_is_a_dead_letter_that_can_be_replayed(
    redis: Redis, retries: RetrySet, settings: Settings
) -> None:
    whole = member(0, " v 1 once a:b attempt 2 deliveries 1")
    await redis.zadd(RETRIES, {whole: 9e12})
    assert await retries.cancel(["1-0"], by="ana", reason="wrong price") == RetriesDone(done=1)
    assert await retries.cancel(["1-0"]) == RetriesDone(gone=1)
    async with DeadLetters(redis, settings()) as dead:
        (letter,) = (await dead.list()).letters
        assert (letter.reason, letter.attempts, letter.deliveries, letter.worker) == ("CANCELLED", 2, 1, "ana")
        assert letter.error == "cancelled by ana while it waited for its next attempt: wrong price"
        assert (letter.first_id, letter.data, letter.others) == ("1-0", whole.partition(b"\n")[2], {"once": b"a:b"})
        assert (await dead.replay(letter.id)).replayed == 1
    assert [one[b"once"] for one in await sent(redis)] == [b"a:b"]


async def test_who_waits_is_told(redis: Redis, retries: RetrySet, settings: Settings) -> None:
    def later(action: DomainAction) -> None:
        raise RetryLater("not yet", after=60)

    async with (
        BaseRedisClient("web", redis, settings("web")) as client,
        running(ServiceWorker(settings(retry_backoff_seconds=60.0, retry_max_delay_seconds=60.0), redis, Doing(later))),
    ):
        call = asyncio.create_task(client.call("demo.thing.do", {}, timeout=100, idempotency_key="k"))
        await wait_until(lambda: redis.zcard(RETRIES), "it waits for its next attempt")
        assert await retries.cancel("all", by="ana") == RetriesDone(done=1, answered=1)
        answer = await call
        assert answer.error is not None
        assert answer.error.error_code == "CANCELLED"
        assert "cancelled by ana" in answer.error.message
        again = await client.call("demo.thing.do", {}, timeout=5, idempotency_key="k")
        assert again.error is not None
        assert again.error.error_code == "CANCELLED"


async def test_nobody_is_told_where_nothing_may_be_written(redis: Redis, retries: RetrySet) -> None:
    await redis.set("nooble4:test:web:responses:x", "text", ex=60)
    queues = ["nooble4:test:web:responses:x", "nooble4:prod:web:responses:x", "somewhere"]
    await redis.zadd(RETRIES, {member(n, callback_queue_name=queue): 1 for n, queue in enumerate(queues)})
    assert await retries.cancel("all") == RetriesDone(done=3, answered=0)
    assert await redis.keys("*responses*") == [b"nooble4:test:web:responses:x"]


# ── whatever stands there, whatever happens ──

STRANGE = [
    b"",
    b"no line",
    b"\xff\xfe\x00",
    b"x y\n",
    b"5-1 " + b"a b " * 3_000 + b"\n{}",
    b"6-1 attempt x deliveries\n[[",
]


@pytest.mark.parametrize("doing", ["run_now", "cancel"])
async def test_members_of_strangers_are_listed_and_done(redis: Redis, retries: RetrySet, doing: str) -> None:
    await redis.zadd(RETRIES, {member: number for number, member in enumerate(STRANGE)})
    await redis.zadd(RETRIES, {b"infinite": float("inf"), b"past": float("-inf")})
    page = await retries.list()
    assert len(page.messages) == len(STRANGE) + 2
    assert page.messages[1].entry_id == hashlib.sha1(b"").hexdigest()
    msgspec.json.encode(page)
    assert (await getattr(retries, doing)(page.messages[2].entry_id)).done == 1
    assert (await getattr(retries, doing)([one.entry_id for one in page.messages])).done == len(STRANGE) + 1
    assert await redis.exists(RETRIES) == 0


@pytest.mark.parametrize("doing", ["run_now", "cancel"])
async def test_a_lost_reply_does_nothing_twice(
    redis: Redis, retries: RetrySet, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    await wait_for_later(redis, 3)
    script = RUN if doing == "run_now" else CANCEL
    whole = type(script).run

    async def lost(self: Any, *args: Any, **more: Any) -> Any:
        reply = await whole(self, *args, **more)
        if self is script:
            raise ReplyLost("cut off")
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(type(script), "run", lost)
        with pytest.raises(ReplyLost):
            await getattr(retries, doing)("all")
    assert await getattr(retries, doing)(["1-0", "2-0", "3-0"]) == RetriesDone(gone=3)
    assert len(await sent(redis, STREAM if doing == "run_now" else DEAD)) == 3


async def test_a_step_that_is_repeated_finds_it_gone(redis: Redis) -> None:
    link = Link(Endpoint(redis))
    some = member(1)
    await redis.zadd(RETRIES, {some: 1})
    answer = "nooble4:test:web:responses:x"
    steps = (
        (RUN, (RETRIES, STREAM, some)),
        (CANCEL, (RETRIES, DEAD, "why", "ana", 60_000, "nooble4:test:demo:once:", some, answer, b"no")),
    )
    for script, arguments in steps:
        await redis.zadd(RETRIES, {some: 1})
        first, again = [await script.run(link, *arguments) for _ in range(2)]
        assert (first[0], again[0]) == (b"answered" if script is CANCEL else b"sent", b"gone")
    await link.close()
    assert (await redis.xlen(STREAM), await redis.xlen(DEAD), await redis.llen(answer)) == (1, 1, 1)


async def test_two_people_at_once_do_it_once(redis: Redis, settings: Settings) -> None:
    await wait_for_later(redis, 500)
    async with RetrySet(redis, settings()) as one, RetrySet(redis, settings()) as other:
        done = await asyncio.gather(one.run_now("all"), other.cancel("all"))
    assert sum(some.done for some in done) == 500
    assert await redis.xlen(STREAM) + await redis.xlen(DEAD) == 500
    numbers = [json.loads(fields[b"data"])["data"]["n"] for key in (STREAM, DEAD) for fields in await sent(redis, key)]
    assert sorted(numbers) == list(range(500))
