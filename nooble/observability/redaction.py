"""What a log line may say: nothing sensitive, and nothing that a terminal would obey. Processors for structlog, in the
configuration of `init_logging` and for configurations of one's own."""

from __future__ import annotations

import re
from typing import Any

from nooble.models.context import find_context
from nooble.models.redaction import HIDDEN, MOST_TEXT, is_secret, masked, redact_names, redacted
from nooble.models.sensitive import Sensitive, names_of

__all__ = ["Sensitive", "printable", "printable_line", "redact_line", "redact_names", "redacted", "unmistakable"]

_MOST_TRACEBACK = 100_000
"""Most characters of a traceback."""


def redact_line(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor that hides what is sensitive, in values of any kind and in tracebacks. To be put behind what
    renders exceptions, and before what renders the line."""
    context = find_context()
    names = _NONE if context is None else names_of(context.message.action_type)
    changed: dict[str, Any] = {}
    for name, value in line.items():  # nearly all are short and plain: they are looked at, and left alone
        if is_secret(name) or name in names:
            changed[name] = HIDDEN
        elif type(value) is str:
            if (":" in value or "=" in value or len(value) > MOST_TEXT) and name != "timestamp":
                changed[name] = masked(value, _MOST_TRACEBACK if name == "exception" else MOST_TEXT)
        elif type(value) not in _PLAIN:
            changed[name] = redacted(value, names)
    line.update(changed)
    return line


_NONE: frozenset[str] = frozenset()
_PLAIN = (int, float, bool, type(None))


def printable_line(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor for lines that people read: nothing in them moves the cursor, colours the screen, turns the
    direction of the text, or begins a line. Tracebacks keep their lines, indented, so that none can pass for another."""
    blocks = {name: text for name in ("exception", "stack") if isinstance(text := line.pop(name, None), str)}
    return {
        **{printable(name): _printable_value(value) for name, value in line.items()},
        **{name: "\n".join(f"    {printable(one)}" for one in text.split("\n")) for name, text in blocks.items()},
    }


def _printable_value(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return _Ready(printable(repr(value)))
    text = printable(value)
    return value if text == value else _Ready(f'"{text}"')


class _Ready:
    """Text that is shown as it is: a renderer that shows the `repr` of what has blanks would escape it once more."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def printable(text: str) -> str:
    """*text* with everything that a terminal could obey written as an escape: control characters, escape sequences, marks of
    direction, separators of lines."""
    return text if text.isascii() and text.isprintable() else _OBEYED.sub(_escaped, text)


def unmistakable(json: bytes) -> bytes:
    """*json* with such characters as escapes of JSON: JSON itself allows most of them to stand as they are."""
    if json.isascii() and b"\x7f" not in json:
        return json
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.decode()).encode()


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
