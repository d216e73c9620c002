"""Declared services at work: routing, terms, middleware and the typed client, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import msgspec
import pytest
import redis.asyncio
from pydantic import BaseModel

from nooble import (
    ActionContext,
    ActionTimeout,
    BaseRedisClient,
    BaseService,
    CommonAppSettings,
    DomainAction,
    InvalidPayload,
    InvalidResponse,
    Reject,
    RemoteError,
    Retry,
    RetryLater,
    ServiceClient,
    ServiceWorker,
    UnknownAction,
    action,
)
from tests.support.waiting import wait_until


class Order(BaseModel):
    number: int
    items: list[str]


class Receipt(msgspec.Struct):
    number: int
    total: float


class ShopService(BaseService):
    """A shop in which much goes wrong."""

    def __init__(self, app_settings: CommonAppSettings) -> None:
        super().__init__(app_settings)
        self.runs: list[str] = []
        self.lives: list[str] = []

    async def startup(self) -> None:
        self.lives.append("startup")

    async def shutdown(self) -> None:
        self.lives.append("shutdown")

    @action("shop.order.create")
    async def create(self, order: Order, context: ActionContext) -> Receipt:
        self.runs.append(f"create {context.attempt}")
        return Receipt(order.number, 9.5 * len(order.items))

    @action("shop.order.count")
    def count(self, order: Order) -> int:
        return len(order.items)

    @action("shop.order.refuse")
    async def refuse(self, order: Order) -> None:
        raise Reject("closed on Sundays", error_code="CLOSED", details={"until": "Monday"})

    @action("shop.order.break")
    async def break_(self) -> None:
        self.runs.append("break")
        raise RuntimeError("dropped it")

    @action("shop.order.persist", retry=Retry(attempts=3, backoff=0.01))
    async def persist(self, context: ActionContext) -> str:
        self.runs.append(f"persist {context.attempt}")
        if context.attempt < 3:
            raise RuntimeError("not yet")
        return "done"

    @action("shop.order.later")
    async def later(self, context: ActionContext) -> str:
        if context.attempt == 1:
            raise RetryLater("the oven is cold", after=0.01)
        return "warm"

    @action("shop.order.dawdle", timeout=0.05)
    async def dawdle(self) -> None:
        await asyncio.sleep(5)

    @action("shop.order.lie")
    async def lie(self) -> Receipt:
        return {"number": "many"}  # type: ignore[return-value]

    @action("shop.order.unwritable")
    async def unwritable(self) -> Any:
        return {"socket": object()}


class Open(Protocol):
    """Opens a shop: a worker that serves it, and a typed client to call it with."""

    async def __call__(
        self, service: type[ShopService] = ShopService, **values: Any
    ) -> tuple[ShopService, ServiceClient]: ...


@pytest.fixture
async def open_shop(redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]) -> AsyncIterator[Open]:
    """`service, client = await open_shop(worker_concurrency=4)`."""
    workers: list[ServiceWorker] = []
    sender = BaseRedisClient("customer", redis, settings("customer"))

    async def open_shop(service: type[ShopService] = ShopService, **values: Any) -> tuple[ShopService, ServiceClient]:
        made = service(settings("shop", **values))
        workers.append(ServiceWorker(made.app_settings, redis, made))
        await workers[-1].start()
        return made, ServiceClient(sender)

    yield open_shop
    for worker in workers:
        await worker.stop()
    await sender.close()


ORDER = Order(number=7, items=["bread", "jam"])


async def test_a_call_is_typed_from_end_to_end(open_shop: Open) -> None:
    """A pydantic model goes in, a Struct comes out, on both spellings of the call."""
    _, client = await open_shop()
    assert await client.call(ShopService.create, ORDER) == Receipt(7, 19.0)
    assert await client.of(ShopService).create(ORDER, timeout=2.0) == Receipt(7, 19.0)
    assert await client.call(ShopService.count, ORDER) == 2


async def test_what_the_other_side_raises_is_raised_again_by_its_code(open_shop: Open) -> None:
    """Each kind of failure is a class of its own; what has none is a RemoteError."""
    _, client = await open_shop()
    with pytest.raises(Reject, match="closed on Sundays") as refused:
        await client.call(ShopService.refuse, ORDER)
    assert (refused.value.error_code, refused.value.details) == ("CLOSED", {"until": "Monday"})
    with pytest.raises(RemoteError, match="dropped it"):
        await client.call(ShopService.break_)
    with pytest.raises(ActionTimeout, match=r"0\.05 s"):
        await client.call(ShopService.dawdle)
    with pytest.raises(InvalidResponse, match="Receipt"):
        await client.call(ShopService.lie)
    with pytest.raises(InvalidResponse, match="cannot be encoded"):
        await client.call(ShopService.unwritable)


async def test_a_payload_that_does_not_fit_names_every_failing_field(open_shop: Open) -> None:
    """The handler does not run."""
    service, client = await open_shop()
    with pytest.raises(InvalidPayload) as refused:
        await client.call(ShopService.create, {"number": "x", "items": ["bread", 5]})  # type: ignore[call-overload]
    assert [field["path"] for field in refused.value.details["errors"]] == ["$.data.number", "$.data.items[1]"]
    assert service.runs == []


async def test_an_unknown_action_is_told_with_what_is_close(redis: redis.asyncio.Redis, open_shop: Open) -> None:
    """`NotImplementedError`, as the standard has it."""
    service, _ = await open_shop()
    async with BaseRedisClient("customer", redis, service.app_settings) as sender:
        answer = await sender.call("shop.order.creat", {}, timeout=2)
    assert answer.error is not None
    assert answer.error.error_code == "UNKNOWN_ACTION"
    assert "shop.order.create" in answer.error.message
    assert issubclass(UnknownAction, NotImplementedError)


async def test_a_waiting_caller_hears_of_the_first_failure(open_shop: Open) -> None:
    """The settings allow three runs, but somebody waits."""
    service, client = await open_shop(retry_backoff_seconds=0.01)
    with pytest.raises(RemoteError):
        await client.call(ShopService.break_)
    assert service.runs == ["break"]


async def test_the_service_s_policy_does_not_keep_a_caller_waiting_either(open_shop: Open) -> None:
    """Only the action's own policy says that its callers are ready to wait."""

    class Stubborn(ShopService):
        retry = Retry(attempts=5, backoff=0.01)

    service, client = await open_shop(Stubborn)
    with pytest.raises(RemoteError):
        await client.call(ShopService.break_)
    assert service.runs == ["break"]
    await client.send(ShopService.break_)
    await wait_until(lambda: len(service.runs) == 6, "the service's policy was used up")


async def test_an_action_s_own_policy_holds_even_if_somebody_waits(open_shop: Open) -> None:
    """The caller gets the answer of the run that succeeds."""
    service, client = await open_shop()
    assert await client.call(ShopService.persist) == "done"
    assert service.runs == ["persist 1", "persist 2", "persist 3"]


async def test_a_handler_may_ask_for_another_try_later(open_shop: Open) -> None:
    """It knows best; its caller waits on."""
    _, client = await open_shop()
    assert await client.call(ShopService.later) == "warm"


async def test_worker_middleware_runs_outside_that_of_the_service(
    redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]
) -> None:
    """One signature everywhere; it sees the action, the context and the result."""
    seen: list[str] = []

    def layer(name: str) -> Any:
        async def through(
            action: DomainAction, context: ActionContext, call_next: Callable[..., Awaitable[Any]]
        ) -> Any:
            seen.append(f"{name} sees {action.action_type}, attempt {context.attempt}")
            result = await call_next(action, context)
            seen.append(f"{name} has {result}")
            return result

        return through

    class Layered(ShopService):
        middleware = (layer("service"),)

    class LayeredWorker(ServiceWorker):
        middleware = (layer("worker"),)

    service = Layered(settings("shop"))
    async with (
        LayeredWorker(service.app_settings, redis, service),
        BaseRedisClient("customer", redis, service.app_settings) as sender,
    ):
        assert await ServiceClient(sender).call(ShopService.count, ORDER) == 2
    assert seen == [
        "worker sees shop.order.count, attempt 1",
        "service sees shop.order.count, attempt 1",
        "service has 2",
        "worker has 2",
    ]


async def test_several_workers_start_and_end_their_service_once(
    redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]
) -> None:
    """Once per instance and loop, before the first action and after the last."""
    service = ShopService(settings("shop"))
    workers = [ServiceWorker(service.app_settings, redis, service, f"w{number}") for number in range(3)]
    for worker in workers:
        await worker.start()
    async with BaseRedisClient("customer", redis, service.app_settings) as sender:
        await ServiceClient(sender).call(ShopService.create, ORDER)
    for worker in workers:
        await worker.stop()
    assert service.lives == ["startup", "shutdown"]


async def test_an_action_that_nobody_awaits_and_nobody_knows_is_kept(
    redis: redis.asyncio.Redis, open_shop: Open
) -> None:
    """A worker of the next version may know it: it can be replayed then."""
    service, _ = await open_shop()
    async with BaseRedisClient("customer", redis, service.app_settings) as sender:
        await sender.send("shop.order.brand-new", {"x": 1})
    letter = await wait_until(lambda: redis.xrange("nooble4:test:shop:dead_letters:main"), "it was buried")
    assert letter[0][1][b"reason"] == b"UNKNOWN_ACTION"
    assert b"brand-new" in letter[0][1][b"data"]


# ── the way to a handler ──


async def test_middleware_that_a_service_sets_up_at_its_start_runs(open_shop: Open) -> None:
    class Guarded(ShopService):
        async def startup(self) -> None:
            await super().startup()
            self.middleware = (self.look,)

        async def look(self, action: DomainAction, context: ActionContext, call_next: Any) -> Any:
            self.runs.append(f"looked at {action.action_type}")
            return await call_next(action, context)

    service, client = await open_shop(Guarded)
    await client.call(ShopService.count, Order(number=1, items=[]))
    assert service.runs == ["looked at shop.order.count"]


async def test_a_process_action_that_is_set_at_the_start_is_called(open_shop: Open) -> None:
    class Wrapped(ShopService):
        async def startup(self) -> None:
            own = self.process_action

            async def wrapped(action: DomainAction) -> Any:
                self.runs.append("wrapped")
                return await own(action)

            self.process_action = wrapped  # type: ignore[method-assign]

    service, client = await open_shop(Wrapped)
    await client.call(ShopService.count, Order(number=1, items=[]))
    assert service.runs == ["wrapped"]


async def test_what_stands_for_a_service_is_asked_not_the_service(
    redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]
) -> None:
    inner = ShopService(settings("shop"))

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        async def process_action(self, action: DomainAction) -> Any:
            inner.runs.append("audited")
            return await inner.process_action(action)

    async with (
        ServiceWorker(inner.app_settings, redis, Proxy()),
        BaseRedisClient("customer", redis, settings("customer")) as sender,
    ):
        await sender.call("shop.order.count", {"number": 1, "items": []})
    assert inner.runs == ["audited"]
