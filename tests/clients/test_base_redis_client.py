"""What a client sends arrives as it was meant, once; who calls gets his own answer, or hears in time why there is none."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import fakeredis
import msgspec
import pydantic
import pytest
import redis.asyncio as redis_asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import (
    CallTimeout,
    ForbiddenCallback,
    MalformedAction,
    NoobleError,
    PayloadTooLarge,
    QueueManagerError,
    ReplyLost,
    SelfCall,
    ServerRefused,
    ServerUnavailable,
)
from nooble.models import ActionContext, DomainAction
from nooble.models.context import TTL, set_current
from nooble.wire.channels import DirectConnection
from nooble.wire.codec import decode_action
from tests.support.platform_worker import PlatformWorker
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.settings import NOBODY, make_settings
from tests.support.waiting import wait_until

Settings = Callable[..., CommonAppSettings]
ORDERS, BILLING = "nooble4:test:orders:streams:main", "nooble4:test:billing:streams:main"
GROUP = "orders-group"


@pytest.fixture
async def client(redis_url: str, settings: Settings) -> AsyncIterator[BaseRedisClient]:
    """A client of the service `shop`; its connections bear the name of it."""
    named = redis_asyncio.Redis.from_url(redis_url, client_name="shop")
    async with BaseRedisClient("shop", named, settings("shop")) as client:
        yield client


@pytest.fixture
async def orders(redis: redis_asyncio.Redis) -> AsyncIterator[PlatformWorker]:
    """The service `orders`, which answers with the data it was given."""
    async with PlatformWorker(redis, ORDERS, GROUP) as worker:
        yield worker


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: Proxy, settings: Settings) -> AsyncIterator[BaseRedisClient]:
    """A client that reaches the server through `proxy`."""
    async with BaseRedisClient("shop", redis_asyncio.Redis.from_url(proxy.url), settings("shop")) as client:
        yield client


async def sent(redis: redis_asyncio.Redis, stream: str = ORDERS) -> list[dict[str, Any]]:
    """The envelopes in a stream, as any program reads them."""
    return [json.loads(fields[b"data"]) for _, fields in await redis.xrange(stream)]


def connections(server: Server) -> list[dict[str, Any]]:
    return [one for one in server.client.client_list() if one["name"] == "shop"]


# ── sending ──


async def test_an_action_is_in_the_stream_of_its_service_when_send_returns(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    action_id = await client.send("orders.order.create", {"n": 1}, tenant_id="acme", metadata={"a": "b"})
    ((_, fields),) = await redis.xrange(ORDERS)
    assert set(fields) == {b"data", b"v"}
    action = decode_action(fields[b"data"])
    assert (action.action_id, action.action_type, action.data) == (action_id, "orders.order.create", {"n": 1})
    assert (action.origin_service, action.tenant_id, action.metadata) == ("shop", "acme", {"a": "b"})
    assert action.callback_queue_name is None
    assert action.timestamp.tzinfo is not None


class Order(pydantic.BaseModel):
    n: int = 1


class Struct(msgspec.Struct):
    n: int = 1


@pytest.mark.parametrize("payload", [{"n": 1}, Order(), Struct()], ids=["mapping", "model", "Struct"])
@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_payloads_of_every_kind_travel_in_the_codec_of_the_settings(
    redis: redis_asyncio.Redis, settings: Settings, payload: Any, codec: str
) -> None:
    async with BaseRedisClient("shop", redis, settings("shop", codec=codec)) as client:
        await client.send("orders.order.create", payload)
    ((_, fields),) = await redis.xrange(ORDERS)
    assert (fields[b"data"][:1] == b"{") == (codec == "json")
    assert decode_action(fields[b"data"]).data == {"n": 1}


async def test_a_ready_action_is_sent_as_it_is(client: BaseRedisClient, redis: redis_asyncio.Redis) -> None:
    action = DomainAction(action_type="orders.order.create", data={"n": 1}, rag_config={"k": 2})
    assert await client.send(action) == action.action_id
    (envelope,) = await sent(redis)
    assert envelope["rag_config"] == {"k": 2}
    assert DomainAction.model_validate(envelope) == action
    with pytest.raises(TypeError, match="carries its own data"):
        await client.send(action, {"n": 2})


async def test_the_service_is_the_first_segment_unless_an_alias_or_the_sender_says_otherwise(
    redis: redis_asyncio.Redis, settings: Settings
) -> None:
    async with BaseRedisClient("shop", redis, settings("shop", service_aliases={"query": "query_service"})) as client:
        await client.send("query.search")
        await client.send("query.search", service="other")
        await client.send("orders.order.create")
        await client.send_many([("query.a", None), ("query.b", None)])
    streams = {
        service: f"nooble4:test:{service}:streams:main" for service in ("query_service", "other", "orders", "query")
    }
    assert {name: await redis.xlen(stream) for name, stream in streams.items()} == {
        "query_service": 3,
        "other": 1,
        "orders": 1,
        "query": 0,
    }


@pytest.mark.parametrize("bad", ["orders", "", "Orders.x", "orders.x\n", "orders..x", "a:b.c"])
async def test_what_is_no_type_is_not_sent(client: BaseRedisClient, redis: redis_asyncio.Redis, bad: str) -> None:
    with pytest.raises(QueueManagerError, match="is no action type"):
        await client.send(bad)
    assert await redis.dbsize() == 0


async def test_an_action_of_just_the_largest_size_is_sent_and_a_larger_one_is_not(
    redis: redis_asyncio.Redis, settings: Settings
) -> None:
    async with BaseRedisClient("shop", redis, settings("shop", max_payload_bytes=2_000)) as client:
        action = DomainAction(action_type="orders.order.create", data={"x": ""})
        padding = 2_000 - len(client.post(action).data)
        action.data = {"x": "a" * padding}
        await client.send(action)
        action.data = {"x": "a" * (padding + 1)}
        for attempt in (client.send(action), client.call(action), client.send_many([action])):
            with pytest.raises(PayloadTooLarge, match="max_payload_bytes=2000") as caught:
                await attempt
        assert caught.value.details["limit"] == 2_000
    assert await redis.xlen(ORDERS) == 1


@pytest.mark.parametrize("data", [{"x": object()}, {"x": "\ud800"}])
async def test_what_cannot_be_written_is_not_sent(client: BaseRedisClient, data: Any) -> None:
    with pytest.raises(MalformedAction, match="cannot be encoded"):
        await client.send(DomainAction.model_construct(action_type="orders.x", data=data))


async def test_sends_that_are_awaited_together_leave_together(
    client: BaseRedisClient, redis: redis_asyncio.Redis, server: Server
) -> None:
    await client.send("orders.first")
    before = server.client.info("stats")["total_reads_processed"]
    await asyncio.gather(*(client.send("orders.order.create", {"n": number}) for number in range(500)))
    assert server.client.info("stats")["total_reads_processed"] - before < 20
    assert [envelope["data"].get("n") for envelope in await sent(redis)] == [None, *range(500)]


async def test_many_are_sent_in_order(client: BaseRedisClient, redis: redis_asyncio.Redis) -> None:
    actions = [("orders.order.create", {"n": number}) for number in range(999)]
    ids = await client.send_many(iter([*actions, DomainAction(action_type="orders.last", data={"n": 999})]))
    envelopes = await sent(redis)
    assert [envelope["data"]["n"] for envelope in envelopes] == list(range(1_000))
    assert [uuid.UUID(envelope["action_id"]) for envelope in envelopes] == ids
    assert await client.send_many([]) == []


async def test_many_large_ones_leave_in_pieces_that_a_link_can_carry(
    client: BaseRedisClient, redis: redis_asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    submit = DirectConnection.submit

    def spy(connection: Any, packed: bytes, count: int, timeout: float = 5.0) -> Any:
        writes.append(len(packed))
        return submit(connection, packed, count, timeout)

    monkeypatch.setattr(DirectConnection, "submit", spy)
    await client.send_many([("orders.order.create", {"x": "a" * 400_000})] * 20)
    assert await redis.xlen(ORDERS) == 20
    assert max(writes) < 2_000_000


# ── sending that fails ──


@pytest.mark.leaves_keys("it puts a stranger's key where a stream should be")
async def test_of_many_it_is_told_how_many_were_sent_before_one_failed(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    await redis.set(BILLING, "a stranger's")
    actions = [("billing.x" if number == 250 else "orders.x", {"n": number}) for number in range(450)]
    with pytest.raises(ServerRefused, match=r"WRONGTYPE.*billing") as caught:
        await client.send_many(actions)
    assert caught.value.details["sent"] == 250
    assert [envelope["data"]["n"] for envelope in (await sent(redis))[:250]] == list(range(250))


@pytest.mark.parametrize(
    ("bad", "error"),
    [(("orders.x", {"x": "a" * 3_000}), PayloadTooLarge), (("no type", None), QueueManagerError)],
)
async def test_of_many_it_is_told_how_many_were_sent_before_one_was_refused(
    redis: redis_asyncio.Redis, settings: Settings, bad: Any, error: type[NoobleError]
) -> None:
    async with BaseRedisClient("shop", redis, settings("shop", max_payload_bytes=2_000)) as client:
        with pytest.raises(error) as caught:
            await client.send_many([*[("orders.x", None)] * 450, bad])
        assert caught.value.details["sent"] == await redis.xlen(ORDERS) == 400


async def test_a_send_whose_reply_is_lost_says_so_and_is_not_repeated(
    through: BaseRedisClient, proxy: Proxy, redis: redis_asyncio.Redis
) -> None:
    await through.send("orders.first")
    proxy.swallow(b"XADD")
    with pytest.raises(ReplyLost):
        await through.send("orders.second")
    assert [envelope["action_type"] for envelope in await sent(redis)] == ["orders.first", "orders.second"]
    await through.send("orders.third")
    assert (proxy.faults, await redis.xlen(ORDERS)) == (1, 3)


async def test_a_server_that_is_away_is_told_at_once(settings: Settings) -> None:
    async with BaseRedisClient("shop", redis_asyncio.Redis.from_url(NOBODY), make_settings("shop")) as client:
        before = time.monotonic()
        for attempt in (client.send("orders.x"), client.call("orders.x"), client.send_many([("orders.x", None)])):
            with pytest.raises(ServerUnavailable) as caught:
                await attempt
            assert not isinstance(caught.value, ReplyLost)
        assert time.monotonic() - before < 2.0


async def test_a_server_that_answers_nothing_is_told_in_time(
    through: BaseRedisClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await through.send("orders.first")
    proxy.mute = True
    monkeypatch.setattr("nooble.wire.visits._PATIENCE", 0.2)
    before = time.monotonic()
    with pytest.raises(CallTimeout, match="the server could not be asked why"):
        await through.call("orders.x", timeout=0.2)
    assert time.monotonic() - before < 1.0


# ── calling ──


@pytest.mark.every_server
@pytest.mark.parametrize("count", [200, pytest.param(2_000, marks=pytest.mark.slow)])
async def test_all_calls_in_flight_share_one_queue_and_two_connections(
    client: BaseRedisClient, orders: PlatformWorker, server: Server, count: int
) -> None:
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(connections(server)))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(*(client.call("orders.echo", {"n": n}, timeout=30) for n in range(count)))
    watching.cancel()
    assert [answer.data for answer in answers] == [{"n": n} for n in range(count)]
    assert len({envelope["callback_queue_name"] for envelope in orders.seen}) == 1
    assert most == len(connections(server)) == 2


async def test_an_answer_has_what_the_service_said(client: BaseRedisClient, orders: PlatformWorker) -> None:
    answer = await client.call("orders.echo", {"a": ["ñ", None]}, tenant_id="acme", task_id="t1")
    assert (answer.success, answer.data, answer.error) == (True, {"a": ["ñ", None]}, None)
    assert (answer.tenant_id, answer.task_id) == ("acme", "t1")
    assert str(answer.correlation_id) == orders.seen[0]["correlation_id"]


async def test_the_time_that_a_caller_waits_travels_along(client: BaseRedisClient, orders: PlatformWorker) -> None:
    await client.call("orders.echo", timeout=12.5, metadata={"a": "b"})
    assert orders.seen[0]["metadata"] == {"a": "b", TTL: 12_500}


async def test_a_late_answer_is_dropped_and_disturbs_nobody(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    late = asyncio.Event()

    async def handle(envelope: dict[str, Any]) -> Any:
        if envelope["action_type"] == "orders.slow":
            await late.wait()
        return envelope["data"]

    async with PlatformWorker(redis, ORDERS, GROUP, handle):
        with pytest.raises(CallTimeout):
            await client.call("orders.slow", {"n": 1}, timeout=0.1)
        late.set()
        assert (await client.call("orders.echo", {"n": 2})).data == {"n": 2}
        await wait_until(lambda: _late(client), "the late answer has come and is counted")


async def _late(client: BaseRedisClient) -> bool:
    if not client._exchange._inbox.late:
        await client.call("orders.echo")
    return client._exchange._inbox.late == 1


async def test_a_cancelled_caller_takes_nobody_elses_answer_along(
    client: BaseRedisClient, orders: PlatformWorker
) -> None:
    calls = [asyncio.create_task(client.call("orders.echo", {"n": n})) for n in range(200)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [n % 3 == 0 for n in range(200)]
    assert all(answer.data == {"n": n} for n, answer in enumerate(answers) if n % 3)  # type: ignore[union-attr]


async def test_no_answer_is_lost_while_the_connections_of_the_client_are_killed(
    client: BaseRedisClient, orders: PlatformWorker, server: Server
) -> None:
    calls = asyncio.gather(*(client.call("orders.echo", {"n": n}, timeout=20) for n in range(500)))
    killed = 0
    while not calls.done() and killed < 20:
        for one in connections(server):
            if one["cmd"] in ("blmove", "lrange", "ltrim"):  # the reader: a send that is cut off may not have been sent
                killed += server.client.client_kill_filter(_id=one["id"])
        await asyncio.sleep(0.01)
    assert [answer.data for answer in await calls] == [{"n": n} for n in range(500)]
    assert killed >= 1


async def test_a_call_whose_send_was_not_confirmed_is_answered_all_the_same(
    through: BaseRedisClient, proxy: Proxy, orders: PlatformWorker
) -> None:
    await through.send("orders.first")
    proxy.swallow(b"orders.echo")
    assert (await through.call("orders.echo", {"n": 1})).data == {"n": 1}
    assert (proxy.faults, len(orders.seen)) == (1, 2)


async def test_the_same_action_is_not_called_twice_at_once(client: BaseRedisClient, orders: PlatformWorker) -> None:
    action = DomainAction(action_type="orders.echo", data={})
    first = asyncio.create_task(client.call(action))
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="already awaited"):
        await client.call(action)
    assert (await first).success


@pytest.mark.leaves_keys("it puts a stranger's key where answers should come")
async def test_a_queue_that_cannot_be_read_is_told_to_the_caller(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    client._here()
    await redis.set(client._exchange._inbox.queue, "a stranger's")
    with pytest.raises(ServerRefused, match="answers cannot be read"):
        await client.call("orders.x", timeout=5)


# ── why no answer came ──


async def reason(client: BaseRedisClient, action_type: str = "orders.slow") -> str:
    with pytest.raises(
        CallTimeout, match=f"no answer to {re.escape(action_type)} from orders within 0.05 s: "
    ) as caught:
        await client.call(action_type, timeout=0.05)
    assert caught.value.details == {"action_type": action_type, "service": "orders", "timeout": 0.05}
    assert isinstance(caught.value, TimeoutError)
    return str(caught.value).partition(" s: ")[2]


@pytest.mark.every_server
async def test_a_call_that_is_not_answered_says_whether_anybody_serves_the_stream(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    assert await reason(client) == (
        f"nobody has ever served it (1 in the stream {ORDERS}); is a worker running, on this server and in this environment?"
    )
    await redis.xgroup_create(ORDERS, GROUP, id="0")
    assert await reason(client) == f"no worker serves it now (2 in the stream {ORDERS}); is one running?"
    await redis.xgroup_createconsumer(ORDERS, GROUP, "one")
    await redis.xreadgroup(GROUP, "two", {ORDERS: ">"}, count=2)
    assert re.fullmatch(
        rf"2 workers known, last heard of 0\.\d s ago, 2 at work \(3 in the stream {ORDERS}\)", await reason(client)
    )


@pytest.mark.every_server
async def test_a_caller_that_may_not_look_does_not_say_that_nobody_serves_it(
    launch: Callable[..., Server],
) -> None:
    server = launch()
    rules = ["-@all", "+ping", "+xadd", "+xlen", "+blmove", "+lrange", "+ltrim", "~*"]
    server.client.execute_command("ACL", "SETUSER", "shop", "on", ">pw", *rules)
    named = redis_asyncio.Redis.from_url(server.url, username="shop", password="pw")
    async with BaseRedisClient("shop", named, make_settings("shop", redis_url=server.url)) as client:
        assert (await reason(client)).startswith("the server could not be asked why")


async def test_a_handler_that_calls_its_own_service_which_it_keeps_busy_is_told(client: BaseRedisClient) -> None:
    action = DomainAction(action_type="orders.outer", data={})

    async def handler() -> None:
        set_current(ActionContext(action, sole_stream=ORDERS))
        await client.call("orders.inner")

    with pytest.raises(SelfCall, match=r"orders\.outer calls its own service"):
        await asyncio.create_task(handler())


# ── the platform's methods ──


async def test_the_three_methods_of_the_platform_reach_its_workers(
    client: BaseRedisClient, orders: PlatformWorker, redis: redis_asyncio.Redis
) -> None:
    one, two, three = (DomainAction(action_type=f"orders.{n}", data={"n": n}, tenant_id="acme") for n in "abc")
    assert await client.send_action_async(one) is None
    answer = await client.send_action_pseudo_sync(two, timeout=10)
    assert (answer.success, answer.data, answer.correlation_id) == (True, {"n": "b"}, two.correlation_id)
    assert await client.send_action_async_with_callback(three, "shop.order.created", "mine") is None
    queue = "nooble4:test:shop:callbacks:shop_order_created:mine"
    callback = DomainAction.model_validate_json((await redis.blpop([queue], timeout=5))[1])
    assert (callback.action_type, callback.data) == ("shop.order.created", {"n": "c"})
    assert (callback.correlation_id, callback.tenant_id) == (three.correlation_id, "acme")
    assert [envelope["action_type"] for envelope in orders.seen] == ["orders.a", "orders.b", "orders.c"]
    assert {envelope["origin_service"] for envelope in orders.seen} == {"shop"}


async def test_every_field_of_the_platform_is_written(client: BaseRedisClient, orders: PlatformWorker) -> None:
    await client.call("orders.echo")
    (envelope,) = orders.seen
    assert set(envelope) == set(DomainAction.model_fields)
    for name in ("action_id", "correlation_id", "trace_id"):
        uuid.UUID(envelope[name])


async def test_two_hundred_calls_to_a_worker_of_the_platform_each_get_their_own_answer(
    client: BaseRedisClient, orders: PlatformWorker
) -> None:
    actions = [DomainAction(action_type="orders.echo", data={"n": n}) for n in range(200)]
    answers = await asyncio.gather(*(client.send_action_pseudo_sync(action) for action in actions))
    assert [answer.data for answer in answers] == [{"n": n} for n in range(200)]


async def test_a_callback_without_a_name_for_its_list_goes_by_the_correlation_id(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    action = DomainAction(action_type="orders.x", data={})
    await client.send_action_async_with_callback(action, "shop.done")
    (envelope,) = await sent(redis)
    assert envelope["callback_queue_name"] == f"nooble4:test:shop:callbacks:shop_done:{action.correlation_id}"
    assert envelope["callback_action_type"] == "shop.done"


async def test_a_callback_to_the_own_stream_is_asked_for_by_its_name(
    client: BaseRedisClient, redis: redis_asyncio.Redis
) -> None:
    action_id = await client.call_back("orders.x", {"n": 1}, callback_action_type="shop.order.created")
    (envelope,) = await sent(redis)
    assert envelope["action_id"] == str(action_id)
    assert envelope["callback_queue_name"] == "nooble4:test:shop:streams:main"
    assert envelope["callback_action_type"] == "shop.order.created"
    assert envelope["correlation_id"]


@pytest.mark.parametrize("foreign", ["orders.done", "shop", "", "Shop.x"])
async def test_a_callback_that_is_not_the_own_services_is_refused_before_anything_is_sent(
    client: BaseRedisClient, redis: redis_asyncio.Redis, foreign: str
) -> None:
    with pytest.raises(ForbiddenCallback):
        await client.call_back("orders.x", callback_action_type=foreign)
    assert await redis.dbsize() == 0


# ── its life ──


async def test_a_client_connects_when_it_is_used_and_leaves_nothing_behind(
    redis_url: str, settings: Settings, orders: PlatformWorker, server: Server
) -> None:
    client = BaseRedisClient("shop", redis_asyncio.Redis.from_url(redis_url, client_name="shop"), settings("shop"))
    await client.close()
    assert connections(server) == []
    for _ in range(2):
        assert (await client.call("orders.echo")).success
        assert len(connections(server)) == 2
        await client.close()
        await wait_until(lambda: not connections(server), "its connections are closed")
    await client.close()


async def test_closing_ends_the_calls_in_flight(client: BaseRedisClient, server: Server) -> None:
    calls = [asyncio.create_task(client.call("orders.x")) for _ in range(3)]
    await wait_until(lambda: server.client.xlen("nooble4:test:orders:streams:main") == 3, "they are sent")
    await wait_until(lambda: len(connections(server)) == 2, "they wait")
    await client.close()
    assert [type(error) for error in await asyncio.gather(*calls, return_exceptions=True)] == [ReplyLost] * 3
    await wait_until(lambda: not connections(server), "no connection is opened again")


def test_one_client_serves_one_event_loop_after_the_other(server: Server) -> None:
    redis = redis_asyncio.Redis.from_url(server.url, client_name="shop")
    client = BaseRedisClient("shop", redis, make_settings("shop"))

    async def use(close: bool) -> Any:
        async with PlatformWorker(redis, ORDERS, GROUP):
            answer = await client.call("orders.echo", {"n": 1})
            if close:
                await client.close()
            else:
                await client._exchange.close()
            return answer.data

    for close in (True, False, False, True):
        assert asyncio.run(use(close)) == {"n": 1}
    assert asyncio.run(use(close=False)) == {"n": 1}
    asyncio.run(client.close())  # in a loop that has not opened anything


async def test_the_connection_that_was_handed_in_is_left_alone(
    redis_url: str, settings: Settings, orders: PlatformWorker, server: Server
) -> None:
    handed_in = redis_asyncio.Redis.from_url(
        redis_url, decode_responses=True, client_name="handed-in", max_connections=1
    )
    await handed_in.ping()
    async with BaseRedisClient("shop", handed_in, settings("shop")) as client:
        assert (await client.call("orders.echo")).success
    assert await handed_in.ping()
    await handed_in.aclose()


async def test_a_server_of_python_objects_serves_as_well(fake_redis: fakeredis.FakeAsyncRedis) -> None:
    async with (
        BaseRedisClient("shop", fake_redis, make_settings("shop")) as client,
        PlatformWorker(fake_redis, ORDERS, GROUP),
    ):
        answers = await asyncio.gather(*(client.call("orders.echo", {"n": n}) for n in range(50)))
        assert [answer.data for answer in answers] == [{"n": n} for n in range(50)]
        assert len(await client.send_many([("orders.echo", None)] * 10)) == 10


def test_what_it_shows_of_itself_holds_no_password() -> None:
    url = "redis://ana:s3cret-w0rd@localhost:7000/2"
    client = BaseRedisClient("shop", redis_asyncio.Redis.from_url(url), make_settings("shop", redis_url=url))
    assert repr(client) == "<BaseRedisClient shop at localhost:7000>"
