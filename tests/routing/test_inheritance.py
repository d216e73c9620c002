"""The rule of inheritance: a class has the actions that its attributes name. Redefining a method keeps its action."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from nooble.errors import InvalidPayload, InvalidResponse
from nooble.models import ActionContext, DomainAction
from nooble.retry import Retry
from nooble.routing import Action, ActionRouter, action
from nooble.services import BaseService
from tests.support.settings import make_settings


class Order(BaseModel):
    number: int


class UrgentOrder(Order):
    hours: int = 1


router = ActionRouter("orders.report")


@router.action("daily")
async def daily() -> str:
    return "daily"


class Orders(BaseService):
    """What the others inherit from."""

    routers = (router,)

    @action("orders.order.create", retry=Retry(attempts=9), timeout=1.0)
    async def create(self, order: Order) -> dict[str, Any]:
        """Create an order."""
        return {"created": order.number}

    @action("orders.order.cancel")
    async def cancel(self, order: Order) -> str:
        return "cancelled"


async def asked(service_type: type[BaseService], action_type: str, **data: Any) -> Any:
    service = service_type(make_settings("orders"))
    return await service.process_action(DomainAction(action_type=action_type, data=data))


async def test_a_subclass_inherits_methods_and_routers() -> None:
    class Shop(Orders):
        @action("orders.order.move")
        async def move(self) -> str:
            return "moved"

    assert [route.action_type for route in Shop.routes] == [
        "orders.order.create",
        "orders.order.cancel",
        "orders.order.move",
        "orders.report.daily",
    ]
    assert await asked(Shop, "orders.order.cancel", number=1) == "cancelled"
    assert await asked(Shop, "orders.report.daily") == "daily"


async def test_a_method_redefined_without_action_keeps_the_route_and_changes_the_behaviour() -> None:
    class Shop(Orders):
        async def create(self, order: Order, context: ActionContext) -> dict[str, Any]:  # type: ignore[override]
            return {**await super().create(order), "by": context.action.action_type}

    assert isinstance(Shop.create, Action)
    assert Shop.create.route.handler == "Shop.create"
    assert (Shop.create.route.retry, Shop.create.route.description) == (Retry(attempts=9), "Create an order.")
    assert await asked(Shop, "orders.order.create", number=1) == {"created": 1, "by": "orders.order.create"}
    assert await asked(Orders, "orders.order.create", number=1) == {"created": 1}
    with pytest.raises(InvalidPayload):
        await asked(Shop, "orders.order.create", number="x")


async def test_an_override_without_annotations_keeps_those_of_the_route() -> None:
    class Shop(Orders):
        async def create(self, order):  # type: ignore[no-untyped-def, override]
            return order.number

    assert Shop.create.route.model is Order
    with pytest.raises(InvalidResponse):
        await asked(Shop, "orders.order.create", number=1)


async def test_a_method_declared_anew_has_a_route_of_its_own() -> None:
    class Shop(Orders):
        @action("orders.order.create")
        async def create(self, order: UrgentOrder) -> dict[str, Any]:  # type: ignore[override]
            return {"hours": order.hours}

    assert (Shop.create.route.model, Shop.create.route.retry) == (UrgentOrder, None)
    assert await asked(Shop, "orders.order.create", number=1) == {"hours": 1}


async def test_a_method_declared_anew_for_another_action_leaves_the_inherited_one() -> None:
    class Shop(Orders):
        @action("shop.order.create")
        async def create(self, order: Order) -> dict[str, Any]:
            return {}

    types = [route.action_type for route in Shop.routes]
    assert "shop.order.create" in types
    assert "orders.order.create" not in types


async def test_a_mixin_brings_its_actions_and_its_overrides() -> None:
    class Counting:
        """No service itself."""

        @action("orders.order.count")
        async def count(self) -> int:
            return 3

        async def cancel(self, order: Order) -> str:
            return "not today"

    class Shop(Counting, Orders):  # type: ignore[misc]
        pass

    class Branch(Shop):
        pass

    for one in (Shop, Branch):
        assert await asked(one, "orders.order.count") == 3
        assert await asked(one, "orders.order.cancel", number=1) == "not today"
    assert Orders.cancel.route.handler == "Orders.cancel"


async def test_a_diamond_follows_the_order_of_the_classes() -> None:
    class Left(Orders):
        async def cancel(self, order: Order) -> str:  # type: ignore[override]
            return f"left {await super().cancel(order)}"

    class Right(Orders):
        async def cancel(self, order: Order) -> str:  # type: ignore[override]
            return f"right {await super().cancel(order)}"

    class Both(Left, Right):
        pass

    assert await asked(Both, "orders.order.cancel", number=1) == "left right cancelled"
    assert len(Both.routes) == len(Orders.routes)


async def test_a_router_that_base_and_subclass_name_is_included_once() -> None:
    class Shop(Orders):
        routers = (router,)

    assert Shop.routes == Orders.routes


async def test_one_method_under_two_names_is_one_action() -> None:
    class Shop(Orders):
        annul = Orders.cancel

    assert Shop.routes == Orders.routes


def test_making_a_subclass_changes_nothing_for_its_base() -> None:
    before = Orders.routes

    class Shop(Orders):
        async def create(self, order: Order) -> dict[str, Any]:  # type: ignore[override]
            return {}

    assert Orders.routes == before
    assert Shop.routes != before


async def test_the_settings_of_a_service_are_inherited_like_attributes() -> None:
    class Patient(Orders):
        retry = Retry(attempts=4)
        timeout = 9.0

    class Shop(Patient):
        timeout = 0.0

    assert (Shop.retry, Shop.timeout) == (Retry(attempts=4), 0.0)
