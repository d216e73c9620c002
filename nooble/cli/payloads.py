"""From the words of a command line to a payload: JSON, or `key=text` and `key:=json`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from nooble.cli.failures import Misuse

FORMS = "write a JSON object in single quotes, key=text, key:=json, or - for standard input"


def read_payload(words: Sequence[str]) -> dict[str, Any]:
    """The payload that *words* stand for.

    Raises:
        Misuse: they stand for none; shows where.
    """
    if not words:
        return {}
    if len(words) == 1 and words[0] == "-":
        return _object(sys.stdin.read())
    if words[0].lstrip().startswith(("{", "[")):
        if len(words) > 1 and not _is_json(words[0]):
            raise Misuse(f"the JSON was split by the shell into {len(words)} words; quote it: '{' '.join(words)}'")
        if len(words) > 1:
            raise Misuse(f"after the JSON object comes {words[1]!r}; {FORMS}, one of them")
        return _object(words[0])
    payload: dict[str, Any] = {}
    for word in words:
        key, value = _pair(word)
        if key in payload:
            raise Misuse(f"{key} is given twice")
        payload[key] = value
    return payload


def _pair(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals or not key.rstrip(":"):
        raise Misuse(f"{word!r} is no part of a payload; {FORMS}")
    if not key.endswith(":"):
        return key, text
    key = key[:-1]
    return key, _parsed(text, f"the value of {key}", f"; for text, write {key}={shlex.quote(text)}")


def _object(text: str) -> dict[str, Any]:
    value = _parsed(text, "the payload")
    if not isinstance(value, dict):
        raise Misuse(f"a payload is an object, not {text.strip()[:40]}; {FORMS}")
    return value


def _parsed(text: str, what: str, mend: str = "") -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        begin = max(0, error.colno - 50)
        pointed = f"\n    {line[begin : begin + 80]}\n    {' ' * (error.colno - 1 - begin)}^" if line else ""
        place = f"line {error.lineno}, column {error.colno}"
        raise Misuse(f"{what} is no JSON: {error.msg} ({place}){mend}{pointed}") from None


def _refuse_constant(name: str) -> None:
    raise Misuse(f"{name} is no JSON; write null, or a number")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
