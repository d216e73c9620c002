"""Text that comes from anywhere, made fit for a page: cut, and in pieces, so that what would act instead of being read is
shown as its escape. Escaping for HTML is the templates' business."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\uf8ff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\U000f0000-\U0010ffff]+"
)
"""Control and format characters, marks of direction, private and lone halves of characters; not tab and line feed."""

Piece = tuple[bool, str]


def pieces(value: object, most: int = 300) -> list[Piece]:
    """*value* as text in pieces, each with whether it is the escape of something that would act.

    Args:
        value: anything; `None` is empty.
        most: most characters of it; a last piece says how many it has if that is more.
    """
    text = "" if value is None else value if isinstance(value, str) else str(value)
    length = len(text)
    if length > most:
        text = text[:most]
    found: list[Piece] = []
    end = 0
    for match in ACTING.finditer(text):
        if match.start() > end:
            found.append((False, text[end : match.start()]))
        found.append((True, "".join(map(escape_of, match[0]))))
        end = match.end()
    if end < len(text):
        found.append((False, text[end:]))
    if length > most:
        found.append((True, f" … {length:,} characters"))
    return found


def escape_of(one: str) -> str:
    """A character by its number: `\\x1b`, `\\u202e`."""
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def plain(value: object, most: int = 300) -> str:
    """*value* as `pieces` shows it, as one text."""
    return "".join(piece for _, piece in pieces(value, most))


def as_json(value: Any, most: int = 20_000) -> str:
    """*value* as indented JSON for a person; what would act is an escape of JSON. Never fails; is cut only if it cannot be
    said as JSON."""
    try:
        text = msgspec.json.format(encoded(value), indent=2).decode("utf-8", "replace")
        return ACTING.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), text)
    except Exception as error:  # nested too deeply for the formatter
        return f"{str(value)[:most]}  ({type(error).__name__})"


def encoded(value: Any) -> bytes:
    """*value* as JSON, whatever it is: what JSON cannot say is said as text."""
    try:
        return msgspec.json.encode(value, enc_hook=_as_text)
    except Exception:
        return msgspec.json.encode(_mild(value, 0), enc_hook=_as_text)


def _as_text(value: Any) -> Any:
    return plain(value)


def _mild(value: Any, depth: int) -> Any:
    """*value* without lone halves of characters, without huge numbers, and not nested beyond reason."""
    if depth > 60:
        return "…"
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return (
            value if -(2**63) <= value < 2**64 else str(value)[:100] if value.bit_length() < 10_000 else "a huge number"
        )
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(_mild(name, depth + 1)): _mild(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mild(one, depth + 1) for one in value]
    if isinstance(value, msgspec.Struct):
        return _mild(msgspec.structs.asdict(value), depth)
    return plain(value)
