"""Which kinds of types can be declared, and what is known of a type without any data: whether its values travel as
mappings, what its fields are called, which instances fit it as they are."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin, is_typeddict

import msgspec
from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType
from typing_extensions import is_typeddict as is_extended_typeddict

OPEN_MAPPINGS: tuple[Any, ...] = (dict, dict[str, Any], Mapping, Mapping[str, Any])
"""Mappings of which nothing more is declared."""

_ALIASES = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))
"""Two classes in some versions of Python."""

_SCALARS: tuple[Any, ...] = (str, int, float, bool, NoneType)


def is_mapping(declared: Any) -> bool:
    """Whether values of a declared type travel as mappings: what a payload must, and what a result may."""
    declared = bare(declared)
    if is_union(declared):
        arms = [arm for arm in get_args(declared) if arm is not NoneType]
        return bool(arms) and all(is_mapping(arm) for arm in arms)
    origin = get_origin(declared) or declared
    if is_class(origin, msgspec.Struct):
        return not origin.__struct_config__.array_like
    return is_class(origin, BaseModel) or is_class(origin, Mapping) or is_typed_dict(origin) or is_dataclass(origin)


def is_union(declared: Any) -> bool:
    """Whether *declared* is `A | B`."""
    return get_origin(declared) in (Union, UnionType)


def accepts_none(declared: Any) -> bool:
    """Whether `None` fits *declared*."""
    declared = bare(declared)
    return declared is NoneType or (is_union(declared) and any(map(accepts_none, get_args(declared))))


def without_none(declared: Any) -> Any:
    """*declared* without `| None`, aliases and annotations around it."""
    declared = bare(declared)
    if is_union(declared):
        arms = [arm for arm in get_args(declared) if arm is not NoneType]
        return bare(arms[0]) if len(arms) == 1 else declared
    return declared


def bare(declared: Any) -> Any:
    """*declared* without aliases and annotations around it."""
    while True:
        if isinstance(declared, _ALIASES):
            declared = declared.__value__
        elif get_origin(declared) is Annotated:
            declared = get_args(declared)[0]
        else:
            return declared


def classes_of(declared: Any) -> tuple[type, ...]:
    """The classes whose instances fit *declared* as they are, without being read."""
    if is_union(declared):
        return tuple(one for arm in get_args(declared) for one in classes_of(arm))
    if declared in OPEN_MAPPINGS:
        return (dict,)
    simple = declared in _SCALARS or is_class(declared, BaseModel) or is_class(declared, msgspec.Struct)
    return (declared,) if simple or is_dataclass(declared) else ()


def fields_of(declared: Any) -> dict[str, set[str]] | None:
    """The fields of a declared type by the name that Python gives them, each with all the names that the wire may give it;
    `None` if it has no fixed ones."""
    declared = without_none(declared)
    if is_union(declared):
        return _fields_of_any(get_args(declared))
    declared = get_origin(declared) or declared
    if is_class(declared, BaseModel):
        return {name: {name, *_aliases(field)} for name, field in declared.model_fields.items()}
    if is_class(declared, msgspec.Struct):
        names = zip(declared.__struct_fields__, declared.__struct_encode_fields__, strict=True)
        return {name: {name, encoded} for name, encoded in names}
    if is_dataclass(declared):
        return {field.name: {field.name} for field in dataclasses.fields(declared)}
    return {name: {name} for name in declared.__annotations__} if is_typed_dict(declared) else None


def _fields_of_any(arms: Iterable[Any]) -> dict[str, set[str]] | None:
    every: dict[str, set[str]] = {}
    for arm in arms:
        fields = {} if arm is NoneType else fields_of(arm)
        if fields is None:
            return None
        every |= {name: every.get(name, set()) | aliases for name, aliases in fields.items()}
    return every


def _aliases(field: FieldInfo) -> Iterator[str]:
    for alias in (field.alias, field.validation_alias, field.serialization_alias):
        for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            first = one.path[0] if isinstance(one, AliasPath) else one
            if isinstance(first, str):
                yield first


def is_class(declared: Any, base: type) -> TypeGuard[Any]:
    """Whether *declared* is *base* or a subclass of it, and no `base[...]`."""
    return isinstance(declared, type) and not get_args(declared) and issubclass(declared, base)


def is_dataclass(declared: Any) -> TypeGuard[Any]:
    """Whether *declared* is a dataclass."""
    return isinstance(declared, type) and dataclasses.is_dataclass(declared)


def is_typed_dict(declared: Any) -> bool:
    """Whether *declared* is a TypedDict, of `typing` or of `typing_extensions`."""
    return is_typeddict(declared) or is_extended_typeddict(declared)
