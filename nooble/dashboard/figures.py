"""Numbers as people read them: counts, rates, bytes, spans of time and moments. Nothing is guessed: `None` is a dash."""

from __future__ import annotations

import datetime

_NONE = "–"
_LAST_MOMENT = 253_402_300_799_000


def count(value: float | None) -> str:
    """`12,345`; from a million on `1.2 M`."""
    if value is None:
        return _NONE
    if abs(value) >= 10_000_000_000:
        return f"{value / 1e9:,.0f} G"
    if abs(value) >= 1_000_000:
        return f"{value / 1e6:.1f} M"
    return f"{value:,.0f}"


def rate(value: float | None) -> str:
    """A number a second: `0`, `0.3`, `12.5`, `1,234`."""
    if value is None:
        return _NONE
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 0.05 else "<0.1"


def size(value: float | None) -> str:
    """Bytes: `512 B`, `1.4 KB`, `3.2 GB`."""
    if value is None:
        return _NONE
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(value) < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def span(ms: float | None) -> str:
    """A time: `0 ms`, `3.2 s`, `4 min`, `2 h 10 min`, `3 d 4 h`."""
    if ms is None:
        return _NONE
    if ms < 1000:
        return f"{max(0, ms):.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if hours < 1:
        return f"{minutes} min {int(seconds % 60)} s" if minutes < 10 and int(seconds % 60) else f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if days < 10 and hours % 24 else f"{days:,} d"


def ago(moment_ms: float | None, now_ms: float) -> str:
    """How long before *now_ms* a moment was, or how long after: `3 s ago`, `in 4 min`."""
    if not moment_ms:
        return _NONE
    apart = now_ms - moment_ms
    return f"in {span(-apart)}" if apart < -500 else f"{span(max(0, apart))} ago"


def moment(ms: float | None) -> str:
    """A moment in UTC: `2026-01-31 18:00:05`."""
    if not ms:
        return _NONE
    at = datetime.datetime.fromtimestamp(min(max(ms, 0), _LAST_MOMENT) / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def iso(ms: float | None) -> str:
    """A moment for machines."""
    if not ms:
        return ""
    at = datetime.datetime.fromtimestamp(min(max(ms, 0), _LAST_MOMENT) / 1000, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of_id(entry_id: str) -> int | None:
    """The moment with which the id of an entry begins; `None` if it does not look like one."""
    head = entry_id.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() and 10 <= len(head) <= 15 else None
