"""One of every kind of payload that a handler can declare."""

from __future__ import annotations

import dataclasses
import enum
from collections import deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, TypeVar
from uuid import UUID

import msgspec
from annotated_types import Ge, Len, MultipleOf
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    IPvAnyAddress,
    Json,
    NonNegativeInt,
    PastDate,
    RootModel,
    SecretStr,
    StringConstraints,
    conlist,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Flat(BaseModel):
    name: str
    number: int
    share: float
    on: bool


class Bounds(BaseModel):
    above: int = Field(gt=0)
    at_least: int = Field(ge=-5)
    below: float = Field(lt=1.5)
    at_most: float = Field(gt=0, le=0.25)
    even: int = Field(multiple_of=2, ge=10, le=20)
    tenth: Annotated[float, Field(multiple_of=0.5)]


class Texts(BaseModel):
    code: str = Field(pattern=r"^[A-Z]{3}-\d{4}$")
    short: str = Field(min_length=1, max_length=3)
    long: str = Field(min_length=40)
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", min_length=12, max_length=30)]
    lower: Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True, min_length=2)]


class Times(BaseModel):
    day: date
    moment: datetime
    aware: AwareDatetime
    hour: time
    span: timedelta
    key: UUID


class Money(BaseModel):
    price: Decimal = Field(ge=0, max_digits=8, decimal_places=2)
    rate: Decimal = Field(gt=0, lt=1)
    free: Decimal


class Lists(BaseModel):
    some: list[int]
    few: list[str] = Field(min_length=1, max_length=2)
    pair: tuple[int, str]
    many: tuple[int, ...]
    set_: set[int] = Field(min_length=2)
    frozen: frozenset[Colour]
    by_name: dict[str, float]
    by_number: dict[int, list[bool]] = Field(max_length=2)
    three: conlist(int, min_length=3, max_length=3)  # type: ignore[valid-type]


class Optionals(BaseModel):
    maybe: int | None
    left_out: str = "default"
    both: list[int] | None = None
    either: int | str | None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Owner(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")
    first: Annotated[Cat | Dog | None, Field(discriminator="kind")] = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []
    parent: Tree | None = None


class Aliased(BaseModel):
    user_name: str = Field(alias="userName", min_length=1)
    age: int = Field(validation_alias="AGE", ge=0)


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=lambda name: name.upper(), populate_by_name=True, extra="forbid")
    first_part: int
    second_part: str | None = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    number: int
    day: date
    colour: Colour


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Checked(BaseModel):
    low: int = Field(ge=0, le=50)
    high: int = Field(ge=0, le=50)

    @model_validator(mode="after")
    def _in_order(self) -> Checked:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Odd(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("is even")
        return value


class Choices(BaseModel):
    colour: Colour
    level: Level
    word: Literal["a", "b", 3]
    only: Literal["x"] = "x"


class Net(BaseModel):
    url: HttpUrl
    address: IPvAnyAddress
    port: Annotated[int, Ge(1), Field(le=65535)]


class Binary(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")
    data: bytes


class Packed(BaseModel):
    lines: Json[list[int]]
    secret: SecretStr
    matrix: deque[tuple[int, int]]
    past: PastDate


class Prices(RootModel[dict[str, NonNegativeInt]]):
    pass


Thing = TypeVar("Thing")


class Page(BaseModel, Generic[Thing]):
    items: list[Thing] = Field(max_length=2)
    next: str | None = None


class Line(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=2, max_length=5)]
    count: Annotated[int, msgspec.Meta(gt=0, le=100)]


class Order(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    order_lines: Annotated[list[Line], msgspec.Meta(min_length=1)]
    ordered_at: datetime
    total_price: Decimal
    colour: Colour | None = None
    raw: bytes = b""


class Circle(msgspec.Struct, tag="circle"):
    radius: Annotated[float, msgspec.Meta(ge=0)]


class Square(msgspec.Struct, tag="square"):
    side: Annotated[float, msgspec.Meta(ge=0)]


class Shape(msgspec.Struct):
    shape: Circle | Square
    code: Annotated[str, msgspec.Meta(pattern="^[a-f]{4}$")]
    when: date | None = None


class Node(msgspec.Struct):
    value: int
    next: Node | None = None
    below: list[Node] = []


class Mixed(msgspec.Struct):
    cat: Cat
    key: UUID


@dataclasses.dataclass
class Point:
    x: int
    y: Annotated[int, Field(ge=0)]
    label: str = "p"
    tags: list[str] = dataclasses.field(default_factory=list)


@pydantic_dataclass
class Segment:
    start: Point
    end: Point
    width: float = Field(default=1.0, gt=0)


class Address(TypedDict):
    street: str
    number: Annotated[int, Field(gt=0)]
    floor: NotRequired[int]


class Person(TypedDict, total=False):
    name: str
    home: Address


Serial = NewType("Serial", str)


class Numbered(BaseModel):
    serial: Serial
    serials: list[Serial]


class Wide(BaseModel):
    anything: Any
    mapping: dict[str, Any]
    numbers: Annotated[list[Annotated[int, MultipleOf(5)]], Len(1, 3)]


MODELS: list[Any] = [
    *(Flat, Bounds, Texts, Times, Money, Lists, Optionals, Owner, Tree, Aliased, Camel, Strict, Open, Checked, Odd),
    *(Choices, Net, Binary, Packed, Prices, Page[Cat], Order, Shape, Node, Mixed, Point),
    *(
        Segment,
        Address,
        Person,
        Numbered,
        Wide,
        Circle | Square,
        Cat | Dog,
        dict[str, int],
        dict,
        dict[str, list[Line]],
    ),
    *(Annotated[Cat | Dog, Field(discriminator="kind")], Line),
]
