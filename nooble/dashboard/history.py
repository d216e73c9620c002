"""What moved in the last minutes, kept in memory: a bounded ring of figures for each service, and for all together."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from nooble.operations.reading import Rates, Reading, Service, rates_between

POINTS = 180
"""Most points of a ring: six minutes, read every two seconds."""
MOST_SERVICES = 200
_TOO_LONG_AGO_MS = 30_000

ALL = ""
"""The name under which all services together are kept."""


class Point(msgspec.Struct, frozen=True):
    """What was read at one moment.

    Attributes:
        at_ms: that moment.
        added, ended, buried: a second, since the reading before.
        waiting: actions that nobody has been given yet.
        pending: actions that were delivered and have not ended.
        retries: actions that wait for their next attempt.
        dead: dead letters.
    """

    at_ms: int
    added: float | None
    ended: float | None
    buried: float | None
    waiting: int
    pending: int
    retries: int
    dead: int


class History:
    """The rings."""

    def __init__(self) -> None:
        self._rings: dict[str, deque[Point]] = {}
        self._before: Reading | None = None
        self.rates: Mapping[str, Rates] = {}

    def add(self, reading: Reading) -> None:
        """Take a reading into account. Rates are told only between readings that are not far apart."""
        before, self._before = self._before, reading
        near = before is not None and 0 < reading.at_ms - before.at_ms <= _TOO_LONG_AGO_MS
        self.rates = rates_between(before, reading) if before is not None and near else {}
        points = []
        for service in reading.services:
            point = _point(reading.at_ms, service, self.rates.get(service.name, Rates()))
            points.append(point)
            if service.name in self._rings or len(self._rings) < MOST_SERVICES + 1:
                self._ring(service.name).append(point)
        total = _total(reading.at_ms, points)
        self.rates = {**self.rates, ALL: Rates(added=total.added, ended=total.ended, buried=total.buried)}
        self._ring(ALL).append(total)
        there = {service.name for service in reading.services} | {ALL}
        for name in [name for name in self._rings if name not in there]:
            del self._rings[name]

    def of(self, service: str = ALL) -> Sequence[Point]:
        """The points of a service, or of all together, the oldest first."""
        return tuple(self._rings.get(service, ()))

    def _ring(self, name: str) -> deque[Point]:
        return self._rings.setdefault(name, deque(maxlen=POINTS))


def _point(at_ms: int, service: Service, rates: Rates) -> Point:
    stream = service.stream
    waiting = max(0, stream.length - stream.pending) if stream.lag is None else stream.lag
    return Point(
        at_ms,
        rates.added,
        rates.ended,
        rates.buried,
        waiting,
        stream.pending,
        service.retries.count,
        service.dead.count,
    )


def _total(at_ms: int, points: Sequence[Point]) -> Point:
    def together(name: str) -> float | None:
        known = [value for point in points if (value := getattr(point, name)) is not None]
        return sum(known) if known else None

    added, ended, buried = together("added"), together("ended"), together("buried")
    waiting, pending = sum(point.waiting for point in points), sum(point.pending for point in points)
    return Point(
        *(at_ms, added, ended, buried, waiting, pending),
        sum(point.retries for point in points),
        sum(point.dead for point in points),
    )
