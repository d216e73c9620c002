"""Text that comes from anywhere, made safe for a terminal: what would move the cursor, change colours, turn the direction of
writing or not be seen at all is shown as its escape."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of characters that do something instead of being something to read."""


def harmless(text: str, *, lines: bool = False) -> str:
    """*text* with every such character as its escape, e.g. `\\x1b` or `\\u202e`.

    Args:
        text: anything.
        lines: leave line ends and tabs as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if (lines and one in "\n\t") or not _acts(one) else _escaped(one) for one in text)


def shortened(text: str, most: int, *, lines: bool = False) -> str:
    """As `harmless`, and no longer than some *most* characters: of a longer text its beginning, and how long it is."""
    if len(text) <= most:
        return harmless(text, lines=lines)
    return f"{harmless(text[:most], lines=lines)}… ({len(text):,} characters)"


def harmless_json(value: Any, indent: int | None = 2) -> str:
    """*value* as JSON that any parser reads back as *value*.

    Raises:
        TypeError: JSON cannot say it.
    """
    return escaped_json(json.dumps(value, indent=indent, ensure_ascii=False))


def escaped_json(document: str) -> str:
    """The same JSON *document*, such characters inside of its strings by escapes of JSON."""
    if document.isascii():
        return document.replace("\x7f", "\\u007f")
    return "".join(one if one == "\n" or not _acts(one) else json.dumps(one)[1:-1] for one in document)


def _acts(one: str) -> bool:
    return unicodedata.category(one) in _ACTING


def _escaped(one: str) -> str:
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
