"""Whatever stands in a stream, a retry set or the dead letters is told as data that JSON can say; no bytes break it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from nooble.operations.message import read_entry, read_letter, read_retry

ANYTHING = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[" * 50_000,
            b'{"action_type":"demo.thing.do","data":' + b"[" * 3_000,
            b'{"action_type":"demo.thing.do","data":{"a":"\\ud800"}}',
            b'{"action_type":"demo.thing.do","data":{"n":1' + b"0" * 400 + b"}}",
            msgspec.msgpack.encode(
                {"action_type": "demo.thing.do", "data": {"b": b"\xff", 3: msgspec.msgpack.Ext(9, b"x")}}
            ),
            b'{"action_type":7,"data":{},"tenant_id":[],"callback_queue_name":"q"}',
        ]
    ),
)


@given(data=ANYTHING, line=st.binary(max_size=30), name=st.binary(max_size=10))
@hypothesis(max_examples=200)
def test_whatever_stands_there_is_told_as_data(data: bytes, line: bytes, name: bytes) -> None:
    made = [
        read_entry("demo", (b"5-1", [b"data", data, name, line], b"", 0, 0), b"4-0"),
        read_entry("demo", (b"5-1", [name, line], b"me\xff", 7, 2), b"6-0"),
        read_retry("demo", line + b"\n" + data, b"12.5"),
        read_retry("demo", line, b"inf"),
        read_letter("demo", b"6-1", [b"data", data, b"reason", line, name, line]),
    ]
    for message in made:
        assert msgspec.json.decode(msgspec.json.encode(message))["service"] == "demo"


def test_what_cannot_be_read_says_why_and_shows_its_beginning() -> None:
    message = read_entry("demo", (b"5-1", [b"data", b"\x1b[2J{"], b"", 0, 0), b"")
    assert "not a readable action" in message.unreadable
    assert message.head == "\x1b[2J{"
    assert message.envelope is None
    bare = read_entry("demo", (b"5-1", [b"other", b"x"], b"", 0, 0), b"")
    assert bare.unreadable == "the entry has no field 'data'"


def test_messagepack_is_told_in_what_json_can_say() -> None:
    data = msgspec.msgpack.encode({"action_type": "demo.thing.do", "data": {"b": b"\xff", 3: 4}})
    message = read_entry("demo", (b"5-1", [b"data", data], b"", 0, 0), b"")
    assert message.envelope is not None
    assert message.envelope["data"] == {"b": "/w==", "3": 4}
