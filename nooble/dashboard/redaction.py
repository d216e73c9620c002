"""What of a payload is not shown: by name, by what a service declares as sensitive, or by a rule of one's own. And how a
payload that was edited gets back what its editor never saw: nothing is left out here but what is hidden."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from nooble.models.redaction import HIDDEN, is_secret, masked

Redact = Callable[[str, Any], Any]
"""Given the type of an action and its payload, what is shown of it."""

_DEEPEST = 100
_WHOLE = 1_000_000_000


def hidden(value: Any, sensitive: Collection[str] = ()) -> Any:
    """*value*, plain data, without what has a secret's name or one of *sensitive*, at any depth, and without the passwords
    in its texts."""
    return _hidden(value, sensitive, 0)


def _hidden(value: Any, names: Collection[str], depth: int) -> Any:
    if depth > _DEEPEST:
        return HIDDEN
    if isinstance(value, str):
        return masked(value, _WHOLE)
    if isinstance(value, Mapping):
        return {
            name: HIDDEN
            if one not in (None, "") and (str(name) in names or is_secret(str(name)))
            else _hidden(one, names, depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hidden(one, names, depth + 1) for one in value]
    return value


def sensitive_fields(schema: Mapping[str, Any] | None, declared: str = "") -> frozenset[str]:
    """The names that a service declares as sensitive: those in *declared*, joined by commas, and those whose schema says
    `writeOnly` or `format: password`."""
    names = {one.strip() for one in declared.split(",") if one.strip()}
    for part in (schema or {}, *_mappings((schema or {}).get("$defs"))):
        properties = part.get("properties")
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            if isinstance(one, Mapping) and (one.get("writeOnly") is True or one.get("format") == "password"):
                names.add(str(name))
    return frozenset(names)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value.values() if isinstance(one, Mapping)] if isinstance(value, Mapping) else []


# ── edited ──
def merged(edited: Any, shown: Any, original: Any) -> Any:
    """What an editor meant who saw *shown* instead of *original*: what was not touched is as it was.

    Raises:
        ValueError: it cannot be told what is meant: a mask stands where nothing was hidden, or in a text that was edited.
    """
    return _merged(edited, shown, original, "$")


def _merged(edited: Any, shown: Any, original: Any, path: str) -> Any:
    if _same(edited, shown):
        return original
    if isinstance(edited, str):
        if edited == HIDDEN or (HIDDEN in edited and isinstance(shown, str) and not _same(shown, original)):
            raise ValueError(f"{path} has {HIDDEN} in it, which stands for nothing there: write the value itself.")
        return edited
    if isinstance(edited, dict):
        there = shown if isinstance(shown, Mapping) else {}
        before = original if isinstance(original, Mapping) else {}
        return {
            name: _merged(one, there.get(name, _NOTHING), before.get(name), f"{path}.{name}")
            for name, one in edited.items()
        }
    if isinstance(edited, list):
        there_list = shown if isinstance(shown, list | tuple) else []
        before_list = original if isinstance(original, list | tuple) else []
        aligned = len(edited) == len(there_list) == len(before_list)
        return [
            _merged(one, there_list[at] if aligned else _NOTHING, before_list[at] if aligned else None, f"{path}[{at}]")
            for at, one in enumerate(edited)
        ]
    return edited


_NOTHING = object()


def _same(left: Any, right: Any) -> bool:
    """Equal, and of equal kinds: `1` is not `True`, `1.0` is not `1`."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(one, right[name]) for name, one in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
