"""The outermost members of what is nested too deeply: read in a bounded time, whatever it is."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.wire.outermost import outermost

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner), max_leaves=10)


@given(st.dictionaries(st.text('abc ñ"\\{}[]:,'), values))
def test_what_is_not_nested_is_read_as_it_is(members: dict[str, Any]) -> None:
    flat = {name: value for name, value in members.items() if not isinstance(value, dict | list)}
    assert outermost(msgspec.json.encode(members)) == flat


@given(st.binary(max_size=100))
def test_what_is_no_json_is_refused_or_read_as_far_as_it_goes(data: bytes) -> None:
    try:
        outermost(data)
    except ValueError:
        pass


def test_depth_is_no_obstacle() -> None:
    deep = b'{"data": ' + b'{"a": [' * 10_000 + b"1" + b"]}" * 10_000 + b', "who": "me"}'
    assert outermost(deep) == {"who": "me"}


@pytest.mark.parametrize(
    "data",
    [b'{"a":' * 200_000, b'"' * 1_000_000, b'\\"' * 500_000, b"[" * 1_000_000, b'{"a": "' + b"\\" * 1_000_001],
    ids=lambda data: repr(data[:10]),
)
def test_what_is_hostile_costs_no_more_than_a_moment(data: bytes) -> None:
    began = time.monotonic()
    try:
        outermost(data)
    except ValueError:
        pass
    assert time.monotonic() - began < 1
