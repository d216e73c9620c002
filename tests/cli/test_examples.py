"""What to type next is made from the model of an action, and the model accepts it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from nooble.cli.examples import example_call, example_payload
from nooble.cli.payloads import read_payload
from nooble.routing import Route
from nooble.routing.readers import reader_of


class Color(Enum):
    RED = "red hot"


class Line(BaseModel):
    sku: str
    amount: int = Field(gt=3, multiple_of=5)


class Order(BaseModel):
    customer: str = Field(examples=["acme"])
    number: UUID
    day: date
    price: Decimal = Field(gt=0)
    share: float = Field(ge=0, le=0.5)
    color: Color
    kind: Literal["a", "b"]
    code: str = Field(min_length=8, max_length=10)
    lines: list[Line] = Field(min_length=2)
    note: str | None
    optional: int = 3


class Struct(msgspec.Struct):
    name: str
    sizes: list[int]
    least: Annotated[int, msgspec.Meta(ge=5)]


@dataclass
class Data:
    name: str
    on: bool


class Typed(TypedDict):
    name: str


class Unknowable(BaseModel):
    zip_code: str = Field(pattern=r"^\d{5}$")


MODELS = (Order, Struct, Data, Typed, dict, dict[str, Any], None)


def route(model: Any, action_type: str = "shop.order.create") -> Route:
    return Route(action_type=action_type, handler="Shop.create", model=model)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_example_is_accepted(model: Any) -> None:
    payload = example_payload(model)
    assert model is None or reader_of(model)(payload) is not None


def test_what_the_model_shows_as_an_example_is_taken() -> None:
    assert example_payload(Order)["customer"] == "acme"


def test_what_need_not_be_given_is_left_out() -> None:
    assert "optional" not in example_payload(Order)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_line_can_be_typed_as_it_stands(model: Any) -> None:
    line = example_call([route(model)])
    assert line is not None
    nooble, call, action, *words = shlex.split(line)
    assert (nooble, call, action) == ("nooble", "call", "shop.order.create")
    assert read_payload(words) == example_payload(model)


def test_an_action_that_accepts_its_example_goes_before_others() -> None:
    assert example_call([route(Unknowable, "a.b"), route(Data, "a.c")]) == "nooble call a.c name=name on:=true"


def test_if_none_does_the_fields_are_shown_all_the_same() -> None:
    assert example_call([route(Unknowable, "a.b")]) == "nooble call a.b zip_code=zip_code"


def test_without_actions_there_is_nothing_to_type() -> None:
    assert example_call([]) is None
    assert example_call([route(dict, "*")]) is None
