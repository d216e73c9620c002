"""What a handler returns is held against what it declares, before anybody else sees it."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from nooble.errors import InvalidResponse
from nooble.models import DomainAction, DomainActionResponse, ErrorDetail
from nooble.routing import action
from nooble.services import BaseService
from tests.support.settings import make_settings


class Model(BaseModel):
    number: int


class Narrower(Model):
    more: str = "more"


class Struct(msgspec.Struct):
    number: int


@dataclasses.dataclass
class Data:
    number: int


class Dict(TypedDict):
    number: int


async def returned(declared: Any, result: Any) -> Any:
    """What a service gives for a handler that declares *declared* and returns *result*."""

    class Giver(BaseService):
        @action("giver.thing.give", response_model=declared)
        async def give(self) -> Any:
            return result

    return await Giver(make_settings("giver")).process_action(DomainAction(action_type="giver.thing.give", data={}))


async def refused(declared: Any, result: Any) -> InvalidResponse:
    with pytest.raises(InvalidResponse) as caught:
        await returned(declared, result)
    return caught.value


PASSING = [
    (Model, Model(number=1)),
    (Model, Narrower(number=1)),
    (Struct, Struct(1)),
    (Data, Data(1)),
    (Model | None, None),
    (Struct | list[int] | None, Struct(1)),
    (dict, {"a": object()}),
    (dict[str, Any], {"a": 1}),
    (str, "text"),
    (int, 1),
    (type(None), None),
    (Any, object()),
    (object, 1),
    (None, object()),
]


@pytest.mark.parametrize(("declared", "result"), PASSING)
async def test_an_instance_of_what_is_declared_passes_as_it_is(declared: Any, result: Any) -> None:
    assert await returned(declared, result) is result


READ = [
    (Model, {"number": 1}, Model(number=1)),
    (Struct, {"number": 1}, Struct(1)),
    (Data, {"number": 1}, Data(1)),
    (Dict, {"number": "1"}, {"number": 1}),
    (list[Model], [Model(number=1), {"number": 2}], [Model(number=1), Model(number=2)]),
    (list[Struct], [Struct(1), {"number": 2}], [Struct(1), Struct(2)]),
    (dict[str, Model], {"a": {"number": 1}}, {"a": Model(number=1)}),
    (tuple[int, str], [1, "a"], (1, "a")),
    (float, 1, 1.0),
    (dict[str, Any], MappingProxyType({"a": 1}), {"a": 1}),
]


@pytest.mark.parametrize(("declared", "result", "given"), READ)
async def test_what_can_become_what_is_declared_does(declared: Any, result: Any, given: Any) -> None:
    assert await returned(declared, result) == given


WRONG = [
    (Model, {"number": "x"}, "$.number"),
    (Model, None, "$"),
    (Struct, {"number": "x"}, "$.number"),
    (Struct, {}, "$.number"),
    (Data, Struct(1), "$"),
    (Dict, {}, "$.number"),
    (list[Model], [Model(number=1), {}], "$[1].number"),
    (list[Struct], [{}], "$[0].number"),
    (type(None), 1, "$"),
    (str, 1, "$"),
    (dict[str, Any], [1], "$"),
]


@pytest.mark.parametrize(("declared", "result", "path"), WRONG)
async def test_what_cannot_is_refused_with_its_path(declared: Any, result: Any, path: str) -> None:
    error = await refused(declared, result)
    assert [field["path"] for field in error.details["errors"]] == [path]
    assert (error.error_code, error.retryable) == ("INVALID_RESPONSE", False)


async def test_the_error_says_who_gave_what_instead_of_what() -> None:
    error = await refused(Model, {"number": "x"})
    assert error.message == (
        "giver.thing.give: Giver.give() -> Model: the result, of type dict, does not fit: "
        "$.number: Input should be a valid integer, unable to parse string as an integer"
    )


async def test_a_ready_answer_passes_whatever_is_declared() -> None:
    failure = DomainActionResponse(success=False, error=ErrorDetail(error_type="Full", message="no room"))
    for declared in (Model, type(None), list[int], DomainActionResponse):
        assert await returned(declared, failure) is failure


async def test_without_annotation_there_is_no_check() -> None:
    class Giver(BaseService):
        @action("giver.thing.give")
        async def give(self):  # type: ignore[no-untyped-def]
            return {1, 2}

    assert await Giver(make_settings()).process_action(DomainAction(action_type="giver.thing.give", data={})) == {1, 2}


async def test_the_result_of_a_plain_def_is_checked_too() -> None:
    class Giver(BaseService):
        @action("giver.thing.give")
        def give(self) -> int:
            return "one"  # type: ignore[return-value]

    with pytest.raises(InvalidResponse):
        await Giver(make_settings()).process_action(DomainAction(action_type="giver.thing.give", data={}))
