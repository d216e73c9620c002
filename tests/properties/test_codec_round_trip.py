"""Whatever can be said is heard as it was said, in both codecs; whatever cannot be read is refused in one way."""

from __future__ import annotations

import contextlib
import datetime
import json
import uuid
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nooble.errors import MalformedAction
from nooble.models.actions import DomainAction, DomainActionResponse, ErrorDetail
from nooble.wire.codec import (
    CODECS,
    Codec,
    codec_of,
    decode_action,
    decode_answer,
    encode_action,
    encode_callback,
    encode_failure,
    encode_success,
    response_of,
    salvage,
)

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
payloads = st.dictionaries(st.text(), values, max_size=3)
texts = st.none() | st.text()
ids = st.none() | st.uuids()
action_types = st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9_-]{1,20}){1,3}", fullmatch=True)
moments = st.datetimes(timezones=st.just(datetime.UTC))
declared = set(DomainAction.model_fields)
actions = st.builds(
    DomainAction,
    action_id=st.uuids(),
    action_type=action_types,
    timestamp=moments,
    **dict.fromkeys(("tenant_id", "session_id", "task_id", "user_id", "agent_id"), texts),
    **dict.fromkeys(("origin_service", "callback_queue_name", "callback_action_type"), texts),
    correlation_id=ids,
    trace_id=st.uuids(),
    data=payloads,
    metadata=payloads,
)
strangers = st.dictionaries(st.text().filter(lambda name: name not in declared), values, max_size=3)
codecs = st.sampled_from(list(CODECS.values()))
errors = st.builds(ErrorDetail, error_type=st.text(), error_code=texts, message=st.text(), details=st.none() | payloads)


@given(actions, codecs)
def test_an_action_arrives_as_it_was_sent(action: DomainAction, codec: Codec) -> None:
    data = encode_action(action, codec)
    assert codec_of(data) is codec
    assert decode_action(data) == action


@given(actions, strangers, codecs)
def test_fields_that_are_not_declared_arrive_as_they_were_sent(
    action: DomainAction, extra: dict[str, Any], codec: Codec
) -> None:
    sent = DomainAction(**action.model_dump(), **{name: value for name, value in extra.items() if name != "self"})
    received = decode_action(encode_action(sent, codec))
    assert received.extra == sent.extra
    assert decode_action(encode_action(received, codec)) == sent


@given(actions, st.booleans())
def test_what_another_language_writes_is_read_the_same(action: DomainAction, ascii_only: bool) -> None:
    written = json.dumps(action.model_dump(mode="json"), ensure_ascii=ascii_only)
    assert decode_action(written.encode()) == action


@given(actions)
def test_what_is_written_is_read_the_same_by_another_language(action: DomainAction) -> None:
    written = encode_action(action, CODECS["json"])
    assert DomainAction.model_validate(json.loads(written)) == action
    assert DomainAction.model_validate_json(written) == action


@given(actions, payloads, codecs)
def test_a_result_arrives_as_it_was_returned(action: DomainAction, result: dict[str, Any], codec: Codec) -> None:
    answer = response_of(decode_answer(encode_success(action, result, codec)))
    assert (answer.success, answer.data) == (True, result)
    assert answer.correlation_id == (action.correlation_id or action.action_id)
    assert (answer.tenant_id, answer.task_id, answer.trace_id) == (action.tenant_id, action.task_id, action.trace_id)


@given(actions, values.filter(lambda value: value is not None and not isinstance(value, dict)), codecs)
def test_a_result_that_is_no_mapping_arrives_in_one(action: DomainAction, result: Any, codec: Codec) -> None:
    assert response_of(decode_answer(encode_success(action, result, codec))).data == {"result": result}


@given(actions, errors, codecs)
def test_an_error_arrives_as_it_was_told(action: DomainAction, error: ErrorDetail, codec: Codec) -> None:
    answer = response_of(decode_answer(encode_failure(action, error, codec)))
    assert (answer.success, answer.error) == (False, error)


@given(actions, payloads | st.none(), action_types, codecs)
def test_a_callback_is_an_action_that_can_be_read(
    action: DomainAction, result: dict[str, Any] | None, callback_type: str, codec: Codec
) -> None:
    action.callback_action_type = callback_type
    callback = decode_action(encode_callback(action, result, "me", codec))
    assert (callback.action_type, callback.data) == (callback_type, result or {})
    assert callback.trace_id == action.trace_id


@given(actions, payloads, codecs)
def test_a_returned_answer_keeps_its_data(action: DomainAction, data: dict[str, Any], codec: Codec) -> None:
    returned = DomainActionResponse(success=True, data=data)
    assert response_of(decode_answer(encode_success(action, returned, codec))).data == data


# ── what cannot be read ──


@given(st.binary())
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    _read_or_refuse(data)


@given(actions, codecs, st.data())
def test_an_envelope_with_a_byte_changed_or_cut_off_is_read_or_refused(
    action: DomainAction, codec: Codec, data: st.DataObject
) -> None:
    whole = encode_action(action, codec)
    place = data.draw(st.integers(0, len(whole) - 1))
    _read_or_refuse(whole[:place])
    _read_or_refuse(whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + 1 :])


@given(st.dictionaries(st.sampled_from(sorted(declared)) | st.text(), values), codecs)
def test_fields_of_any_kind_are_read_or_refused(fields: dict[str, Any], codec: Codec) -> None:
    _read_or_refuse(codec.encode(fields))


def _read_or_refuse(data: bytes) -> None:
    with contextlib.suppress(MalformedAction):
        action = decode_action(data, b"1-1")
        assert isinstance(action.action_id, uuid.UUID)
        with contextlib.suppress(MalformedAction):
            _ = action.extra
    with contextlib.suppress(MalformedAction):
        response_of(decode_answer(data))
    salvaged = salvage(data)
    if salvaged is not None:
        encode_failure(salvaged, ErrorDetail(error_type="X", message="x"), codec_of(data))


# ── what is derived ──


@given(
    action_types,
    payloads,
    st.from_regex(r"[0-9]{1,20}-[0-9]{1,20}", fullmatch=True).map(str.encode),
    st.sets(st.sampled_from(["action_id", "trace_id", "timestamp"])),
    codecs,
)
@example("a.b", {}, b"18446744073709551615-18446744073709551615", set(), CODECS["json"])
def test_what_is_derived_from_an_entry_is_the_same_every_time(
    action_type: str, data: dict[str, Any], entry_id: bytes, given_: set[str], codec: Codec
) -> None:
    known: dict[str, Any] = {"action_id": uuid.UUID(int=1), "trace_id": uuid.UUID(int=2)}
    known["timestamp"] = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    encoded = codec.encode({"action_type": action_type, "data": data} | {name: known[name] for name in given_})
    first, again = decode_action(encoded, entry_id), decode_action(encoded, entry_id)
    assert first == again
    for name in given_:
        assert getattr(first, name) == known[name]
    other = decode_action(encoded, entry_id + b"1")
    assert (other.action_id == first.action_id) == ("action_id" in given_)
