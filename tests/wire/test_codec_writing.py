"""What nooble writes has an id and a moment of its own, names that are text in either codec, and is read the quick way."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
import pydantic
import pytest

from nooble.errors import MalformedAction
from nooble.models.actions import DomainAction, DomainActionResponse, ErrorDetail
from nooble.wire import codec as wire
from nooble.wire.codec import CODECS, JSON, Codec, FittingAnswer

ASKED = DomainAction(action_type="orders.order.create", data={}, callback_action_type="shop.order.created")


class Line(pydantic.BaseModel):
    sku: str


@pytest.fixture(params=CODECS.values(), ids=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param  # type: ignore[no-any-return]


def read(codec: Codec, data: bytes) -> dict[str, Any]:
    """What any reader of that format finds."""
    found: dict[str, Any] = (msgspec.json if codec is JSON else msgspec.msgpack).decode(data)
    return found


def is_now(written: Any) -> bool:
    """Whether *written* is this moment, and says of which zone it speaks."""
    moment = written if isinstance(written, datetime.datetime) else datetime.datetime.fromisoformat(written)
    return moment.tzinfo is not None and abs((datetime.datetime.now(datetime.UTC) - moment).total_seconds()) < 60


def test_an_answer_has_an_id_and_a_moment_of_its_own(codec: Codec) -> None:
    detail = ErrorDetail(error_type="Reject", message="no", error_code="NO")
    written = [wire.encode_success(ASKED, {"n": 1}, codec) for _ in range(2)] + [
        wire.encode_failure(ASKED, detail, codec)
    ]
    answers = [read(codec, data) for data in written]
    assert len({uuid.UUID(answer["action_id"]) for answer in answers} | {ASKED.action_id}) == 4
    assert all(is_now(answer["timestamp"]) for answer in answers)


def test_a_callback_has_an_id_and_a_moment_of_its_own_and_metadata_to_write_into(codec: Codec) -> None:
    first, second = (read(codec, wire.encode_callback(ASKED, {"n": 1}, "orders", codec)) for _ in range(2))
    assert len({uuid.UUID(first["action_id"]), uuid.UUID(second["action_id"]), ASKED.action_id}) == 3
    assert is_now(first["timestamp"])
    assert first["metadata"] == {}
    assert (first["action_type"], first["origin_service"], first["data"]) == ("shop.order.created", "orders", {"n": 1})


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({1: "a", 2: {3: "b"}}, {"1": "a", "2": {"3": "b"}}),
        ({1: Line(sku="x")}, {"1": {"sku": "x"}}),
        ({uuid.UUID(int=1): True}, {str(uuid.UUID(int=1)): True}),
    ],
)
def test_names_are_text_in_whatever_format_they_travel(codec: Codec, result: Any, expected: Any) -> None:
    assert read(codec, wire.encode_success(ASKED, result, codec))["data"] == expected
    assert read(codec, wire.encode_callback(ASKED, result, "orders", codec))["data"] == expected


def test_the_details_of_a_returned_failure_are_plain_data(codec: Codec) -> None:
    detail = ErrorDetail(error_type="Reject", message="no", details={"since": datetime.date(2026, 1, 2)})
    answer = DomainActionResponse(
        success=False, correlation_id=ASKED.correlation_id or ASKED.action_id, error=detail, trace_id=ASKED.trace_id
    )
    assert read(codec, wire.encode_success(ASKED, answer, codec))["error"]["details"] == {"since": "2026-01-02"}


def test_an_answer_of_nooble_is_read_the_quick_way_and_a_strange_one_all_the_same(codec: Codec) -> None:
    written = wire.encode_success(ASKED, {"n": 1}, codec)
    assert type(wire.decode_answer(written)) is FittingAnswer
    assert wire.response_of(wire.decode_answer(written)).data == {"n": 1}
    strange = codec.encode(read(codec, written) | {"success": 1})
    assert wire.decode_answer(strange).success == 1


def test_what_is_no_answer_is_told_with_the_reason(codec: Codec) -> None:
    broken = codec.encode({"correlation_id": 7})
    with pytest.raises(MalformedAction, match=r"^not a readable answer: \$\.correlation_id: Expected `uuid"):
        wire.decode_answer(broken)


def test_the_last_moment_that_can_be_said_is_said_and_the_next_begins_anew(codec: Codec) -> None:
    least = codec.encode({"action_type": "orders.order.create", "data": {}})
    last = wire.decode_action(least, b"253402300798999-0").timestamp
    assert (last.year, last.month, last.day) == (9999, 12, 31)
    assert wire.decode_action(least, b"253402300799000-0").timestamp == datetime.datetime.fromtimestamp(0, datetime.UTC)


def test_an_answer_that_is_given_again_is_the_same_to_another_question(codec: Codec) -> None:
    written = wire.encode_success(ASKED, {"n": 1}, codec)
    again = DomainAction(action_type="orders.order.create", data={})
    told = read(codec, wire.answer_for(again, written, codec))
    assert uuid.UUID(told["correlation_id"]) == again.action_id
    assert told | {"correlation_id": None} == read(codec, written) | {"correlation_id": None}
    named = again.model_copy(update={"correlation_id": uuid.UUID(int=7)})
    assert uuid.UUID(read(codec, wire.answer_for(named, written, codec))["correlation_id"]) == uuid.UUID(int=7)
