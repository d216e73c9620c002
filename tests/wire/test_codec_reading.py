"""What is read of an envelope: each field that was left out is derived by itself, and of a broken one what can be told."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from nooble.errors import MalformedAction
from nooble.wire import codec as wire
from nooble.wire.codec import CODECS, JSON, MSGPACK, Codec

WHOLE: dict[str, Any] = {
    "action_type": "orders.order.create",
    "data": {},
    "action_id": str(uuid.UUID(int=1)),
    "trace_id": str(uuid.UUID(int=2)),
    "timestamp": "2026-01-02T03:04:05Z",
}
ENTRY = b"1700000000000-3"


@pytest.fixture(params=CODECS.values(), ids=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("left_out", ["action_id", "trace_id", "timestamp"])
def test_each_field_that_was_left_out_is_derived_for_itself(codec: Codec, left_out: str) -> None:
    fields = {name: value for name, value in WHOLE.items() if name != left_out}
    whole, some = wire.decode_action(codec.encode(WHOLE), ENTRY), wire.decode_action(codec.encode(fields), ENTRY)
    for name in {"action_id", "trace_id", "timestamp"} - {left_out}:
        assert getattr(some, name) == getattr(whole, name)
    assert getattr(some, left_out) not in (None, getattr(whole, left_out))
    assert getattr(some, left_out) == getattr(wire.decode_action(codec.encode(fields), ENTRY), left_out)
    if left_out == "timestamp":
        assert some.timestamp == datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC)


def test_the_least_that_message_pack_can_say_is_message_pack() -> None:
    assert wire.codec_of(b"\x80") is MSGPACK
    with pytest.raises(MalformedAction, match="missing required field `action_type`"):
        wire.decode_action(b"\x80")
    assert wire.salvage(b"\x80") is not None


def test_a_mistake_is_told_by_its_place_and_its_reason_apart(codec: Codec) -> None:
    with pytest.raises(MalformedAction) as caught:
        wire.decode_action(codec.encode(WHOLE | {"tenant_id": 7}))
    assert caught.value.message == "not a readable action: $.tenant_id: Expected `str | null`, got `int`"
    assert caught.value.details == {"path": "$.tenant_id", "reason": "Expected `str | null`, got `int`"}


def test_a_type_that_is_none_is_told_word_for_word(codec: Codec) -> None:
    with pytest.raises(MalformedAction) as caught:
        wire.decode_action(codec.encode(WHOLE | {"action_type": "Orders create"}))
    assert caught.value.message == (
        "not a readable action: $.action_type: 'Orders create' is not dotted text of two segments or more, "
        "of a-z, 0-9, '_' and '-'"
    )


# ── what is left of a broken one ──


def test_of_a_broken_one_its_type_its_metadata_and_what_others_wrote_are_kept(codec: Codec) -> None:
    broken = {**WHOLE, "data": 7, "metadata": {"ttl_ms": 5}, "colour": "red", "callback_queue_name": "q"}
    found = wire.salvage(codec.encode(broken))
    assert found is not None
    assert (found.action_type, found.metadata, found.callback_queue_name) == ("orders.order.create", {"ttl_ms": 5}, "q")
    assert found.extra == {"colour": "red"}
    assert wire.salvage(codec.encode({**broken, "metadata": "none"})).metadata == {}  # type: ignore[union-attr]


def test_of_one_that_is_too_deep_to_be_read_the_address_is_kept_and_without_one_nothing() -> None:
    deep = b'"data": ' + b"[" * 20_000 + b"]" * 20_000
    found = wire.salvage(b'{"callback_queue_name": "q", "action_type": "a.b", ' + deep + b"}")
    assert found is not None
    assert (found.callback_queue_name, found.action_type) == ("q", "a.b")
    assert wire.salvage(b'{"action_type": "a.b", ' + deep + b"}") is None
    assert JSON is wire.codec_of(deep)
