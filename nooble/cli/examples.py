"""What to type next: a call of a declared action, with a payload that its model accepts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pydantic import TypeAdapter

from nooble.routing import Route
from nooble.routing.readers import reader_of
from nooble.routing.shapes import is_class

_TEXTS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00",
    "duration": "PT1H",
    "email": "ana@example.com",
    "uri": "https://example.com",
    "uuid": "6f1c3c1e-6d0b-4c51-9d43-0f8a1c9b2f10",
}
"""Format of a text in a schema → a text that has it."""


def example_call(routes: Iterable[Route]) -> str | None:
    """The line to type for one of *routes*: the first whose model accepts its example; `None` if there are no routes."""
    examples = [(route, example_payload(route.model)) for route in routes if not route.is_catch_all]
    for route, payload in [one for one in examples if _accepts(*one)] or examples:
        return " ".join(["nooble call", route.action_type, *words_for(payload)])
    return None


def example_payload(model: Any) -> dict[str, Any]:
    """A small payload for *model*, as good as its schema is; empty if there is none."""
    if model is None:
        return {}
    try:
        schema = msgspec.json.schema(model) if is_class(model, msgspec.Struct) else TypeAdapter(model).json_schema()
        made = _example(schema, {}, "")
    except Exception:  # models are a user's; a hint is not worth an error
        return {}
    return made if isinstance(made, dict) else {}


def _accepts(route: Route, payload: dict[str, Any]) -> bool:
    try:
        reader_of(route.model)(payload)
    except Exception:
        return route.model is None
    return True


def words_for(payload: Mapping[str, Any]) -> list[str]:
    """*payload* as one would type it."""
    if all(key.isidentifier() for key in payload):
        return [_word(key, value) for key, value in payload.items()]
    return [shlex.quote(json.dumps(payload, ensure_ascii=False))]


def _word(key: str, value: Any) -> str:
    if isinstance(value, str):
        return f"{key}={shlex.quote(value)}"
    return f"{key}:={shlex.quote(json.dumps(value, ensure_ascii=False))}"


# ── from a schema ──
def _example(schema: Mapping[str, Any], known: Mapping[str, Any], name: str) -> Any:
    """A value that fits *schema*: what it gives as an example, or the plainest there is."""
    known = schema.get("$defs", known)
    if "$ref" in schema:
        return _example(known[schema["$ref"].rpartition("/")[2]], known, name)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    for choices in ("anyOf", "oneOf", "allOf"):
        if choices in schema:
            return _example(schema[choices][0], known, name)
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", ())
        return {key: _example(one, known, key) for key, one in schema.get("properties", {}).items() if key in required}
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items") or {}] * schema.get("minItems", 1)
        return [_example(one, known, name) for one in items]
    return _scalar(kind, schema, name)


def _scalar(kind: Any, schema: Mapping[str, Any], name: str) -> Any:
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2) - 1)
        step = schema.get("multipleOf")
        value = max(low, min(1, high))
        return -(-value // step) * step if step else value
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    text = _TEXTS.get(schema.get("format", ""), name or "text").ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength")]
