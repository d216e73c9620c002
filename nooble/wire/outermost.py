"""The outermost members of a JSON object that is nested too deeply to be decoded: enough to tell who waits for it."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import msgspec

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]|[^\s{}\[\]",:]++', re.DOTALL)
_MOST_TOKENS = 100_000
_decode = msgspec.json.decode


def outermost(data: bytes) -> dict[str, Any]:
    """Text, numbers, booleans and nulls of the outermost object in *data*; what is nested is left out.

    It reads 100,000 tokens and no further: what is hostile must not cost more than what is honest.

    Raises:
        ValueError: a token is no JSON.
    """
    members: dict[str, Any] = {}
    name: str | None = None
    depth = 0
    for found in islice(_TOKEN.finditer(data), _MOST_TOKENS):
        token = found.group()
        if token in (b"{", b"["):
            depth, name = depth + 1, None
        elif token in (b"}", b"]"):
            depth -= 1
        elif depth == 1:
            if name is None:
                name = _decode(token, type=str)
            else:
                members[name], name = _decode(token), None
    return members
