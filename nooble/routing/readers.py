"""From wire data to values: the reader of a declared type is made once.

Pydantic reads its models, dataclasses, TypedDicts and all that has no reader of its own; msgspec reads its Structs, bytes,
and what pydantic cannot. Both take data as JSON brings them: dates, UUIDs and decimals as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import SchemaValidator

from nooble.routing.route import name_of
from nooble.routing.shapes import OPEN_MAPPINGS, is_class

Reader = Callable[[Any], Any]
"""From wire data to a value; raises one of `MISFITS`."""

MISFITS = (ValidationError, msgspec.ValidationError, RecursionError)
"""What a reader raises when data do not fit."""


class Unreadable(TypeError):
    """Nothing can be read into a type; the message says why, and *mend* what helps."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.mend = mend


def reader_of(declared: Any) -> Reader:
    """The reader of a declared type.

    Raises:
        Unreadable: there is none.
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
    try:
        declared.model_rebuild()
    except PydanticUndefinedAnnotation as error:
        raise _undefined(declared, error) from None
    return _reading(declared.__pydantic_validator__, declared.__pydantic_core_schema__)


def _read_other(declared: Any) -> Reader:
    try:
        adapter = TypeAdapter(declared)
    except PydanticUserError as error:  # it may hold Structs, or be a typing.TypedDict before Python 3.12
        try:
            return _read_by_msgspec(declared)
        except Unreadable:
            if error.code in _KNOWN_BETTER:
                raise
            raise Unreadable(error.message.partition("\n")[0], _DATA) from None
    try:
        adapter.rebuild()
    except PydanticUndefinedAnnotation as error:
        raise _undefined(declared, error) from None
    if _says(adapter.core_schema, "type", "bytes"):  # they travel as msgspec writes them
        try:
            return _read_by_msgspec(declared)
        except Unreadable:
            pass
    return _reading(adapter.validator, adapter.core_schema)


_KNOWN_BETTER = ("schema-for-unknown-type", "typed-dict-version")
"""Of these msgspec, which was asked last, can tell more."""


def _undefined(declared: Any, missing: NameError) -> Unreadable:
    return Unreadable(f"{name_of(declared)} names {missing.name}, which is not defined", "define it before the class")


_DATA = "declare a pydantic model, a Struct, a dataclass, a TypedDict or plain types"


def _read_by_msgspec(declared: Any) -> Reader:
    try:
        unknown = _unknown_in(msgspec.inspect.type_info(declared), set())
    except NameError as error:
        raise _undefined(declared, error) from None
    except TypeError as error:
        raise Unreadable(str(error).partition(" - type ")[0], _DATA) from None
    if unknown is not None:
        raise Unreadable(f"{name_of(unknown)} is no data", _DATA)
    return partial(msgspec.convert, type=declared, dec_hook=read_foreign)


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


def read_foreign(declared: type, data: Any) -> Any:
    """A pydantic model inside of a Struct."""
    if is_class(declared, BaseModel):
        return declared.model_validate(data)
    raise NotImplementedError


def _reading(validator: Any, schema: Any) -> Reader:
    if _says(schema, "val_json_bytes", "base64"):
        return partial(_read_as_json, validator)
    return partial(_read_strictly, validator) if _says(schema, "strict", True) else validator.validate_python


def _read_as_json(validator: SchemaValidator, data: Any) -> Any:
    """Text means bytes to this type, but only in JSON."""
    text = _as_json(data)
    return validator.validate_python(data) if text is None else validator.validate_json(text)


def _read_strictly(validator: SchemaValidator, data: Any) -> Any:
    """Strict types refuse text for a date in Python data but not in JSON, which has no dates: JSON is what came."""
    try:
        return validator.validate_python(data)
    except ValidationError:
        text = _as_json(data)
        if text is None:
            raise
        return validator.validate_json(text)


def _as_json(data: Any) -> bytes | None:
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError):
        return None


def _says(schema: Any, key: str, value: Any) -> bool:
    """Whether a schema of pydantic says *value* for *key*, in whatever it is made of."""
    if isinstance(schema, dict):
        return schema.get(key) == value or any(_says(one, key, value) for one in schema.values())
    return isinstance(schema, list | tuple) and any(_says(one, key, value) for one in schema)
