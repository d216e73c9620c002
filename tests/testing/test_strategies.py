"""What the strategies give is what they promise: sound payloads pass the real route, broken ones do not and are named, and
all of it travels."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, NewType

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PlainValidator, field_validator

from nooble import ActionRouter, BaseService, CommonAppSettings, DomainAction, InvalidPayload, action
from nooble.routing.route import name_of
from nooble.testing import strategies as ours
from nooble.testing.fuzz_judging import names_the_field
from nooble.wire.codec import JSON, MSGPACK, decode_action, encode_action
from tests.testing import zoo

SOME = settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
DEPTHS = [SOME.max_examples, pytest.param(100, marks=pytest.mark.slow)]
BREAKABLE = [model for model in zoo.MODELS if model is not dict]


class Zoo(BaseService):
    """Takes one kind of payload, and gives back what its reader has made of it."""

    def __init__(self, model: Any) -> None:
        super().__init__(CommonAppSettings(service_name="zoo"))
        self.ran = 0
        router = ActionRouter()

        @router.action("zoo.animal.see", model=model, response_model=None)
        async def see(payload: Any) -> None:
            self.ran += 1

        self.include(router)

    def see(self, runner: asyncio.Runner, data: Any) -> None:
        """Through the real route."""
        runner.run(self.process_action(DomainAction(action_type="zoo.animal.see", data=data)))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.mark.parametrize("examples", DEPTHS)
@pytest.mark.parametrize("model", zoo.MODELS, ids=name_of)
def test_every_sound_payload_passes_the_real_route_and_survives_the_wire(
    model: Any, runner: asyncio.Runner, examples: int
) -> None:
    service = Zoo(model)

    @settings(SOME, max_examples=examples)
    @given(payload=ours.payloads(model))
    def passes(payload: dict[str, Any]) -> None:
        service.see(runner, payload)
        sent = DomainAction(action_type="zoo.animal.see", data=payload)
        for codec in (JSON, MSGPACK):
            arrived = decode_action(encode_action(sent, codec)).data
            assert arrived == payload
            service.see(runner, arrived)

    passes()
    assert service.ran >= 3


@pytest.mark.parametrize("examples", DEPTHS)
@pytest.mark.parametrize("model", BREAKABLE, ids=name_of)
def test_every_broken_payload_is_refused_and_its_field_is_named(
    model: Any, runner: asyncio.Runner, examples: int
) -> None:
    service = Zoo(model)

    @settings(SOME, max_examples=examples)
    @given(case=ours.invalid_payloads(model))
    def refused(case: ours.Invalid) -> None:
        with pytest.raises(InvalidPayload) as caught:
            service.see(runner, case.payload)
        paths = [error["path"] for error in caught.value.details["errors"]]
        assert names_the_field(paths, case.path), (case, paths)

    refused()
    assert service.ran == 0


KINDS: dict[Any, set[str]] = {
    zoo.Flat: {"missing", "null", "wrong_type", "nan"},
    zoo.Camel: {"extra"},
    zoo.Line: {"too_short", "too_long", "out_of_minimum", "out_of_maximum"},
    zoo.Shape: {"pattern", "not_a_member"},
    zoo.Strict: {"format"},
    zoo.Bounds: {"not_a_multiple"},
    zoo.Wide: {"too_few", "too_many"},
}


@pytest.mark.parametrize(("model", "kinds"), KINDS.items(), ids=str)
def test_every_constraint_is_broken_by_its_name(model: Any, kinds: set[str]) -> None:
    seen: Counter[str] = Counter()

    @settings(SOME, max_examples=200, derandomize=True)
    @given(case=ours.invalid_payloads(model))
    def look(case: ours.Invalid) -> None:
        seen[case.broken] += 1

    look()
    assert kinds <= set(seen)


def test_only_one_thing_is_wrong() -> None:
    @SOME
    @given(case=ours.invalid_payloads(zoo.Bounds))
    def one(case: ours.Invalid) -> None:
        with pytest.raises(ValueError) as caught:
            zoo.Bounds.model_validate(case.payload)
        assert caught.value.error_count() == 1  # type: ignore[attr-defined]

    one()


# ── what a person registers ──


Account = NewType("Account", str)


class Transfer(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    account: Account
    others: list[Account] = []
    by_name: dict[str, Account] = {}
    maybe: Account | None = None

    @field_validator("account")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith("ES-"):
            raise ValueError("is no account")
        return value


@pytest.fixture
def accounts() -> Iterator[None]:
    ours.register(Account, st.integers(0, 99).map(lambda number: f"ES-{number:02}"))
    yield
    ours.unregister(Account)


class Envelope(msgspec.Struct):
    to: Account
    card: Annotated[str, msgspec.Meta(min_length=1)] = "-"


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("model", [Transfer, Envelope])
def test_a_registered_type_is_used_wherever_it_stands(model: Any) -> None:
    found: list[str] = []

    @SOME
    @given(payload=ours.payloads(model))
    def look(payload: dict[str, Any]) -> None:
        maybe = [payload["maybe"]] if payload.get("maybe") is not None else []
        found.extend([*payload.get("others", []), *payload.get("by_name", {}).values(), *maybe])
        found.append(payload.get("account") or payload["to"])

    look()
    assert found
    assert all(one.startswith("ES-") for one in found)


def test_a_model_can_be_registered_itself_and_is_written_as_json_brings_it() -> None:
    ours.register(zoo.Line, st.builds(zoo.Line, name=st.just("ab"), count=st.just(7)))
    try:

        @SOME
        @given(payload=ours.payloads(dict[str, list[zoo.Line]]))
        def look(payload: dict[str, Any]) -> None:
            assert all(line == {"name": "ab", "count": 7} for lines in payload.values() for line in lines)

        look()
    finally:
        ours.unregister(zoo.Line)


def test_what_is_no_strategy_is_not_registered() -> None:
    with pytest.raises(TypeError, match=r"register\(Account, 7\): give it a strategy"):
        ours.register(Account, 7)  # type: ignore[arg-type]


class Rash(BaseModel):
    number: Annotated[int, PlainValidator(int)]


def test_a_validator_that_fails_by_itself_refuses_too() -> None:
    """In production that is an error of the handler: fuzzing finds it."""

    @SOME
    @given(payload=ours.payloads(Rash), case=ours.invalid_payloads(Rash))
    def look(payload: dict[str, Any], case: ours.Invalid) -> None:
        assert Rash.model_validate(payload).number == int(payload["number"])
        with pytest.raises((TypeError, ValueError)):
            Rash.model_validate(case.payload)

    look()


# ── what cannot be made ──


class Never(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _never(cls, value: int) -> int:
        raise ValueError("not today")


class Endless(BaseModel):
    inner: Endless


class Between(BaseModel):
    number: int = Field(gt=3, lt=4)


class Foreign(BaseModel):
    pattern: str = Field(pattern=r"^\p{Lu}+$")


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Never, r"no payload can be made for Never: its validators refused all of \d+ .* not today"),
        (Endless, "for Endless: it contains itself without an end"),
        (Between, "for Between: no number is within its bounds"),
        (Foreign, "for Foreign: the pattern .* is none of Python's"),
    ],
)
def test_a_model_that_cannot_be_made_is_told_with_the_mend(model: Any, why: str) -> None:
    with pytest.raises(ours.Unmakeable, match=rf"{why}.*strategies\.register\({model.__name__}, "):
        ours.payloads(model)


@pytest.mark.parametrize("model", [None, dict, dict[str, Any], Any])
def test_where_nothing_can_be_wrong_it_is_told(model: Any) -> None:
    with pytest.raises(ours.NothingInvalid, match="accepts every mapping"):
        ours.invalid_payloads(model)


# ── actions, envelopes, entries ──


class Shop(BaseService):
    @action("shop.order.make")
    async def make(self, order: zoo.Flat) -> None: ...

    @action("shop.order.drop")
    async def drop(self) -> None: ...

    @action("*")
    async def others(self, action: DomainAction) -> None: ...


@SOME
@given(made=ours.actions(Shop))
def test_actions_are_those_that_a_service_declares(made: DomainAction) -> None:
    assert made.action_type in ("shop.order.make", "shop.order.drop")
    if made.action_type == "shop.order.make":
        zoo.Flat.model_validate(made.data)


def test_an_action_that_is_not_declared_is_told() -> None:
    with pytest.raises(ValueError, match=r"Shop has no action 'shop.order.mak'; did you mean 'shop.order.make'\?"):
        ours.actions(Shop, "shop.order.mak")


def test_a_service_without_actions_is_told() -> None:
    with pytest.raises(ValueError, match="BaseService declares no action"):
        ours.actions(BaseService)


def test_an_action_whose_payload_cannot_be_made_is_named() -> None:
    class Sad(BaseService):
        @action("sad.thing.do")
        async def do(self, payload: Never) -> None: ...

    with pytest.raises(ours.Unmakeable, match=r"sad\.thing\.do: no payload can be made for Never"):
        ours.actions(Sad)


def test_envelopes_are_nearly_right_and_entries_are_fields() -> None:
    readable = Counter[bool]()

    @settings(SOME, max_examples=100, derandomize=True)
    @given(data=ours.envelopes(["shop.order.make"]), entry=ours.hostile_entries(["shop.order.make"]))
    def look(data: bytes, entry: list[tuple[bytes, bytes]]) -> None:
        assert entry
        assert all(isinstance(part, bytes) for field in entry for part in field)
        try:
            decode_action(data)
        except ValueError:
            readable[False] += 1
        else:
            readable[True] += 1

    look()
    assert readable[True] > 5
    assert readable[False] > 5
