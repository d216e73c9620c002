"""One broken constraint at a time: which ways there are to break a part of a payload, each with its name."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from nooble.testing._making import Path, Site
from nooble.testing._schemas import Root, Schema

STRANGE: tuple[Any, ...] = ("¬ no such thing ¬", -7.25, [], {}, True)
"""What is put in the place of something of another type."""
EXTRA = "nobody_declares_this"
"""The name of a member that is too much."""

_LARGEST = 10_000
"""Longest text or list that is made only to be too long."""


class Breakage(NamedTuple):
    """A payload with one thing wrong.

    Attributes:
        broken: what: `missing`, `extra`, `null`, `wrong_type`, `too_short`, …
        path: where.
        payload: all of it.
    """

    broken: str
    path: Path
    payload: Any


def breakages(payload: Any, sites: list[Site]) -> Iterator[Breakage]:
    """Every way that is known to break *payload*; whether it is one, only the reader of its type can tell.

    Args:
        payload: sound data.
        sites: their parts, as the maker has noted them.
    """
    for site in sites:
        value = _at(payload, site.path)
        for broken, instead in _instead(site, value):
            if site.path or isinstance(instead, dict):
                yield Breakage(broken, site.path, _with(payload, site.path, instead))
        if isinstance(value, dict) and "properties" in site.schema:
            yield from _members(payload, site, value)


def _members(payload: Any, site: Site, value: dict[str, Any]) -> Iterator[Breakage]:
    for name in site.schema.get("required", ()):
        if name in value:
            without = {key: one for key, one in value.items() if key != name}
            yield Breakage("missing", (*site.path, name), _with(payload, site.path, without))
    if site.schema.get("additionalProperties") is False and EXTRA not in value:
        yield Breakage("extra", (*site.path, EXTRA), _with(payload, site.path, {**value, EXTRA: 1}))


def _instead(site: Site, value: Any) -> Iterator[tuple[str, Any]]:
    """What could stand in the place of a part, and what is wrong with it."""
    schema, kinds = site.schema, _kinds(site.schema, site.root)
    if kinds and None not in kinds:
        yield "null", None
    if kinds:
        for strange in STRANGE:
            if _kind_of(strange) not in kinds:
                yield "wrong_type", strange
    if "enum" in schema or "const" in schema:
        yield "not_a_member", "no such member"
        yield "not_a_member", -987_654_321
    elif isinstance(value, str):
        yield from _texts(schema, value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _numbers(schema, value)
    elif isinstance(value, list):
        yield from _lists(schema, value)
    elif isinstance(value, dict):
        yield from _mappings(schema, value)


def _texts(schema: Schema, value: str) -> Iterator[tuple[str, Any]]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if least > 0:
        yield "too_short", value[: least - 1]
    if most < _LARGEST:
        yield "too_long", value + (value[-1:] or "x") * (int(most) + 1 - len(value))
    if "pattern" in schema:
        for strange in ("¬", "¬" * max(1, least), "\n", ""):
            if least <= len(strange) <= most and not re.search(schema["pattern"], strange):
                yield "pattern", strange
                break
    if "format" in schema or schema.get("contentEncoding"):
        yield "format", "¬"


def _numbers(schema: Schema, value: float) -> Iterator[tuple[str, Any]]:
    for name, step in (("minimum", -1), ("maximum", 1)):
        if name in schema:
            yield f"out_of_{name}", schema[name] + step
        exclusive = f"exclusive{name.title()}"
        if exclusive in schema:
            yield f"out_of_{name}", schema[exclusive]
    if "multipleOf" in schema:
        step = schema["multipleOf"]
        yield "not_a_multiple", value + (1 if isinstance(step, int) else step / 2)
    yield "nan", math.nan


def _lists(schema: Schema, value: list[Any]) -> Iterator[tuple[str, Any]]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if least > 0:
        yield "too_few", value[: least - 1]
    if most < _LARGEST:
        item = value[-1:] or [None]
        yield "too_many", value + item * (int(most) + 1 - len(value))


def _mappings(schema: Schema, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
    if least > 0:
        yield "too_few", dict(list(value.items())[: least - 1])
    if most < _LARGEST:
        example = next(iter(value.values()), None)
        yield "too_many", value | {f"{EXTRA}_{at}": example for at in range(int(most) + 1 - len(value))}


# ── types, as JSON has them ──
def _kinds(schema: Schema, root: Root, seen: tuple[str, ...] = ()) -> set[Any]:
    """The types that *schema* lets in, `None` for null; empty if that cannot be said."""
    if schema.get("$ref") in seen:
        return set()
    seen = (*seen, schema["$ref"]) if "$ref" in schema else seen
    schema = root.resolved(schema)
    for choices in ("anyOf", "oneOf"):
        if choices in schema:
            arms = [_kinds(arm, root, seen) for arm in schema[choices]]
            return {kind for arm in arms for kind in arm} if all(arms) else set()
    if "const" in schema or "enum" in schema:
        return {_kind_of(one) for one in schema.get("enum", [schema.get("const")])}
    kind = schema.get("type")
    if kind is None:
        return set()
    every = {_JSON.get(one, one) for one in (kind if isinstance(kind, list) else [kind])}
    return every | ({"integer"} if "number" in every else set())


_JSON = {"null": None}


def _kind_of(value: Any) -> Any:
    if value is None:
        return None
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


# ── places ──
def _at(payload: Any, path: Path) -> Any:
    for part in path:
        payload = payload[part]
    return payload


def _with(payload: Any, path: Path, value: Any) -> Any:
    """A copy of *payload* that has *value* at *path*."""
    if not path:
        return value
    changed = copy.deepcopy(payload)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def written(path: Path) -> str:
    """*path* as errors write it: `$.data.lines[0].quantity`."""
    return "$.data" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
