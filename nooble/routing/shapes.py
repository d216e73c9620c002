"""What a declared type accepts, decided once: readers turn wire data into values, and say every field that does not fit.

Pydantic reads its models, dataclasses, TypedDicts and all that has none of its own; msgspec reads its Structs, and what
pydantic cannot. Both take data as JSON brings them: dates, UUIDs and decimals as text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin, is_typeddict

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaValidator
from typing_extensions import TypeAliasType
from typing_extensions import is_typeddict as is_extended_typeddict

from nooble.models.actions import failing_fields

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
    if declared in _OPEN_MAPPINGS:
        return _read_mapping
    if _is_class(declared, BaseModel):
        return _read_model(declared)
    if _is_class(declared, msgspec.Struct):
        return partial(msgspec.convert, type=declared, dec_hook=_read_foreign)
    return _read_other(declared)


def is_mapping(declared: Any) -> bool:
    """Whether values of a declared type travel as mappings: what a payload must, and what a result may."""
    declared = bare(declared)
    if is_union(declared):
        arms = [arm for arm in get_args(declared) if arm is not NoneType]
        return bool(arms) and all(is_mapping(arm) for arm in arms)
    origin = get_origin(declared) or declared
    if _is_class(origin, msgspec.Struct):
        return not origin.__struct_config__.array_like
    return (
        _is_class(origin, BaseModel)
        or _is_class(origin, Mapping)
        or _is_typeddict(origin)
        or (isinstance(origin, type) and dataclasses.is_dataclass(origin))
    )


def is_union(declared: Any) -> bool:
    """Whether *declared* is `A | B`."""
    return get_origin(declared) in (Union, UnionType)


def accepts_none(declared: Any) -> bool:
    """Whether `None` fits *declared*."""
    declared = bare(declared)
    return declared is NoneType or (is_union(declared) and any(map(accepts_none, get_args(declared))))


def bare(declared: Any) -> Any:
    """*declared* without aliases and annotations around it."""
    while True:
        if isinstance(declared, TypeAliasType):
            declared = declared.__value__
        elif get_origin(declared) is Annotated:
            declared = get_args(declared)[0]
        else:
            return declared


def classes_of(declared: Any) -> tuple[type, ...]:
    """The classes whose instances fit *declared* as they are, without being read."""
    if is_union(declared):
        return tuple(one for arm in get_args(declared) for one in classes_of(arm))
    if declared in _OPEN_MAPPINGS:
        return (dict,)
    simple = declared in _SCALARS or _is_class(declared, BaseModel) or _is_class(declared, msgspec.Struct)
    return (declared,) if simple or (isinstance(declared, type) and dataclasses.is_dataclass(declared)) else ()


def fields_of(declared: Any) -> frozenset[str] | None:
    """The names of the fields of a declared type, as Python and as the wire call them; `None` if it has no fixed ones."""
    declared = bare(declared)
    if _is_class(declared, BaseModel):
        aliases = (field.alias for field in declared.model_fields.values())
        return frozenset(declared.model_fields).union(alias for alias in aliases if alias)
    if _is_class(declared, msgspec.Struct):
        return frozenset(declared.__struct_fields__).union(declared.__struct_encode_fields__)
    if isinstance(declared, type) and dataclasses.is_dataclass(declared):
        return frozenset(field.name for field in dataclasses.fields(declared))
    return frozenset(declared.__annotations__) if _is_typeddict(declared) else None


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
    if _is_class(declared, msgspec.Struct) and isinstance(data, dict):
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


# ── readers ──
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
    except PydanticUserError as error:
        return _read_by_msgspec(declared, error)
    if not adapter.pydantic_complete:
        raise TypeError(f"{declared} names a type that is not defined yet")
    return _reading(adapter.validator, adapter.core_schema)


def _read_by_msgspec(declared: Any, error: Exception) -> Reader:
    """What pydantic does not know can hold Structs, or be a `typing.TypedDict` before Python 3.12."""
    try:
        unreadable = isinstance(msgspec.inspect.type_info(declared), msgspec.inspect.CustomType)
    except TypeError:
        unreadable = True
    if unreadable:
        raise TypeError(str(error).partition("\n")[0]) from None
    return partial(msgspec.convert, type=declared, dec_hook=_read_foreign)


def _read_foreign(declared: type, data: Any) -> Any:
    """A pydantic model inside of a Struct."""
    if _is_class(declared, BaseModel):
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


# ── kinds of types ──
def _is_class(declared: Any, base: type) -> TypeGuard[Any]:
    return isinstance(declared, type) and not get_args(declared) and issubclass(declared, base)


def _is_typeddict(declared: Any) -> bool:
    return is_typeddict(declared) or is_extended_typeddict(declared)


_OPEN_MAPPINGS: tuple[Any, ...] = (dict, dict[str, Any], Mapping, Mapping[str, Any])
_SCALARS: tuple[Any, ...] = (str, int, float, bool, NoneType)
