"""Numbers as people read them: durations, sizes, counts and rates, short enough for a column. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES = ("B", "kB", "MB", "GB", "TB")
_BARS = "▁▂▃▄▅▆▇█"
_LAST_MOMENT = 253_402_300_799_000


def duration(ms: float | None) -> str:
    """A span of time: `12 ms`, `3.2 s`, `45 s`, `5 min`, `2 h 5 min`, `3 d 4 h`; `-` if it is not known."""
    if ms is None:
        return "-"
    ms = max(0, ms)
    if ms < 999.5:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    for at, (unit, name) in enumerate(_SPANS):
        if seconds >= unit:
            whole, rest = divmod(seconds, unit)
            smaller, small_name = _SPANS[at + 1] if at + 1 < len(_SPANS) else (1, "s")
            more = rest // smaller
            return f"{whole} {name}" + (f" {more} {small_name}" if more and whole < 10 and small_name != "s" else "")
    return f"{seconds} s"


def size(count: int | None) -> str:
    """So many bytes: `512 B`, `1.5 kB`, `64 MB`, in steps of 1024 as servers count; `-` if it is not known."""
    if count is None:
        return "-"
    value, unit = float(count), 0
    while value >= 1023.5 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_SIZES[unit]}" if value >= 9.95 or unit == 0 else f"{value:.1f} {_SIZES[unit]}"


def number(count: float | None) -> str:
    """A count in at most five characters: `123`, `12.3k`, `1.2M`; `-` if it is not known."""
    if count is None:
        return "-"
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= unit:
            value = count / (1e3 if name == "k" else unit)
            return f"{value:.0f}{name}" if value >= 99.95 else f"{value:.1f}{name}"
    return f"{count:.0f}"


def rate(per_second: float | None) -> str:
    """So many a second: `0`, `0.4`, `12`, `3.4k`; `-` if it is not known."""
    if per_second is None:
        return "-"
    return f"{per_second:.1f}" if 0 < per_second < 9.95 else number(per_second)


def moment(ms: int | None) -> str:
    """A moment by the clock on the wall here; `-` if it is not known."""
    if ms is None:
        return "-"
    return f"{datetime.fromtimestamp(max(0, min(ms, _LAST_MOMENT)) / 1000).astimezone():%Y-%m-%d %H:%M:%S}"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The last *width* values as a row of bars, the highest of them the tallest; what is not known is a gap."""
    shown = list(values)[-width:]
    top = max((value for value in shown if value), default=0.0)
    bars = ""
    for value in shown:
        if value is None:
            bars += " "
        else:
            bars += _BARS[min(len(_BARS) - 1, int(value / top * (len(_BARS) - 1) + 0.5))] if top else _BARS[0]
    return bars.rjust(width)
