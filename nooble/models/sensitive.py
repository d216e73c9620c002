"""Which fields are sensitive, as they were declared: by their type, wherever it is used.

A field is sensitive if it is a `SecretStr` (or another `Secret` of pydantic), or annotated `Annotated[str, Sensitive()]`, in
a pydantic model, a Struct, a dataclass or a TypedDict alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, is_typeddict

import msgspec
from pydantic import AliasChoices, AliasPath, BaseModel, Secret, SecretBytes, SecretStr
from typing_extensions import get_type_hints
from typing_extensions import is_typeddict as is_extended_typeddict

_SECRETS = (SecretStr, SecretBytes, Secret)


@dataclasses.dataclass(frozen=True, slots=True)
class Sensitive:
    """Marks a field whose value is shown nowhere, as in `card: Annotated[str, Sensitive()]`: not in logs, not in errors, not
    in the `repr` of an action. Its schema says `writeOnly`; a field whose schema says so is sensitive, too."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core_schema), "writeOnly": True}


class FieldNames(NamedTuple):
    """A field, as far as it matters here.

    Attributes:
        name: its name in Python.
        aliases: all names that it may have on the wire.
        declared: its type.
        is_sensitive: whether its value may be shown nowhere.
    """

    name: str
    aliases: frozenset[str]
    declared: Any
    is_sensitive: bool


def sensitive_names(declared: Any) -> frozenset[str]:
    """Every name on the wire of a sensitive field, in whatever *declared* is made of."""
    found: set[str] = set()
    _gather(declared, found, set())
    return frozenset(found)


def _gather(declared: Any, found: set[str], seen: set[Any]) -> None:
    for part in _parts(declared):
        if not isinstance(part, type) or part in seen:
            continue
        seen.add(part)
        for field in fields_of_class(part):
            if field.is_sensitive:
                found |= field.aliases
            _gather(field.declared, found, seen)


@lru_cache(maxsize=1024)
def fields_of_class(kind: type) -> tuple[FieldNames, ...]:
    """The fields of a class whose values are data; none if it is no such class, or its annotations cannot be resolved."""
    try:
        return tuple(_fields(kind))
    except (NameError, TypeError, AttributeError):  # it is not ready to be used; who uses it is told
        return ()


def _fields(kind: type) -> Iterator[FieldNames]:
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            marked = any(map(_is_mark, [*field.metadata, field.json_schema_extra])) or _is_sensitive(field.annotation)
            yield FieldNames(name, frozenset({name, *_aliases(field)}), field.annotation, marked)
    elif issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        for one in msgspec.structs.fields(kind):
            declared = hints.get(one.name, one.type)
            yield FieldNames(one.name, frozenset({one.name, one.encode_name}), declared, _is_sensitive(declared))
    elif dataclasses.is_dataclass(kind) or is_typeddict(kind) or is_extended_typeddict(kind):
        for name, declared in get_type_hints(kind, include_extras=True).items():
            yield FieldNames(name, frozenset({name}), declared, _is_sensitive(declared))


def _aliases(field: Any) -> Iterator[str]:
    for alias in (field.alias, field.validation_alias, field.serialization_alias):
        for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            first = one.path[0] if isinstance(one, AliasPath) else one
            if isinstance(first, str):
                yield first


def _is_sensitive(declared: Any) -> bool:
    """Whether something that *declared* is made of is sensitive, not counting the fields of classes."""
    if get_origin(declared) is Annotated:
        kind, *marks = get_args(declared)
        return any(map(_is_mark, marks)) or _is_sensitive(kind)
    if isinstance(get_origin(declared) or declared, type) and issubclass(get_origin(declared) or declared, _SECRETS):
        return True
    if hasattr(declared, "__value__"):  # an alias of a type
        return _is_sensitive(declared.__value__)
    return any(map(_is_sensitive, get_args(declared)))


def _is_mark(mark: Any) -> bool:
    if isinstance(mark, msgspec.Meta):
        mark = mark.extra_json_schema
    return isinstance(mark, Sensitive) or mark is Sensitive or (isinstance(mark, dict) and bool(mark.get("writeOnly")))


def _parts(declared: Any) -> Iterator[Any]:
    """The classes that *declared* is made of."""
    if hasattr(declared, "__value__"):
        declared = declared.__value__
    yield get_origin(declared) or declared
    for part in get_args(declared):
        yield from _parts(part)


# ── which action has which ──
_of_actions: dict[str, frozenset[str]] = {}


def remember(action_type: str, names: frozenset[str]) -> None:
    """The payload of *action_type* has sensitive fields of these *names*, at whatever depth: whoever shows such an action
    in this process hides them."""
    if names:
        _of_actions[action_type] = _of_actions.get(action_type, frozenset()) | names


def names_of(action_type: str) -> frozenset[str]:
    """The names of the sensitive fields of *action_type*, as far as this process knows them."""
    return _of_actions.get(action_type, frozenset())
