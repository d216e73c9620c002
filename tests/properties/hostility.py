"""What a stranger may write: strategies for entries, envelopes, names and members that are nothing, or nearly right."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from nooble.testing._hostility import (
    FACT_FIELDS,
    FACT_VALUES,
    FACTS,
    OTHER_FIELDS,
    Fields,
    broken_bytes,
    broken_json,
    odd_metadata,
    odd_msgpack,
)
from tests.support.platform import envelope

__all__ = ["ONLY_PYTHON_READS", "Fields", "callbacks", "entries", "envelopes", "members", "names", "scores", "sound"]

ONLY_PYTHON_READS = [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b'"\xff"', b"[" * 5_000 + b"]" * 5_000]
"""Among them what the `json` of the standard library writes by default; strict readers take none of it."""
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
datas = st.tuples(st.just(b"data"), st.binary(max_size=200))


def sound(**fields: Any) -> bytes:
    """An action that the service does."""
    return json.dumps(envelope("demo.thing.do") | fields).encode()


sounds = st.builds(lambda: (b"data", sound()))
entries = st.lists(FACT_FIELDS | OTHER_FIELDS | datas | sounds, min_size=1, max_size=6)


# ── envelopes that are nearly right ──
_mixed = st.builds(envelope, st.sampled_from(["demo.thing.do", "demo.thing.fail"]))
_done = st.builds(envelope, st.just("demo.thing.do"))
metadata = st.builds(lambda odd: sound(metadata=odd), odd_metadata())
envelopes = broken_json(_mixed) | broken_bytes(_done) | odd_msgpack(_done) | metadata

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
