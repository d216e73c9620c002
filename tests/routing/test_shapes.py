"""What is known of a declared type without any data: its fields, which instances fit as they are, if it is a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import msgspec
import pytest
import typing_extensions
from pydantic import AliasChoices, AliasPath, BaseModel, Field

from nooble.routing.shapes import classes_of, fields_of, is_class, is_mapping, is_typed_dict

T = TypeVar("T")


class Order(BaseModel):
    number: int
    name: str = Field(default="", alias="nombre")
    place: str = Field(default="", validation_alias=AliasChoices("lugar", AliasPath("site", "town")))
    note: str = Field(default="", serialization_alias="nota")


class Paid(msgspec.Struct, rename="camel"):
    receipt_id: str
    total: float = 0.0


@dataclass
class Point:
    x: int
    y: int


class Place(TypedDict):
    town: str


class Street(typing_extensions.TypedDict):
    name: str


class Page(BaseModel, Generic[T]):
    items: list[T]


class Row(msgspec.Struct, array_like=True):
    a: int


@pytest.mark.parametrize(
    ("declared", "classes"),
    [
        (int, (int,)),
        (str, (str,)),
        (Order, (Order,)),
        (Paid, (Paid,)),
        (Point, (Point,)),
        (type(None), (type(None),)),
        (dict, (dict,)),
        (Mapping[str, Any], (dict,)),
        (Order | None, (Order, type(None))),
        (int | Paid | Point, (int, Paid, Point)),
        (list[int], ()),
        (dict[str, int], ()),
        (Place, ()),
        (Page[int], (Page[int],)),
        (bytes, ()),
    ],
)
def test_the_classes_whose_instances_fit_as_they_are(declared: Any, classes: tuple[type, ...]) -> None:
    assert classes_of(declared) == classes


@pytest.mark.parametrize(
    ("declared", "fields"),
    [
        (
            Order,
            {
                "number": {"number"},
                "name": {"name", "nombre"},
                "place": {"place", "lugar", "site"},
                "note": {"note", "nota"},
            },
        ),
        (Paid, {"receipt_id": {"receipt_id", "receiptId"}, "total": {"total"}}),
        (Point, {"x": {"x"}, "y": {"y"}}),
        (Place, {"town": {"town"}}),
        (Street, {"name": {"name"}}),
        (Page[int], {"items": {"items"}}),
        (Point | None, {"x": {"x"}, "y": {"y"}}),
        (Annotated[Point, "far"], {"x": {"x"}, "y": {"y"}}),
        (Point | Place, {"x": {"x"}, "y": {"y"}, "town": {"town"}}),
        (Point | Place | None, {"x": {"x"}, "y": {"y"}, "town": {"town"}}),
        (Order | Street, fields_of(Order) and {**(fields_of(Order) or {}), "name": {"name", "nombre"}}),
        (Street | Order, {**(fields_of(Order) or {}), "name": {"name", "nombre"}}),
        (dict[str, Any], None),
        (int, None),
        (Point | dict[str, Any], None),
        (list[Point], None),
    ],
)
def test_the_fields_of_a_type_and_what_the_wire_may_call_them(
    declared: Any, fields: dict[str, set[str]] | None
) -> None:
    assert fields_of(declared) == fields


@pytest.mark.parametrize("declared", [Order, Paid, Point, Place, Street, dict, Page[int], Order | Place, Order | None])
def test_what_travels_as_a_mapping(declared: Any) -> None:
    assert is_mapping(declared)


@pytest.mark.parametrize("declared", [int, list[Order], Row, Order | int, None, type(None), bytes])
def test_what_does_not(declared: Any) -> None:
    assert not is_mapping(declared)


def test_a_class_is_no_alias_of_one() -> None:
    assert is_class(Order, BaseModel)
    assert not is_class(Point, BaseModel)
    assert not is_class(list[int], list)
    assert not is_class("Order", BaseModel)
    assert [is_typed_dict(one) for one in (Place, Street, Order, dict, Page[int])] == [True, True, False, False, False]
