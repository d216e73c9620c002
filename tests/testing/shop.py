"""A small service for tests of the harness: it does well, refuses, breaks, waits, retries, writes and calls others."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field

from nooble import ActionContext, BaseService, CommonAppSettings, Reject, Retry, ServiceClient, action
from nooble.errors import ExternalServiceError, RetryLater


class Order(BaseModel):
    item: str = Field(min_length=1)
    count: int = Field(gt=0)


class Receipt(BaseModel):
    number: int
    item: str


class Stock(BaseModel):
    item: str
    left: int


class StockService(BaseService):
    @action("stock.item.take")
    async def take(self, order: Order) -> Stock:
        return Stock(item=order.item, left=10 - order.count)

    @action("stock.item.noted")
    async def noted(self, stock: Stock) -> None:
        return None


class ShopService(BaseService):
    """`gate` holds handlers that wait; `runs` counts."""

    def __init__(self, app_settings: CommonAppSettings) -> None:
        super().__init__(app_settings)
        self.runs: list[str] = []
        self.deliveries: list[int] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.failures = 1
        self.time_left: float | None = None

    @action("shop.order.create")
    async def create(self, order: Order) -> Receipt:
        self.runs.append(order.item)
        if order.item == "nothing":
            raise Reject("no such thing", error_code="NO_SUCH_THING")
        if order.item == "broken":
            raise KeyError("broken")
        return Receipt(number=len(self.runs), item=order.item)

    @action("shop.order.wait", timeout=3600.0)
    async def wait(self, order: Order, context: ActionContext) -> Receipt:
        self.runs.append(order.item)
        self.deliveries.append(context.deliveries)
        self.entered.set()
        await self.gate.wait()
        self.time_left = context.time_left
        return Receipt(number=0, item=order.item)

    @action("shop.order.charge", retry=Retry(attempts=3, backoff=60.0, jitter=0.0))
    async def charge(self, order: Order, context: ActionContext) -> int:
        self.runs.append(order.item)
        if context.attempt <= self.failures:
            raise ExternalServiceError("the bank is closed")
        return context.attempt

    @action("shop.order.later")
    async def later(self, order: Order, context: ActionContext) -> int:
        if context.attempt == 1:
            raise RetryLater(after=30.0)
        return context.attempt

    @action("shop.order.count")
    async def count(self, order: Order, context: ActionContext) -> None:
        context.effects.increment(f"{order.item}:sold", order.count)

    @action("shop.order.reserve")
    async def reserve(self, order: Order, context: ActionContext) -> Stock:
        return await ServiceClient(context).call(StockService.take, order)

    @action("shop.order.announce")
    async def announce(self, order: Order, context: ActionContext) -> None:
        await context.send("mail.letter.send", {"about": order.item})

    @action("shop.order.ask")
    async def ask(self, order: Order, context: ActionContext) -> None:
        await ServiceClient(context).call_back(StockService.take, order, to=ShopService.asked)

    @action("shop.order.asked")
    async def asked(self, stock: Stock) -> None:
        self.runs.append(f"{stock.left} {stock.item} left")
