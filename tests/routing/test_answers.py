"""What a caller reads from an answer is what the handler returned; what a route tells of itself is told in plain names."""

from __future__ import annotations

from typing import Annotated, Any, Optional, Union

import msgspec
import pytest
from pydantic import BaseModel, Field

from nooble.errors import InvalidPayload, InvalidResponse
from nooble.models import DomainAction
from nooble.retry import Retry
from nooble.routing import ActionRouter, action
from nooble.routing.checks import answer_reader
from nooble.routing.route import name_of
from nooble.routing.shapes import accepts_none, is_mapping
from nooble.services import BaseService
from nooble.wire import codec as wire
from tests.support.settings import make_settings


class Order(BaseModel):
    number: int


class Paid(msgspec.Struct):
    receipt: str


# ── answers ──


def reader_for(declared: Any) -> Any:
    """Reads the answers of an action that gives *declared*."""

    async def give(self: Any) -> Any: ...

    give.__annotations__["return"] = declared
    service = type("OrderService", (BaseService,), {"give": action("orders.order.give")(give)})
    (route,) = service.routes
    return answer_reader(route)


@pytest.mark.parametrize(
    ("declared", "result"),
    [
        (int, 7),
        (int, 0),
        (list[int], []),
        (list[int], [1, 2]),
        (str, ""),
        (dict[str, int], {"a": 1}),
        (dict[str, int], {}),
        (Order, Order(number=1)),
        (Paid, Paid("R-1")),
        (Order | None, None),
        (Order | None, Order(number=1)),
        (int | None, None),
        (int | None, 7),
        (Any, None),
        (Any, 7),
        (Any, {"a": 1}),
        (object, [1]),
    ],
)
def test_what_was_returned_is_what_is_read(declared: Any, result: Any) -> None:
    asked = DomainAction(action_type="orders.order.give", data={})
    answer = wire.response_of(wire.decode_answer(wire.encode_success(asked, result, wire.JSON)))
    assert reader_for(declared)(answer.data) == result


@pytest.mark.parametrize(
    ("declared", "data"), [(Order, None), (int, {}), (int | None, {"result": "x"}), (Order, {"number": "x"})]
)
def test_what_does_not_fit_is_told(declared: Any, data: Any) -> None:
    with pytest.raises(InvalidResponse):
        reader_for(declared)(data)


@pytest.mark.parametrize(
    ("declared", "fits"),
    [
        (None.__class__, True),
        (int | None, True),
        (Optional[Order], True),  # noqa: UP045
        (Union[int, Annotated[str | None, "a name"]], True),  # noqa: UP007
        (Annotated[None, "nothing"], True),
        (int, False),
        (int | str, False),
        (list[None], False),
    ],
)
def test_none_fits_where_it_is_declared(declared: Any, fits: bool) -> None:
    assert accepts_none(declared) == fits


@pytest.mark.parametrize(
    ("declared", "is_one"),
    [
        (Order, True),
        (Paid, True),
        (dict, True),
        (Order | Paid, True),
        (Order | int, False),
        (int | str, False),
        (list, False),
    ],
)
def test_a_mapping_is_one_whatever_it_may_be(declared: Any, is_one: bool) -> None:
    assert is_mapping(declared) == is_one


# ── names ──


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (Order, "Order"),
        (type(None), "None"),
        (list[Order], "list[Order]"),
        (dict[str, Order | None], "dict[str, Order | None]"),
        (Annotated[Order, Field(title="x")], "Order"),
        (Annotated[list[Order], "x", "y"], "list[Order]"),
        (Any, "Any"),
    ],
)
def test_a_type_is_named_without_its_modules(declared: Any, name: str) -> None:
    assert name_of(declared) == name


def test_a_route_is_shown_with_what_it_takes_and_gives() -> None:
    class OrderService(BaseService):
        @action("orders.order.make")
        async def make(self, order: Order) -> Paid: ...

        @action("orders.order.forget")
        async def forget(self, order: Order) -> None: ...

        @action("orders.order.show")
        async def show(self, order: Order): ...  # type: ignore[no-untyped-def]

    shown = {route.action_type: str(route) for route in OrderService.routes}
    assert shown["orders.order.make"].endswith("(Order) -> Paid")
    assert shown["orders.order.forget"].endswith("(Order) -> None")
    assert shown["orders.order.show"].endswith("(Order)")


# ── options ──


def test_what_an_action_is_silent_about_its_router_says_and_tags_are_both() -> None:
    router = ActionRouter("orders", retry=Retry(attempts=2), timeout=5.0, tags=["a"])

    @router.action("one", timeout=1.0, tags=["b"], title="One")
    async def one(order: Order) -> None: ...

    @router.action("two", retry=None, timeout=None)
    async def two(order: Order) -> None: ...

    assert (one.route.timeout, one.route.retry, tuple(one.route.tags)) == (1.0, Retry(attempts=2), ("a", "b"))
    assert (two.route.timeout, two.route.retry, tuple(two.route.tags)) == (5.0, Retry(attempts=2), ("a",))
    assert one.route.title == "One"


@pytest.mark.parametrize("names", [["number"], ("number",), {"number"}, frozenset({"number"})])
def test_sensitive_fields_may_be_given_in_any_order_or_none(names: Any) -> None:
    class OrderService(BaseService):
        @action("orders.order.pay", sensitive=names)
        async def pay(self, order: Order) -> None: ...

    (route,) = OrderService.routes
    assert set(route.sensitive) == {"number"}


@pytest.mark.parametrize("sensitive", [(), ("number",)])
async def test_the_cause_of_a_refusal_is_known_unless_something_is_sensitive(sensitive: Any) -> None:
    class OrderService(BaseService):
        @action("orders.order.pay", sensitive=sensitive)
        async def pay(self, order: Order) -> None: ...

    service = OrderService(make_settings("orders"))
    with pytest.raises(InvalidPayload) as refused:
        await service.process_action(DomainAction(action_type="orders.order.pay", data={"number": "x"}))
    assert (refused.value.__cause__ is None) == bool(sensitive)
    (field,) = refused.value.details["errors"]
    assert field["path"] == "$.data.number"
    assert ("not shown" in field["message"]) == bool(sensitive)


def test_a_route_says_what_was_declared_of_it_and_else_what_its_docstring_says() -> None:
    class OrderService(BaseService):
        @action("orders.order.make", timeout=2, once_for=60, tags=["new"], deprecated=True, version="2")
        async def make(self, order: Order) -> Paid:
            """Make an order.

            It is paid for at once.
            """

        @action("orders.order.name", title="Naming", description="Give it a name")
        async def name(self, order: Order) -> None:
            """Not shown."""

        @action("orders.order.forget")
        async def forget(self) -> None: ...

    make, name, forget = OrderService.routes
    assert (make.title, make.description) == ("Make an order", "Make an order.\n\nIt is paid for at once.")
    assert (make.timeout, make.once_for, make.tags, make.deprecated, make.version) == (2, 60.0, ("new",), True, "2")
    assert (make.model, make.response_model) == (Order, Paid)
    assert make.source.startswith(f"{__file__}:")
    assert (name.title, name.description) == ("Naming", "Give it a name")
    assert (forget.title, forget.description, forget.tags, forget.deprecated) == ("", "", (), False)
    assert (forget.timeout, forget.once_for, forget.version, forget.model) == (None, 0.0, None, None)
