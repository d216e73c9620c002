"""What a handler writes inside Redis through its context appears with the end of its action, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nooble.errors import EffectRefused
from nooble.events import Buried, Completed
from nooble.models import DomainAction, DomainActionResponse, ErrorDetail, current_context
from nooble.models.effects import Effects
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ

pytestmark = pytest.mark.every_server


def effects() -> Effects:
    return current_context().effects


async def test_every_kind_of_effect_is_made(employ: Employ, platform: Platform) -> None:
    redis = platform.redis
    await redis.set("gone", "x")
    await redis.sadd("set", "old")

    def work(action: DomainAction) -> None:
        made = effects()
        made.set("text", "ñ", ttl=60)
        made.hash_set("hash", {"a": 1, "b": b"\xff"})
        made.hash_increment("hash", "n", 5)
        made.increment("number", 41)
        made.increment("number")
        made.add_to_set("set", "new")
        made.remove_from_set("set", "old")
        made.add_to_sorted_set("sorted", {"one": 1.5, "two": 2})
        made.append("list", "b", "c")
        made.prepend("list", "a")
        made.delete("gone")
        made.expire("number", 60)

    await employ(work)
    assert (await platform.ask("demo.thing.do"))["success"]
    assert await redis.get("text") == "ñ".encode()
    assert 0 < await redis.ttl("text") <= 60
    assert await redis.hgetall("hash") == {b"a": b"1", b"b": b"\xff", b"n": b"5"}
    assert await redis.get("number") == b"42"
    assert 0 < await redis.ttl("number") <= 60
    assert await redis.smembers("set") == {b"new"}
    assert await redis.zrange("sorted", 0, -1, withscores=True) == [(b"one", 1.5), (b"two", 2.0)]
    assert await redis.lrange("list", 0, -1) == [b"a", b"b", b"c"]
    assert await redis.exists("gone") == 0
    await redis.delete("hash", "set", "sorted", "list")


async def test_a_handler_that_fails_has_no_effects(employ: Employ, platform: Platform) -> None:
    def work(action: DomainAction) -> None:
        effects().increment("number")
        if current_context().attempt < 3:
            raise OSError("not yet")

    await employ(work)
    await platform.send("demo.thing.do")
    await wait_until(platform.is_done, "it is done at the third attempt")
    assert await platform.redis.getdel("number") == b"1"


@pytest.mark.parametrize(
    ("setup", "what"),
    [
        (("SADD", "key", "x"), lambda made: made.increment("key")),
        (("SET", "key", "text"), lambda made: made.increment("key")),
        (("SET", "key", "007"), lambda made: made.increment("key")),
        (("SET", "key", "-0"), lambda made: made.increment("key")),
        (("SET", "key", "1"), lambda made: [made.increment("key", 2**53) for _ in range(600)]),
        (("SET", "key", str(2**62)), lambda made: made.increment("key")),
        (("HSET", "key", "f", "text"), lambda made: made.hash_increment("key", "f")),
        (("SET", "key", "text"), lambda made: made.hash_set("key", {"f": 1})),
        (("SET", "key", "text"), lambda made: made.append("key", "x")),
        (("RPUSH", "key", "x"), lambda made: made.add_to_sorted_set("key", {"x": 1})),
        (("RPUSH", "key", "x"), lambda made: made.add_to_set("key", "x")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_an_effect_that_does_not_fit_fails_the_action_and_none_is_made(
    employ: Employ, platform: Platform, setup: tuple[str, ...], what: Any
) -> None:
    """Whoever waits is told, and others in the same batch are not disturbed."""
    await platform.redis.execute_command(*setup)
    before = await platform.redis.dump("key")

    async def work(action: DomainAction) -> None:
        if action.action_type == "demo.wrong.do":
            effects().set("other", "x")
            what(effects())
            await current_context().send("mail.letter.write")
        else:
            effects().increment("count")

    worker = await employ(work, worker_concurrency=5)
    queue = platform.queue()
    for number in range(10):
        kind = "wrong" if number % 5 == 2 else "right"
        await platform.send(f"demo.{kind}.do", callback_queue_name=queue)
    answers = [await platform.answer(queue) for _ in range(10)]
    refused = [answer["error"] for answer in answers if not answer["success"]]
    assert [error["error_code"] for error in refused] == ["EFFECT_REFUSED"] * 2
    assert "key" in refused[0]["message"]
    await wait_until(platform.is_done, "all has ended")
    assert await platform.redis.getdel("count") == b"8"
    assert await platform.redis.dump("key") == before
    assert not await platform.redis.exists("other", "nooble4:test:mail:streams:main")
    assert len(worker.heard(Completed)) == 8
    await platform.redis.delete("key")


async def test_an_answer_that_says_failure_has_no_effects(employ: Employ, platform: Platform) -> None:
    async def work(action: DomainAction) -> DomainActionResponse:
        effects().increment("number")
        await current_context().send("mail.letter.write")
        return DomainActionResponse(success=False, error=ErrorDetail(error_type="Sold", message="sold out"))

    await employ(work)
    assert (await platform.ask("demo.thing.do"))["error"]["message"] == "sold out"
    assert not await platform.redis.exists("number", "nooble4:test:mail:streams:main")


async def test_a_refused_effect_that_nobody_waits_for_is_a_dead_letter(employ: Employ, platform: Platform) -> None:
    await platform.redis.set("key", "text", ex=60)
    worker = await employ(lambda action: effects().increment("key"))
    await platform.send("demo.thing.do", {"n": 1})
    await wait_until(lambda: worker.heard(Buried), "it is buried")
    (letter,) = await platform.buried()
    assert letter["reason"] == "EFFECT_REFUSED"
    assert isinstance(worker.heard(Buried)[0].error, EffectRefused)
    assert await platform.is_done()


async def test_effects_of_one_batch_follow_each_other(employ: Employ, platform: Platform) -> None:
    """A key may change its kind from one action to the next: each is checked against what those before it have left."""

    def work(action: DomainAction) -> None:
        made = effects()
        if action.data["n"] % 2:
            made.delete("key")
            made.append("key", "x")
        else:
            made.set("key", "1", ttl=60)
            made.set("key", "2", ttl=60)

    await employ(work)
    queue = platform.queue()
    for number in range(20):
        await platform.send("demo.thing.do", {"n": number}, callback_queue_name=queue)
    assert all([(await platform.answer(queue))["success"] for _ in range(20)])
    assert await platform.redis.lrange("key", 0, -1) == [b"x"]
    await platform.redis.delete("key")


async def test_an_effect_that_is_not_permitted_fails_the_action(employ: Employ, platform: Platform) -> None:
    import redis.asyncio

    await platform.redis.acl_setuser(
        "limited", enabled=True, nopass=True, categories=["+@all"], keys=["nooble4:*", "mine:*"], reset=True
    )
    port = platform.redis.connection_pool.connection_kwargs["port"]
    async with redis.asyncio.Redis(port=port, username="limited", password="any") as limited:
        worker = await employ(lambda action: effects().set(action.data["key"], "x", ttl=60), redis=limited)
        assert (await platform.ask("demo.thing.do", {"key": "mine:1"}))["success"]
        refused = await platform.ask("demo.thing.do", {"key": "theirs:1"})
        assert refused["error"]["error_code"] == "EFFECT_REFUSED"
        assert "theirs:1" in refused["error"]["message"]
        await worker.stop()
    await platform.redis.acl_deluser("limited")


async def test_a_run_that_lost_its_lease_has_no_effects(employ: Employ, platform: Platform) -> None:
    go_on = asyncio.Event()

    async def work(action: DomainAction) -> None:
        effects().increment("number")
        if current_context().deliveries == 1:
            await asyncio.shield(go_on.wait())

    worker = await employ(work, worker_lease_seconds=30)
    await platform.send("demo.thing.do")
    await wait_until(lambda: worker.service.seen, "it has begun")
    (row,) = await platform.pending()
    await platform.redis.xclaim(platform.stream, platform.group, "somebody-else", 0, [row["message_id"]])
    go_on.set()
    await platform.ask("demo.other.do")
    assert await platform.redis.getdel("number") == b"1"
    await platform.redis.xack(platform.stream, platform.group, row["message_id"])
    await platform.redis.xdel(platform.stream, row["message_id"])
