"""What of a payload is not shown: by name, by what a service declares as sensitive, or by a rule of one's own. And how a
payload that was edited gets back what its editor never saw: nothing is left out here but what is hidden."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from nooble.models.redaction import HIDDEN, is_secret, masked
from nooble.models.sensitive import names_of

Redact = Callable[[str, Any], Any]
"""Given the type of an action and its payload, what is shown of it."""

_DEEPEST = 100
_WHOLE = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Redactor:
    """What hides what must not be seen in the payloads of one service.

    Attributes:
        declared: the sensitive names by type of action, as the service declares them.
        unread: why that could not be read; then nobody knows what is sensitive, and every value is hidden.
        own: a rule of one's own, which goes on from there.
    """

    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unread: str = ""
    own: Redact | None = None

    @property
    def why(self) -> str:
        """Why more is hidden than what is sensitive; empty if it is not."""
        return (
            f"Every value is hidden, for nobody knows just now which are sensitive: {self.unread}"
            if self.unread
            else ""
        )

    def __call__(self, action_type: str, payload: Any) -> Any:
        """What is shown of *payload*."""
        if self.unread:
            return all_hidden(payload)
        names = self.declared.get(action_type)
        if names is None:  # perhaps one that older workers have declared, with fields of the same names
            names = frozenset().union(*self.declared.values())
        shown = hidden(payload, names | names_of(action_type))
        return shown if self.own is None else self.own(action_type, shown)


def all_hidden(value: Any, depth: int = 0) -> Any:
    """*value*, plain data, with its names and without its values."""
    if value in (None, ""):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {name: all_hidden(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [all_hidden(one, depth + 1) for one in value]
    return HIDDEN


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


# ── edited ──
def merged(edited: Any, shown: Any, original: Any) -> Any:
    """What an editor meant who saw *shown* instead of *original*: what was not touched is as it was. An element of a list is
    known only by its place and by what was seen of it; if that has changed, it may be another one, and gets nothing back.

    Raises:
        ValueError: it cannot be told what is meant: a mask stands where nothing was hidden, in a text that was edited, or in
            an element of a list that was.
    """
    return _merged(edited, shown, original, "$")


def _merged(edited: Any, shown: Any, original: Any, path: str) -> Any:
    if _same(edited, shown):
        return original
    if isinstance(edited, str):
        was_masked = shown is _ANOTHER or (isinstance(shown, str) and not _same(shown, original))
        if edited == HIDDEN or (HIDDEN in edited and was_masked):
            raise ValueError(f"{path} has {HIDDEN} in it, which stands for nothing there: write the value itself.")
        return edited
    if isinstance(edited, dict):
        there = shown if isinstance(shown, Mapping) else {}
        before = original if isinstance(original, Mapping) else {}
        unknown = _ANOTHER if shown is _ANOTHER else _NOTHING
        return {
            name: _merged(one, there.get(name, unknown), before.get(name), f"{path}.{name}")
            for name, one in edited.items()
        }
    if isinstance(edited, list):
        unknown = _NOTHING if shown is _NOTHING or _same(shown, original) else _ANOTHER
        return [
            _merged(one, *_element(at, one, shown, original, unknown, len(edited)), f"{path}[{at}]")
            for at, one in enumerate(edited)
        ]
    return edited


_NOTHING, _ANOTHER = object(), object()
"""Instead of what was shown: nothing stood there; something else did, of which a part was hidden."""


def _element(at: int, edited: Any, shown: Any, original: Any, unknown: object, size: int) -> tuple[Any, Any]:
    """What was shown of an element of a list and what it was, if it is still the same one."""
    if (
        isinstance(shown, list)
        and isinstance(original, list | tuple)
        and size == len(shown) == len(original)
        and _alike(edited, shown[at], original[at])
    ):
        return shown[at], original[at]
    return unknown, None


def _alike(edited: Any, shown: Any, original: Any) -> bool:
    """Whether everything that could be seen is as it was shown."""
    if _same(shown, original):
        return _same(edited, shown)
    if isinstance(shown, dict) and isinstance(original, Mapping):
        return (
            isinstance(edited, dict)
            and edited.keys() == shown.keys()
            and all(_alike(one, shown[name], original.get(name, _NOTHING)) for name, one in edited.items())
        )
    if isinstance(shown, list) and isinstance(original, list | tuple):
        return (
            isinstance(edited, list)
            and len(edited) == len(shown) == len(original)
            and all(map(_alike, edited, shown, original))
        )
    return shown == HIDDEN or _same(edited, shown)  # what was hidden may be another value now


def _same(left: Any, right: Any) -> bool:
    """Equal, and of equal kinds: `1` is not `True`, `1.0` is not `1`."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(one, right[name]) for name, one in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
