"""Laws of routing: who gets an action, what he is given, and that what was sent arrives, whatever is declared."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from nooble.errors import DeclarationError, InvalidPayload, UnknownAction
from nooble.models import ActionContext, DomainAction  # noqa: F401  # named by handlers that are written as text
from nooble.models.payloads import as_payload, plain
from nooble.routing import CATCH_ALL, ActionRouter, action
from nooble.services import BaseService
from tests.support.settings import make_settings

SETTINGS = make_settings("laws")

segments = st.text("abcz09_-", min_size=1, max_size=4)
action_types = st.lists(segments, min_size=2, max_size=4).map(".".join)
type_sets = st.lists(action_types, max_size=8, unique=True)
anything = st.one_of(action_types, st.text(max_size=20), st.sampled_from([CATCH_ALL, "", ".", "a", "a..b"]))


def handler_of(name: str) -> Callable[..., Any]:
    """A method that tells who it is."""

    async def handler(self: Any) -> str:
        return name

    handler.__name__ = handler.__qualname__ = f"handle_{name.replace('.', '_').replace('-', '__').replace('*', 'all')}"
    return handler


def function_of(name: str) -> Callable[..., Any]:
    async def handler() -> str:
        return name

    return handler


def methods(types: list[str]) -> dict[str, Any]:
    return {f"method_{number}": action(one)(handler_of(one)) for number, one in enumerate(types)}


def service_type(types: list[str], bases: tuple[type, ...] = (BaseService,), **namespace: Any) -> type[BaseService]:
    return type("Laws", bases, methods(types) | namespace)


def router_of(types: list[str], prefix: str = "") -> ActionRouter:
    router = ActionRouter(prefix)
    for one in types:
        router.action(one)(function_of(f"{prefix}.{one}" if prefix else one))
    return router


def answer(service: BaseService, action_type: str, data: Mapping[str, Any] | None = None) -> Any:
    """What the service gives, or the class of the error that it raises."""
    try:
        return asyncio.run(service.process_action(DomainAction(action_type=action_type, data=dict(data or {}))))
    except Exception as error:
        return type(error)


def types_of(service: type[BaseService] | BaseService) -> list[str]:
    return [route.action_type for route in service.routes]


# ── who gets an action ──


@given(type_sets, st.booleans(), anything)
def test_an_action_goes_to_its_handler_or_to_the_catch_all_or_is_unknown(
    types: list[str], with_catch_all: bool, asked: str
) -> None:
    declared = [*types, CATCH_ALL] if with_catch_all else types
    service = service_type(declared)(SETTINGS)
    for one in [*types, asked]:
        expected = one if one in declared else CATCH_ALL if with_catch_all else UnknownAction
        assert answer(service, one) == expected
        route = service.find_route(one)
        assert (route and route.action_type) == (None if expected is UnknownAction else expected)


@given(type_sets, action_types)
def test_one_route_more_changes_no_other(types: list[str], more: str) -> None:
    before = service_type([one for one in types if one != more])
    after = service_type([*[one for one in types if one != more], more])
    assert after.routes[:-1] == before.routes
    assert types_of(after)[-1] == more
    one, other = before(SETTINGS), after(SETTINGS)
    assert [answer(one, asked) for asked in types_of(before)] == [answer(other, asked) for asked in types_of(before)]
    assert answer(one, more) is UnknownAction


@given(type_sets, st.randoms())
def test_the_order_of_declarations_changes_the_list_and_nothing_else(types: list[str], random: Any) -> None:
    shuffled = random.sample(types, len(types))
    one, other = service_type(types)(SETTINGS), service_type(shuffled)(SETTINGS)
    assert types_of(other) == shuffled
    assert [answer(one, asked) for asked in types] == [answer(other, asked) for asked in types]


@given(st.lists(action_types, min_size=1, max_size=6))
def test_two_handlers_for_one_action_are_refused_and_only_those(types: list[str]) -> None:
    if len(set(types)) == len(types):
        assert types_of(service_type(types)) == types
    else:
        with pytest.raises(DeclarationError, match="a second handler"):
            service_type(types)


# ── prefix, inclusion, inheritance ──


@given(st.lists(segments, min_size=1, max_size=3).map(".".join), st.lists(segments, max_size=6, unique=True))
def test_a_prefix_is_the_beginning_of_every_type(prefix: str, names: list[str]) -> None:
    prefixed = router_of(names, prefix)
    assert [route.action_type for route in prefixed.routes] == [f"{prefix}.{name}" for name in names]
    written_out = router_of([f"{prefix}.{name}" for name in names])
    one, other = service_type([], routers=(prefixed,))(SETTINGS), service_type([], routers=(written_out,))(SETTINGS)
    assert types_of(one) == types_of(other)
    assert [answer(one, asked) for asked in types_of(one)] == [answer(other, asked) for asked in types_of(one)]


@given(type_sets, st.data())
def test_where_an_action_is_declared_makes_no_difference_to_who_asks(types: list[str], data: st.DataObject) -> None:
    """As a method, in one router, in several, in a base class, or included by the instance."""
    cut = data.draw(st.integers(0, len(types)))
    first, second = types[:cut], types[cut:]
    ways = [
        service_type(types)(SETTINGS),
        service_type([], routers=(router_of(types),))(SETTINGS),
        service_type([], routers=(router_of(first), router_of(second)))(SETTINGS),
        service_type(first, routers=(router_of(second),))(SETTINGS),
        type("Sub", (service_type(types),), {})(SETTINGS),
        service_type([], (service_type(first),), routers=(router_of(second),))(SETTINGS),
        service_type(first)(SETTINGS),
    ]
    ways[-1].include(router_of(second))
    for one in ways:
        assert types_of(one) == types
        assert [answer(one, asked) for asked in types] == types


@given(type_sets, st.data())
def test_a_subclass_changes_what_it_overrides_and_nothing_else(types: list[str], data: st.DataObject) -> None:
    base = service_type(types)
    overridden = data.draw(st.sets(st.sampled_from(range(len(types))) if types else st.nothing()))
    by_hand = {f"method_{number}": handler_of("overridden") for number in overridden}
    sub = type("Sub", (base,), by_hand)
    assert types_of(sub) == types
    expected = ["overridden" if number in overridden else one for number, one in enumerate(types)]
    assert [answer(sub(SETTINGS), asked) for asked in types] == expected
    assert [answer(base(SETTINGS), asked) for asked in types] == types


# ── what a handler is given ──

GIFTS = {"payload": "dict", "action": "DomainAction", "context": "ActionContext", "service": "BaseService"}


@given(
    st.booleans(),
    st.lists(st.sampled_from(["action", "context", "service", "default"]), max_size=4),
    st.integers(0, 4),
    st.booleans(),
)
def test_a_handler_is_given_exactly_what_its_parameters_ask_for(
    payload: bool, gifts: list[str], by_keyword: int, is_async: bool
) -> None:
    asked = (["payload"] if payload else []) + gifts
    names = [f"{gift}_{number}" for number, gift in enumerate(asked)]
    written = [
        f"{name}: str = 'default'" if gift == "default" else f"{name}: {GIFTS[gift]}"
        for name, gift in zip(names, asked, strict=True)
    ]
    named = min(by_keyword, len(written))
    positional, keywords = written[: len(written) - named], written[len(written) - named :]
    positional.sort(key=lambda one: "=" in one)
    parameters = ", ".join(positional + (["*", *keywords] if keywords else []))
    scope: dict[str, Any] = dict(globals())
    exec(f"{'async ' if is_async else ''}def handler({parameters}) -> dict: return dict(locals())", scope)
    router = ActionRouter("laws.gift")
    router.action("give")(scope["handler"])
    service = service_type([], routers=(router,))(SETTINGS)
    sent = DomainAction(action_type="laws.gift.give", data={"a": 1})
    given = asyncio.run(service.process_action(sent))
    assert set(given) == set(names)
    for name, gift in zip(names, asked, strict=True):
        if gift == "context":
            assert given[name].action is sent
        else:
            assert given[name] is {"payload": sent.data, "action": sent, "service": service}.get(gift, "default")


# ── payloads ──


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


fields = st.fixed_dictionaries(
    {
        "text": st.text(),
        "number": st.integers(-(2**63), 2**63 - 1),
        "share": st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(),
        "day": st.dates(),
        "at": st.datetimes(timezones=st.just(UTC)),
        "id": st.uuids(),
        "price": st.decimals(allow_nan=False, allow_infinity=False),
        "colour": st.sampled_from(Colour),
        "words": st.lists(st.text()),
        "counts": st.dictionaries(st.text(), st.integers(-(2**53), 2**53)),
        "maybe": st.none() | st.integers(-(2**31), 2**31),
    }
)


class Model(BaseModel):
    text: str
    number: int
    share: float
    flag: bool
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    words: list[str]
    counts: dict[str, int]
    maybe: int | None = None


class StrictModel(Model):
    model_config = ConfigDict(strict=True)


class Struct(msgspec.Struct):
    text: str
    number: int
    share: float
    flag: bool
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    words: list[str]
    counts: dict[str, int]
    maybe: int | None = None


@dataclasses.dataclass
class Data:
    text: str
    number: int
    share: float
    flag: bool
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    words: list[str]
    counts: dict[str, int]
    maybe: int | None = None


class Dict(TypedDict):
    text: str
    number: int
    share: float
    flag: bool
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    words: list[str]
    counts: dict[str, int]
    maybe: int | None


class Keeper(BaseService):
    """Returns what it was given, whatever the kind."""

    @action("keeper.model.keep")
    async def model(self, payload: Model) -> Any:
        return payload

    @action("keeper.strict.keep")
    async def strict(self, payload: StrictModel) -> Any:
        return payload

    @action("keeper.struct.keep")
    async def struct(self, payload: Struct) -> Any:
        return payload

    @action("keeper.data.keep")
    async def data(self, payload: Data) -> Any:
        return payload

    @action("keeper.dict.keep")
    async def typed_dict(self, payload: Dict) -> Any:
        return payload


KEEPER = Keeper(SETTINGS)
KINDS: dict[str, Any] = {"model": Model, "strict": StrictModel, "struct": Struct, "data": Data, "dict": Dict}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@given(values=fields)
def test_what_is_sent_is_what_the_handler_gets(kind: str, values: dict[str, Any]) -> None:
    sent = KINDS[kind](**values)
    for codec in (msgspec.json, msgspec.msgpack):
        wire = codec.decode(codec.encode(as_payload(sent), enc_hook=plain))
        assert answer(KEEPER, f"keeper.{kind}.keep", wire) == sent


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


@kinds
@given(values=fields, wrong=st.dictionaries(st.sampled_from(list(Model.model_fields)), json_values, min_size=1))
def test_whatever_is_wrong_with_a_payload_it_is_invalid_and_nothing_else(
    kind: str, values: dict[str, Any], wrong: dict[str, Any]
) -> None:
    given = answer(KEEPER, f"keeper.{kind}.keep", msgspec.to_builtins(values) | wrong)
    assert given is InvalidPayload or isinstance(given, KINDS[kind] if kind != "dict" else dict)


@kinds
@given(missing=st.sets(st.sampled_from([name for name in Model.model_fields if name != "maybe"]), min_size=1))
def test_every_field_that_is_missing_is_named(kind: str, missing: set[str]) -> None:
    values = Model(
        text="",
        number=0,
        share=0.5,
        flag=True,
        day=date(2026, 1, 1),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        id=uuid.UUID(int=1),
        price=Decimal(1),
        colour=Colour.RED,
        words=[],
        counts={},
    ).model_dump(mode="json")
    data = {name: value for name, value in values.items() if name not in missing}
    with pytest.raises(InvalidPayload) as caught:
        asyncio.run(KEEPER.process_action(DomainAction(action_type=f"keeper.{kind}.keep", data=data)))
    assert {field["path"] for field in caught.value.details["errors"]} == {f"$.data.{name}" for name in missing}


class LineModel(BaseModel):
    model_config = ConfigDict(strict=True)
    sku: str
    amount: int


class BasketModel(BaseModel):
    model_config = ConfigDict(strict=True)
    lines: list[LineModel]
    by_name: dict[str, LineModel] = {}
    gift: LineModel | None = None


class LineStruct(msgspec.Struct):
    sku: str
    amount: int


class BasketStruct(msgspec.Struct):
    lines: list[LineStruct]
    by_name: dict[str, LineStruct] = {}
    gift: LineStruct | None = None


class Baskets(BaseService):
    """The same payload, read by pydantic and by msgspec."""

    @action("baskets.model.take")
    async def model(self, basket: BasketModel) -> None: ...

    @action("baskets.struct.take")
    async def struct(self, basket: BasketStruct) -> None: ...


BASKETS = Baskets(SETTINGS)
scraps = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a"])
lines = st.dictionaries(st.sampled_from(["sku", "amount", "more"]), scraps, max_size=3) | scraps
baskets = st.fixed_dictionaries(
    {},
    optional={
        "lines": st.lists(lines, max_size=3) | scraps,
        "by_name": st.dictionaries(st.sampled_from(["x", "y"]), lines) | scraps,
        "gift": lines,
    },
)


@given(baskets)
def test_the_same_fields_are_told_whoever_reads_them(basket: dict[str, Any]) -> None:
    model, struct = (failing(f"baskets.{kind}.take", basket) for kind in ("model", "struct"))
    assert model == struct


def failing(action_type: str, data: dict[str, Any]) -> set[str]:
    try:
        asyncio.run(BASKETS.process_action(DomainAction(action_type=action_type, data=data)))
    except InvalidPayload as error:
        return {field["path"] for field in error.details["errors"]}
    return set()
