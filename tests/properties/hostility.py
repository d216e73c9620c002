"""What a stranger may write: strategies for entries, envelopes, names and members that are nothing, or nearly right."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.support.platform import envelope

Fields = list[tuple[bytes, bytes]]

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
    *(
        b'{"a":{"a":1}}',
        b'{"a":1,"a":2}',
        b'{"":""}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ),
    *(b"9" * 1_000_000, b"0." + b"1" * 100_000, b'"' + b"x" * 200_000 + b'"', b'"' + b"\\u0001" * 1_000 + b'"'),
    *(b'"9999-12-31T23:59:59.999999Z"', b'"0001-01-01T00:00:00+23:59"', b'"2026-13-45T99:99:99Z"'),
    *(b'"00000000-0000-0000-0000-000000000000"', b'"demo.thing.do"', b'"demo.nothing.here"', b'"demo..do"'),
    *(b'"' + b"demo." * 2_000 + b'do"', b"\x00", b"\xff", b"'", b"//", b"}"),
]
ONLY_PYTHON_READS = [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b'"\xff"', b"[" * 5_000 + b"]" * 5_000]
"""Among them what the `json` of the standard library writes by default; strict readers take none of it."""
METADATA: dict[str, list[Any]] = {
    "ttl_ms": [-1, 0, 1, 10**12, 10**12 + 1, 2**63, 2**64 - 1, 1e308, 0.5, "7", True, None, [], {}],
    "idempotency_key": ["", "k", "x" * 100_000, "a\nb", "\x00", "{a}", "ñ", "*", 7, None, [], {"a": 1}, True],
    "traceparent": ["", "00-", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "zz", "x" * 100_000, "\n", 7, None, []],
    "attempt": [-1, "x"],
    "": [""],
}
PARTS = {
    "prefix": ["nooble4", "nooble4", "nooble4", "nooble5", "", "*"],
    "environment": ["test", "test", "test", "production", "", "te:st"],
    "service": ["platform", "demo", "billing", "", "a" * 101, "{slot}", "a b", "ñ"],
    "kind": ["responses", "callbacks", "streams", "retries", "dead_letters", "limits", "once", "Responses", ""],
    "context": ["main", "ask:1", "inbox:1", "", "a\nb", "a\x00", "{x}", "x" * 301, "x" * 1_000_000, "*", "é", "a b"],
}
CALLBACK_TYPES = [
    *(None, None, "", "demo.thing.done", "billing.thing.done", "platform.x", "demo", "Demo.Thing", "billing.\n"),
    *("billing..", "billing." + "x" * 5_000, "*", "..", "billing.thing.done\x00", 7, [], {"a": 1}),
]

# ── fields of an entry ──
facts = st.tuples(st.sampled_from(FACTS), st.sampled_from(FACT_VALUES) | st.binary(max_size=40))
others = st.tuples(st.binary(max_size=20), st.binary(max_size=40))
datas = st.tuples(st.just(b"data"), st.binary(max_size=200))


def sound(**fields: Any) -> bytes:
    """An action that the service does."""
    return json.dumps(envelope("demo.thing.do") | fields).encode()


sounds = st.builds(lambda: (b"data", sound()))
entries = st.lists(facts | others | datas | sounds, min_size=1, max_size=6)


# ── envelopes that are nearly right ──
def object_of(members: list[tuple[bytes, bytes]]) -> bytes:
    """JSON, or what was to be JSON, of members as they are to be written."""
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}"


@st.composite
def json_envelopes(draw: st.DrawFn) -> bytes:
    """A sound envelope but for one to three of its members: replaced, left out, doubled, or unknown."""
    sound_one = envelope(draw(st.sampled_from(["demo.thing.do", "demo.thing.fail"])))
    members = [(json.dumps(name).encode(), json.dumps(value).encode()) for name, value in sound_one.items()]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(members) - 1))
        name, value = members[at]
        how = draw(st.sampled_from(["replace", "replace", "leave out", "double", "add"]))
        if how == "leave out" and len(members) > 1:
            del members[at]
        elif how == "double":
            members.append((name, draw(st.sampled_from([*RAW, value]))))
        elif how == "add":
            members.append(
                (draw(st.sampled_from([b'"rag"', b'""', b'"\\ud800"', b"7", b'"data"'])), draw(st.sampled_from(RAW)))
            )
        else:
            members[at] = (name, draw(st.sampled_from(RAW)))
    return object_of(members)


@st.composite
def broken_bytes(draw: st.DrawFn) -> bytes:
    """A sound envelope of either codec with some of its bytes changed, lost, or added."""
    data = sound() if draw(st.booleans()) else msgspec.msgpack.encode(envelope("demo.thing.do"))
    at = draw(st.integers(0, len(data)))
    length = draw(st.integers(0, 5))
    return data[:at] + draw(st.binary(max_size=5)) + data[at + length :]


odd = st.recursive(
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
msgpack_envelopes = st.builds(
    lambda name, value: msgspec.msgpack.encode({**envelope("demo.thing.do"), name: value}),
    st.sampled_from([*envelope("demo.thing.do"), "rag"]),
    odd,
)
metadata = st.builds(
    lambda chosen: sound(metadata=dict(chosen)),
    st.lists(
        st.one_of([st.tuples(st.just(name), st.sampled_from(values)) for name, values in METADATA.items()]), max_size=3
    ),
)
envelopes = json_envelopes() | broken_bytes() | msgpack_envelopes | metadata

# ── names ──
names = st.builds(":".join, st.tuples(*(st.sampled_from(values) for values in PARTS.values()))) | st.text(
    max_size=30
).filter(lambda text: text.isprintable())
callbacks = st.tuples(names, st.sampled_from(CALLBACK_TYPES))

# ── members of the retry set ──
members = (
    st.sampled_from([b"w " * 20_000 + b"\n{}", b"x" * 100_000, b"\n" * 1_000])
    | st.binary(max_size=100)
    | st.builds(
        lambda words, data: b" ".join(words) + b"\n" + data,
        st.lists(st.sampled_from([*FACTS, *FACT_VALUES]), max_size=8),
        st.binary(max_size=60) | st.builds(sound),
    )
)
scores = st.sampled_from([float("-inf"), -1e308, -1.0, -0.0, 0.0, 0.5, 1.0, 1e3]) | st.floats(-1e12, 1e12)
