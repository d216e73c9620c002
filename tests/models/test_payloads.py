"""Every kind of payload becomes a mapping, and every kind of result an answer can carry; nothing else is let through."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import types
import uuid
from collections import OrderedDict, UserDict, namedtuple
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from nooble.models.payloads import as_payload, as_result, plain

DAY = datetime.datetime(2025, 6, 15, tzinfo=datetime.UTC)


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    amount: int = 1
    day: datetime.datetime = DAY


class Aliased(BaseModel):
    amount: int = Field(1, serialization_alias="Amount")


class Struct(msgspec.Struct):
    amount: int = 1
    day: datetime.datetime = DAY


class Row(msgspec.Struct, array_like=True):
    amount: int = 1


@dataclasses.dataclass
class Data:
    amount: int = 1
    day: datetime.datetime = DAY


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    model: Model = dataclasses.field(default_factory=Model)


Pair = namedtuple("Pair", "one other")

PLAIN = {"amount": 1, "day": "2025-06-15T00:00:00Z"}
MAPPINGS: dict[str, tuple[Any, Any]] = {
    "a dict": ({"amount": 1}, {"amount": 1}),
    "an empty dict": ({}, {}),
    "an ordered dict": (OrderedDict(amount=1), {"amount": 1}),
    "a mapping": (types.MappingProxyType({"amount": 1}), {"amount": 1}),
    "a user's mapping": (UserDict(amount=1), {"amount": 1}),
    "a model": (Model(), PLAIN),
    "a model with an alias": (Aliased(), {"Amount": 1}),
    "a struct": (Struct(), PLAIN),
    "a dataclass": (Data(), PLAIN),
    "a dataclass with slots": (Slotted(), {"model": PLAIN}),
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "text": ("done", "done"),
    "a number": (7, 7),
    "false": (False, False),
    "zero": (0, 0),
    "a list": ([1, 2], [1, 2]),
    "an empty list": ([], []),
    "a tuple": ((1, 2), [1, 2]),
    "a set": ({1}, [1]),
    "a list of models": ([Model()], [PLAIN]),
    "an array-like struct": (Row(), [1]),
    "a named tuple": (Pair(1, 2), [1, 2]),
    "a moment": (DAY, "2025-06-15T00:00:00Z"),
    "a UUID": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "a decimal": (decimal.Decimal("1.50"), "1.50"),
    "an enum": (Colour.RED, "red"),
    "bytes": (b"ab", "YWI="),
}
UNWRITABLE = {"an object": object(), "a class": Model, "a function": print, "a complex number": 1j}


def travelled(value: Any) -> Any:
    """What arrives of *value*, encoded as the wire does it."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=plain))


@pytest.mark.parametrize(("payload", "expected"), MAPPINGS.values(), ids=MAPPINGS)
def test_a_payload_is_a_mapping_or_a_model_of_any_kind(payload: Any, expected: dict[str, Any]) -> None:
    assert travelled(as_payload(payload)) == expected
    assert isinstance(as_payload(payload), dict)


def test_no_payload_is_an_empty_one() -> None:
    assert as_payload(None) == {}


def test_a_dict_is_handed_on_as_it_is() -> None:
    payload = {"amount": 1}
    assert as_payload(payload) is payload


@pytest.mark.parametrize("payload", [value for value, _ in OTHERS.values()], ids=OTHERS)
def test_any_other_payload_is_refused_with_its_type(payload: Any) -> None:
    with pytest.raises(TypeError, match=f"a payload is a mapping or a model, not a {type(payload).__name__}"):
        as_payload(payload)


@pytest.mark.parametrize("payload", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_payload_that_cannot_be_written_is_refused_with_the_mend(payload: Any) -> None:
    with pytest.raises(TypeError, match="cannot be encoded; return a mapping, a model, or plain data"):
        as_payload(payload)


def test_something_unwritable_inside_of_a_model_is_refused() -> None:
    with pytest.raises(TypeError, match="a object cannot be encoded"):
        as_payload(types.MappingProxyType({"inside": [object()]}))


@pytest.mark.parametrize(("result", "expected"), MAPPINGS.values(), ids=MAPPINGS)
def test_a_result_that_is_a_mapping_or_a_model_is_the_data_of_the_answer(result: Any, expected: dict[str, Any]) -> None:
    assert travelled(as_result(result)) == expected


@pytest.mark.parametrize(("result", "expected"), OTHERS.values(), ids=OTHERS)
def test_any_other_result_travels_under_a_name(result: Any, expected: Any) -> None:
    assert travelled(as_result(result)) == {"result": expected}


def test_no_result_is_an_empty_one() -> None:
    assert as_result(None) == {}


@pytest.mark.parametrize("result", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_result_that_cannot_be_written_is_refused_with_the_mend(result: Any) -> None:
    with pytest.raises(TypeError, match="cannot be encoded; return a mapping, a model, or plain data"):
        travelled(as_result(result))
