"""The routes of a service as the registry keeps them: words and JSON Schemas, for people and programs that have none of its
code. What cannot be said is left out; nothing here can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter

from nooble.operations.reading import Route
from nooble.retry import Retry
from nooble.routing import Route as Declared
from nooble.routing.route import name_of
from nooble.routing.shapes import is_class
from nooble.wire.registry import MOST_ROUTES

_LONGEST_DOC = 1_000
_LONGEST_OPTION = 300

Schema = Mapping[str, object] | None


async def encoded_routes(declared: Callable[[], Iterable[Declared]]) -> bytes:
    """What *declared* gives as JSON, at most `MOST_ROUTES` bytes: what is too much loses its schemas, and then is left out,
    with all that comes after it. Gives way to the other loops after each: a schema can take a while."""
    kept: list[bytes] = []
    left = MOST_ROUTES - 2
    try:
        routes = list(declared())
    except Exception:  # what a service calls its routes may be something else
        return b""
    known: dict[int, Schema] = {}

    def schema_once(kind: Any) -> Schema:
        """Many routes take the same type."""
        if id(kind) not in known:
            known[id(kind)] = schema_of(kind)
        return known[id(kind)]

    for route in routes:
        text = _encoded(route, schema_once)
        if text is None or len(text) >= left:
            text = _encoded(route, no_schema)
        if text is not None and len(text) >= left:
            break  # of ten thousand routes, most would be made for nothing
        if text is not None:
            kept.append(text)
            left -= len(text) + 1
        await asyncio.sleep(0)
    return b"[" + b",".join(kept) + b"]" if kept else b""


def _encoded(route: Declared, schema: Callable[[Any], Schema]) -> bytes | None:
    try:
        return msgspec.json.encode(route_of(route, schema))
    except Exception:  # a service can declare whatever it likes
        return None


def no_schema(declared: Any) -> Schema:
    """For where there is no room for one."""
    return None


def schema_of(declared: Any) -> Schema:
    """The JSON Schema of a type, by the library that reads it; `None` if nothing is declared or none can be made."""
    if declared is None or declared is Any or declared is object:
        return None
    try:
        schema = _schema(declared)
        msgspec.json.encode(schema)
    except Exception:  # there are types of which no schema can be made, each library has its own errors for them
        return None
    return schema


def route_of(declared: Declared, schema: Callable[[Any], Schema] = schema_of) -> Route:
    """*declared* in words; *schema* makes its JSON Schemas."""
    first, _, _ = declared.description.strip().partition("\n\n")
    return Route(
        action_type=declared.action_type,
        doc=(first or declared.title)[:_LONGEST_DOC],
        payload=schema(declared.model),
        response=schema(declared.response_model),
        options=_options(declared),
    )


def _schema(declared: Any) -> dict[str, Any]:
    if is_class(declared, BaseModel):
        schema: dict[str, Any] = declared.model_json_schema()
        return schema
    if is_class(declared, msgspec.Struct):
        return msgspec.json.schema(declared)
    try:
        return TypeAdapter(declared).json_schema()
    except Exception:  # it may hold Structs
        return msgspec.json.schema(declared)


def _options(declared: Declared) -> dict[str, str]:
    """What else is declared, as text; what is not declared is left out."""
    told: dict[str, Any] = {
        "takes": None if declared.model is None else name_of(declared.model),
        "gives": None if declared.response_model in (None, NoneType) else name_of(declared.response_model),
        "title": declared.title,
        "version": declared.version,
        "deprecated": "yes" if declared.deprecated else "",
        "tags": ", ".join(declared.tags),
        "retry": "" if declared.retry is None else _retry(declared.retry),
        "timeout": "" if declared.timeout is None else f"{declared.timeout:g} s",
        "once_for": f"{declared.once_for:g} s" if declared.once_for else "",
        "sensitive": ", ".join(sorted(declared.sensitive)),
        "handler": declared.handler,
    }
    return {  # names of sensitive fields are never cut: what is cut off would be shown
        name: str(value) if name == "sensitive" else str(value)[:_LONGEST_OPTION]
        for name, value in told.items()
        if value
    }


def _retry(retry: Retry) -> str:
    return f"{retry.attempts} attempts, {retry.backoff:g} s × {retry.factor:g}, at most {retry.max_delay:g} s"
