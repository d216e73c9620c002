"""What may be shown of a value: everything but what is sensitive, by its declaration or by its name, and no more than a
reader can use. Whatever it is given, it gives plain data, and raises nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from nooble.models.sensitive import FieldNames, fields_of_class

HIDDEN = "***"
"""What is shown instead of a sensitive value."""
MOST_TEXT = 10_000
"""Most characters that are shown of a text."""

NAMES = (
    *("password", "passwd", "pwd", "passphrase", "token", "secret", "authorization", "api_key", "access_key"),
    *("private_key", "credentials", "cookie"),
)
"""Names of fields that are sensitive without a declaration, as parts of a name: `token` stands for `accessToken`, too."""

_SLACK = 2_048
_DEEPEST = 12
_MOST_ITEMS = 5_000
_LONGEST_NAME = 200
_AS_THEY_ARE = (int, float, bool, type(None), UUID, date, time, timedelta, Decimal)


class _Rules:
    """What the names mean."""

    def __init__(self, names: Iterable[str]) -> None:
        words = [re.escape(_snake(name)).replace("_", "[_-]?") for name in names if name.strip()]
        any_of = "|".join(words) or "(?!)"
        self.name = re.compile(rf"(?:^|_)(?:{any_of})(?:_|$)")
        name = rf"(?<![a-z0-9])(?:{any_of})(?:[_-]\w{{1,30}})?"
        quoted = r"""'[^'\n]{0,1024}'?|"[^"\n]{0,1024}"?"""
        self.pair = re.compile(
            rf"(?i)({name}\s?=\s?)(?:(?:bearer|basic)\s+)?(?:{quoted}|[^\s,;&'\"()<>\]}}]+)"
            rf"|({name}['\"]?\s?:\s?)(?:{quoted}|(?:bearer|basic)\s+\S+)"
        )


def redact_names(names: Iterable[str] = NAMES) -> None:
    """From now on, fields that have one of *names* are sensitive without a declaration, and no others."""
    global _rules  # noqa: PLW0603 - of the process, like the configuration of its logs
    _rules = _Rules(names)
    is_secret.cache_clear()


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a field of this *name* is sensitive without a declaration."""
    return _rules.name.search(_snake(name[:200])) is not None


def _snake(name: str) -> str:
    return _SEAMS.sub("_", name.strip()).lower()


_SEAMS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_rules = _Rules(NAMES)


# ── text ──
_USER = re.compile(r"://[^\s:@/?#'\"<>]{0,256}:")
_END_OF_URL = re.compile(r"[\s'\"<>]")
_LONGEST_PASSWORD = 1_024
_INPUT = re.compile(r"(, input_value=).{0,300}(?=, input_type=)|(?<=\[)(input_value=).{0,300}(?=, input_type=)")


def masked(text: str, most: int = MOST_TEXT) -> str:
    """*text* without the passwords of URLs, without what is said of a sensitive name (`password=…`), without the values that
    pydantic quotes; at most so many characters."""
    size = len(text)
    if size > most:
        text = text[: most + _SLACK]  # what begins before the cut is still recognised
    if "://" in text and "@" in text:
        text = _without_passwords(text)
    if "=" in text or ":" in text:
        text = _rules.pair.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)
    if "input_value=" in text:
        text = _INPUT.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)
    return text if size <= most else f"{text[:most]}… ({size:,} characters)"


def _without_passwords(text: str) -> str:
    """*text* without what stands between `://user:` and the last `@` of a URL.

    By hand, as an expression would begin anew at each `://`: here every `@` and every end of a URL is looked for once.
    """
    parts: list[str] = []
    told, at, end = 0, -1, -1
    user = _USER.search(text)
    while user:
        start = user.end()
        if at < start and (at := text.find("@", start)) < 0:
            break
        if end < start:
            found = _END_OF_URL.search(text, start)
            end = found.start() if found else len(text)
        last = min(start + _LONGEST_PASSWORD + 1, end)
        if at < last:
            at = text.rfind("@", start, last)
            parts += text[told:start], HIDDEN
            told = at
            user = _USER.search(text, at)
        else:
            user = _USER.search(text, start - 1)
    return "".join((*parts, text[told:]))


# ── values ──
def redacted(
    value: Any,
    names: Set[str] = frozenset(),
    most: int = MOST_TEXT,
    *,
    items: int = _MOST_ITEMS,
    deepest: int = _DEEPEST,
) -> Any:
    """*value* as it may be shown: models, Structs and dataclasses as mappings, objects by their `repr`. What is left out
    says so where it was.

    Args:
        value: anything.
        names: names of further sensitive fields, at whatever depth.
        most: most characters of a text.
        items: most members of mappings and lists, in all.
        deepest: most levels of mappings and lists.
    """
    return _Walk(names, most, items, deepest).show(value, 0)


class _Walk:
    """One way through a value, which may be large, deep, or contain itself."""

    def __init__(self, names: Set[str], most: int, items: int, deepest: int) -> None:
        self._names = names
        self._most = most
        self._most_name = _LONGEST_NAME if most <= MOST_TEXT else most
        self._left = items
        self._deepest = deepest

    def show(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return masked(value, self._most)
        if kind in _AS_THEY_ARE:
            return value
        try:
            return self._show_other(value, depth)
        except Exception as error:
            return f"<a {kind.__name__} that cannot be shown: {type(error).__name__}>"

    def _show_other(self, value: Any, depth: int) -> Any:
        if isinstance(value, Enum):
            return self.show(value.value, depth + 1)
        if isinstance(value, str):
            return masked(str(value), self._most)
        if isinstance(value, _AS_THEY_ARE):
            return value
        if depth >= self._deepest:
            return "… (nested too deeply)"
        if isinstance(value, Mapping):
            return self._items(value.items(), depth)
        kind: Any = type(value)
        fields = fields_of_class(kind) if not isinstance(value, type) else ()
        if fields:
            here = getattr(value, "__dict__", {})
            undeclared = getattr(value, "__pydantic_extra__", None) or {}
            return {one.name: self._field(value, here, one, depth) for one in fields} | self._items(
                undeclared.items(), depth
            )
        if isinstance(value, list | tuple | set | frozenset):
            shown = [self.show(one, depth + 1) for one in self._few(value)]
            return shown if len(shown) == len(value) else [*shown, _more(len(value) - len(shown))]
        return masked(repr(value), self._most)

    def _field(self, value: Any, here: Mapping[str, Any], field: FieldNames, depth: int) -> Any:
        if field.is_sensitive or self._is_hidden(field.name) or not self._names.isdisjoint(field.aliases):
            return HIDDEN
        return self.show(here[field.name] if field.name in here else getattr(value, field.name, None), depth + 1)

    def _items(self, items: Collection[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        shown, seen = {}, 0
        for name, one in self._few(items):
            text = name if isinstance(name, str) else repr(name)
            shown[masked(text, self._most_name)] = HIDDEN if self._is_hidden(text) else self.show(one, depth + 1)
            seen += 1
        if seen < len(items):
            shown["…"] = _more(len(items) - seen)
        return shown

    def _few(self, many: Iterable[Any]) -> Iterable[Any]:
        for one in many:
            if self._left <= 0:
                return
            self._left -= 1
            yield one

    def _is_hidden(self, name: str) -> bool:
        return name in self._names or is_secret(name)


def _more(count: int) -> str:
    return f"… ({count:,} more)"
