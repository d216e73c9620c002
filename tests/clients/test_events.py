"""What a client tells: what it has sent, what it could not send, and how its calls ended; and those who watch it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, PayloadTooLarge, Reject, ServerUnavailable
from nooble.events import CallEnded, ClientEvent, NotSent, Sent
from nooble.models import DomainAction
from nooble.observability import opentelemetry, prometheus
from nooble.workers import ServiceWorker
from tests.support.platform import Platform
from tests.support.settings import NOBODY, make_settings
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


@pytest.fixture
async def client(redis: redis.asyncio.Redis, settings: Settings) -> AsyncIterator[BaseRedisClient]:
    async with BaseRedisClient("shop", redis, settings("shop")) as client:
        yield client


@pytest.fixture
def told(client: BaseRedisClient) -> list[Any]:
    told: list[Any] = []
    client.events.subscribe(told.append)
    return told


async def test_a_send_is_told_with_where_it_went(client: BaseRedisClient, told: list[Any]) -> None:
    sent = await client.send("demo.thing.do", {"n": 1})
    await client.send("demo.thing.do", {}, service="other")
    first, second = told
    assert first == Sent(service="shop", action_type="demo.thing.do", action_id=str(sent), target="demo", kind="send")
    assert second.target == "other"


async def test_an_action_whose_result_comes_back_is_told_as_such(client: BaseRedisClient, told: list[Any]) -> None:
    await client.call_back("demo.thing.do", {}, callback_action_type="shop.thing.done")
    assert [event.kind for event in told] == ["callback"]


async def test_each_of_many_is_told_once_they_are_there(
    client: BaseRedisClient, told: list[Any], redis: redis.asyncio.Redis
) -> None:
    ids = await client.send_many([("demo.thing.do", {"n": n}) for n in range(250)])
    assert [event.action_id for event in told] == [str(one) for one in ids]
    assert await Platform(redis).backlog() == 250


async def test_what_was_to_leave_and_did_not_is_told_as_not_sent(client: BaseRedisClient, told: list[Any]) -> None:
    def some() -> Any:
        yield "demo.thing.do", {}
        raise LookupError("out of things")

    with pytest.raises(LookupError):
        await client.send_many(some())
    (event,) = told
    assert (type(event), event.code) == (NotSent, "HANDLER_ERROR")


async def test_what_cannot_be_sent_is_told_with_the_reason() -> None:
    told: list[Any] = []
    client = BaseRedisClient("shop", redis.asyncio.Redis.from_url(NOBODY), make_settings("shop"))
    client.events.subscribe(told.append)
    with pytest.raises(ServerUnavailable):
        await client.send("demo.thing.do", {})
    await client.close()
    (event,) = told
    assert (type(event), event.code, event.target) == (NotSent, "SERVER_UNAVAILABLE", "demo")
    assert "127.0.0.1:1" in event.message


async def test_what_is_too_large_is_told_as_well(client: BaseRedisClient, told: list[Any]) -> None:
    client.settings = client.settings.model_copy(update={"max_payload_bytes": 10})
    with pytest.raises(PayloadTooLarge):
        await client.send("demo.thing.do", {"much": "x" * 100})
    assert [event.code for event in told] == ["PAYLOAD_TOO_LARGE"]


async def test_a_call_is_told_with_its_end(
    client: BaseRedisClient, told: list[Any], redis: redis.asyncio.Redis, settings: Settings
) -> None:
    def answer(action: DomainAction) -> dict[str, Any]:
        if action.data:
            raise Reject("no", error_code="NOT_TODAY")
        return {"ok": True}

    async with running(ServiceWorker(settings(), redis, Doing(answer))):
        assert (await client.call("demo.thing.do", {})).success
        assert not (await client.call("demo.thing.do", {"n": 1})).success
    sent, ended, _, refused = told
    assert (type(sent), sent.kind) == (Sent, "call")
    assert (type(ended), ended.outcome, ended.code, ended.action_id) == (CallEnded, "ok", "", sent.action_id)
    assert 0 < ended.seconds < 5
    assert (refused.outcome, refused.code) == ("error", "NOT_TODAY")


async def test_a_call_that_nobody_answers_is_told_as_timed_out(client: BaseRedisClient, told: list[Any]) -> None:
    with pytest.raises(CallTimeout):
        await client.call("demo.thing.do", {}, timeout=0.05)
    ended = told[-1]
    assert (type(ended), ended.outcome, ended.code) == (CallEnded, "timeout", "CALL_TIMEOUT")
    assert ended.seconds >= 0.05


async def test_whoever_has_heard_enough_hears_no_more(client: BaseRedisClient) -> None:
    heard: list[Any] = []
    enough = client.events.subscribe(heard.append, [ClientEvent])
    await client.send("demo.thing.do", {})
    enough()
    await client.send("demo.thing.do", {})
    assert len(heard) == 1
    assert client.events.listeners == {}  # and sending is as quick as before


# ── watches ──
class Marking:
    """A watch that writes something into what goes out."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def begin(self, kind: str, action: DomainAction, stream: str) -> str:
        action.put(metadata={**(action.metadata or {}), "mark": kind})
        return kind

    def end(self, begun: str, error: BaseException | None, answer: Any) -> None:
        self.seen.append((begun, type(error), None if answer is None else answer.success))


async def test_a_watch_may_put_something_into_what_goes_out(
    client: BaseRedisClient, redis: redis.asyncio.Redis, settings: Settings
) -> None:
    watch, service = Marking(), Doing(lambda action: None)
    client.watches.append(watch)
    async with running(ServiceWorker(settings(), redis, service)):
        await client.send("demo.thing.do", {}, metadata={"own": 1})
        await client.call("demo.thing.do", {})
        await client.send_many([("demo.thing.do", {})])
        await client.call("demo.thing.do", {})  # by now all have been done
    assert [action.metadata["mark"] for action in service.seen] == ["send", "call", "send", "call"]
    assert service.seen[0].metadata["own"] == 1
    nobody = type(None)
    assert watch.seen == [
        ("send", nobody, None),
        ("call", nobody, True),
        ("send", nobody, None),
        ("call", nobody, True),
    ]


async def test_a_watch_that_breaks_breaks_nothing(
    client: BaseRedisClient, redis: redis.asyncio.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def begin(self, kind: str, action: DomainAction, stream: str) -> None:
            raise LookupError("broken watch")

        def end(self, begun: None, error: BaseException | None, answer: Any) -> None: ...

    client.watches.append(Broken())
    await client.send("demo.thing.do", {})
    assert await Platform(redis).backlog() == 1
    assert "broken watch" in capsys.readouterr().out


# ── settings ──
@pytest.mark.parametrize("name", ["metrics", "tracing"])
async def test_a_client_whose_settings_say_so_is_watched_from_its_first_use_on(
    redis: redis.asyncio.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    watched: list[Any] = []
    for module in (opentelemetry, prometheus):
        monkeypatch.setattr(module, "watch_client", watched.append)
    async with BaseRedisClient("shop", redis, settings("shop", **{name: True})) as client:
        assert watched == []
        await client.send("demo.thing.do", {})
        await client.close()
        await client.send("demo.thing.do", {})
    assert watched == [client]


async def test_the_error_of_who_gives_the_actions_is_raised_as_it_is(client: BaseRedisClient, told: list[Any]) -> None:
    class Foreign(Exception):
        def details(self) -> str:
            return "of another kind"

    def actions() -> Any:
        yield "demo.thing.do", {}
        raise Foreign

    with pytest.raises(Foreign):
        await client.send_many(actions())
    assert [type(event) for event in told] == [NotSent]


async def test_a_call_that_is_given_up_is_not_one_that_was_not_sent(client: BaseRedisClient, told: list[Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.call("demo.thing.do", {}, timeout=5)
    assert [type(event) for event in told] == [CallEnded]


async def test_a_listener_that_raises_a_cancellation_cancels_nobody(
    client: BaseRedisClient, capsys: pytest.CaptureFixture[str]
) -> None:
    def cancel(event: Any) -> None:
        raise asyncio.CancelledError

    client.events.subscribe(cancel)
    await client.send("demo.thing.do", {})
    assert "listener_failed" in capsys.readouterr().out
