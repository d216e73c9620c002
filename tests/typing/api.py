"""What a type checker infers of declared services, and what it refuses. Never run: `test_typing` has it checked.

Each refusal is an ignore of its own code, and an ignore that is not needed is an error: what is refused here stays refused.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import uuid
from typing import Any, TypedDict, assert_type

import msgspec
from pydantic import BaseModel

from nooble.clients.service_client import ServiceClient
from nooble.config import CommonAppSettings
from nooble.models import ActionContext, DomainAction
from nooble.retry import Retry
from nooble.routing import ActionRouter, action
from nooble.services import BaseService

router = ActionRouter("orders.report")


class NewOrder(BaseModel):
    customer: str


class Order(msgspec.Struct):
    number: int


class Page(BaseModel):
    orders: list[int]


class Filter(TypedDict):
    text: str


class OrderService(BaseService):
    """One handler of each shape."""

    routers = (router,)

    @action("orders.order.create", retry=Retry(attempts=5), timeout=2.0, tags=["orders"], sensitive=["customer"])
    async def create(self, order: NewOrder) -> Order:
        return Order(1)

    @action("orders.order.confirm")
    async def confirm(self, order: Order, context: ActionContext, dry: bool = False) -> None: ...

    @action("orders.order.count")
    async def count(self) -> int:
        return 0

    @action("orders.order.latest")
    async def latest(self, context: ActionContext) -> Order | None:
        return None

    @action("orders.order.search")
    async def search(self, filter: NewOrder | None = None) -> list[Order]:
        return []

    @action("orders.order.find")
    async def find(self, filter: Filter) -> Filter:
        return filter

    @action("orders.order.raw")
    async def raw(self, data: dict[str, Any], *, context: ActionContext) -> dict[str, Any]:
        return data

    @action("orders.order.price")
    def price(self, order: NewOrder) -> float:
        return 0.0

    @action("orders.order.ping")
    def ping(self) -> str:
        return "pong"

    @action("*")
    async def others(self, action: DomainAction) -> None: ...


@router.action("daily")
async def daily(filter: NewOrder, service: OrderService) -> Page:
    return Page(orders=[])


@router.action("monthly")
async def monthly(service: OrderService) -> Page:
    return Page(orders=[])


@router.action("yearly")
def yearly(filter: NewOrder) -> Page:
    return Page(orders=[])


@router.action("weekly")
async def weekly(filter: NewOrder | None = None, context: ActionContext | None = None) -> Page:
    return Page(orders=[])


@router.action("ever")
def ever() -> Page:
    return Page(orders=[])


class StrictOrderService(OrderService):
    """A subclass declares a method anew, and may narrow its result."""

    @action("orders.order.latest")
    async def latest(self, context: ActionContext) -> Order:
        return await super().latest(context) or Order(0)


def a_service_needs_a_name_and_no_other_setting() -> None:
    OrderService(CommonAppSettings(service_name="orders"))
    OrderService(CommonAppSettings(service_name="orders", worker_concurrency=4))


async def a_call_gives_what_the_handler_declares(client: ServiceClient) -> None:
    assert_type(await client.call(OrderService.create, NewOrder(customer="ada")), Order)
    assert_type(await client.call(OrderService.create, NewOrder(customer="ada"), timeout=2.0, tenant_id="t"), Order)
    assert_type(await client.call(OrderService.confirm, Order(1)), None)
    assert_type(await client.call(OrderService.count), int)
    assert_type(await client.call(OrderService.latest), Order | None)
    assert_type(await client.call(StrictOrderService.latest), Order)
    assert_type(await client.call(OrderService.search), list[Order])
    assert_type(await client.call(OrderService.search, NewOrder(customer="ada")), list[Order])
    assert_type(await client.call(OrderService.find, Filter(text="a")), Filter)
    assert_type(await client.call(OrderService.raw, {"a": 1, "b": "x"}), dict[str, Any])
    assert_type(await client.call(OrderService.price, NewOrder(customer="ada")), float)
    assert_type(await client.call(OrderService.ping), str)
    assert_type(await client.call(daily, NewOrder(customer="ada")), Page)
    assert_type(await client.call(monthly), Page)
    assert_type(await client.call(yearly, NewOrder(customer="ada")), Page)
    assert_type(await client.call(weekly), Page)
    assert_type(await client.call(weekly, NewOrder(customer="ada")), Page)
    assert_type(await client.call(ever), Page)


async def a_service_from_afar_is_called_by_its_own_names(client: ServiceClient) -> None:
    orders = client.of(OrderService)
    assert_type(await orders.create(NewOrder(customer="ada")), Order)
    assert_type(await orders.create(NewOrder(customer="ada"), timeout=2.0, service="orders_2"), Order)
    assert_type(await orders.confirm(Order(1)), None)
    assert_type(await orders.count(timeout=1.0), int)
    assert_type(await orders.search(), list[Order])
    assert_type(await orders.search(NewOrder(customer="ada"), timeout=1.0), list[Order])
    assert_type(await orders.find({"text": "a"}), Filter)
    assert_type(await orders.raw({"a": 1, "b": "x"}), dict[str, Any])
    assert_type(await orders.price(NewOrder(customer="ada")), float)


async def what_nobody_waits_for_has_an_id(client: ServiceClient) -> None:
    assert_type(await client.send(OrderService.create, NewOrder(customer="ada"), trace_id=uuid.uuid4()), uuid.UUID)
    assert_type(await client.send(OrderService.count), uuid.UUID)
    assert_type(
        await client.call_back(OrderService.create, NewOrder(customer="ada"), to=OrderService.confirm), uuid.UUID
    )


async def a_context_sends_what_is_typed(context: ActionContext) -> None:
    assert_type(await ServiceClient(context).call(OrderService.create, NewOrder(customer="ada")), Order)


async def a_method_stays_what_it_was(service: OrderService, context: ActionContext) -> None:
    assert_type(await service.create(NewOrder(customer="ada")), Order)
    assert_type(await service.confirm(Order(1), context, dry=True), None)
    assert_type(await service.latest(context), Order | None)
    assert_type(await service.search(None), list[Order])
    assert_type(await service.raw({}, context=context), dict[str, Any])
    assert_type(service.price(NewOrder(customer="ada")), float)
    assert_type(await daily(NewOrder(customer="ada"), service), Page)
    assert_type(ever(), Page)


async def wrong_calls_are_refused(client: ServiceClient, service: OrderService) -> None:
    await client.call(OrderService.create, Order(1))  # type: ignore[misc]
    await client.call(OrderService.create)  # type: ignore[arg-type]
    await client.call(OrderService.count, Order(1))  # type: ignore[misc]
    await client.call(OrderService.search, Order(1))  # type: ignore[misc]
    await client.call(OrderService.find, {"txet": "a"})  # type: ignore[misc]
    await client.call(OrderService.create, NewOrder(customer="ada"), timout=1)  # type: ignore[call-overload]
    await client.call("orders.order.create")  # type: ignore[call-overload]
    await client.call(daily, Order(1))  # type: ignore[misc]
    await client.of(OrderService).create(Order(1))  # type: ignore[arg-type]
    await client.of(OrderService).create(NewOrder(customer="ada"), Order(1))  # type: ignore[call-arg, arg-type]
    await client.of(OrderService).cancel(Order(1))  # type: ignore[attr-defined]
    client.of(service)  # type: ignore[arg-type]
    await client.call_back(OrderService.create, NewOrder(customer="ada"), to=OrderService.create)  # type: ignore[misc]
    await client.send(OrderService.count, timeout=1.0)  # type: ignore[call-overload]
    await service.create(Order(1))  # type: ignore[arg-type]
    await service.confirm(Order(1))  # type: ignore[call-arg]
    await service.price(NewOrder(customer="ada"))  # type: ignore[misc]


class WrongDeclarations(OrderService):
    """Options that do not exist, and an override that takes something else."""

    @action("orders.order.audit", retries=3)  # type: ignore[call-arg]
    async def audit(self) -> None: ...

    @action("orders.order.create")
    async def create(self, order: Order) -> Order:  # type: ignore[override]
        return order
