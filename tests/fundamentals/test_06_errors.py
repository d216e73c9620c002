"""Errors: raising is enough. Who waits is told at once, with a code for programs and words for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis.asyncio
from pydantic import BaseModel

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import Reject
from nooble.models import DomainAction, DomainActionResponse, ErrorDetail
from nooble.workers import ServiceWorker
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


class Order(BaseModel):
    number: int


async def told(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient, what: Callable[[DomainAction], Any]
) -> ErrorDetail:
    """What a caller is told when the service does *what*."""
    async with running(ServiceWorker(settings("orders"), redis, Doing(what))):
        answer = await client.call("orders.order.create", {"number": "seven"}, timeout=5)
    assert not answer.success
    assert answer.data is None
    assert answer.error is not None
    return answer.error


async def test_an_exception_becomes_an_answer(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Its class and its message are told; its code is the one for errors that no one has declared."""

    def fail(action: DomainAction) -> None:
        raise LookupError("no such customer")

    error = await told(redis, settings, client, fail)
    assert (error.error_type, error.error_code, error.message) == ("LookupError", "HANDLER_ERROR", "no such customer")


async def test_a_refusal_has_a_code_of_the_business(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`Reject` is for what is no incident, but the business saying no."""

    def refuse(action: DomainAction) -> None:
        raise Reject("only 3 left", error_code="OUT_OF_STOCK", details={"left": 3})

    error = await told(redis, settings, client, refuse)
    assert (error.error_code, error.message, error.details) == ("OUT_OF_STOCK", "only 3 left", {"left": 3})


async def test_data_that_do_not_fit_are_told_field_by_field(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Validating by hand, as the standard shows, is enough."""
    error = await told(redis, settings, client, lambda action: Order(**action.data))
    assert error.error_code == "INVALID_PAYLOAD"
    assert error.details is not None
    assert [field["path"] for field in error.details["errors"]] == ["$.data.number"]


async def test_an_action_that_a_service_does_not_know_is_told_apart(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`NotImplementedError`, as the standard raises it."""

    def unknown(action: DomainAction) -> None:
        raise NotImplementedError(f"unsupported: {action.action_type}")

    assert (await told(redis, settings, client, unknown)).error_code == "UNKNOWN_ACTION"


async def test_a_failure_can_be_returned_instead(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The service's own answer travels as it is."""
    error = ErrorDetail(error_type="Business", error_code="CLOSED", message="we open at nine")
    returned = await told(redis, settings, client, lambda action: DomainActionResponse(success=False, error=error))
    assert returned == error


async def test_a_worker_goes_on_after_an_error(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The next action finds it as if nothing had happened."""

    def divide(action: DomainAction) -> float:
        return 10 / action.data["by"]

    async with running(ServiceWorker(settings("orders"), redis, Doing(divide))):
        assert not (await client.call("orders.order.divide", {"by": 0}, timeout=5)).success
        assert (await client.call("orders.order.divide", {"by": 4}, timeout=5)).data == {"result": 2.5}
