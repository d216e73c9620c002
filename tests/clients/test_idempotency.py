"""An idempotency key stands for one action and one answer, whoever repeats it and whatever was lost on the way."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, Reject, ReplyLost, ServerRefused
from nooble.models import DomainAction, current_context
from nooble.routing import action
from nooble.services import BaseService
from nooble.wire.scripts import ENQUEUE
from nooble.workers import ServiceWorker
from tests.support.platform import Platform, envelope
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.settings import make_settings
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

pytestmark = pytest.mark.every_server
Settings = Callable[..., CommonAppSettings]


@pytest.fixture
async def client(redis: redis_asyncio.Redis, settings: Settings) -> AsyncIterator[BaseRedisClient]:
    async with BaseRedisClient("shop", redis, settings("shop")) as client:
        yield client


@pytest.fixture
def platform(redis: redis_asyncio.Redis) -> Platform:
    return Platform(redis)


class Counting(Doing):
    """Answers with how many actions it has seen."""

    def __init__(self) -> None:
        super().__init__(lambda action: {"n": len(self.seen)})


# ── asked for by whoever sends ──


async def test_what_is_sent_twice_is_one_action(client: BaseRedisClient, platform: Platform) -> None:
    first = await client.send("demo.order.place", {"n": 1}, idempotency_key="order-7")
    second = await client.send("demo.order.place", {"n": 1}, idempotency_key="order-7")
    assert first == second
    await client.send("demo.order.place", {"n": 2}, idempotency_key="order-8")
    await client.send("demo.order.cancel", {"n": 1}, idempotency_key="order-7")
    assert await platform.backlog() == 3


@pytest.mark.parametrize("key", ["", uuid.uuid4(), 7, b"bytes"])
async def test_what_is_no_text_is_no_key(client: BaseRedisClient, key: Any) -> None:
    """An absent header must not make everything one action."""
    with pytest.raises(ValueError, match="each its own"):
        await client.send("demo.order.place", {}, idempotency_key=key)


async def test_keys_of_one_tenant_are_not_those_of_another(client: BaseRedisClient, platform: Platform) -> None:
    for tenant in ("ada", "bob", "ada", None):
        await client.send("demo.order.place", {}, idempotency_key="7", tenant_id=tenant)
    assert await platform.backlog() == 3


async def test_a_call_that_came_too_late_may_be_repeated(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    """Nobody was there to do it in time, so it was never run; the key is free."""
    with pytest.raises(CallTimeout):
        await client.call("demo.order.place", {}, idempotency_key="7", timeout=0.05)
    service = Counting()
    async with running(ServiceWorker(settings(), redis, service)):
        await wait_until(Platform(redis).is_done, "it has expired")
        assert (await client.call("demo.order.place", {}, idempotency_key="7")).data == {"n": 1}


async def test_the_same_action_sent_by_two_has_one_answer_for_both(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    """Same ids and same key, but each awaits it in a place of its own."""
    go_on = asyncio.Event()

    async def work(action: DomainAction) -> dict[str, bool]:
        await go_on.wait()
        return {"ok": True}

    service = Doing(work)
    one = DomainAction(action_type="demo.thing.do", data={})
    async with running(ServiceWorker(settings(), redis, service)), BaseRedisClient("o", redis, settings("o")) as other:
        calls = [asyncio.create_task(c.call(one.model_copy(), idempotency_key="7")) for c in (client, other)]
        await wait_until(lambda: service.seen, "it has begun")
        go_on.set()
        assert [answer.data for answer in await asyncio.gather(*calls)] == [{"ok": True}] * 2
    assert len(service.seen) == 1


async def test_an_unreadable_answer_in_a_record_kills_nobody(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    record = {"entry": "1-0", "ok": "1", "answer": "\xff"}
    await redis.hset("nooble4:test:demo:once:demo.order.place:7", mapping=record)
    await redis.expire("nooble4:test:demo:once:demo.order.place:7", 60)
    async with running(ServiceWorker(settings(), redis, Shop(settings()))):
        answer = await platform.ask("demo.order.place", tenant_id=None, metadata={"idempotency_key": "7"})
        assert answer["error"]["error_code"] == "MALFORMED_ACTION"
        assert (await platform.ask("demo.order.place"))["success"]
    await redis.delete("orders")


@pytest.mark.parametrize("key", ["plain", "with space\nand :", "ñ" * 500, "a" * 100_000])
async def test_any_text_is_a_key(client: BaseRedisClient, platform: Platform, key: str) -> None:
    for _ in range(2):
        await client.send("demo.order.place", {}, idempotency_key=key)
    assert await platform.backlog() == 1
    ((_, fields),) = await platform.redis.xrange(platform.stream)
    assert json.loads(fields[b"data"])["metadata"]["idempotency_key"] == key


async def test_a_repeated_call_has_the_answer_of_the_first(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    worker = ServiceWorker(settings(), redis, Counting())
    async with running(worker), BaseRedisClient("other", redis, settings("other")) as other:
        first = await client.call("demo.order.place", {}, idempotency_key="7")
        again = await client.call("demo.order.place", {}, idempotency_key="7")
        elsewhere = await other.call("demo.order.place", {}, idempotency_key="7")
        fresh = await client.call("demo.order.place", {}, idempotency_key="8")
    assert first.data == again.data == elsewhere.data == {"n": 1}
    assert fresh.data == {"n": 2}
    assert first.action_id == again.action_id == elsewhere.action_id
    assert len({first.correlation_id, again.correlation_id, elsewhere.correlation_id}) == 3


async def test_calls_at_the_same_time_have_one_answer(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    go_on = asyncio.Event()

    async def work(action: DomainAction) -> dict[str, int]:
        await go_on.wait()
        return {"n": len(service.seen)}

    service = Doing(work)
    async with running(ServiceWorker(settings(), redis, service)):
        calls = [asyncio.create_task(client.call("demo.thing.do", {}, idempotency_key="7")) for _ in range(20)]
        await wait_until(lambda: service.seen, "one has begun")
        go_on.set()
        answers = await asyncio.gather(*calls)
    assert [answer.data for answer in answers] == [{"n": 1}] * 20
    assert len(service.seen) == 1


async def test_what_was_sent_can_be_called_for_its_answer(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    """Whoever does not remember whether it was done asks again, and waits."""
    async with running(ServiceWorker(settings(), redis, Counting())):
        await client.send("demo.order.place", {}, idempotency_key="7")
        assert (await client.call("demo.order.place", {}, idempotency_key="7")).data == {"n": 1}


async def test_a_refusal_is_an_answer_too(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    def refuse(action: DomainAction) -> None:
        raise Reject(f"number {len(service.seen)}", error_code="NO")

    service = Doing(refuse)
    async with running(ServiceWorker(settings(), redis, service)):
        for _ in range(3):
            answer = await client.call("demo.order.place", {}, idempotency_key="7")
            assert answer.error is not None
            assert (answer.error.error_code, answer.error.message) == ("NO", "number 1")


async def test_retries_do_not_lose_the_key(
    client: BaseRedisClient, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    """The answer of the last run is the one that is remembered."""

    def work(action: DomainAction) -> dict[str, Any]:
        if current_context().attempt < 3:
            raise OSError("not yet")
        return {"key": current_context().idempotency_key}

    async with running(ServiceWorker(settings(), redis, Doing(work))):
        await client.send("demo.order.place", {}, idempotency_key="7")
        assert (await client.call("demo.order.place", {}, idempotency_key="7")).data == {"key": "7"}


async def test_the_record_ends_with_its_window(
    redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    async with BaseRedisClient("shop", redis, settings("shop", idempotency_window_seconds=100)) as client:
        await client.send("demo.order.place", {}, idempotency_key="7")
        (record,) = [key async for key in redis.scan_iter("*:once:*")]
        assert 90 < await redis.ttl(record) <= 100
        await redis.pexpire(record, 1)
        await wait_until(lambda: _is_gone(redis, record), "it has ended")
        await client.send("demo.order.place", {}, idempotency_key="7")
    assert await platform.backlog() == 2


async def _is_gone(redis: redis_asyncio.Redis, key: bytes) -> bool:
    return not await redis.exists(key)


async def test_a_send_whose_reply_is_lost_is_repeated(server: Server, platform: Platform) -> None:
    await platform.redis.script_load(ENQUEUE.text)
    async with (
        Proxy(server.port) as proxy,
        redis_asyncio.Redis.from_url(proxy.url) as far,
        BaseRedisClient("shop", far, make_settings("shop")) as client,
    ):
        proxy.swallow(ENQUEUE.digest.encode())
        await client.send("demo.order.place", {}, idempotency_key="7")
        assert proxy.faults == 1
        proxy.swallow(b"XADD")
        with pytest.raises(ReplyLost):
            await client.send("demo.order.place", {})
    assert await platform.backlog() == 2


async def test_a_call_whose_reply_is_lost_is_repeated(
    server: Server, redis: redis_asyncio.Redis, settings: Settings
) -> None:
    await redis.script_load(ENQUEUE.text)
    service = Counting()
    async with (
        running(ServiceWorker(settings(), redis, service)),
        Proxy(server.port) as proxy,
        redis_asyncio.Redis.from_url(proxy.url) as far,
        BaseRedisClient("shop", far, settings("shop")) as client,
    ):
        for number in range(1, 6):
            proxy.swallow(ENQUEUE.digest.encode())
            answer = await client.call("demo.order.place", {}, idempotency_key=str(number))
            assert answer.data == {"n": number}
        assert proxy.faults == 5
    assert len(service.seen) == 5


async def test_a_strangers_key_in_the_place_of_the_record_is_told(
    client: BaseRedisClient, redis: redis_asyncio.Redis, platform: Platform
) -> None:
    await redis.set("nooble4:test:demo:once:demo.order.place:7", "a stranger's", ex=60)
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await client.send("demo.order.place", {}, idempotency_key="7")
    assert await platform.backlog() == 0


async def test_a_hostile_fact_names_no_key_of_others(
    redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """Anybody may write the field `once`; what it can lead to is a record of this service and nothing else."""
    for fact in [b"../../x", b"a b", b"\xff", b"x" * 500, b"demo.thing.do:\n", b""]:
        await platform.add(json.dumps(envelope("demo.thing.do")), once=fact)
    async with running(ServiceWorker(settings(), redis, Counting())):
        await wait_until(platform.is_done, "all is done")
    assert [key async for key in redis.scan_iter("*:once:*")] == []


async def test_who_may_not_write_the_record_writes_nothing(redis: redis_asyncio.Redis, platform: Platform) -> None:
    """Else a repeat would not know of the first."""
    await redis.acl_setuser(
        "limited", enabled=True, nopass=True, categories=["+@all"], commands=["-hset"], keys=["*"], reset=True
    )
    port = redis.connection_pool.connection_kwargs["port"]
    async with (
        redis_asyncio.Redis(port=port, username="limited", password="any") as limited,
        BaseRedisClient("shop", limited, make_settings("shop")) as client,
    ):
        with pytest.raises(ServerRefused, match="NOPERM"):
            await client.send("demo.order.place", {}, idempotency_key="7")
    assert await platform.backlog() == 0
    await redis.acl_deluser("limited")


# ── declared by the service ──


class Shop(BaseService):
    """Places orders; each once, whoever sends it."""

    placed = 0

    @action("demo.order.place", once_for=60.0)
    async def place(self) -> int:
        self.placed += 1
        current_context().effects.increment("orders")
        await current_context().send("mail.letter.write")
        return self.placed


async def test_a_declared_action_is_done_once_whoever_sends_it(
    redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """A sender that knows nothing of keys has written the same action twice: its effects are there once, and both
    answers are the first."""
    service = Shop(settings())
    queue = platform.queue()
    body = json.dumps(envelope("demo.order.place", callback_queue_name=queue))
    async with running(ServiceWorker(settings(), redis, service)):
        for _ in range(3):
            await platform.add(body)
        answers = [await platform.answer(queue) for _ in range(3)]
        assert [answer["data"] for answer in answers] == [{"result": 1}] * 3
        assert len({answer["action_id"] for answer in answers}) == 1
        assert {answer["correlation_id"] for answer in answers} == {json.loads(body)["correlation_id"]}
        assert (await platform.ask("demo.order.place"))["success"]
        await wait_until(platform.is_done, "all has ended")
    assert await redis.getdel("orders") == b"2"
    assert await redis.xlen("nooble4:test:mail:streams:main") == 2
    records = [key async for key in redis.scan_iter("*:once:*")]
    assert len(records) == 2
    assert all([0 < await redis.ttl(key) <= 60 for key in records])


async def test_a_declared_action_that_failed_may_be_sent_again(
    redis: redis_asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    class Fickle(BaseService):
        runs = 0

        @action("demo.order.place", once_for=60.0)
        async def place(self) -> int:
            self.runs += 1
            if self.runs == 1:
                raise Reject("closed")
            return self.runs

    body = {"action_id": str(uuid.uuid4()), "tenant_id": None}
    async with running(ServiceWorker(settings(), redis, Fickle(settings()))):
        answers = [await platform.ask("demo.order.place", **body) for _ in range(3)]
    assert [answer["success"] for answer in answers] == [False, True, True]
    assert answers[1]["data"] == answers[2]["data"] == {"result": 2}
