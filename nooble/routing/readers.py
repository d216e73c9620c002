"""From wire data to values: the reader of a declared type is made once, and says every field that does not fit.

Pydantic reads its models, dataclasses, TypedDicts and all that has no reader of its own; msgspec reads its Structs and
what pydantic cannot. Both take data as JSON brings them: dates, UUIDs and decimals as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaValidator

from nooble.models.actions import failing_fields
from nooble.routing.shapes import OPEN_MAPPINGS, is_class

Reader = Callable[[Any], Any]
"""From wire data to a value; raises one of `MISFITS`."""

MISFITS = (ValidationError, msgspec.ValidationError, RecursionError)
"""What a reader raises when data do not fit."""


def reader_of(declared: Any) -> Reader:
    """The reader of a declared type.

    Raises:
        TypeError: nothing can be read into this type; the message says why.
    """
    if declared is Any or declared is object:
        return _as_it_is
    if declared in OPEN_MAPPINGS:
        return _read_mapping
    if is_class(declared, BaseModel):
        return _read_model(declared)
    return _read_by_msgspec(declared) if is_class(declared, msgspec.Struct) else _read_other(declared)


def _as_it_is(data: Any) -> Any:
    return data


def _read_mapping(data: Any) -> Any:
    return data if isinstance(data, dict) else msgspec.convert(data, dict[str, Any])


def _read_model(declared: type[BaseModel]) -> Reader:
    if not declared.__pydantic_complete__ and not declared.model_rebuild(raise_errors=False):
        raise TypeError(f"{declared.__name__} names a type that is not defined yet")
    return _reading(declared.__pydantic_validator__, declared.__pydantic_core_schema__)


def _read_other(declared: Any) -> Reader:
    try:
        adapter = TypeAdapter(declared)
    except PydanticUserError as error:  # it may hold Structs, or be a typing.TypedDict before Python 3.12
        try:
            return _read_by_msgspec(declared)
        except TypeError:
            raise TypeError(str(error).partition("\n")[0]) from None
    if not adapter.pydantic_complete:
        raise TypeError(f"{declared} names a type that is not defined yet")
    return _reading(adapter.validator, adapter.core_schema)


def _read_by_msgspec(declared: Any) -> Reader:
    try:
        unknown = _unknown_in(msgspec.inspect.type_info(declared), set())
    except NameError as error:
        raise TypeError(f"{declared} names a type that is not defined yet: {error}") from None
    if unknown is not None:
        raise TypeError(f"{unknown.__qualname__} is no data")
    return partial(msgspec.convert, type=declared, dec_hook=_read_foreign)


def _unknown_in(info: Any, seen: set[int]) -> type | None:
    """A class that neither msgspec nor pydantic can make, somewhere in what msgspec knows of a type."""
    if id(info) in seen:
        return None
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        return None if is_class(info.cls, BaseModel) else info.cls
    inside: Iterable[Any] = info if isinstance(info, tuple) else ()
    if isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        inside = (getattr(info, name) for name in info.__struct_fields__)
    return next(filter(None, (_unknown_in(one, seen) for one in inside)), None)


def _read_foreign(declared: type, data: Any) -> Any:
    """A pydantic model inside of a Struct."""
    if is_class(declared, BaseModel):
        return declared.model_validate(data)
    raise NotImplementedError


def _reading(validator: Any, schema: Any) -> Reader:
    return partial(_read_strictly, validator) if _is_strict(schema) else validator.validate_python


def _read_strictly(validator: SchemaValidator, data: Any) -> Any:
    """Strict types refuse text for a date in Python data but not in JSON, which has no dates: JSON is what came."""
    try:
        return validator.validate_python(data)
    except ValidationError:
        try:
            text = msgspec.json.encode(data)
        except (TypeError, ValueError, RecursionError):
            text = None
        if text is None:
            raise
        return validator.validate_json(text)


def _is_strict(schema: Any) -> bool:
    if isinstance(schema, dict):
        return schema.get("strict") is True or any(map(_is_strict, schema.values()))
    return isinstance(schema, list | tuple) and any(map(_is_strict, schema))


# ── what does not fit ──
def misfits(error: BaseException, declared: Any, data: Any, at: str) -> list[dict[str, str]]:
    """Every field that does not fit: its `path`, a `message` for people, and the `type` of the mistake.

    Args:
        error: one of `MISFITS`, raised by the reader of *declared* for *data*.
        at: path of *data* itself, e.g. `$.data`.
    """
    if isinstance(error, ValidationError):
        return failing_fields(error, at)
    if isinstance(error, RecursionError):
        return [{"path": at, "message": "is nested too deeply", "type": "too_deep"}]
    if is_class(declared, msgspec.Struct) and isinstance(data, dict):
        return _failing_struct_fields(declared, data, at) or [_failing_field(error, at)]
    return [_failing_field(error, at)]


def _failing_struct_fields(declared: type[msgspec.Struct], data: dict[str, Any], at: str) -> list[dict[str, str]]:
    """msgspec stops at the first mistake; reading field by field finds the first one in each."""
    failing = []
    for field in msgspec.structs.fields(declared):
        name = field.encode_name
        try:
            if name in data:
                msgspec.convert(data[name], field.type, dec_hook=_read_foreign)
            elif field.required:
                failing.append({"path": f"{at}.{name}", "message": "Field required", "type": "missing"})
        except msgspec.ValidationError as error:
            failing.append(_failing_field(error, f"{at}.{name}"))
    return failing


def _failing_field(error: BaseException, at: str) -> dict[str, str]:
    found = _PLACE.fullmatch(str(error))
    message, below = found.groups() if found else (str(error), "")
    named = _NAMED_FIELD.search(message)
    if named is None:
        return {"path": at + below, "message": message, "type": "wrong_value"}
    kind = "missing" if named[1] == "missing required" else "extra_forbidden"
    return {"path": f"{at}{below}.{named[2]}", "message": message, "type": kind}


_PLACE = re.compile(r"(.*) - at (?:`key` in )?`\$(.*)`", re.DOTALL)
_NAMED_FIELD = re.compile(r"(missing required|contains unknown) field `(.+)`")
