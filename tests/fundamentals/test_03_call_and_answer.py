"""Calling: the sender waits, and gets what the service returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import redis.asyncio
from pydantic import BaseModel

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout
from nooble.models import DomainAction, DomainActionResponse
from nooble.workers import ServiceWorker
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


class Price(BaseModel):
    amount: float
    currency: str = "EUR"


async def test_what_a_service_returns_is_the_answer(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """A mapping or a model is the data of the answer."""
    service = Doing(lambda action: Price(amount=12.5))
    async with running(ServiceWorker(settings("prices"), redis, service)):
        answer = await client.call("prices.price.get", {"item": "tea"}, timeout=5)
    assert isinstance(answer, DomainActionResponse)
    assert answer.success
    assert answer.data == {"amount": 12.5, "currency": "EUR"}


async def test_what_is_no_mapping_arrives_as_result(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The data of an answer are always a mapping."""
    async with running(ServiceWorker(settings("prices"), redis, Doing(lambda action: [1, 2]))):
        answer = await client.call("prices.price.list", timeout=5)
    assert answer.data == {"result": [1, 2]}


async def test_an_answer_says_what_it_answers(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The ids of the action come back with the answer."""
    action = DomainAction(action_type="prices.price.get", data={}, tenant_id="acme", task_id="t-1")
    async with running(ServiceWorker(settings("prices"), redis, Doing(lambda action: {}))):
        answer = await client.send_action_pseudo_sync(action, timeout=5)
    assert (answer.tenant_id, answer.task_id) == ("acme", "t-1")
    assert answer.correlation_id == action.correlation_id
    assert answer.trace_id == action.trace_id


async def test_many_calls_at_once_each_get_their_own_answer(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """They share one queue and one connection."""
    async with running(ServiceWorker(settings("prices"), redis, Doing(lambda action: action.data))):
        answers = await asyncio.gather(*(client.call("prices.price.get", {"n": n}, timeout=5) for n in range(200)))
    assert [answer.data for answer in answers] == [{"n": n} for n in range(200)]


async def test_a_service_can_make_the_answer_itself(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """A returned `DomainActionResponse` is the answer as it is; the worker only says what it answers."""
    service = Doing(lambda action: DomainActionResponse(success=True, data={"made": "by hand"}))
    async with running(ServiceWorker(settings("prices"), redis, service)):
        answer = await client.call("prices.price.get", timeout=5)
    assert answer.data == {"made": "by hand"}


async def test_a_call_that_nobody_answers_says_why(settings: Settings, client: BaseRedisClient) -> None:
    """The error names the action, the service, and whether anybody serves it."""
    with pytest.raises(CallTimeout, match=r"prices\.price\.get from prices within 0\.05 s: nobody has ever served it"):
        await client.call("prices.price.get", timeout=0.05)


async def test_what_nobody_awaits_any_more_is_not_started(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The caller's deadline travels with the call."""
    with pytest.raises(CallTimeout):
        await client.call("prices.price.get", timeout=0.05)
    service = Doing(lambda action: {})
    async with running(ServiceWorker(settings("prices"), redis, service)):
        await client.call("prices.price.list", timeout=5)
    assert [action.action_type for action in service.seen] == ["prices.price.list"]
