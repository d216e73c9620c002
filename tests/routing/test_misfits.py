"""Data that do not fit are told field by field: where, what kind of mistake, and nothing that is sensitive."""

from __future__ import annotations

import dataclasses
from typing import Any, NotRequired

import msgspec
import pytest
from typing_extensions import TypedDict

from nooble.routing.misfits import hide, misfits, told

AT = "$.data"


@dataclasses.dataclass
class Line:
    sku: str
    count: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)
    total: float = dataclasses.field(init=False, default=0.0)


class Note(TypedDict):
    text: str
    author: NotRequired[str]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    line: Line
    note: Note | None = None
    amounts: dict[str, int] = {}


class Card(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    number: str


class Cash(msgspec.Struct, tag=True):
    coins: int


class Box(msgspec.Struct):
    size: int
    inside: Box | None = None


def found(declared: Any, data: Any) -> set[tuple[str, str]]:
    """The failing fields of *data*, each with the kind of its mistake."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(data, declared)
    return {(field["path"], field["type"]) for field in misfits(caught.value, declared, data, AT)}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, {("$.data.line", "missing")}),
        ({"line": {}}, {("$.data.line.sku", "missing")}),
        ({"line": {"count": "x"}}, {("$.data.line.sku", "missing"), ("$.data.line.count", "wrong_value")}),
        (
            {"line": {"sku": "a", "tags": [1, "b", 2]}},
            {("$.data.line.tags[0]", "wrong_value"), ("$.data.line.tags[2]", "wrong_value")},
        ),
        (
            {"line": {"sku": "a"}, "note": {"author": 7}},
            {("$.data.note.text", "missing"), ("$.data.note.author", "wrong_value")},
        ),
        ({"line": {"sku": "a"}, "amounts": {"b": "x", "c": 1}}, {("$.data.amounts.b", "wrong_value")}),
        (
            {"line": {"sku": 1}, "colour": "red"},
            {("$.data.line.sku", "wrong_value"), ("$.data.colour", "extra_forbidden")},
        ),
    ],
)
def test_every_failing_field_is_told_whatever_it_is_a_part_of(data: Any, expected: set[tuple[str, str]]) -> None:
    assert found(Order, data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"type": "Card"}, ("$.data.number", "missing")),
        ({"type": "Card", "number": "1", "pin": "2"}, ("$.data.pin", "extra_forbidden")),
        ({"type": "Cash", "coins": "x"}, ("$.data.coins", "wrong_value")),
        ({"type": "Cheque"}, ("$.data.type", "wrong_value")),
    ],
)
def test_where_several_types_may_stand_the_first_mistake_of_the_one_that_is_meant_is_told(
    data: Any, expected: tuple[str, str]
) -> None:
    assert found(Card | Cash, data) == {expected}


def test_a_field_that_tells_types_apart_is_no_field_too_many() -> None:
    assert found(Card, {"type": "Card", "number": 7}) == {("$.data.number", "wrong_value")}


def test_boxes_in_boxes_are_looked_through_to_a_depth_and_no_further() -> None:
    data: dict[str, Any] = {"size": "x"}
    for _ in range(40):
        data = {"size": "x", "inside": data}
    paths = {path for path, _ in found(Box, data)}
    assert paths == {AT + ".inside" * depth + ".size" for depth in range(21)}


def test_what_is_nested_too_deeply_to_be_read_is_told_so() -> None:
    assert misfits(RecursionError(), Box, {}, AT) == [
        {"path": AT, "message": "is nested too deeply", "type": "too_deep"}
    ]


@pytest.mark.parametrize(("count", "end"), [(3, "$.data.2: is wrong"), (4, "$.data.2: is wrong; and 1 more")])
def test_the_message_names_three_and_counts_the_rest(count: int, end: str) -> None:
    fields = [{"path": f"$.data.{n}", "message": "is wrong", "type": "wrong_value"} for n in range(count)]
    message, details = told("it does not fit", fields)
    assert message.startswith("it does not fit: $.data.0: is wrong; $.data.1: ")
    assert message.endswith(end)
    assert details == {"errors": fields, "error_count": count}


# ── what is sensitive ──


def hidden(path: str, kind: str, sensitive: set[str]) -> tuple[str, str]:
    """Path and message of a failing field, once what is sensitive was taken out."""
    field = {"path": path, "message": "is 7", "type": kind}
    hide([field], sensitive, {"card", "items", "pin", "data"}, AT)
    return field["path"], field["message"]


@pytest.mark.parametrize("name", ["card", "pin"])
def test_of_a_sensitive_field_only_its_name_is_told_at_whatever_depth(name: str) -> None:
    for path in (f"$.data.{name}", f"$.data.items[3].{name}", f"$.data.items[3].{name}.number"):
        where, message = hidden(path, "wrong_value", {"card", "pin"})
        assert where == path.removesuffix(".number")
        assert message == "is wrong (sensitive: its value is not shown)"


def test_a_name_that_only_begins_alike_and_the_place_of_the_payload_itself_are_not_sensitive() -> None:
    assert hidden("$.data.items.cardinal", "wrong_value", {"card"}) == ("$.data.items.cardinal", "is 7")
    assert hidden("$.data.items", "wrong_value", {"data"}) == ("$.data.items", "is 7")


def test_what_a_validator_says_of_the_whole_is_not_told_where_something_is_sensitive() -> None:
    unsaid = "is wrong (how is not told, as it has sensitive fields)"
    assert hidden(AT, "value_error", {"card"}) == (AT, unsaid)
    assert hidden("$.data.unknown[1]", "assertion_error", {"card"}) == ("$.data.unknown[1]", unsaid)
    assert hidden("$.data.items[1].n", "value_error", {"card"}) == ("$.data.items[1].n", "is 7")
    assert hidden(AT, "missing", {"card"}) == (AT, "is 7")
