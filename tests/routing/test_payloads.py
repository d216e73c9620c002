"""What comes over the wire becomes what the handler declares, or an error that names every field that does not fit."""

from __future__ import annotations

import dataclasses
import enum
import traceback
import typing
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from typing import TypedDict as StandardTypedDict

import msgspec
import pytest
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator
from typing_extensions import TypedDict

from nooble.errors import DeclarationError, InvalidPayload
from nooble.models import DomainAction
from nooble.models.payloads import as_payload
from nooble.routing import action
from nooble.routing.misfits import MOST_FIELDS
from nooble.services import BaseService
from tests.support.settings import make_settings


class Colour(enum.Enum):
    RED = "red"


WIRE: dict[str, Any] = {
    "day": "2026-02-03",
    "at": "2026-02-03T04:05:06Z",
    "id": "12345678-1234-5678-1234-567812345678",
    "price": "1.50",
    "colour": "red",
    "lines": [{"sku": "a", "amount": 1}],
    "note": None,
}
VALUES: dict[str, Any] = {
    "day": date(2026, 2, 3),
    "at": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    "id": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "price": Decimal("1.50"),
    "colour": Colour.RED,
    "note": None,
}


class LineModel(BaseModel):
    sku: str
    amount: int


class Model(BaseModel):
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    lines: list[LineModel]
    note: str | None


class StrictModel(Model):
    model_config = ConfigDict(strict=True)


class LineStruct(msgspec.Struct):
    sku: str
    amount: int


class Struct(msgspec.Struct):
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    lines: list[LineStruct]
    note: str | None


@dataclasses.dataclass
class LineData:
    sku: str
    amount: int


@dataclasses.dataclass
class Data:
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    lines: list[LineData]
    note: str | None


class LineDict(TypedDict):
    sku: str
    amount: int


class Dict(TypedDict):
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    lines: list[LineDict]
    note: str | None


class LineStandardDict(StandardTypedDict):
    sku: str
    amount: int


class StandardDict(StandardTypedDict):
    day: date
    at: datetime
    id: uuid.UUID
    price: Decimal
    colour: Colour
    lines: list[LineStandardDict]
    note: str | None


class Tree(msgspec.Struct):
    child: Tree | None = None


KINDS = {
    "pydantic model": (Model, Model(**VALUES, lines=[LineModel(sku="a", amount=1)])),
    "strict pydantic model": (StrictModel, StrictModel(**VALUES, lines=[LineModel(sku="a", amount=1)])),
    "Struct": (Struct, Struct(**VALUES, lines=[LineStruct("a", 1)])),
    "dataclass": (Data, Data(**VALUES, lines=[LineData("a", 1)])),
    "TypedDict": (Dict, VALUES | {"lines": [{"sku": "a", "amount": 1}]}),
    "TypedDict of typing": (StandardDict, VALUES | {"lines": [{"sku": "a", "amount": 1}]}),
}
every_kind = pytest.mark.parametrize(("kind", "value"), KINDS.values(), ids=KINDS)


def service_taking(model: Any, **options: Any) -> BaseService:
    class Taker(BaseService):
        @action("taker.thing.take", model=model, **options)
        async def take(self, payload):  # type: ignore[no-untyped-def]
            return {"payload": payload}

    return Taker(make_settings("taker"))


async def taken(model: Any, data: dict[str, Any], **options: Any) -> Any:
    """What a handler that declares *model* gets for *data*."""
    result = await service_taking(model, **options).process_action(
        DomainAction(action_type="taker.thing.take", data=data)
    )
    return result["payload"]


async def refused(model: Any, data: dict[str, Any], **options: Any) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as caught:
        await taken(model, data, **options)
    return caught.value


# ── what fits ──


@every_kind
async def test_wire_data_become_what_is_declared(kind: Any, value: Any) -> None:
    assert await taken(kind, WIRE) == value


@every_kind
async def test_what_a_client_sends_is_what_the_handler_gets(kind: Any, value: Any) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(as_payload(value)))
    assert await taken(kind, wire) == value


@every_kind
async def test_values_that_are_no_text_any_more_fit_as_well(kind: Any, value: Any) -> None:
    """A service driven without a wire, or MessagePack, which has dates of its own."""
    assert await taken(kind, VALUES | {"lines": WIRE["lines"]}) == value


async def test_a_strict_model_takes_dates_as_text_and_no_numbers_as_text() -> None:
    assert (await refused(StrictModel, WIRE | {"lines": [{"sku": "a", "amount": 1}, {"sku": 1, "amount": 1}]})).details[
        "errors"
    ] == [{"path": "$.data.lines[1].sku", "message": "Input should be a valid string", "type": "string_type"}]

    class Strict(BaseModel):
        day: date
        amount: Annotated[int, Field(strict=True)]

    assert (await taken(Strict, {"day": "2026-02-03", "amount": 1})).amount == 1
    assert [
        field["path"] for field in (await refused(Strict, {"day": "2026-02-03", "amount": "1"})).details["errors"]
    ] == ["$.data.amount"]


async def test_a_union_of_models_is_told_apart() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    pet = Annotated[Cat | Dog, Field(discriminator="kind")]
    assert await taken(pet, {"kind": "dog"}) == Dog(kind="dog")
    assert [field["path"] for field in (await refused(pet, {"kind": "cow"})).details["errors"]] == ["$.data"]


async def test_a_union_of_structs_is_told_apart() -> None:
    class Cat(msgspec.Struct, tag=True):
        lives: int

    class Dog(msgspec.Struct, tag=True):
        name: str

    assert await taken(Cat | Dog, {"type": "Dog", "name": "rex"}) == Dog("rex")
    assert (await refused(Cat | Dog, {"type": "Cat"})).details["errors"][0]["path"] == "$.data.lives"


async def test_a_pydantic_model_inside_of_a_struct_is_read_too() -> None:
    class Holder(msgspec.Struct):
        line: LineModel

    assert await taken(Holder, {"line": {"sku": "a", "amount": "1"}}) == Holder(LineModel(sku="a", amount=1))
    assert [
        (field["path"], field["message"]) for field in (await refused(Holder, {"line": {"sku": 1}})).details["errors"]
    ] == [("$.data.line.sku", "Input should be a valid string"), ("$.data.line.amount", "Field required")]


async def test_a_dataclass_may_hold_structs() -> None:
    @dataclasses.dataclass
    class Holder:
        line: LineStruct

    assert await taken(Holder, {"line": {"sku": "a", "amount": 1}}) == Holder(LineStruct("a", 1))


async def test_names_of_the_wire_are_those_of_the_model() -> None:
    class Aliased(BaseModel):
        order_number: int = Field(alias="orderNumber")

    class Renamed(msgspec.Struct, rename="camel"):
        order_number: int

    assert (await taken(Aliased, {"orderNumber": 1})).order_number == 1
    assert await taken(Renamed, {"orderNumber": 1}) == Renamed(1)
    assert (await refused(Renamed, {})).details["errors"][0]["path"] == "$.data.orderNumber"


async def test_a_root_model_of_a_mapping_is_a_payload() -> None:
    prices = RootModel[dict[str, int]]
    assert (await taken(prices, {"a": 1})).root == {"a": 1}


@pytest.mark.parametrize("module", [typing, typing_extensions])
async def test_an_alias_stands_for_its_type(module: Any) -> None:
    if not hasattr(module, "TypeAliasType"):
        pytest.skip("typing has none before Python 3.12")
    alias = module.TypeAliasType("alias", LineModel | None)
    assert await taken(alias, {"sku": "a", "amount": 1}) == LineModel(sku="a", amount=1)


async def test_an_array_like_struct_is_no_payload() -> None:
    class Row(msgspec.Struct, array_like=True):
        a: int

    with pytest.raises(TypeError, match="a payload is a mapping"):

        class Taker(BaseService):
            @action("taker.row.take")
            async def take(self, row: Row) -> None: ...


async def test_optional_payloads_are_read_like_others() -> None:
    class Filter(BaseModel):
        text: str = ""

    class Taker(BaseService):
        @action("taker.thing.take")
        async def take(self, filter: Filter | None = None) -> dict[str, Any]:
            return {"filter": filter}

    taker = Taker(make_settings())
    assert await taker.process_action(DomainAction(action_type="taker.thing.take", data={})) == {"filter": Filter()}


@dataclasses.dataclass
class Blob:
    content: bytes


class BlobDict(TypedDict):
    content: bytes


class BlobModel(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    content: bytes


class BlobStruct(msgspec.Struct):
    content: bytes


@pytest.mark.parametrize("kind", [Blob, BlobDict, BlobModel, BlobStruct])
async def test_bytes_arrive_as_they_were_sent(kind: Any) -> None:
    sent = kind(content=b"\xff\x00 is no text")
    wire = msgspec.json.decode(msgspec.json.encode(as_payload(sent)))
    assert await taken(kind, wire) == sent


# ── what does not ──


async def test_every_failing_field_is_named_by_its_path() -> None:
    data = WIRE | {"price": "much", "lines": [{"sku": "a", "amount": 1}, {"sku": 2, "amount": "x"}, {}]}
    del data["day"]
    error = await refused(Model, data)
    assert [field["path"] for field in error.details["errors"]] == [
        "$.data.day",
        "$.data.price",
        "$.data.lines[1].sku",
        "$.data.lines[1].amount",
        "$.data.lines[2].sku",
        "$.data.lines[2].amount",
    ]
    assert error.details["errors"][0] == {"path": "$.data.day", "message": "Field required", "type": "missing"}
    assert error.details["error_count"] == 6
    assert error.message == (
        "taker.thing.take: the payload is no Model: $.data.day: Field required; "
        "$.data.price: Input should be a valid decimal; "
        "$.data.lines[1].sku: Input should be a valid string; and 3 more"
    )
    assert (error.error_code, error.retryable) == ("INVALID_PAYLOAD", False)


@pytest.mark.parametrize("kind", [Struct, StandardDict, Model])
async def test_every_failing_field_is_named_whatever_the_kind(kind: Any) -> None:
    data = WIRE | {"price": [], "lines": [{"sku": 1, "amount": "x"}, {"sku": "a", "amount": 1}, {}, 7]}
    del data["day"]
    fields = {
        field["path"]: (field["message"], field["type"]) for field in (await refused(kind, data)).details["errors"]
    }
    assert sorted(fields) == [
        "$.data.day",
        "$.data.lines[0].amount",
        "$.data.lines[0].sku",
        "$.data.lines[2].amount",
        "$.data.lines[2].sku",
        "$.data.lines[3]",
        "$.data.price",
    ]
    assert fields["$.data.lines[2].sku"] == ("Field required", "missing")
    if kind is Struct:
        assert fields["$.data.lines[0].sku"] == ("Expected `str`, got `int`", "wrong_value")


async def test_every_failing_field_is_found_in_whatever_a_struct_is_made_of() -> None:
    class Holder(msgspec.Struct, forbid_unknown_fields=True):
        by_name: dict[str, LineStruct]
        maybe: LineStruct | None = None
        several: tuple[int, ...] = ()
        unique: set[int] = msgspec.field(default_factory=set)

    data = {"by_name": {"a": {}, "b": {"sku": "b", "amount": 1}}, "maybe": {"sku": 1}, "more": 1}
    data |= {"several": [1, "x"], "unique": ["y", 2]}
    assert sorted(field["path"] for field in (await refused(Holder, data)).details["errors"]) == [
        "$.data.by_name.a.amount",
        "$.data.by_name.a.sku",
        "$.data.maybe.amount",
        "$.data.maybe.sku",
        "$.data.more",
        "$.data.several[1]",
        "$.data.unique[0]",
    ]


async def test_a_field_that_a_struct_forbids_is_named() -> None:
    class Closed(msgspec.Struct, forbid_unknown_fields=True):
        a: int

    assert (await refused(Closed, {"a": 1, "b": 2})).details["errors"] == [
        {"path": "$.data.b", "message": "Object contains unknown field `b`", "type": "extra_forbidden"}
    ]


async def test_a_wrong_key_is_told_at_its_mapping() -> None:
    class Counts(msgspec.Struct):
        by_number: dict[int, int]

    [field] = (await refused(Counts, {"by_number": {"x": 1}})).details["errors"]
    assert field["path"].startswith("$.data.by_number")


async def test_errors_travel_so_their_number_is_bounded_and_counted() -> None:
    error = await refused(Model, WIRE | {"lines": [{"sku": "a", "amount": "x"}] * (MOST_FIELDS + 5)})
    assert len(error.details["errors"]) == MOST_FIELDS
    assert error.details["error_count"] == MOST_FIELDS + 5


async def test_what_an_error_repeats_of_the_data_is_bounded() -> None:
    error = await refused(dict[str, list[int]], {"k" * 100_000: ["x"] * 10})
    assert len(error.message) + len(str(error.details)) < 10_000


class Card(BaseModel):
    card: dict[str, int]
    owner: str = ""

    @field_validator("owner")
    @classmethod
    def must_be_known(cls, owner: str) -> str:
        if owner == "nobody":
            raise ValueError("nobody has no card")
        return owner

    @model_validator(mode="after")
    def must_be_hers(self) -> Self:
        if self.owner == "eve":
            raise ValueError(f"{list(self.card)} is not hers")
        return self


class OtherCard(Card):
    """Another one."""


WRONG_CARDS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "the field itself": (Card, {"card": "4111-1111"}, "$.data.card"),
    "a key below it": (Card, {"card": {"4111-1111": "x"}}, "$.data.card"),
    "what a validator says of the whole": (Card, {"card": {"4111-1111": 1}, "owner": "eve"}, "$.data"),
    "an optional payload": (Card | None, {"card": {"4111-1111": "x"}}, "$.data.card"),
    "one of several": (Card | OtherCard, {"card": {"4111-1111": "x"}}, "$.data."),
    "one of several as a whole": (Card | OtherCard, {"card": {"4111-1111": 1}, "owner": "eve"}, "$.data."),
    "a plain mapping": (dict[str, int], {"card": "4111-1111"}, "$.data.card"),
}


@pytest.mark.parametrize(("kind", "data", "path"), WRONG_CARDS.values(), ids=WRONG_CARDS)
async def test_nothing_of_a_sensitive_field_is_shown(kind: Any, data: dict[str, Any], path: str) -> None:
    error = await refused(kind, data, sensitive=["card"])
    assert error.details["errors"][0]["path"].startswith(path)
    assert "4111" not in error.message + str(error.details) + "".join(traceback.format_exception(error))


@pytest.mark.parametrize("kind", [Model, Struct])
async def test_nothing_of_a_sensitive_value_is_repeated(kind: Any) -> None:
    error = await refused(kind, WIRE | {"colour": "4111"}, sensitive=["colour"])
    assert error.details["errors"][0]["path"] == "$.data.colour"
    assert "4111" not in error.message + str(error.details) + "".join(traceback.format_exception(error))


async def test_what_is_said_of_other_fields_is_shown_beside_a_sensitive_one() -> None:
    error = await refused(Card, {"card": {}, "owner": "nobody"}, sensitive=["card"])
    assert error.message.endswith("$.data.owner: Value error, nobody has no card")


async def test_a_sensitive_field_must_be_one_of_an_optional_or_alternative_payload_too() -> None:
    for kind in (Card | None, Card | OtherCard):
        with pytest.raises(DeclarationError, match="did you mean 'card'"):
            service_taking(kind, sensitive=["crad"])


async def test_what_was_sent_is_never_part_of_the_error() -> None:
    assert "secret-value" not in str((await refused(Model, WIRE | {"price": "secret-value"})).details)


async def test_data_nested_too_deeply_are_refused_like_others() -> None:
    data: dict[str, Any] = {}
    for _ in range(100_000):
        data = {"child": data}
    error = await refused(Tree, data)
    while data:
        data = data.pop("child")
    assert error.details["errors"][0]["type"] == "too_deep"
