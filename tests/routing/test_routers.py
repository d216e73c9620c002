"""A service may be written in several modules: routers collect functions, the service includes them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from nooble.errors import DeclarationError, UnknownAction
from nooble.models import ActionContext, DomainAction
from nooble.retry import Retry
from nooble.routing import ActionRouter, Next, action
from nooble.services import BaseService
from tests.support.settings import make_settings


class Order(BaseModel):
    number: int


writing = ActionRouter("orders.order", retry=Retry(attempts=2), timeout=5.0, tags=["orders"])
reading = ActionRouter("orders.report")


@writing.action("create", timeout=1.0, tags=["new"])
async def create(order: Order, service: OrderService) -> int:
    service.taken.append(order.number)
    return order.number


@writing.action("cancel", retry=None)
async def cancel(order: Order) -> None: ...


@reading.action("daily")
def daily(context: ActionContext, service: OrderService) -> list[int]:
    return service.taken


class OrderService(BaseService):
    """Three modules in one file: its own methods, and two routers."""

    routers = (writing, reading)

    def __init__(self) -> None:
        super().__init__(make_settings("orders"))
        self.taken: list[int] = []

    @action("orders.order.count")
    async def count(self) -> int:
        return len(self.taken)


async def asked(service: BaseService, action_type: str, **data: Any) -> Any:
    return await service.process_action(DomainAction(action_type=action_type, data=data))


async def test_functions_of_routers_are_actions_of_the_service() -> None:
    service = OrderService()
    assert await asked(service, "orders.order.create", number=7) == 7
    assert await asked(service, "orders.report.daily") == [7]
    assert await asked(service, "orders.order.count") == 1


async def test_each_instance_is_given_to_its_own_actions() -> None:
    one, other = OrderService(), OrderService()
    await asked(one, "orders.order.create", number=7)
    assert (one.taken, other.taken) == ([7], [])


async def test_a_function_stays_callable_as_it_was_written() -> None:
    service = OrderService()
    assert await create(Order(number=7), service) == 7
    assert daily(ActionContext(DomainAction(action_type="a.b", data={})), service) == [7]


def test_methods_come_first_and_routers_in_their_order() -> None:
    assert [route.action_type for route in OrderService.routes] == [
        "orders.order.count",
        "orders.order.create",
        "orders.order.cancel",
        "orders.report.daily",
    ]
    assert [route.handler for route in writing.routes] == ["create", "cancel"]


def test_an_action_says_what_its_router_says_unless_it_speaks_itself() -> None:
    first, second = writing.routes
    assert (first.retry, first.timeout, first.tags) == (Retry(attempts=2), 1.0, ("orders", "new"))
    assert (second.retry, second.timeout, second.tags) == (Retry(attempts=2), 5.0, ("orders",))


def test_a_router_without_prefix_takes_whole_action_types_and_a_catch_all() -> None:
    router = ActionRouter()

    @router.action("orders.order.move")
    async def move(order: Order) -> None: ...

    @router.action("*")
    async def others(action: DomainAction) -> None: ...

    assert [route.action_type for route in router.routes] == ["orders.order.move", "*"]


def test_a_router_says_what_it_is() -> None:
    assert repr(writing) == "<ActionRouter orders.order: 2 actions>"
    assert repr(ActionRouter()) == "<ActionRouter (no prefix): 0 actions>"


async def test_an_instance_may_include_a_router_of_its_own() -> None:
    router = ActionRouter("orders.extra")

    @router.action("echo")
    async def echo(order: Order) -> int:
        return order.number

    one, other = OrderService(), OrderService()
    with pytest.raises(UnknownAction):
        await asked(one, "orders.extra.echo", number=1)
    one.include(router)
    assert await asked(one, "orders.extra.echo", number=1) == 1
    assert one.routes == (*OrderService.routes, echo.route)
    assert other.find_route("orders.extra.echo") is None


def test_including_a_router_twice_changes_nothing() -> None:
    service = OrderService()
    service.include(writing)
    assert service.routes == OrderService.routes


def test_an_instance_cannot_include_a_second_handler() -> None:
    router = ActionRouter("orders.order")

    @router.action("create")
    async def make(order: Order) -> None: ...

    service = OrderService()
    with pytest.raises(DeclarationError, match="which create handles"):
        service.include(router)
    assert service.routes == OrderService.routes


async def test_the_middleware_of_a_router_runs_inside_that_of_the_service_and_only_for_its_actions() -> None:
    seen: list[str] = []

    def noting(name: str) -> Any:
        async def note(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
            seen.append(f"{name} {action.action_type}")
            return await call_next(action, context)

        return note

    router = ActionRouter("noted.inside", middleware=[noting("router")])

    @router.action("do")
    async def do(context: ActionContext) -> str:
        return context.action.action_type

    class Noted(BaseService):
        routers = (router,)
        middleware = (noting("service"),)

        @action("noted.outside.do")
        async def do(self) -> None: ...

    service = Noted(make_settings("noted"))
    assert await asked(service, "noted.inside.do") == "noted.inside.do"
    await asked(service, "noted.outside.do")
    assert seen == ["service noted.inside.do", "router noted.inside.do", "service noted.outside.do"]


async def test_a_router_that_is_included_late_is_served_at_once() -> None:
    """What has been found out for the first action does not stand in the way of the next."""
    late = ActionRouter("orders.late")

    @late.action("ask")
    async def ask(question: Order, *, loudly: bool = False) -> str:
        return f"{question.number}{'!' if loudly else ''}"

    service = OrderService()
    assert await asked(service, "orders.order.create", number=7) == 7
    service.include(late)
    assert await asked(service, "orders.late.ask", number=8) == "8"
    assert await asked(service, "orders.order.count") == 1
    assert await ask(Order(number=9), loudly=True) == "9!"
