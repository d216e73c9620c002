"""Follow-ups: what a handler sends through its context appears together with the end of its action, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import ContextClosed
from nooble.models import ActionContext, DomainAction, current_context
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_a_handler_sends_through_its_context(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """The follow-up carries on the ids of the action that caused it."""

    async def create(action: DomainAction) -> None:
        await current_context().send("invoices.invoice.write", {"order": 7})

    invoices = Doing(lambda action: None)
    async with running(
        ServiceWorker(settings("orders"), redis, Doing(create)), ServiceWorker(settings("invoices"), redis, invoices)
    ):
        await client.send("orders.order.create", tenant_id="acme")
        await wait_until(lambda: invoices.seen, "the invoice is written")
    assert (invoices.seen[0].data, invoices.seen[0].tenant_id) == ({"order": 7}, "acme")
    assert invoices.seen[0].origin_service == "orders"


async def test_a_handler_that_fails_has_sent_nothing(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """No half-done work: the next attempt starts as if this one had never been."""

    async def create(action: DomainAction) -> None:
        await current_context().send("invoices.invoice.write", {"attempt": current_context().attempt})
        if current_context().attempt == 1:
            raise ConnectionError("the bank is closed")

    invoices = Doing(lambda action: None)
    async with running(
        ServiceWorker(settings("orders"), redis, Doing(create)), ServiceWorker(settings("invoices"), redis, invoices)
    ):
        await client.send("orders.order.create")
        await wait_until(lambda: invoices.seen, "the invoice is written")
    assert [action.data for action in invoices.seen] == [{"attempt": 2}]


async def test_a_handler_can_call_another_service(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """A call leaves at once, as its answer is needed before the end."""

    async def create(action: DomainAction) -> dict[str, float]:
        price = await current_context().call("prices.price.get", timeout=5)
        assert price.data is not None
        return {"total": 3 * price.data["amount"]}

    prices = Doing(lambda action: {"amount": 2.5})
    async with running(
        ServiceWorker(settings("orders"), redis, Doing(create)), ServiceWorker(settings("prices"), redis, prices)
    ):
        answer = await client.call("orders.order.create", timeout=5)
    assert answer.data == {"total": 7.5}


async def test_a_context_ends_with_its_handler(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """What is sent later could not join the commit any more, so it is refused."""
    kept: list[ActionContext] = []
    async with running(ServiceWorker(settings("orders"), redis, Doing(lambda action: kept.append(current_context())))):
        await client.call("orders.order.create", timeout=5)
    with pytest.raises(ContextClosed, match="after its handler had ended"):
        await kept[0].send("invoices.invoice.write")
