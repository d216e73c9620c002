"""What a stranger may write into a stream: fields, facts and envelopes that are nothing, or nearly right."""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

Fields = list[tuple[bytes, bytes]]
Datas = st.SearchStrategy[Any]

IDS = ("action_id", "tenant_id", "session_id", "task_id", "user_id", "agent_id", "trace_id", "correlation_id")

FACTS = [b"v", b"first_id", b"attempt", b"deliveries", b"once"]
FACT_VALUES = [
    *(b"", b"0", b"-1", b"1", b"+1", b" 1", b"1_0", b"1e3", b"0x1", b"9999999", b"99999999", b"9" * 5_000),
    *(b"\xd9\xa3", b"\xff", b"\x00", b"1\n", b"nan", b"inf", b"0-0", b"1-", b"-1", b"1-1-1", b"0-1\n", b"*"),
    *(b"18446744073709551615-18446744073709551615", b"99999999999999999999-0", b"1795362044202-0", b"a" * 300),
]
RAW = [
    *(b"", b"null", b"true", b"0", b"-0", b"-1", b"1.0", b"1e999", b"NaN", b"-Infinity", b"18446744073709551616"),
    *(
        b'""',
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\xff"',
        b'"\n"',
        b'"\xed\xa0\x80"',
        b'"7"',
        b"{}",
        b"[]",
        b"[[]]",
        b"[null]",
    ),
    *(b'{"a":{"a":1}}', b'{"a":1,"a":2}', b'{"":""}'),
    *(b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    *(b"9" * 1_000_000, b"0." + b"1" * 100_000, b'"' + b"x" * 200_000 + b'"', b'"' + b"\\u0001" * 1_000 + b'"'),
    *(b'"9999-12-31T23:59:59.999999Z"', b'"0001-01-01T00:00:00+23:59"', b'"2026-13-45T99:99:99Z"'),
    *(b'"00000000-0000-0000-0000-000000000000"', b'"demo.thing.do"', b'"demo.nothing.here"', b'"demo..do"'),
    *(b'"' + b"demo." * 2_000 + b'do"', b"\x00", b"\xff", b"'", b"//", b"}"),
]
"""What is written where a value of JSON is to be; some of it is one."""
METADATA: dict[str, list[Any]] = {
    "ttl_ms": [-1, 0, 1, 10**12, 10**12 + 1, 2**63, 2**64 - 1, 1e308, 0.5, "7", True, None, [], {}],
    "idempotency_key": ["", "k", "x" * 100_000, "a\nb", "\x00", "{a}", "ñ", "*", 7, None, [], {"a": 1}, True],
    "traceparent": ["", "00-", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "zz", "x" * 100_000, "\n", 7, None, []],
    "attempt": [-1, "x"],
    "": [""],
}


def sound_envelope(action_type: str, data: Any = None, **fields: Any) -> dict[str, Any]:
    """An action as others write it: every id as the text of a UUID."""
    return {
        **{name: str(uuid.uuid4()) for name in IDS},
        "action_type": action_type,
        "timestamp": datetime.now(UTC).isoformat(),
        "origin_service": "stranger",
        "data": {} if data is None else data,
        "metadata": {},
        **fields,
    }


def entries(action_types: tuple[str, ...], data: Datas) -> st.SearchStrategy[Fields]:
    """Fields of an entry: facts, names that nobody knows, and something to be decoded, or not."""
    field = FACT_FIELDS | OTHER_FIELDS | st.tuples(st.just(b"data"), st.binary(max_size=200))
    sound = st.builds(lambda one: (b"data", json.dumps(one).encode()), _sound(action_types, data))
    nearly = st.tuples(st.just(b"data"), envelopes(action_types, data))
    return st.lists(field | sound | nearly, min_size=1, max_size=6) | nearly.map(lambda one: [one])


def envelopes(action_types: tuple[str, ...], data: Datas) -> st.SearchStrategy[bytes]:
    """Encoded actions that are nearly right."""
    sound = _sound(action_types, data)
    return broken_json(sound) | broken_bytes(sound) | odd_msgpack(sound) | _odd_metadata(sound)


def object_of(members: list[tuple[bytes, bytes]]) -> bytes:
    """JSON, or what was to be JSON, of members as they are to be written."""
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}"


FACT_FIELDS = st.tuples(st.sampled_from(FACTS), st.sampled_from(FACT_VALUES) | st.binary(max_size=40))
OTHER_FIELDS = st.tuples(st.binary(max_size=20), st.binary(max_size=40))
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=5,
)
"""What MessagePack can say, and JSON partly cannot."""


def _sound(action_types: tuple[str, ...], data: Datas) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(sound_envelope, st.sampled_from(action_types), data)


@st.composite
def broken_json(draw: st.DrawFn, sound: st.SearchStrategy[Mapping[str, Any]]) -> bytes:
    """JSON of a sound envelope but for one to three of its members: replaced, left out, doubled, or unknown."""
    members = [(json.dumps(name).encode(), json.dumps(value).encode()) for name, value in draw(sound).items()]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(members) - 1))
        name, value = members[at]
        how = draw(st.sampled_from(["replace", "replace", "leave out", "double", "add"]))
        if how == "leave out" and len(members) > 1:
            del members[at]
        elif how == "double":
            members.append((name, draw(st.sampled_from([*RAW, value]))))
        elif how == "add":
            odd_name = draw(st.sampled_from([b'"rag"', b'""', b'"\\ud800"', b"7", b'"data"']))
            members.append((odd_name, draw(st.sampled_from(RAW))))
        else:
            members[at] = (name, draw(st.sampled_from(RAW)))
    return object_of(members)


@st.composite
def broken_bytes(draw: st.DrawFn, sound: st.SearchStrategy[Mapping[str, Any]]) -> bytes:
    """A sound envelope of either codec with some of its bytes changed, lost, or added."""
    envelope = draw(sound)
    data = json.dumps(envelope).encode() if draw(st.booleans()) else msgspec.msgpack.encode(envelope)
    at = draw(st.integers(0, len(data)))
    length = draw(st.integers(0, 5))
    return data[:at] + draw(st.binary(max_size=5)) + data[at + length :]


def odd_msgpack(sound: st.SearchStrategy[Mapping[str, Any]]) -> st.SearchStrategy[bytes]:
    """A sound envelope in MessagePack but for one member, which is what JSON may not even be able to say."""
    return st.builds(
        lambda envelope, name, value: msgspec.msgpack.encode({**envelope, name: value}),
        sound,
        st.sampled_from([*sound_envelope("a.b"), "rag"]),
        ODD,
    )


@functools.cache
def odd_metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Facts about a message that mean something to the worker, and cannot be meant."""
    pairs = [st.tuples(st.just(name), st.sampled_from(values)) for name, values in METADATA.items()]
    return st.lists(st.one_of(pairs), max_size=3).map(dict)


def _odd_metadata(sound: st.SearchStrategy[Mapping[str, Any]]) -> st.SearchStrategy[bytes]:
    return st.builds(lambda envelope, odd: json.dumps({**envelope, "metadata": odd}).encode(), sound, odd_metadata())
