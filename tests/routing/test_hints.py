"""What a person is told who has asked for something that is not there, and what a declaration says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from nooble.errors import DeclarationError, InvalidPayload, UnknownAction
from nooble.models import DomainAction
from nooble.routing import ActionRouter, action
from nooble.services import BaseService
from tests.support.settings import make_settings


class Order(BaseModel):
    number: int


async def refused(service: type[BaseService], action_type: str) -> UnknownAction:
    with pytest.raises(UnknownAction) as told:
        await service(make_settings()).process_action(DomainAction(action_type=action_type, data={}))
    return told.value


async def _nothing(data: dict[str, Any]) -> None: ...


def service_of(*names: str) -> type[BaseService]:
    """A service with actions of these names."""
    router = ActionRouter("tienda")
    for name in names:
        router.action(name)(_nothing)
    return type("TiendaService", (BaseService,), {"routers": (router,)})


# ── what is like it ──
async def test_what_is_like_an_unknown_action_is_offered() -> None:
    error = await refused(service_of("pedido.crear", "pedido.crea"), "tienda.pedido.cre")
    assert "did you mean tienda.pedido.crea or tienda.pedido.crear?" in str(error)
    assert error.details["close_matches"] == ["tienda.pedido.crea", "tienda.pedido.crear"]


async def test_if_nothing_is_like_it_how_many_there_are_is_told() -> None:
    assert "none of its 2 actions is like it" in str(
        await refused(service_of("pedido.crear", "nota.leer"), "otro.a.zzz")
    )


@pytest.mark.parametrize("asked", ["tienda.pedido.crea", "tienda.pedidos.crear"])
async def test_among_many_actions_those_of_the_same_entity_or_verb_are_looked_at(asked: str) -> None:
    many = service_of(*(f"a{number}.hacer" for number in range(60)), "pedido.crear")
    assert (await refused(many, asked)).details["close_matches"] == ["tienda.pedido.crear"]


def test_who_has_no_actions_says_so() -> None:
    class Empty(BaseService): ...

    with pytest.raises(AttributeError, match=r"its actions: none$"):
        Empty.find_action("crear")


# ── what is declared ──
def test_the_title_is_the_first_line_without_its_full_stop() -> None:
    class Namer(BaseService):
        @action("namer.name.give")
        async def give(self, order: Order) -> None:
            """Give it to X.

            And more.
            """

    (route,) = Namer.routes
    assert (route.title, route.description.startswith("Give it to X.")) == ("Give it to X", True)


async def test_what_is_annotated_beside_a_type_counts() -> None:
    class Counter(BaseService):
        @action("counter.items.count")
        async def count(self, items: Annotated[dict[str, int], Field(min_length=1)]) -> int:
            return len(items)

    service = Counter(make_settings())
    assert await service.process_action(DomainAction(action_type="counter.items.count", data={"a": 1})) == 1
    with pytest.raises(InvalidPayload):
        await service.process_action(DomainAction(action_type="counter.items.count", data={}))


def test_a_payload_that_may_be_none_stays_what_it_is() -> None:
    class Maybe(BaseService):
        @action("maybe.order.take")
        async def take(self, order: Order | None) -> None: ...

    (route,) = Maybe.routes
    assert route.model == Order | None


def test_a_generator_is_no_handler() -> None:
    with pytest.raises(DeclarationError, match="generator"):

        class Yields(BaseService):
            @action("yields.order.take")
            def take(self, order: Order) -> Iterator[int]:
                yield 1


def test_a_sensitive_field_that_is_not_there_is_told_with_those_that_are() -> None:
    class Card(BaseModel):
        number: str
        owner: str

    with pytest.raises(DeclarationError, match="its fields are number, owner"):

        class Pays(BaseService):
            @action("pays.card.charge", sensitive=["zzz"])
            async def charge(self, card: Card) -> None: ...


def test_a_model_for_nobody_is_told_by_its_name() -> None:
    with pytest.raises(DeclarationError, match="model=Order, but no parameter takes the payload"):

        class Takes(BaseService):
            @action("takes.order.nothing", model=Order)
            async def nothing(self) -> None: ...


async def test_stop_iteration_in_a_thread_is_an_error_like_any_other() -> None:
    class Stops(BaseService):
        @action("stops.order.take")
        def take(self, order: Order) -> None:
            raise StopIteration

    with pytest.raises(RuntimeError, match=r"^the handler raised StopIteration$"):
        await Stops(make_settings()).process_action(DomainAction(action_type="stops.order.take", data={"number": 1}))
