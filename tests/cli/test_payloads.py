"""A payload is typed as JSON or as `key=text` and `key:=json`; what cannot be meant is pointed at."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.cli.examples import words_for
from nooble.cli.failures import Misuse
from nooble.cli.payloads import read_payload

GOOD = {
    "nothing": ([], {}),
    "an object": (['{"a": {"b": [1]}}'], {"a": {"b": [1]}}),
    "texts": (["name=ana", "city=São Paulo", "empty="], {"name": "ana", "city": "São Paulo", "empty": ""}),
    "values": (
        ["n:=2", "ok:=true", "list:=[1, 2]", "nothing:=null"],
        {"n": 2, "ok": True, "list": [1, 2], "nothing": None},
    ),
    "a text with signs": (["q=a=b:=c"], {"q": "a=b:=c"}),
}


@pytest.mark.parametrize(("words", "payload"), GOOD.values(), ids=GOOD)
def test_what_can_be_typed(words: list[str], payload: dict[str, object]) -> None:
    assert read_payload(words) == payload


def test_a_dash_stands_for_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1}\n'))
    assert read_payload(["-"]) == {"a": 1}


BAD = {
    "a word": (["ana"], r"^'ana' is no part of a payload; write a JSON object in single quotes, key=text, key:=json"),
    "no key": (["=ana"], "'=ana' is no part of a payload"),
    "twice": (["a=1", "a=2"], "^a is given twice$"),
    "a list": (["[1]"], r"^a payload is an object, not \[1\]; write"),
    "a number": (
        ["n:=two"],
        r"^the value of n is no JSON: Expecting value \(line 1, column 1\); for text, write n=two\n",
    ),
    "JSON that ends": (['{"a": '], r"^the payload is no JSON: Expecting value \(line 1, column 7\)"),
    "JSON in Python's words": (["{'a': 1}"], r"Expecting property name .* column 2\)\n    {'a': 1}\n     \^$"),
    "JSON split by the shell": (["{a:", "1}"], r"^the JSON was split by the shell into 2 words; quote it: '{a: 1}'$"),
    "JSON and words": (["{}", "a=1"], r"^after the JSON object comes 'a=1'"),
    "no number": (["n:=NaN"], "^NaN is no JSON"),
}


@pytest.mark.parametrize(("words", "told"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant(words: list[str], told: str) -> None:
    with pytest.raises(Misuse, match=told):
        read_payload(words)


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(), values))
def test_whatever_an_example_types_is_read_again(payload: dict[str, object]) -> None:
    import shlex

    words = shlex.split(" ".join(words_for(payload)))
    assert read_payload(words) == payload
