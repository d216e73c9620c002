"""Lines of figures over time, as the coordinates of an SVG. Where nothing was read there is a gap, not a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Figure = tuple[int, float | None]
"""A moment in milliseconds, and what was read; `None` if it was not known."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line to draw.

    Attributes:
        line: the `d` of its path; empty if there is nothing to draw.
        area: the `d` of what is below it.
        last: the last figure.
        most: the highest figure of all that is drawn together.
    """

    line: str
    area: str
    last: float | None
    most: float


def lines_of(
    series: Sequence[Sequence[Figure]], until_ms: int, *, width: int, height: int, window_ms: int, gap_ms: int
) -> list[Line]:
    """Lines on one scale, from 0 to the highest figure among them.

    Args:
        series: the figures of each line, the oldest first.
        until_ms: moment at the right border.
        width, height: of the drawing.
        window_ms: how much time it shows.
        gap_ms: figures further apart than this are not joined.
    """
    begin = until_ms - window_ms
    seen = [[(at, value) for at, value in one if at >= begin] for one in series]
    most = max((value for one in seen for _, value in one if value is not None), default=0.0)
    return [_line(one, begin, most, width, height, window_ms, gap_ms) for one in seen]


def _line(
    figures: Sequence[Figure], begin: int, most: float, width: int, height: int, window_ms: int, gap_ms: int
) -> Line:
    parts: list[list[tuple[float, float]]] = []
    before: int | None = None
    for at, value in figures:
        if value is None:
            before = None
            continue
        if before is None or at - before > gap_ms:
            parts.append([])
        y = height - 1 - (height - 2) * (value / most if most else 0)
        parts[-1].append((round((at - begin) / window_ms * width, 1), round(y, 1)))
        before = at
    drawn = [part if len(part) > 1 else [(part[0][0] - 1, part[0][1]), part[0]] for part in parts]
    line = " ".join("M" + " L".join(f"{x:g},{y:g}" for x, y in part) for part in drawn)
    area = " ".join(
        f"M{part[0][0]:g},{height} L" + " L".join(f"{x:g},{y:g}" for x, y in part) + f" L{part[-1][0]:g},{height} Z"
        for part in drawn
    )
    known = [value for _, value in figures if value is not None]
    return Line(line, area, known[-1] if known else None, most)
