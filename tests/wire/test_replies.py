"""Every answer reaches the one who awaits it, through one list and one connection, whatever breaks in between."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import fakeredis
import pytest
import redis.asyncio as redis_asyncio

from nooble.errors import ReplyLost, ServerRefused
from nooble.wire.codec import CODECS
from nooble.wire.connection import Endpoint
from nooble.wire.replies import Inbox
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import wait_until

QUEUE = "nooble4:test:shop:responses:inbox:1"


def answer(correlation_id: uuid.UUID, number: int = 0, codec: str = "json") -> bytes:
    return CODECS[codec].encode({"success": True, "correlation_id": correlation_id, "data": {"n": number}})


async def push(redis: redis_asyncio.Redis, *answers: bytes) -> None:
    """As a worker writes answers: all at once, with their lifetime."""
    await redis.pipeline().lpush(QUEUE, *answers).pexpire(QUEUE, 20_000).execute()


def ids(count: int) -> list[uuid.UUID]:
    return [uuid.uuid4() for _ in range(count)]


async def numbers(*awaited: asyncio.Future[Any]) -> list[int]:
    return [found.data["n"] for found in await asyncio.wait_for(asyncio.gather(*awaited), 10)]


@pytest.fixture
async def open_inbox() -> AsyncIterator[Callable[[str], Inbox]]:
    """Makes inboxes at an address."""
    made: list[Inbox] = []

    def open_inbox(url: str) -> Inbox:
        made.append(Inbox(Endpoint(redis_asyncio.Redis.from_url(url, client_name="inbox")), QUEUE))
        return made[-1]

    yield open_inbox
    for inbox in made:
        await inbox.close()


@pytest.fixture
def inbox(open_inbox: Callable[[str], Inbox], redis_url: str) -> Inbox:
    return open_inbox(redis_url)


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


def readers(server: Server) -> list[str]:
    """Ids of the connections that wait for answers."""
    return [one["id"] for one in server.client.client_list() if one["name"] == "inbox" and "b" in one["flags"]]


# ── handing over ──


@pytest.mark.every_server
@pytest.mark.every_loop
@pytest.mark.parametrize("count", [1, 300, 2_000])
async def test_everybody_gets_his_own_answer_in_whatever_order_they_come(
    inbox: Inbox, redis: redis_asyncio.Redis, count: int
) -> None:
    awaited = {one: inbox.expect(one) for one in ids(count)}
    answers = [answer(one, number) for number, one in enumerate(awaited)]
    random.Random(count).shuffle(answers)
    for start in range(0, count, 70):
        await push(redis, *answers[start : start + 70])
    assert await numbers(*awaited.values()) == list(range(count))
    await wait_until(lambda: _gone(redis), "what was handed over is removed")
    assert (len(inbox), inbox.late, inbox.unreadable) == (0, 0, 0)


async def _gone(redis: redis_asyncio.Redis) -> bool:
    return not await redis.exists(QUEUE)


async def test_answers_in_both_codecs_lie_in_one_list(inbox: Inbox, redis: redis_asyncio.Redis) -> None:
    one, two = ids(2)
    awaited = [inbox.expect(one), inbox.expect(two)]
    await push(redis, answer(one, 1, "json"), answer(two, 2, "msgpack"))
    assert await numbers(*awaited) == [1, 2]


async def test_answers_that_were_there_before_anybody_looked_are_found(
    inbox: Inbox, redis: redis_asyncio.Redis
) -> None:
    one = uuid.uuid4()
    await push(redis, answer(one, 1))
    assert await numbers(inbox.expect(one)) == [1]


async def test_one_id_cannot_be_awaited_twice_at_once(inbox: Inbox, redis: redis_asyncio.Redis) -> None:
    one = uuid.uuid4()
    first = inbox.expect(one)
    with pytest.raises(ValueError, match="already awaited; give every call in flight its own"):
        inbox.expect(one)
    await push(redis, answer(one, 1))
    assert await numbers(first) == [1]
    again = inbox.expect(one)
    await push(redis, answer(one, 2))
    assert await numbers(again) == [2]


async def test_who_gives_up_takes_nobody_elses_answer_along(inbox: Inbox, redis: redis_asyncio.Redis) -> None:
    all_ids = ids(200)
    awaited = {one: inbox.expect(one) for one in all_ids}
    for one in all_ids[::2]:
        awaited.pop(one).cancel()
        inbox.forget(one)
    await push(redis, *(answer(one, number) for number, one in enumerate(all_ids)))
    assert await numbers(*awaited.values()) == list(range(1, 200, 2))
    await wait_until(lambda: inbox.late == 100, "the others' answers are counted as late")


async def test_a_late_answer_is_dropped_and_counted(inbox: Inbox, redis: redis_asyncio.Redis) -> None:
    late, other = ids(2)
    inbox.expect(late)
    inbox.forget(late)
    awaited = inbox.expect(other)
    await push(redis, answer(late), answer(other, 1))
    assert await numbers(awaited) == [1]
    assert inbox.late == 1
    await wait_until(lambda: _gone(redis), "it is removed with the others")


async def test_what_is_no_answer_is_dropped_and_counted(inbox: Inbox, redis: redis_asyncio.Redis) -> None:
    one = uuid.uuid4()
    awaited = inbox.expect(one)
    garbage = [b"", b"{", b"\xff" * 100, b"[]", b'{"success":true,"correlation_id":"x"}', b"[" * 100_000]
    await push(redis, *garbage, answer(uuid.uuid4()), b'{"success":true}', answer(one, 1))
    assert await numbers(awaited) == [1]
    assert (inbox.unreadable, inbox.late) == (6, 2)
    await wait_until(lambda: _gone(redis), "all of it is removed")


# ── resting ──


async def test_nothing_is_sent_while_nobody_waits(inbox: Inbox, redis: redis_asyncio.Redis, server: Server) -> None:
    one, two = ids(2)
    awaited = inbox.expect(one)
    await push(redis, answer(one, 1))
    await numbers(awaited)
    await wait_until(lambda: _at_rest(inbox), "it rests")
    before = _calls(server)
    await asyncio.sleep(0.1)
    assert _calls(server) == before
    assert readers(server) == []
    awaited = inbox.expect(two)
    await push(redis, answer(two, 2))
    assert await numbers(awaited) == [2]
    assert inbox._link.opened == 1


def _at_rest(inbox: Inbox) -> bool:
    return inbox._reader is not None and inbox._reader.done()


def _calls(server: Server) -> dict[str, int]:
    """How often commands of an inbox have run."""
    stats = server.client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("blmove", "lrange", "ltrim", "eval")}


async def test_answers_keep_their_lifetime_until_they_are_removed(
    open_inbox: Callable[[str], Inbox], proxy: Proxy, redis: redis_asyncio.Redis, server: Server
) -> None:
    """Moving an answer onto itself, which is how they are awaited, must not make the list immortal."""
    inbox = open_inbox(proxy.url)
    awaited = inbox.expect(uuid.uuid4())
    await wait_until(lambda: readers(server), "it waits")
    proxy.deaf = True  # the request that removes what was seen does not arrive
    push_at_once = "redis.call('LPUSH', KEYS[1], ARGV[1]) redis.call('PEXPIRE', KEYS[1], 20000)"
    await redis.eval(push_at_once, 1, QUEUE, answer(uuid.uuid4()))
    await wait_until(lambda: inbox.late, "it was seen")
    assert 0 < await redis.pttl(QUEUE) <= 20_000
    awaited.cancel()


# ── what breaks ──


async def test_no_answer_is_lost_however_often_the_connection_breaks(
    inbox: Inbox, redis: redis_asyncio.Redis, server: Server
) -> None:
    chance = random.Random(7)
    awaited = {one: inbox.expect(one) for one in ids(600)}
    answers = [answer(one, number) for number, one in enumerate(awaited)]
    chance.shuffle(answers)
    killed = 0
    while answers:
        batch, answers = answers[: (size := chance.randint(1, 60))], answers[size:]
        await push(redis, *batch)
        if chance.random() < 0.7 and (reader := readers(server)):
            killed += server.client.client_kill_filter(_id=reader[0])
        await asyncio.sleep(chance.uniform(0, 0.02))
    assert await numbers(*awaited.values()) == list(range(600))
    assert killed >= 3
    assert inbox.late == 0


async def test_removing_is_not_repeated_when_its_reply_was_lost(
    open_inbox: Callable[[str], Inbox], proxy: Proxy, redis: redis_asyncio.Redis, server: Server
) -> None:
    """The first answers are gone by then; removing as many again would destroy others."""
    inbox = open_inbox(proxy.url)
    first, second = ids(2)
    awaited = [inbox.expect(first), inbox.expect(second)]
    proxy.swallow(b"LTRIM")  # and the wait for the second
    await push(redis, answer(first, 1))
    assert await numbers(awaited[0]) == [1]
    await wait_until(lambda: _gone(redis), "the first was removed")
    await push(redis, answer(second, 2))
    assert await numbers(awaited[1]) == [2]
    assert proxy.faults == 1


async def test_removing_is_not_repeated_when_waiting_failed_after_it(
    inbox: Inbox, redis: redis_asyncio.Redis, server: Server
) -> None:
    first, *others = ids(4)
    awaited = [inbox.expect(one) for one in (first, *others)]
    await push(redis, answer(first, 0))
    assert await numbers(awaited[0]) == [0]
    await wait_until(lambda: readers(server), "it waits for the others")
    assert server.client.client_unblock(int(readers(server)[0]), error=True)
    await push(redis, *(answer(one, number) for number, one in enumerate(others, 1)))
    assert await numbers(*awaited[1:]) == [1, 2, 3]


async def test_a_new_connection_removes_nothing_that_it_has_not_read(
    inbox: Inbox, redis: redis_asyncio.Redis, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server comes back with other answers, just after some were handed over and before they are removed."""
    first, *others = ids(3)
    awaited = [inbox.expect(one) for one in (first, *others)]
    hand_over = inbox._hand_over

    def hand_over_and_restart(items: list[bytes]) -> None:
        hand_over(items)
        monkeypatch.undo()
        inbox._link._connection._lost(ConnectionError("restarting"))  # type: ignore[union-attr]
        server.client.delete(QUEUE)
        server.client.lpush(QUEUE, *(answer(one, number) for number, one in enumerate(others, 1)))
        server.client.expire(QUEUE, 20)

    monkeypatch.setattr(inbox, "_hand_over", hand_over_and_restart)
    await push(redis, answer(first, 0))
    assert await numbers(*awaited) == [0, 1, 2]


async def test_an_answer_that_was_handed_over_and_not_removed_is_not_late(
    open_inbox: Callable[[str], Inbox], proxy: Proxy, redis: redis_asyncio.Redis, server: Server
) -> None:
    inbox = open_inbox(proxy.url)
    first, second = ids(2)
    awaited = [inbox.expect(first), inbox.expect(second)]
    await wait_until(lambda: readers(server), "it waits")
    proxy.deaf = True  # the request that removes the first does not arrive
    await push(redis, answer(first, 1))
    assert await numbers(awaited[0]) == [1]
    proxy.reset()
    proxy.deaf = False
    await push(redis, answer(second, 2))
    assert await numbers(awaited[1]) == [2]
    assert inbox.late == 0


@pytest.mark.leaves_keys("it puts a stranger's key where answers should come")
async def test_a_list_that_cannot_be_read_is_told_to_all_who_wait(inbox: Inbox, redis: redis_asyncio.Redis) -> None:
    await redis.set(QUEUE, "a stranger's")
    awaited = [inbox.expect(one) for one in ids(3)]
    for error in await asyncio.wait_for(asyncio.gather(*awaited, return_exceptions=True), 2):
        assert isinstance(error, ServerRefused)
        assert QUEUE in str(error)
    await redis.delete(QUEUE)
    one = uuid.uuid4()
    waiting = inbox.expect(one)
    await push(redis, answer(one, 1))
    assert await numbers(waiting) == [1]


async def test_a_server_that_comes_back_brings_the_answer(
    launch: Callable[..., Server], open_inbox: Callable[[str], Inbox]
) -> None:
    server = launch()
    inbox = open_inbox(server.url)
    server.stop()
    one = uuid.uuid4()
    awaited = inbox.expect(one)
    await wait_until(lambda: inbox._link._opening and inbox._link._opening.done(), "it has tried")
    server.start()
    async with redis_asyncio.Redis.from_url(server.url) as redis:
        await push(redis, answer(one, 1))
        assert await numbers(awaited) == [1]


async def test_closing_tells_those_who_wait(inbox: Inbox, server: Server) -> None:
    awaited = [inbox.expect(one) for one in ids(2)]
    await wait_until(lambda: readers(server), "it waits")
    await inbox.close()
    assert [type(error) for error in await asyncio.gather(*awaited, return_exceptions=True)] == [ReplyLost] * 2
    await wait_until(lambda: not readers(server), "its connection is closed")
    await inbox.close()


async def test_a_server_of_python_objects_serves_as_well(fake_redis: fakeredis.FakeAsyncRedis) -> None:
    inbox = Inbox(Endpoint(fake_redis), QUEUE)
    awaited = {one: inbox.expect(one) for one in ids(300)}
    await push(fake_redis, *(answer(one, number) for number, one in enumerate(awaited)))
    assert await numbers(*awaited.values()) == list(range(300))
    late = uuid.uuid4()
    waiting = inbox.expect(late)
    await asyncio.sleep(0)
    await push(fake_redis, answer(late, 1))
    assert await numbers(waiting) == [1]
    await wait_until(lambda: _gone(fake_redis), "all are removed")
    await inbox.close()
