"""Bytes become envelopes or a `MalformedAction` that says where; results become answers or an `InvalidResponse`."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import time
import tracemalloc
import types
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from nooble.errors import InvalidResponse, MalformedAction, Reject
from nooble.models.action_types import MAX_ACTION_TYPE
from nooble.models.actions import DomainAction, DomainActionResponse, ErrorDetail
from nooble.wire import codec as wire
from nooble.wire.codec import CODECS, JSON, MSGPACK, Codec

ID, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
FULL: dict[str, Any] = {
    "action_id": ID,
    "action_type": "orders.order.create",
    "timestamp": "2026-01-02T03:04:05.678901Z",
    "tenant_id": "acme",
    "session_id": "s1",
    "task_id": OTHER,
    "user_id": "u1",
    "agent_id": "a1",
    "origin_service": "shop",
    "correlation_id": OTHER,
    "trace_id": ID,
    "callback_queue_name": "nooble4:test:shop:responses:x:1",
    "callback_action_type": "shop.order.created",
    "data": {"number": 1, "nested": [{"a": None}]},
    "metadata": {"ttl_ms": 100},
}
LEAST = {"action_type": "orders.order.create", "data": {}}


@pytest.fixture(params=CODECS.values(), ids=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def action() -> DomainAction:
    return wire.decode_action(json.dumps(FULL).encode())


# ── reading ──


def test_every_field_is_read(codec: Codec) -> None:
    action = wire.decode_action(codec.encode(FULL))
    assert action == DomainAction(**FULL)
    assert isinstance(action.action_id, uuid.UUID)
    assert action.timestamp == datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC)
    assert action.extra == {}


def test_what_the_sender_left_out_is_absent_or_derived_from_the_entry(codec: Codec) -> None:
    data = codec.encode(LEAST)
    action = wire.decode_action(data, b"1700000000123-7")
    assert (action.tenant_id, action.correlation_id, action.callback_queue_name, action.metadata) == (
        None,
        None,
        None,
        {},
    )
    assert action.timestamp == datetime.datetime.fromtimestamp(1_700_000_000.123, datetime.UTC)
    assert action.action_id == action.trace_id == wire.decode_action(data, b"1700000000123-7").action_id
    assert action.action_id != wire.decode_action(data, b"1700000000123-8").action_id


def test_null_is_as_good_as_left_out(codec: Codec) -> None:
    action = wire.decode_action(codec.encode(dict.fromkeys(FULL) | LEAST), b"5-1")
    assert action == wire.decode_action(codec.encode(LEAST), b"5-1")


@pytest.mark.parametrize("entry_id", [b"0-0", b"18446744073709551615-18446744073709551615", b"253402300799000-0"])
def test_a_moment_can_be_derived_from_any_entry(entry_id: bytes) -> None:
    assert wire.decode_action(JSON.encode(LEAST), entry_id).timestamp.tzinfo is datetime.UTC


def test_ids_in_any_spelling_that_is_a_uuid_are_one(codec: Codec) -> None:
    for spelling in (ID, ID.upper(), ID.replace("-", "")):
        assert wire.decode_action(codec.encode(LEAST | {"action_id": spelling})).action_id == uuid.UUID(ID)


def test_fields_of_other_senders_are_there_for_who_asks(codec: Codec) -> None:
    action = wire.decode_action(codec.encode(FULL | {"rag_config": {"top_k": 3}, "priority": 1}))
    assert action.extra == {"rag_config": {"top_k": 3}, "priority": 1}
    assert action.rag_config == {"top_k": 3}


def test_white_space_around_an_envelope_is_no_part_of_it() -> None:
    assert wire.decode_action(b" \r\n\t" + JSON.encode(FULL) + b"\n ") == wire.decode_action(JSON.encode(FULL))


def test_of_a_field_that_comes_twice_the_last_counts_for_everybody() -> None:
    """Judged by one, done by another: two readers that disagree are how checks are got round."""
    data = b'{"action_type":"a.b","data":{"n":1},"x":1,"action_type":"c.d","data":{"n":2},"x":2}'
    action = wire.decode_action(data)
    assert (action.action_type, action.data, action.extra) == ("c.d", {"n": 2}, {"x": 2})
    assert json.loads(data) == {"action_type": "c.d", "data": {"n": 2}, "x": 2}


def test_the_first_byte_tells_the_codec(codec: Codec) -> None:
    for size in (0, 1, 20, 70_000):
        assert wire.codec_of(codec.encode(LEAST | {"data": {str(n): n for n in range(size)}})) is codec
    assert wire.codec_of(b"") is wire.codec_of(b" {}") is JSON
    assert wire.codec_of(b"\xde\x00\x01") is wire.codec_of(b"\xdf\x00\x00\x00\x01") is MSGPACK


# ── what is malformed ──


def inside(value: bytes) -> bytes:
    return b'{"action_type":"a.b","data":{"n":' + value + b"}}"


def beside(value: bytes) -> bytes:
    return b'{"action_type":"a.b","data":{},"x":' + value + b"}"


def packed(value: bytes) -> bytes:
    return b"\x82\xabaction_type\xa3a.b\xa4data\x81\xa1n" + value


MALFORMED = {
    "empty": b"",
    "not JSON": b"hello",
    "truncated": JSON.encode(FULL)[:-1],
    "more after the end": JSON.encode(FULL) + b"x",
    "two envelopes": JSON.encode(FULL) * 2,
    "an array": b"[]",
    "null": b"null",
    "a number": b"1",
    "text": b'"{}"',
    "nothing in it": b"{}",
    "a byte order mark": b"\xef\xbb\xbf" + JSON.encode(FULL),
    "UTF-16": JSON.encode(FULL).decode().encode("utf-16"),
    "a pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00",
    "invalid UTF-8": inside(b'"\xff\xfe"'),
    "invalid UTF-8 in a key": b'{"action_type":"a.b","data":{"\xff":1}}',
    "an overlong NUL": inside(b'"\xc0\x80"'),
    "half a surrogate pair": inside(b'"\\ud800"'),
    "half a surrogate pair beside": beside(b'"\\udfff"'),
    "a raw NUL": inside(b'"\x00"'),
    "a raw line break": inside(b'"\n"'),
    "NaN": inside(b"NaN"),
    "NaN beside": beside(b"NaN"),
    "Infinity": inside(b"Infinity"),
    "-Infinity": inside(b"-Infinity"),
    "a number beyond all bounds": inside(b"1e999999"),
    "an integer of a million digits": inside(b"9" * 1_000_000),
    "a trailing comma": b'{"action_type":"a.b","data":{},}',
    "a comment": b'{"action_type":"a.b","data":{}/*x*/}',
    "single quotes": b"{'action_type':'a.b','data':{}}",
    **{
        f"{depth} {kind}s deep {place.__name__}": place(opening * depth + b"1" + closing * depth)
        for depth in (10_000, 100_000)
        for kind, opening, closing in (("array", b"[", b"]"), ("object", b'{"a":', b"}"))
        for place in (inside, beside)
    },
    "a million open arrays": beside(b"[" * 1_000_000),
    "MessagePack: only a head": b"\x80",
    "MessagePack: garbage": b"\xff" * 100,
    "MessagePack: a code that does not exist": b"\xc1",
    "MessagePack: an array": msgspec.msgpack.encode([1]),
    "MessagePack: truncated": MSGPACK.encode(FULL)[:-1],
    "MessagePack: more after the end": MSGPACK.encode(FULL) + b"\x00",
    "MessagePack: keys that are numbers": msgspec.msgpack.encode({1: 2}),
    "MessagePack: keys of data that are numbers": msgspec.msgpack.encode({"action_type": "a.b", "data": {1: 2}}),
    "MessagePack: keys that are maps": packed(b"\x81\x80\x01"),
    "MessagePack: invalid UTF-8": packed(b"\xa2\xff\xfe"),
    "MessagePack: an array that says it is huge": packed(b"\xdd\xff\xff\xff\xff"),
    "MessagePack: huge arrays in huge arrays": packed(b"\xdd\x00\x0f\x00\x00" * 900 + b"\xc1" * 1_048_576),
    "MessagePack: a map that says it is huge": packed(b"\xdf\xff\xff\xff\xff"),
    "MessagePack: text that says it is huge": packed(b"\xdb\xff\xff\xff\xff"),
    "MessagePack: a moment that never was": packed(b"\xc7\x0c\xff\xff\xff\xff\xff\x7f" + b"\xff" * 7),
    **{f"MessagePack: {depth} deep": packed(b"\x91" * depth + b"\x01") for depth in (10_000, 100_000)},
}


@pytest.fixture
def bounded() -> Iterator[None]:
    """Whatever is read here takes little time and little memory."""
    tracemalloc.start()
    before = time.monotonic()
    yield
    seconds, (_, peak) = time.monotonic() - before, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 2.0
    assert peak < 100_000_000


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_hostile_bytes_are_a_malformed_action_and_nothing_else(data: bytes, bounded: None) -> None:
    with pytest.raises(MalformedAction, match="not a readable action") as caught:
        wire.decode_action(data)
    assert caught.value.details["path"].startswith("$")
    assert len(str(caught.value)) < 500
    wire.salvage(data)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_hostile_bytes_are_no_answer_and_nothing_else(data: bytes, bounded: None) -> None:
    with pytest.raises(MalformedAction, match="not a readable answer"):
        wire.decode_answer(data)


WRONG: dict[str, list[Any]] = {
    "action_id": [1, "x", "", {}, ID + "0"],
    "action_type": [None, 1, [], {}],
    "timestamp": ["yesterday", {}, True, "2026-13-01T00:00:00Z"],
    "correlation_id": [1, "x", []],
    "trace_id": [0, "x"],
    "data": [None, 1, "x", [], [{}], True],
    "metadata": [1, "x", []],
    **{name: [1, {}, [], True] for name in ("tenant_id", "session_id", "task_id", "user_id", "agent_id")},
    **{name: [1, {}, []] for name in ("origin_service", "callback_queue_name", "callback_action_type")},
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]])
def test_a_field_of_the_wrong_type_is_named(codec: Codec, field: str, value: Any) -> None:
    with pytest.raises(MalformedAction) as caught:
        wire.decode_action(codec.encode(FULL | {field: value}))
    assert caught.value.details["path"] == f"$.{field}"


@pytest.mark.parametrize("field", ["action_type", "data"])
def test_a_missing_field_is_named(codec: Codec, field: str) -> None:
    with pytest.raises(MalformedAction, match=f"`{field}`"):
        wire.decode_action(codec.encode({name: value for name, value in FULL.items() if name != field}))


@pytest.mark.parametrize(
    "bad", ["", "orders", "orders.", ".x", "Orders.x", "a.b\n", "a b.c", "ñ.x", "a." + "b" * 10**6]
)
def test_a_type_that_is_none_is_told_and_shown_within_bounds(codec: Codec, bad: str) -> None:
    for _ in range(2):
        with pytest.raises(MalformedAction, match="is not dotted text") as caught:
            wire.decode_action(codec.encode(LEAST | {"action_type": bad}))
        assert caught.value.details["path"] == "$.action_type"
        assert len(str(caught.value)) < MAX_ACTION_TYPE + 300


def test_what_is_remembered_of_types_is_bounded() -> None:
    for number in range(25_000):
        wire.decode_action(b'{"action_type":"a.b%d","data":{}}' % number)
    assert len(wire._known_types) <= 10_000


UNREADABLE_BESIDE = {
    "invalid UTF-8": beside(b'"\xff\xfe"'),
    "an integer of a million digits": beside(b"9" * 1_000_000),
    "MessagePack: invalid UTF-8": b"\x83\xabaction_type\xa3a.b\xa4data\x80\xa1x\xa2\xff\xfe",
}


@pytest.mark.parametrize("data", UNREADABLE_BESIDE.values(), ids=UNREADABLE_BESIDE)
def test_a_field_that_nobody_asks_for_need_not_be_readable(data: bytes) -> None:
    action = wire.decode_action(data)
    assert action.action_type == "a.b"
    for ask in (lambda: action.extra, lambda: action.x):
        with pytest.raises(MalformedAction, match="an undeclared field is not readable"):
            ask()


# ── what can be salvaged ──


def test_of_a_malformed_action_the_address_for_the_error_is_kept(codec: Codec) -> None:
    for field, value in {"data": "no mapping", "timestamp": "yesterday", "action_type": 7}.items():
        found = wire.salvage(codec.encode(FULL | {field: value}))
        assert found is not None
        assert found.callback_queue_name == FULL["callback_queue_name"]
        assert (str(found.correlation_id), str(found.action_id)) == (OTHER, ID)
        assert (found.tenant_id, found.data) == ("acme", {})
        wire.decode_answer(wire.encode_failure(found, ErrorDetail(error_type="X", message="x"), codec))


def test_what_is_wrong_itself_is_left_out(codec: Codec) -> None:
    found = wire.salvage(codec.encode({**{name: {"wrong": []} for name in FULL}, "correlation_id": ID}))
    assert found is not None
    assert (found.action_type, found.callback_queue_name, str(found.correlation_id)) == ("", None, ID)
    assert found.metadata == {"wrong": []}


@pytest.mark.parametrize("data", [None, b"", b"[]", b"1", b"{", b"\xff"])
def test_where_nothing_can_be_read_nothing_is_salvaged(data: bytes | None) -> None:
    assert wire.salvage(data) is None


@pytest.mark.parametrize("value", [[[[]]] * 100_000, {"a": "b" * 10_000_000}, "x" * 10_000_000, 10**18])
def test_a_type_that_is_no_text_or_too_long_is_not_carried_along(value: Any) -> None:
    found = wire.salvage(JSON.encode(LEAST | {"action_type": value}))
    assert found is not None
    assert len(found.action_type) <= MAX_ACTION_TYPE


# ── writing actions ──


def test_an_action_is_written_with_all_its_fields_and_those_of_others(codec: Codec) -> None:
    first = wire.decode_action(codec.encode(FULL | {"rag_config": {"k": 3}}))
    again = wire.decode_action(wire.encode_action(first, codec))
    assert again == first
    assert again.extra == {"rag_config": {"k": 3}}


@pytest.mark.parametrize("data", [{"x": object()}, {"x": "\ud800"}, {object(): 1}, {"x": 10**5000}])
def test_an_action_that_cannot_be_written_is_malformed(codec: Codec, data: dict[Any, Any]) -> None:
    with pytest.raises(MalformedAction, match=r"a\.b cannot be encoded"):
        wire.encode_action(DomainAction.model_construct(action_type="a.b", data=data), codec)


# ── answers ──


class Model(pydantic.BaseModel):
    name: str = pydantic.Field("x", alias="theName")
    when: datetime.date = datetime.date(2026, 1, 2)


@dataclasses.dataclass
class Data:
    name: str = "x"
    inner: Model = dataclasses.field(default_factory=Model)


class Struct(msgspec.Struct):
    name: str = "x"


class Row(msgspec.Struct, array_like=True):
    name: str = "x"


class Tuple(NamedTuple):
    name: str = "x"


class Colour(enum.Enum):
    RED = "red"


PLAIN = {"theName": "x", "when": "2026-01-02"}
RESULTS: dict[str, tuple[Any, Any]] = {
    "a mapping": ({"a": 1}, {"a": 1}),
    "nothing": (None, {}),
    "an empty mapping": ({}, {}),
    "text": ("x", {"result": "x"}),
    "empty text": ("", {"result": ""}),
    "zero": (0, {"result": 0}),
    "false": (False, {"result": False}),
    "a fraction": (1.5, {"result": 1.5}),
    "a list": ([1, "a", None], {"result": [1, "a", None]}),
    "a tuple": ((1, 2), {"result": [1, 2]}),
    "a set": ({1}, {"result": [1]}),
    "bytes": (b"\x00\xff", {"result": "AP8="}),
    "a UUID": (uuid.UUID(ID), {"result": ID}),
    "a decimal": (decimal.Decimal("1.10"), {"result": "1.10"}),
    "an enum": (Colour.RED, {"result": "red"}),
    "a date": (datetime.date(2026, 1, 2), {"result": "2026-01-02"}),
    "a model": (Model(theName="n"), PLAIN | {"theName": "n"}),
    "a model of one value": (pydantic.RootModel[list[int]]([1, 2]), {"result": [1, 2]}),
    "a dataclass": (Data(), {"name": "x", "inner": PLAIN}),
    "a Struct": (Struct(), {"name": "x"}),
    "a Struct like an array": (Row(), {"result": ["x"]}),
    "a named tuple": (Tuple(), {"result": ["x"]}),
    "a mapping that is no dict": (types.MappingProxyType({"a": Model()}), {"a": PLAIN}),
    "models in lists in mappings": ({"a": [Model(), Struct()]}, {"a": [PLAIN, {"name": "x"}]}),
    "keys that are numbers": ({1: {2: 3}}, {"1": {"2": 3}}),
    "a list of models": ([Struct()], {"result": [{"name": "x"}]}),
    "an answer": (DomainActionResponse(success=True, data={"a": 1}), {"a": 1}),
}


@pytest.mark.parametrize(("result", "expected"), RESULTS.values(), ids=RESULTS)
def test_results_of_every_kind_become_answers(action: DomainAction, result: Any, expected: Any) -> None:
    answer = wire.response_of(wire.decode_answer(wire.encode_success(action, result, JSON)))
    assert (answer.success, answer.data, answer.error) == (True, expected, None)
    assert json.loads(wire.encode_success(action, result, JSON))["data"] == expected


@pytest.mark.parametrize(("result", "expected"), RESULTS.values(), ids=RESULTS)
def test_results_of_every_kind_become_callbacks(action: DomainAction, result: Any, expected: Any) -> None:
    callback = wire.decode_action(wire.encode_callback(action, result, "orders", JSON))
    assert callback.data == expected


@pytest.mark.parametrize(("result", "expected"), RESULTS.values(), ids=RESULTS)
def test_results_of_every_kind_travel_as_message_pack_too(action: DomainAction, result: Any, expected: Any) -> None:
    answer = wire.response_of(wire.decode_answer(wire.encode_success(action, result, MSGPACK)))
    if result == b"\x00\xff":
        expected = {"result": b"\x00\xff"}
    assert (answer.success, answer.data) == (True, expected)


def test_an_answer_carries_the_ids_of_its_action_and_one_of_its_own(codec: Codec, action: DomainAction) -> None:
    first, second = (wire.response_of(wire.decode_answer(wire.encode_success(action, {}, codec))) for _ in range(2))
    assert (str(first.correlation_id), str(first.trace_id), first.task_id) == (OTHER, ID, OTHER)
    assert (first.tenant_id, first.session_id) == ("acme", "s1")
    assert len({first.action_id, second.action_id, action.action_id}) == 3
    assert first.timestamp.tzinfo is not None


def test_without_a_correlation_id_the_action_id_serves(codec: Codec) -> None:
    action = wire.decode_action(codec.encode(LEAST | {"action_id": ID, "callback_action_type": "a.b"}))
    assert str(wire.decode_answer(wire.encode_success(action, {}, codec)).correlation_id) == ID
    assert str(wire.decode_action(wire.encode_callback(action, {}, "x", codec)).correlation_id) == ID


def test_a_returned_answer_is_the_answer_with_the_ids_of_the_action(codec: Codec, action: DomainAction) -> None:
    error = ErrorDetail(error_type="OutOfStock", error_code="OUT", message="none left", details={"sku": [1]})
    returned = DomainActionResponse(success=False, error=error, correlation_id=uuid.uuid4(), execution_ms=7)
    data = wire.encode_success(action, returned, codec)
    answer = wire.response_of(wire.decode_answer(data))
    assert (answer.success, answer.data, answer.error) == (False, None, error)
    assert str(answer.correlation_id) == OTHER
    everything = (msgspec.json if codec is JSON else msgspec.msgpack).decode(data)
    assert everything["execution_ms"] == 7


class Broken(pydantic.BaseModel):
    name: str = "x"

    @pydantic.field_serializer("name")
    def _name(self, _: str) -> str:
        raise RuntimeError("broken")


def circle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["itself"] = made
    return made


def deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(50_000):
        made = [made]
    return made


UNENCODABLE = {
    "an object": object(),
    "a function": print,
    "a generator": (n for n in range(3)),
    "half a surrogate pair": "\ud800",
    "half a surrogate pair in a key": {"\udfff": 1},
    "an object as a key": {object(): 1},
    "a circle": circle(),
    "a model that cannot be written": Broken(),
    "a mapping with a model that cannot be written": {"x": Broken()},
    "an answer with an object": DomainActionResponse.model_construct(success=True, data={"x": object()}, error=None),
    "an answer with such details": DomainActionResponse(
        success=False, error=ErrorDetail(error_type="X", message="x", details={"x": object()})
    ),
    "an exception": ValueError("x"),
}


@pytest.mark.parametrize("result", UNENCODABLE.values(), ids=UNENCODABLE)
def test_a_result_that_cannot_be_written_is_an_invalid_response(
    codec: Codec, action: DomainAction, result: Any
) -> None:
    with pytest.raises(InvalidResponse, match=r"orders\.order\.create cannot be encoded"):
        wire.encode_success(action, result, codec)
    if not (isinstance(result, DomainActionResponse) and not result.success):
        with pytest.raises(InvalidResponse, match=r"orders\.order\.create cannot be encoded"):
            wire.encode_callback(action, result, "orders", codec)


def test_a_result_too_deep_to_be_written_is_an_invalid_response(codec: Codec, action: DomainAction) -> None:
    result = deep()
    for encode in (wire.encode_success, lambda *parts: wire.encode_callback(*parts[:2], "orders", parts[2])):
        with pytest.raises(InvalidResponse):
            encode(action, result, codec)
    while result:  # what deep lists leave to the collector is deep too
        result = result[0]


def test_a_failure_says_what_went_wrong(codec: Codec, action: DomainAction) -> None:
    detail = ErrorDetail.of(Reject("sold out", error_code="OUT_OF_STOCK", details={"sku": "a"}))
    answer = wire.response_of(wire.decode_answer(wire.encode_failure(action, detail, codec)))
    assert (answer.success, answer.data, answer.error) == (False, None, detail)
    assert str(answer.correlation_id) == OTHER


@pytest.mark.parametrize(
    "details",
    [{"x": object()}, {"x": "\ud800"}, circle(), {"x": [print]}],
    ids=["an object", "half a character", "a circle", "a function"],
)
def test_a_failure_is_told_even_if_its_details_cannot_be(codec: Codec, action: DomainAction, details: Any) -> None:
    detail = ErrorDetail.model_construct(
        error_type="X", error_code="Y", message="what \ud800 happened", details=details
    )
    answer = wire.response_of(wire.decode_answer(wire.encode_failure(action, detail, codec)))
    assert answer.error == ErrorDetail(error_type="X", error_code="Y", message="what ? happened", details={})


def test_a_callback_is_a_new_action_that_carries_on_the_ids_of_the_first(codec: Codec, action: DomainAction) -> None:
    callback = wire.decode_action(wire.encode_callback(action, {"a": 1}, "orders", codec))
    assert (callback.action_type, callback.origin_service) == ("shop.order.created", "orders")
    assert callback.action_id != action.action_id
    for name in ("tenant_id", "session_id", "task_id", "user_id", "agent_id", "trace_id", "correlation_id"):
        assert getattr(callback, name) == getattr(action, name)
    assert (callback.callback_queue_name, callback.callback_action_type, callback.metadata) == (None, None, {})


# ── reading answers ──


def test_an_answer_of_the_platform_is_read() -> None:
    """Its code writes moments without a zone, ids of its own and fields that are unknown here."""
    theirs = {
        "action_id": ID,
        "correlation_id": OTHER,
        "trace_id": ID,
        "task_id": "t",
        "tenant_id": "acme",
        "session_id": "s",
        "success": True,
        "timestamp": "2026-01-02T03:04:05.678901",
        "data": {"a": 1},
        "error": None,
        "action_type_response_to": "orders.order.create",
        "status_code": 200,
    }
    answer = wire.response_of(wire.decode_answer(json.dumps(theirs).encode()))
    assert (str(answer.correlation_id), answer.success, answer.data) == (OTHER, True, {"a": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"success": False},
        {"success": False, "error": None},
        {"success": True, "error": {"error_type": "X", "message": "x"}},
        {"success": None},
        {"success": True, "data": [1]},
        {"success": True, "data": "x"},
        {"success": True, "task_id": 5},
        {"success": True, "timestamp": "yesterday"},
        {"success": False, "error": "it broke"},
        {"success": False, "error": {"message": 1}},
    ],
)
def test_an_answer_that_breaks_the_law_is_still_told_to_its_caller(codec: Codec, wrong: dict[str, Any]) -> None:
    answer = wire.decode_answer(codec.encode({"correlation_id": ID} | wrong))
    assert answer.correlation_id == uuid.UUID(ID)
    with pytest.raises(MalformedAction, match="not a DomainActionResponse"):
        wire.response_of(answer)


@pytest.mark.parametrize(
    "wrong", [{}, {"success": True, "correlation_id": "x"}, {"success": True, "correlation_id": 1}]
)
def test_an_answer_without_an_owner_is_none(codec: Codec, wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedAction, match="not a readable answer"):
        wire.decode_answer(codec.encode(wrong))
