"""From wire data to values: what a declared type makes of what JSON brings, and what is said of one that nothing reads."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from nooble.routing.readers import MISFITS, Unreadable, reader_of


class Inner(BaseModel):
    day: datetime.date


class Blob(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64")
    content: bytes


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: datetime.date
    count: int = 0


class Parcel(msgspec.Struct):
    inner: Inner
    weight: float = 0.0


@dataclass
class Stranger:
    """Neither pydantic nor msgspec knows its field."""

    thing: Odd


class Odd:
    def __init__(self, value: int) -> None:
        self.value = value


class Empty: ...


def test_anything_is_taken_as_it_is() -> None:
    thing = object()
    assert reader_of(Any)(thing) is thing
    assert reader_of(object)(thing) is thing


def test_base64_is_what_bytes_are_written_as_if_the_model_says_so() -> None:
    assert reader_of(Blob)({"content": "aG9sYQ=="}) == Blob(content=b"hola")
    assert reader_of(list[Blob])([{"content": "aG9sYQ=="}]) == [Blob(content=b"hola")]


def test_what_cannot_be_json_is_read_as_it_is() -> None:
    class Loose(Blob):
        model_config = ConfigDict(val_json_bytes="base64", arbitrary_types_allowed=True)
        thing: Odd

    odd = Odd(1)
    assert reader_of(Loose)({"content": b"hola", "thing": odd}).thing is odd


def test_strict_types_read_what_json_can_say() -> None:
    read = reader_of(Strict)
    assert read({"day": "2026-11-22", "count": 2}) == Strict(day=datetime.date(2026, 11, 22), count=2)
    assert read({"day": datetime.date(2026, 11, 22)}).day == datetime.date(2026, 11, 22)
    with pytest.raises(ValidationError):
        read({"day": "2026-11-22", "count": "2"})
    with pytest.raises(ValidationError):
        read({"day": object()})


def test_strictness_is_found_inside_of_other_types() -> None:
    assert reader_of(dict[str, Strict])({"a": {"day": "2026-11-22"}})["a"].day.year == 2026
    assert reader_of(Annotated[datetime.date, Field(strict=True)])("2026-11-22") == datetime.date(2026, 11, 22)


def test_a_model_inside_of_a_struct_is_read_by_itself() -> None:
    assert reader_of(Parcel)({"inner": {"day": "2026-11-22"}}) == Parcel(Inner(day=datetime.date(2026, 11, 22)))
    with pytest.raises(MISFITS):
        reader_of(Parcel)({"inner": {"day": "never"}})


def test_a_union_of_a_struct_and_others_is_read_by_whoever_can() -> None:
    assert reader_of(Literal["a", "b"])("a") == "a"
    assert reader_of(list[Parcel])([{"inner": {"day": "2026-11-22"}}])[0].inner.day.day == 22


DATA = "declare a pydantic model, a Struct, a dataclass, a TypedDict or plain types"


class OddStruct(msgspec.Struct):
    thing: Odd


class DeepStruct(msgspec.Struct):
    things: dict[str, list[tuple[int, Empty]]]


class LateStruct(msgspec.Struct):
    thing: Missing  # type: ignore[name-defined]  # noqa: F821


class LateModel(BaseModel):
    thing: Missing  # type: ignore[name-defined]  # noqa: F821


@dataclass
class LateData:
    thing: Missing  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("declared", "problem", "mend"),
    [
        (OddStruct, "Odd is no data", DATA),
        (DeepStruct, "Empty is no data", DATA),
        (Empty, "Empty is no data", DATA),
        (Odd, "Odd is no data", DATA),
        (LateStruct, "LateStruct names Missing, which is not defined", "define it before the class"),
        (LateModel, "LateModel names Missing, which is not defined", "define it before the class"),
        (LateData, "LateData names Missing, which is not defined", "define it before the class"),
        (list[LateModel], "list[LateModel] names Missing, which is not defined", "define it before the class"),
    ],
)
def test_what_nothing_reads_is_told_with_its_mend(declared: Any, problem: str, mend: str) -> None:
    with pytest.raises(Unreadable) as told:
        reader_of(declared)
    assert (str(told.value), told.value.mend) == (problem, mend)


def test_what_no_library_makes_sense_of_is_told_in_one_line() -> None:
    with pytest.raises(Unreadable) as told:
        reader_of(dict[Parcel, 7])  # type: ignore[misc]
    assert told.value.mend == DATA
    assert "\n" not in str(told.value)
    assert str(told.value).strip()
    assert " - type " not in str(told.value)


class Cat(BaseModel):
    lives: int


class Dog(BaseModel):
    tricks: list[str]


class Either(msgspec.Struct):
    animal: Odd | Empty


def test_what_pydantic_says_of_a_type_is_said_in_its_first_line() -> None:
    declared = Annotated[Cat | Dog, Field(discriminator="kind")]
    with pytest.raises(PydanticUserError) as own:
        TypeAdapter(declared)
    with pytest.raises(Unreadable) as told:
        reader_of(declared)
    first = own.value.message.partition("\n")[0]
    assert "discriminator" in first
    assert (str(told.value), told.value.mend) == (first, DATA)


def test_what_msgspec_says_of_a_type_is_said_without_the_type() -> None:
    with pytest.raises(Unreadable) as told:
        reader_of(Either)
    assert (str(told.value), told.value.mend) == ("Type unions may not contain more than one custom type", DATA)
