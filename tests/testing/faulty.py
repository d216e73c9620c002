"""Services with one fault each, and one without any: what fuzzing has to find, and what it must leave alone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from pydantic import BaseModel, Field, model_validator

from nooble import ActionContext, BaseService, DomainAction, Reject, RetryLater, action
from nooble.retry import Retry


class Order(BaseModel):
    name: str
    count: int = Field(ge=0, le=1000)


class Sum(BaseModel):
    total: int


class SoundService(BaseService):
    """Keeps what it declares, refuses for reasons of its business, and asks for another time."""

    @action("shop.order.make")
    async def make(self, order: Order) -> Sum:
        if order.count > 900:
            raise Reject("too many", error_code="TOO_MANY")
        return Sum(total=order.count)

    @action("shop.order.wait", retry=Retry(attempts=3, backoff=60))
    async def wait(self, order: Order) -> None:
        if order.count > 500:
            raise RetryLater(after=60)

    @action("shop.order.pay", once_for=60)
    async def pay(self, order: Order, context: ActionContext) -> None:
        context.effects.increment("shop:paid", order.count)
        await context.send("mail.letter.write", {"count": order.count})

    @action("shop.order.count")
    def count(self, data: dict) -> int:
        return len(data)


class EdgeService(BaseService):
    @action("shop.order.share")
    async def share(self, order: Order) -> Sum:
        return Sum(total=1000 // order.count)


class WrongService(BaseService):
    @action("shop.order.add")
    async def add(self, order: Order) -> Sum:
        return {"total": "many"} if order.count > 500 else Sum(total=order.count)  # type: ignore[return-value]


class Unchecked(msgspec.Struct):
    total: int


class DisguisedService(BaseService):
    """Gives an instance of what it declares, which the worker lets pass, and which holds something else."""

    @action("shop.order.add")
    async def add(self, order: Order) -> Unchecked:
        return Unchecked(total="many")  # type: ignore[arg-type]


class SwallowedService(BaseService):
    @action("shop.order.add", retry=Retry(attempts=3, backoff=60))
    async def add(self, order: Order, context: ActionContext) -> Sum:
        if order.count > 99 and context.attempt == 1:
            raise ValueError("three digits")
        return Sum(total=order.count)


class TwiceInRedisService(BaseService):
    """Writes at once, not with the commit."""

    def __init__(self, app_settings: Any, direct_redis_conn: Any = None) -> None:
        super().__init__(app_settings, direct_redis_conn=direct_redis_conn)

    @action("shop.order.pay", once_for=60)
    async def pay(self, order: Order) -> None:
        assert self.direct_redis_conn is not None
        if order.count > 10:
            await self.direct_redis_conn.incrby("shop:paid", order.count)


class TwiceInMemoryService(BaseService):
    def __init__(self, app_settings: Any) -> None:
        super().__init__(app_settings)
        self.paid: list[int] = []

    @action("shop.order.pay", once_for=60)
    async def pay(self, order: Order) -> None:
        self.paid.append(order.count)


class StubbornService(BaseService):
    """Validates by hand what it does not declare."""

    @action("shop.order.make")
    async def make(self, data: dict) -> Sum:
        return Sum(total=Order.model_validate(data).count)


class OpenService(BaseService):
    """Lets through what its declaration refuses."""

    @action("shop.order.make")
    async def make(self, order: Order) -> Sum:
        return Sum(total=order.count)

    async def process_action(self, action: DomainAction) -> Any:
        try:
            return await super().process_action(action)
        except ValueError:
            return Sum(total=0)


class NamelessService(OpenService):
    async def process_action(self, action: DomainAction) -> Any:
        try:
            return await super(OpenService, self).process_action(action)
        except ValueError as error:
            raise Reject("something is wrong") from error


class InsistentService(OpenService):
    async def process_action(self, action: DomainAction) -> Any:
        try:
            return await super(OpenService, self).process_action(action)
        except ValueError as error:
            raise RetryLater(after=60) from error


class LateService(BaseService):
    @action("shop.order.make", timeout=0.1)
    async def make(self, order: Order) -> None:
        if order.count > 900:
            await asyncio.sleep(60)


class BlockingService(BaseService):
    @action("shop.order.make", timeout=0.05)
    async def make(self, order: Order) -> None:
        if order.count > 900:
            time.sleep(0.6)


class HangingService(BaseService):
    @action("shop.order.make")
    async def make(self, order: Order) -> None:
        if order.count > 900:
            await asyncio.Event().wait()


class CallingService(BaseService):
    @action("shop.order.make")
    async def make(self, order: Order, context: ActionContext) -> None:
        await context.call("mail.letter.write", {"to": order.name}, timeout=60)


class GrowingService(BaseService):
    kept: list[bytes] = []

    @action("shop.order.make")
    async def make(self, order: Order) -> None:
        self.kept.append(b"x" * 1_000_000)


class Never(BaseModel):
    number: int

    @model_validator(mode="after")
    def _never(self) -> Never:
        raise ValueError("not today")


class UnmakeableService(BaseService):
    @action("shop.order.make")
    async def make(self, order: Never) -> None: ...
