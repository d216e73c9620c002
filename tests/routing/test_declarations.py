"""What `@action` leaves: a route that says what was declared, and a method that stays what it was."""

from __future__ import annotations

import contextvars
import dataclasses
import inspect
import threading
from types import NoneType
from typing import Any

import msgspec
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field

from nooble.errors import ContextClosed
from nooble.models import ActionContext, DomainAction, current_context
from nooble.models.context import set_current
from nooble.models.outcomes import Post
from nooble.retry import Retry
from nooble.routing import CATCH_ALL, Action, ActionRouter, Route, action
from nooble.services import BaseService
from tests.support.settings import make_settings


class Order(BaseModel):
    number: int
    card: str = ""


class Receipt(BaseModel):
    number: int


class OrderService(BaseService):
    """Handlers of every shape."""

    @action(
        "orders.order.create",
        retry=Retry(attempts=5),
        timeout=2.5,
        tags=["orders"],
        deprecated=True,
        version="2",
        sensitive=["card"],
    )
    async def create(self, order: Order) -> Receipt:
        """Take an order.

        The receipt comes back at once.
        """
        return Receipt(number=order.number)

    @action("orders.order.find", model=Order, title="Find", description="By number.", response_model=Receipt)
    async def find(self, order):  # type: ignore[no-untyped-def]
        return {"number": order.number}

    @action("orders.order.everything")
    async def everything(self, order: Order, action: DomainAction, *, context: ActionContext, dry: bool = True) -> dict:  # type: ignore[type-arg]
        return {"order": order, "action": action, "context": context, "dry": dry}

    @action("orders.order.context")
    async def context_alone(self, context: ActionContext | None = None) -> Any:
        return context

    @action("orders.order.nothing")
    async def nothing(self) -> None:
        return None

    @action("orders.order.raw")
    async def raw(self, data: dict[str, Any]) -> dict[str, Any]:
        return data

    @action("orders.order.blocking")
    def blocking(self, order: Order, context: ActionContext) -> dict[str, Any]:
        return {"thread": threading.current_thread().name, "local": LOCAL.get(), "same": context.action.data["number"]}

    @action("orders.order.odd")
    def odd(self) -> None:
        raise StopIteration

    @action(CATCH_ALL)
    async def others(self, action: DomainAction) -> str:
        return action.action_type


LOCAL: contextvars.ContextVar[str] = contextvars.ContextVar("local", default="default")


@pytest.fixture
def service() -> OrderService:
    return OrderService(make_settings("orders"))


def asked(verb: str, **data: Any) -> DomainAction:
    return DomainAction(action_type=f"orders.order.{verb}", data=data)


# ── the route ──


def test_a_route_says_everything_that_was_declared() -> None:
    assert OrderService.create.route == Route(
        action_type="orders.order.create",
        handler="OrderService.create",
        model=Order,
        response_model=Receipt,
        title="Take an order",
        description="Take an order.\n\nThe receipt comes back at once.",
        tags=("orders",),
        deprecated=True,
        version="2",
        retry=Retry(attempts=5),
        timeout=2.5,
        sensitive=frozenset({"card"}),
    )


def test_a_route_says_where_it_was_declared() -> None:
    file, _, line = OrderService.create.route.source.rpartition(":")
    assert file == __file__
    assert int(line) == inspect.unwrap(OrderService.create).__code__.co_firstlineno  # type: ignore[arg-type]


def test_what_is_said_wins_over_what_could_be_inferred() -> None:
    route = OrderService.find.route
    assert (route.model, route.response_model, route.title, route.description) == (Order, Receipt, "Find", "By number.")


def test_what_is_not_declared_is_none_and_what_has_no_result_is_none_type() -> None:
    assert OrderService.nothing.route.model is None
    assert OrderService.nothing.route.response_model is NoneType

    class Silent(BaseService):
        @action("silent.thing.do")
        async def do(self):  # type: ignore[no-untyped-def]
            return 1

    assert Silent.do.route.response_model is None


def test_a_route_is_frozen_hashable_and_printable() -> None:
    route = OrderService.create.route
    with pytest.raises(dataclasses.FrozenInstanceError):
        route.title = "another"  # type: ignore[misc]
    assert {route: 1}[OrderService.create.route] == 1
    assert str(route) == "orders.order.create: OrderService.create(Order) -> Receipt"
    assert str(OrderService.raw.route) == "orders.order.raw: OrderService.raw(dict[str, Any]) -> dict[str, Any]"
    assert str(OrderService.nothing.route) == "orders.order.nothing: OrderService.nothing() -> None"


def test_a_route_hides_a_sensitive_field_by_every_name_that_it_has_on_the_wire() -> None:
    class Aliased(BaseModel):
        card: str = Field(validation_alias=AliasChoices("cardNumber", AliasPath("pan", 0)))
        note: str = Field("", alias="theNote")

    class Renamed(msgspec.Struct, rename="camel"):
        card_number: str

    class Shop(BaseService):
        @action("shop.card.take", sensitive=["card", "note"])
        async def take(self, payload: Aliased) -> None: ...

        @action("shop.card.give", sensitive=["card_number"])
        async def give(self, payload: Renamed) -> None: ...

    shown = Shop.take.route.redacted({"cardNumber": "1", "pan": ["1"], "theNote": "2", "other": 3})
    assert shown == {"cardNumber": "***", "pan": "***", "theNote": "***", "other": 3}
    assert Shop.give.route.redacted({"cardNumber": "1"}) == {"cardNumber": "***"}


def test_a_route_hides_what_is_sensitive() -> None:
    assert OrderService.create.route.redacted({"number": 1, "card": "4111"}) == {"number": 1, "card": "***"}


def test_a_class_and_an_instance_list_their_routes_in_order(service: OrderService) -> None:
    names = ["create", "find", "everything", "context", "nothing", "raw", "blocking", "odd"]
    assert [route.action_type for route in OrderService.routes] == [f"orders.order.{name}" for name in names] + ["*"]
    assert service.routes == OrderService.routes


def test_a_route_is_found_by_type_and_the_catch_all_by_any_other(service: OrderService) -> None:
    assert service.find_route("orders.order.create") is OrderService.create.route
    found = service.find_route("orders.order.unheard-of")
    assert found is OrderService.others.route
    assert found.is_catch_all


def test_a_service_without_catch_all_has_no_route_for_what_it_does_not_know() -> None:
    class Silent(BaseService):
        pass

    assert Silent(make_settings()).find_route("orders.order.create") is None


# ── the method ──


async def test_a_method_is_called_as_it_was_written(service: OrderService) -> None:
    context = ActionContext(asked("x"))
    assert await service.create(Order(number=1)) == Receipt(number=1)
    assert await service.everything(Order(number=1), context.action, context=context, dry=False) == {
        "order": Order(number=1),
        "action": context.action,
        "context": context,
        "dry": False,
    }
    assert service.blocking(Order(number=1), ActionContext(asked("x", number=1)))["thread"] == "MainThread"


def test_the_name_of_an_action_keeps_name_and_docstring() -> None:
    assert isinstance(OrderService.create, Action)
    assert repr(OrderService.create) == "<action orders.order.create OrderService.create>"
    assert OrderService.create.__doc__ == inspect.unwrap(OrderService.create).__doc__  # type: ignore[arg-type]
    assert list(inspect.signature(OrderService.create).parameters) == ["self", "order"]


def test_the_name_of_an_action_cannot_be_run() -> None:
    with pytest.raises(TypeError, match=r"run it with create\(...\) on an instance, or .*client.of\(OrderService\)"):
        OrderService.create(Order(number=1)).close()


def test_what_no_class_has_says_that_it_is_for_methods() -> None:
    @action("orders.order.lonely")
    async def lonely(order: Order) -> None: ...

    with pytest.raises(TypeError, match=r"lonely is declared by @action, which is for methods .*@router.action"):
        lonely(Order(number=1)).close()


# ── what its parameters are given ──


async def test_every_parameter_gets_what_it_asks_for_and_a_default_stays(service: OrderService) -> None:
    action = asked("everything", number=1)
    given = await service.process_action(action)
    assert given["order"] == Order(number=1)
    assert given["action"] is action
    assert given["context"].action is action
    assert given["dry"] is True


async def test_a_handler_is_given_the_context_that_the_worker_made(service: OrderService) -> None:
    action = asked("context")
    context = ActionContext(action, attempt=3)
    set_current(context)
    assert await service.process_action(action) is context


async def test_outside_of_a_worker_a_context_is_made_that_reaches_others_through_the_client() -> None:
    class Nobody:
        async def call(self, action: DomainAction, **_: Any) -> DomainAction:
            return action

    class Caller(BaseService):
        @action("caller.thing.do")
        async def do(self, context: ActionContext) -> Any:
            assert current_context() is context
            return await context.call("other.thing.do"), context

    service = Caller(make_settings("caller"), Nobody())
    called, context = await service.process_action(DomainAction(action_type="caller.thing.do", data={}, tenant_id="t"))
    assert (called.action_type, called.tenant_id) == ("other.thing.do", "t")
    assert not context.is_open
    with pytest.raises(LookupError):
        current_context()


async def test_a_payload_of_nothing_special_is_the_data_themselves(service: OrderService) -> None:
    action = asked("raw", a=1)
    assert await service.process_action(action) is action.data


async def test_a_handler_without_payload_takes_any(service: OrderService) -> None:
    assert await service.process_action(asked("nothing", whatever=1)) is None


async def test_a_plain_def_runs_in_a_thread_and_sees_the_context_variables(service: OrderService) -> None:
    LOCAL.set("mine")
    given = await service.process_action(asked("blocking", number=7))
    assert given["thread"] != threading.current_thread().name
    assert (given["local"], given["same"]) == ("mine", 7)


async def test_a_plain_def_that_raises_stop_iteration_keeps_nobody_waiting(service: OrderService) -> None:
    with pytest.raises(RuntimeError, match="the handler raised StopIteration"):
        await service.process_action(asked("odd"))


async def test_the_catch_all_gets_the_raw_action(service: OrderService) -> None:
    assert await service.process_action(asked("unheard-of")) == "orders.order.unheard-of"


async def test_an_action_that_a_handler_runs_by_hand_has_a_context_of_its_own(service: OrderService) -> None:
    outer, inner = asked("context"), asked("context")
    worker_made = ActionContext(outer)
    set_current(worker_made)
    assert (await service.process_action(inner)).action is inner
    assert await service.process_action(outer.model_copy()) is worker_made


async def test_what_it_sends_joins_the_commit_of_the_action_that_it_is_a_part_of() -> None:
    class Reach:
        def post(self, action: DomainAction, **_: Any) -> Post:
            return Post("stream", f"{action.action_type} of {action.tenant_id}".encode())

    class Outer(BaseService):
        @action("outer.thing.do")
        async def do(self, context: ActionContext) -> Any:
            part = DomainAction(action_type="outer.thing.part", data={}, tenant_id="inner")
            kept = await self.process_action(part)
            await context.send("other.thing.last")
            return kept

        @action("outer.thing.part")
        async def part(self, context: ActionContext) -> Any:
            assert (context.attempt, context.time_left) == (3, 0.0)
            await context.send("other.thing.first")
            return context

    action_at_work = DomainAction(action_type="outer.thing.do", data={}, tenant_id="outer")
    worker_made = ActionContext(action_at_work, Reach(), attempt=3, deadline=0.0, joins_commit=True)  # type: ignore[arg-type]
    set_current(worker_made)
    kept = await Outer(make_settings("outer")).process_action(action_at_work)
    assert [post.data for post in worker_made.outbox or ()] == [
        b"other.thing.first of inner",
        b"other.thing.last of outer",
    ]
    with pytest.raises(ContextClosed):
        await kept.send("other.thing.late")


# ── where annotations are looked up ──


def test_annotations_may_name_local_classes_nested_classes_and_the_class_itself() -> None:
    class Local(BaseModel):
        number: int

    class Shop(BaseService):
        class Nested(BaseModel):
            number: int

        @action("shop.local.take")
        async def local(self, order: Local) -> Nested:  # type: ignore[name-defined]
            return self.Nested(number=order.number)

    assert (Shop.local.route.model, Shop.local.route.response_model) == (Local, Shop.Nested)


def test_a_method_called_like_a_builtin_type_does_not_disturb_annotations() -> None:
    class Shop(BaseService):
        @action("shop.order.list")
        async def list(self) -> list[int]:  # type: ignore[valid-type]
            return [1]

    assert Shop.list.route.response_model == list[int]


def test_a_router_may_name_a_service_that_it_imports_only_for_checkers() -> None:
    router = ActionRouter("shop.order")

    @router.action("take")
    async def take(order: Order, shop: Shop) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def make() -> type[BaseService]:
        class Shop(BaseService):
            routers = (router,)

        return Shop

    assert make().routes == (take.route,)
