"""How data that do not fit are told: every failing field by its path, bounded, and nothing of what is sensitive."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple, get_args, get_origin

import msgspec
from pydantic import ValidationError
from typing_extensions import get_type_hints

from nooble.models.actions import failing_fields
from nooble.models.redaction import is_secret
from nooble.routing.readers import read_foreign
from nooble.routing.shapes import is_class, is_dataclass, is_typed_dict, without_none

Field = dict[str, str]
"""A failing field: its `path`, a `message` for people, and the `type` of the mistake."""

MOST_FIELDS = 1_000
"""Most failing fields that one error lists, for it travels in an answer; `details["error_count"]` counts all."""

MOST_TEXT = 500
"""Most characters of a path or message: both can repeat what came from outside."""

_FIRST_FIELDS = 3
"""How many of them the message names."""

_DEEPEST = 20
"""How many levels of a Struct are looked through for further mistakes."""


def told(problem: str, fields: Sequence[Field]) -> tuple[str, dict[str, Any]]:
    """Message and details of the error that tells of *problem* and of the failing *fields*."""
    shown = [{key: text[:MOST_TEXT] for key, text in _unsaid(field).items()} for field in fields[:MOST_FIELDS]]
    named = "; ".join(f"{field['path']}: {field['message']}" for field in shown[:_FIRST_FIELDS])
    more = f"; and {len(fields) - _FIRST_FIELDS} more" if len(fields) > _FIRST_FIELDS else ""
    return f"{problem}: {named}{more}", {"errors": shown, "error_count": len(fields)}


def _unsaid(field: Field) -> Field:
    """*field*, without what may repeat the value of a field whose name says that it is sensitive."""
    if field["type"] in _OWN_WORDS and any(map(is_secret, re.split(r"[.\[\]]+", field["path"]))):
        return {**field, "message": _NOT_SHOWN}
    return field


def misfits(error: BaseException, declared: Any, data: Any, at: str) -> list[Field]:
    """Every field that does not fit.

    Args:
        error: one of `MISFITS`, raised by the reader of *declared* for *data*.
        at: path of *data* itself, e.g. `$.data`.
    """
    if isinstance(error, RecursionError):
        return [{"path": at, "message": "is nested too deeply", "type": "too_deep"}]
    if isinstance(error, ValidationError):
        return failing_fields(error, at)
    return list(_failing(_Part(declared, data, at))) or _first_failing(error, at)


# ── what msgspec does not say: it stops at the first mistake ──
class _Part(NamedTuple):
    """Data, what they should be, and their path."""

    declared: Any
    data: Any
    at: str


def _failing(part: _Part, depth: int = 0) -> Iterator[Field]:
    """Every failing field in *part*: what does not fit as a whole is read part by part."""
    declared, data, at = part
    try:
        msgspec.convert(data, declared, dec_hook=read_foreign)
    except msgspec.ValidationError as error:
        inner = _Part(without_none(declared), data, at)
        inside = [] if depth == _DEEPEST else [*_failing_here(inner), *_failing_below(inner, depth)]
        yield from inside or _first_failing(error, at)
    except Exception:  # another part has said enough
        return


def _failing_here(part: _Part) -> Iterator[Field]:
    """Fields of *part* that are missing, or that it forbids."""
    fields = _fields(part.declared)
    if not fields or not isinstance(part.data, dict):
        return
    for name, (_, required) in fields.items():
        if required and name not in part.data:
            yield {"path": f"{part.at}.{name}", "message": "Field required", "type": "missing"}
    config = getattr(part.declared, "__struct_config__", None)
    if config is not None and config.forbid_unknown_fields:
        for name in part.data:
            if name not in fields and name != config.tag_field:
                path = f"{part.at}.{name}"
                yield {"path": path, "message": f"Object contains unknown field `{name}`", "type": "extra_forbidden"}


def _failing_below(part: _Part, depth: int) -> Iterator[Field]:
    for below in _parts(part):
        yield from _failing(below, depth + 1)


def _parts(part: _Part) -> Iterator[_Part]:
    declared, data, at = part
    origin, args = get_origin(declared) or declared, get_args(declared)
    if isinstance(data, dict):
        fields = _fields(declared)
        if fields is not None:
            yield from (_Part(kind, data[name], f"{at}.{name}") for name, (kind, _) in fields.items() if name in data)
        elif is_class(origin, Mapping) and len(args) == 2:
            yield from (_Part(args[1], value, f"{at}.{name}") for name, value in data.items())
    elif isinstance(data, list) and len(args) == 1 and (is_class(origin, Sequence) or is_class(origin, Set)):
        yield from (_Part(args[0], value, f"{at}[{number}]") for number, value in enumerate(data))


def _fields(declared: Any) -> dict[str, tuple[Any, bool]] | None:
    """The fields of a type by their names on the wire: what each should be, and whether it must be there."""
    origin = get_origin(declared) or declared
    if is_class(origin, msgspec.Struct):
        return {one.encode_name: (one.type, one.required) for one in msgspec.structs.fields(declared)}
    if is_typed_dict(origin):
        return {name: (kind, name in origin.__required_keys__) for name, kind in get_type_hints(origin).items()}
    if is_dataclass(origin):
        kinds = get_type_hints(origin)
        return {one.name: (kinds[one.name], _has_no_default(one)) for one in dataclasses.fields(origin) if one.init}
    return None


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _first_failing(error: BaseException, at: str) -> list[Field]:
    """What msgspec says of the first mistake."""
    found = _PLACE.fullmatch(str(error))
    message, below = found.groups() if found else (str(error), "")
    if isinstance(error.__cause__, ValidationError):  # of a pydantic model somewhere inside
        return failing_fields(error.__cause__, at + below)
    named = _NAMED_FIELD.search(message)
    if named is None:
        return [{"path": at + below, "message": message, "type": "wrong_value"}]
    kind = "missing" if named[1] == "missing required" else "extra_forbidden"
    return [{"path": f"{at}{below}.{named[2]}", "message": message, "type": kind}]


_PLACE = re.compile(r"(.*) - at (?:`key` in )?`\$(.*)`", re.DOTALL)
_NAMED_FIELD = re.compile(r"(missing required|contains unknown) field `(.+)`")


# ── what is sensitive ──
def hide(fields: Iterable[Field], sensitive: Set[str], known: Set[str], at: str) -> None:
    """Take out of *fields* what could show a sensitive value: what is said of a sensitive field at whatever depth, the
    keys below it, and what a validator says in its own words of the payload as a whole.

    Args:
        fields: changed in place.
        sensitive: names of fields.
        known: names of all fields of the payload.
        at: path of the payload.
    """
    name = re.compile(rf"\.(?:{'|'.join(map(re.escape, sensitive))})(?=[.\[]|$)")
    for field in fields:
        found = name.search(field["path"], len(at))
        if found is not None:
            field["path"] = field["path"][: found.end()]
            field["message"] = _NOT_SHOWN
        elif field["type"] in _OWN_WORDS and re.split(r"[.\[]", field["path"][len(at) + 1 :])[0] not in known:
            field["message"] = "is wrong (how is not told, as it has sensitive fields)"


_NOT_SHOWN = "is wrong (sensitive: its value is not shown)"
_OWN_WORDS = ("value_error", "assertion_error", "wrong_value")
