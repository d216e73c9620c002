"""From a schema to data that fit it, remembering on the way where each part stands, so that one of them can be broken."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from nooble.models.payloads import plain
from nooble.testing import _leaves as leaves
from nooble.testing._schemas import MARK, UNKNOWN, Root, Schema

DEEP = 3
"""Levels of types inside of types after which everything is made as small as it may be."""
_MOST_ITEMS = 3

Path = tuple[str | int, ...]


class Site(NamedTuple):
    """A part that was made.

    Attributes:
        path: its keys and indices, from the payload on.
        schema: what it fits.
        root: what that refers to.
    """

    path: Path
    schema: Schema
    root: Root


class Maker:
    """Makes data for one schema.

    Args:
        root: the schema.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self._leaves: dict[int, tuple[Schema, st.SearchStrategy[Any]]] = {}
        self._inner: dict[int, Maker] = {}
        if self._height(root.schema, frozenset()) == math.inf:
            raise root.unmakeable("it contains itself without an end")

    def make(self, draw: st.DrawFn, sites: list[Site]) -> Any:
        """Data that fit the schema, as far as a schema can say what fits.

        Args:
            draw: of a composite strategy.
            sites: filled with every part that is made.
        """
        return self._made(_Work(draw, sites), self.root.schema, (), 0)

    # ── by kind of schema ──
    def _made(self, work: _Work, schema: Any, path: Path, depth: int) -> Any:
        if isinstance(schema, dict) and "$ref" in schema:
            return self._made(work, self.root.resolved(schema), path, depth + 1)
        if not isinstance(schema, dict) or not schema:
            return work.draw(_ANYTHING)
        if UNKNOWN in schema:
            raise self.root.unmakeable(schema[UNKNOWN])
        if MARK in schema:
            return self._marked(work, schema, path, depth)
        work.sites.append(Site(path, schema, self.root))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return work.draw(st.sampled_from(schema["enum"]))
        if "allOf" in schema:
            merged = {name: value for name, value in schema.items() if name != "allOf"}
            for part in schema["allOf"]:
                merged |= self.root.resolved(part)
            work.sites.pop()
            return self._made(work, merged, path, depth)
        for choices in ("anyOf", "oneOf"):
            if choices in schema:
                return self._one_of(work, schema[choices], path, depth)
        return self._of_type(work, schema, path, depth)

    def _of_type(self, work: _Work, schema: Schema, path: Path, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._made(work, {**schema, "type": work.draw(st.sampled_from(kind))}, path, depth)
        if kind == "object" or "properties" in schema:
            return self._object(work, schema, path, depth)
        if kind == "array":
            return self._array(work, schema, path, depth)
        if "contentSchema" in schema:  # JSON inside of a text
            inside = self._made(_Work(work.draw, []), schema["contentSchema"], (), depth + 1)
            return msgspec.json.encode(inside).decode()
        return work.draw(self._leaf(schema))

    def _marked(self, work: _Work, schema: Schema, path: Path, depth: int) -> Any:
        marked = self.root.marks[schema[MARK]]
        if isinstance(marked, Root):
            inner = self._inner.setdefault(schema[MARK], Maker(marked))
            return inner._made(work, marked.schema, path, depth + 1)
        return msgspec.to_builtins(work.draw(marked), enc_hook=plain, str_keys=True)

    def _one_of(self, work: _Work, arms: list[Any], path: Path, depth: int) -> Any:
        arms = [arm for arm in arms if UNKNOWN not in self.root.resolved(arm)] or arms
        texts = [arm for arm in arms if str(arm.get("pattern", "")).startswith(leaves.DECIMAL)]
        number = next((arm for arm in arms if arm.get("type") == "number"), None)
        if number is not None and texts:
            arms = [{**number, MARK_DECIMAL: texts[0]["pattern"]}, *(a for a in arms if a not in (number, *texts))]
        if depth >= DEEP:
            heights = [self._height(arm, frozenset()) for arm in arms]
            arms = [arm for arm, height in zip(arms, heights, strict=True) if height == min(heights)]
        return self._made(work, work.draw(st.sampled_from(arms)) if len(arms) > 1 else arms[0], path, depth)

    def _object(self, work: _Work, schema: Schema, path: Path, depth: int) -> Any:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = set(schema.get("required", ()))
        made: dict[str, Any] = {}
        for name, part in properties.items():
            if name not in required and (
                UNKNOWN in self.root.resolved(part)
                or (depth >= DEEP and self._height(part, frozenset()) > 0)
                or not work.draw(st.booleans())
            ):
                continue
            made[name] = self._made(work, part, (*path, name), depth)
        more = schema.get("additionalProperties", not properties)
        if schema.get("patternProperties"):
            pattern, more = next(iter(schema["patternProperties"].items()))
            self._fill(work, schema, made, (more, {"type": "string", "pattern": pattern}), path, depth)
        elif more is not False and (not properties or more is not True):
            self._fill(work, schema, made, (more, schema.get("propertyNames", {"type": "string"})), path, depth)
        return made

    def _fill(
        self, work: _Work, schema: Schema, made: dict[str, Any], kinds: tuple[Any, Any], path: Path, depth: int
    ) -> None:
        """Add members whose names nobody has fixed."""
        value, key = kinds
        fewest = max(0, schema.get("minProperties", 0) - len(made))
        most = max(fewest, min(schema.get("maxProperties", math.inf) - len(made), self._most(value, depth)))
        for _ in range(work.draw(st.integers(fewest, most))):
            name = str(self._made(_Work(work.draw, []), key, (), depth))
            if name not in made:
                made[name] = self._made(work, value, (*path, name), depth)

    def _array(self, work: _Work, schema: Schema, path: Path, depth: int) -> Any:
        first = schema.get("prefixItems", [])
        made = [self._made(work, part, (*path, at), depth) for at, part in enumerate(first)]
        items = schema.get("items", not first)
        if items is False:
            return made
        fewest = max(0, schema.get("minItems", 0) - len(made))
        most = max(fewest, min(schema.get("maxItems", math.inf) - len(made), self._most(items, depth)))
        for _ in range(work.draw(st.integers(fewest, most))):
            made.append(self._new_item(work, schema, items, made, path, depth))
        return made

    def _new_item(self, work: _Work, schema: Schema, items: Any, made: list[Any], path: Path, depth: int) -> Any:
        for _ in range(10):
            here = len(work.sites)
            item = self._made(work, items, (*path, len(made)), depth)
            if not schema.get("uniqueItems") or item not in made:
                return item
            del work.sites[here:]
        return item

    def _most(self, part: Any, depth: int) -> int:
        if depth < DEEP:
            return _MOST_ITEMS - max(0, depth - 1)
        return 0 if self._height(part, frozenset()) > 0 else 1

    def _leaf(self, schema: Schema) -> st.SearchStrategy[Any]:
        known = self._leaves.get(id(schema))
        if known is None or known[0] is not schema:
            known = self._leaves[id(schema)] = (schema, self._strategy(schema))
        return known[1]

    def _strategy(self, schema: Schema) -> st.SearchStrategy[Any]:
        kind = schema.get("type")
        if kind == "boolean":
            return st.booleans()
        if kind == "null":
            return st.none()
        if kind in ("integer", "number"):
            return self._number(schema)
        if kind == "string":
            try:
                return leaves.texts(schema)
            except (re.error, ValueError) as error:
                raise self.root.unmakeable(
                    f"the pattern {schema.get('pattern')!r} is none of Python's ({error})"
                ) from None
        return _ANYTHING

    def _number(self, schema: Schema) -> st.SearchStrategy[Any]:
        pattern = schema.get(MARK_DECIMAL)
        if pattern is not None:
            exact = leaves.short_decimals(schema) | leaves.integers(schema)
            exact = exact.filter(
                lambda one: re.search(pattern, format(one, "f") if not isinstance(one, int) else str(one))
            )
            made = exact.map(float) | exact.map(str)
        else:
            made = leaves.integers(schema) if schema["type"] == "integer" else leaves.numbers(schema)
        if made.is_empty:
            raise self.root.unmakeable(f"no number is within its bounds ({_bounds_of(schema)})")
        return made

    # ── how deep it has to go ──
    def _height(self, schema: Any, seen: frozenset[str]) -> float:
        """How many types inside of types the smallest data for *schema* need."""
        if not isinstance(schema, dict):
            return 0
        if "$ref" in schema:
            name = schema["$ref"]
            return math.inf if name in seen else 1 + self._height(self.root.resolved(schema), seen | {name})
        for choices in ("anyOf", "oneOf"):
            if choices in schema:
                return min(self._height(arm, seen) for arm in schema[choices])
        parts = [one for name, one in schema.get("properties", {}).items() if name in schema.get("required", ())]
        parts += schema.get("prefixItems", [])
        if schema.get("minItems", 0) > len(schema.get("prefixItems", [])):
            parts.append(schema.get("items"))
        if schema.get("minProperties", 0) > len(schema.get("properties", {})):
            parts.append(schema.get("additionalProperties"))
        return max((self._height(part, seen) for part in parts), default=0)


class _Work(NamedTuple):
    """What one making carries along."""

    draw: st.DrawFn
    sites: list[Site]


MARK_DECIMAL = "x-nooble-decimal"
"""Key of a schema of numbers that may be written as text, too; its value is the pattern of that text."""


def _bounds_of(schema: Schema) -> str:
    return ", ".join(f"{name}={schema[name]}" for name in sorted(schema) if "imum" in name or name == "multipleOf")


_ANYTHING = leaves.anything()
