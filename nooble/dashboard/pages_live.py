"""The pages that live: everything on them comes from the shared reading, so that they cost the server nothing however many
people look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nooble.dashboard.asking import Ask, Missing, Shown
from nooble.dashboard.charts import Figure, Line, lines_of
from nooble.dashboard.history import ALL, POINTS, Point
from nooble.errors import NoobleError
from nooble.operations.reading import Problem, Rates, Reading, Service, Worker

MOST_MS, LEAST_MS = 5 * 60_000, 60_000
"""How much time a drawing shows at most, and at least: not more than was seen."""
_GAP_MS = 9_000
_SPARK_POINTS = 60
_MOST_ROWS = 200
_KEPT = ("waiting", "at work", "to be retried")


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of some lines.

    Attributes:
        title: what it shows.
        unit: of its figures: `rate` or `count`.
        lines: each with its name and its class.
        window_ms: how much time it shows.
        width, height: of the drawing.
    """

    title: str
    unit: str
    lines: Sequence[tuple[str, str, Line]]
    window_ms: int
    width: int = 600
    height: int = 120


# ── the pages ──
async def overview(ask: Ask) -> Shown:
    """All at one glance."""
    facts = _whole(ask)
    reading = ask.reading
    if reading is not None:
        facts |= {
            "services": [_row(ask, service) for service in reading.services[:_MOST_ROWS]],
            "left_out": max(0, len(reading.services) - _MOST_ROWS),
            "totals": _totals(ask, reading),
            "_charts": _charts(ask, ALL),
            "_sparks": _sparks(ask, ALL),
        }
    return Shown("overview.html", "Overview", facts, _status(ask))


async def services(ask: Ask) -> Shown:
    """Every service in a row."""
    reading = ask.reading
    rows = [_row(ask, service) for service in reading.services[:_MOST_ROWS]] if reading else []
    left_out = max(0, len(reading.services) - _MOST_ROWS) if reading else 0
    return Shown("services.html", "Services", _whole(ask) | {"services": rows, "left_out": left_out}, _status(ask))


async def service(ask: Ask) -> Shown:
    """One service: what it does, who does it, and how it goes."""
    found = ask.service()
    unread = ""
    try:
        routes = await ask.desk.routes(found.name)
    except NoobleError as error:
        routes, unread = (), str(error)
    facts = {
        "service": found,
        "rates": _rates(ask, found.name),
        "routes": routes,
        "routes_unread": unread,
        "_row": _row(ask, found),
        "_charts": _charts(ask, found.name),
        "_sparks": _sparks(ask, found.name),
    }
    return Shown("service.html", found.name, _whole(ask) | facts, _status(ask))


async def streams(ask: Ask) -> Shown:
    """Every stream and its group in a row."""
    reading = ask.reading
    rows = list(reading.services[:_MOST_ROWS]) if reading else []
    left_out = max(0, len(reading.services) - _MOST_ROWS) if reading else 0
    facts = {"services": rows, "left_out": left_out}
    return Shown("streams.html", "Streams and groups", _whole(ask) | facts, _status(ask))


async def stream(ask: Ask) -> Shown:
    """One stream: who holds what."""
    found = ask.service()
    facts = {"service": found, "_charts": _charts(ask, found.name)}
    return Shown("stream.html", f"Stream of {found.name}", _whole(ask) | facts, _status(ask))


async def workers(ask: Ask) -> Shown:
    """Every worker."""
    found = list(_workers(ask.reading.services if ask.reading else ()))
    facts = {"workers": found[:_MOST_ROWS], "left_out": max(0, len(found) - _MOST_ROWS)}
    return Shown("workers.html", "Workers", _whole(ask) | facts, _status(ask))


async def worker(ask: Ask) -> Shown:
    """One worker, and what it is busy with."""
    found = next((one for one in ask.service().workers if one.consumer == ask.path["consumer"]), None)
    if found is None:
        raise Missing("This worker has not given a sign of life lately: it has stopped, or was started anew.")
    return Shown("worker.html", "Worker", _whole(ask) | {"worker": found}, _status(ask))


async def server(ask: Ask) -> Shown:
    """The server."""
    return Shown("server.html", "Server", _whole(ask), _status(ask))


# ── parts ──
def _whole(ask: Ask) -> dict[str, Any]:
    """What every living page says of the whole."""
    reading = ask.reading
    if reading is None:
        return {"at_ms": None, "away": ask.seen.away, "server": None, "problems": (), "cut": False}
    return {
        "at_ms": reading.at_ms,
        "away": ask.seen.away,
        "prefix": reading.prefix,
        "environment": reading.environment,
        "server": reading.server,
        "problems": reading.problems,
        "cut": reading.cut,
    }


def _status(ask: Ask) -> int:
    return 503 if ask.seen.away or ask.reading is None else 200


def _rates(ask: Ask, name: str) -> Rates:
    return ask.seen.history.rates.get(name, Rates())


def _row(ask: Ask, service: Service) -> dict[str, Any]:
    return _figures(ask, service) | {"_spark": _spark(ask, service.name, "ended")}


def _figures(ask: Ask, service: Service) -> dict[str, Any]:
    stream = service.stream
    return {
        "name": service.name,
        "state": _state(service.problems),
        "problems": service.problems,
        "workers": len(service.workers),
        "busy": sum(worker.busy for worker in service.workers),
        "concurrency": sum(worker.concurrency for worker in service.workers),
        "rates": _rates(ask, service.name),
        "waiting": stream.lag if stream.lag is not None else max(0, stream.length - stream.pending),
        "oldest_waiting_ms": stream.oldest_waiting_ms,
        "pending": stream.pending,
        "oldest_pending_ms": stream.oldest_pending_ms,
        "retries": service.retries.count,
        "dead": service.dead.count,
        "unread": service.unread,
    }


def _state(problems: Iterable[Problem]) -> str:
    found = list(problems)
    return "trouble" if any(one.grave for one in found) else "look" if found else "fine"


def _totals(ask: Ask, reading: Reading) -> dict[str, Any]:
    rows = [_figures(ask, service) for service in reading.services]
    names = ("workers", "busy", "concurrency", "waiting", "pending", "retries", "dead")
    oldest = [row["oldest_waiting_ms"] for row in rows if row["oldest_waiting_ms"] is not None]
    return {
        "services": len(rows),
        **{name: sum(row[name] for row in rows) for name in names},
        "oldest_waiting_ms": max(oldest, default=None),
        "rates": _rates(ask, ALL),
    }


def _workers(found: Iterable[Service]) -> Iterable[Worker]:
    return (worker for service in found for worker in service.workers)


# ── drawings ──
def _charts(ask: Ask, name: str) -> list[Chart]:
    window = _window(ask)
    flow = _lines(ask, name, ("added", "ended"), 600, 120)
    kept = _lines(ask, name, ("waiting", "pending", "retries"), 600, 120)
    moving = [("sent", "c1", flow[0]), ("ended", "c2", flow[1])]
    standing = list(zip(_KEPT, ("c3", "c2", "c4"), kept, strict=True))
    return [
        Chart("Actions a second", "rate", moving, window),
        Chart("Not done yet", "count", standing, window),
    ]


def _sparks(ask: Ask, name: str) -> dict[str, Line]:
    return {one: _spark(ask, name, one) for one in ("added", "ended", "waiting", "pending", "retries", "dead")}


def _spark(ask: Ask, name: str, field: str) -> Line:
    return _lines(ask, name, (field,), 120, 24, most_points=_SPARK_POINTS)[0]


def _lines(
    ask: Ask, name: str, fields: Sequence[str], width: int, height: int, most_points: int = POINTS
) -> list[Line]:
    points = ask.seen.history.of(name)
    step = -(-len(points) // most_points) or 1
    thinned = points[(len(points) - 1) % step :: step]  # the last one is always among them
    until = ask.reading.at_ms if ask.reading else 0
    series = [_series(thinned, field) for field in fields]
    return lines_of(series, until, width=width, height=height, window_ms=_window(ask), gap_ms=_GAP_MS * step)


def _window(ask: Ask) -> int:
    points = ask.seen.history.of(ALL)
    until = ask.reading.at_ms if ask.reading else 0
    known = [point.at_ms for point in points if point.at_ms >= until - MOST_MS]
    return max(LEAST_MS, until - known[0]) if known else LEAST_MS


def _series(points: Sequence[Point], field: str) -> list[Figure]:
    return [(point.at_ms, getattr(point, field)) for point in points]
