"""`nooble status`: one reading as a person reads it. What the tables say is decided here, for `top` too."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

from nooble.cli import human
from nooble.cli.failures import OK
from nooble.cli.harmless import harmless, shortened
from nooble.cli.operating import as_json, do, place_of, several
from nooble.cli.screen import Cell, show_table
from nooble.cli.servers import Wish
from nooble.config import CommonAppSettings
from nooble.operations.reading import Problem, Rates, Reading, Server, Service
from nooble.operations.system import System

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")
Row = tuple[Cell, ...]

NUMBERS = frozenset(
    {"in/s", "done/s", "trend", "waiting", "oldest", "at work", "retries", "dead", "workers", "idle", "deliveries"}
)
_NAME, _TEXT = 60, 400
_MOST_PROBLEMS, _MOST_PENDING = 12, 5


def status(names: Sequence[str], wish: Wish | None, json: bool) -> int:
    """Show how services stand."""
    settings, services = place_of(names, wish)
    reading = do(settings, lambda redis: read(redis, settings, services))
    if json:
        typer.echo(as_json(reading))
        return OK
    missing = [name for name in services if name not in {service.name for service in reading.services}]
    if reading.services:
        headers, rows = overview(reading)
        show_table(headers, rows, NUMBERS)
    elif not missing:
        place = f"{reading.prefix}:{reading.environment}"
        typer.echo(
            f"No service is known under {place}; `nooble run` starts one, `nooble send` writes its first action."
        )
    for name in missing:
        typer.echo(f"Nothing of {harmless(name)} is there: no worker has served it, and nothing was sent to it.")
    if services:
        for service in reading.services:
            _show_service(service, reading.at_ms)
    if reading.problems:
        typer.echo()
    for text, style in problem_lines(reading.problems):
        typer.secho(text, fg=style if style and sys.stdout.isatty() else None)
    typer.echo(f"\n{server_line(reading.server)}")
    if reading.cut:
        typer.echo(
            "The server holds so many keys that there may be services which were not found; name them.", err=True
        )
    return OK


async def read(redis: Redis, settings: CommonAppSettings, services: Sequence[str]) -> Reading:
    """One reading."""
    async with System(redis, settings) as system:
        return await system.read(services)


# ── the table of services ──
def overview(
    reading: Reading,
    rates: Mapping[str, Rates] | None = None,
    trends: Mapping[str, str] | None = None,
    services: Iterable[Service] | None = None,
) -> tuple[tuple[str, ...], list[Row]]:
    """Headers and rows of the table of services.

    Args:
        reading: what was read.
        rates: how fast they are; without it there is no such column.
        trends: a small picture of that, by service.
        services: which of them; all by default.
    """
    headers: tuple[str, ...] = ("service",)
    if rates is not None:
        headers += ("in/s", "done/s", "trend") if trends else ("in/s", "done/s")
    headers += ("waiting", "oldest", "at work", "retries", "dead", "workers")
    rows = []
    for service in reading.services if services is None else services:
        row: Row = (shortened(service.name, _NAME),)
        if rates is not None:
            pace = rates.get(service.name, Rates())
            row += (human.rate(pace.added), human.rate(pace.ended))
            row += (trends.get(service.name, ""),) if trends else ()
        rows.append(row + _standing(service, reading.at_ms))
    return headers, rows


def _standing(service: Service, at_ms: int) -> Row:
    stream = service.stream
    if service.unread and not stream.length and not service.dead.count:
        return (("cannot be read", "red"), "", "", "", "", "")
    waiting = max(0, stream.length - stream.pending) if stream.lag is None else stream.lag
    oldest = "-" if stream.oldest_waiting_ms is None else human.duration(stream.oldest_waiting_ms)
    overdue = service.retries.next_due_ms is not None and service.retries.next_due_ms < at_ms - 10_000
    return (
        human.number(waiting),
        oldest,
        human.number(stream.pending),
        (human.number(service.retries.count), "yellow" if overdue else ""),
        (human.number(service.dead.count), "red" if service.dead.recent else ""),
        _crew(service),
    )


def _crew(service: Service) -> Cell:
    """How many workers there are, and how they are."""
    working = sum(worker.state == "working" for worker in service.workers)
    if not service.workers:
        unregistered = sum(one.ours and one.alive for one in service.stream.consumers)
        if unregistered:
            return str(unregistered)
        return ("none", "red" if service.stream.length or service.retries.count else "dim")
    others = sorted({shortened(worker.state, 20) for worker in service.workers if worker.state != "working"})
    text = str(len(service.workers))
    if others:
        text += f" ({len(service.workers) - working} {', '.join(others)})"
    return (text, "" if working else "yellow")


# ── one service ──
def _show_service(service: Service, at_ms: int) -> None:
    typer.echo(f"\n{shortened(service.name, _NAME)}")
    if service.unread:
        typer.echo(f"  cannot be read: {shortened(service.unread, _TEXT)}")
    if service.retries.next_due_ms is not None:
        left = service.retries.next_due_ms - at_ms
        when = f"in {human.duration(left)}" if left > 0 else f"since {human.duration(-left)}"
        typer.echo(f"  {several(service.retries.count, 'retry', 'retries')}, the first due {when}")
    if service.dead.count:
        ago = (
            "" if service.dead.newest_ms is None else f", the last {human.duration(at_ms - service.dead.newest_ms)} ago"
        )
        reasons = ", ".join(f"{count:,} {shortened(name, 40)}" for name, count in service.dead.by_reason.items())
        typer.echo(f"  {several(service.dead.count, 'dead letter')}{ago}: {reasons}")
    if service.workers:
        typer.echo()
        show_workers([service], at_ms)
    pendings = sorted(service.stream.pendings, key=lambda one: -one.idle_ms)[:_MOST_PENDING]
    if pendings:
        busy = {one.entry_id: one.action_type for worker in service.workers for one in worker.at_work}
        rows = [
            (
                one.entry_id,
                shortened(busy.get(one.entry_id, ""), _NAME),
                short_name(one.consumer, service.name),
                human.duration(one.idle_ms),
                str(one.deliveries),
            )
            for one in pendings
        ]
        typer.echo()
        show_table(("held longest", "action", "by", "idle", "deliveries"), rows, NUMBERS)


WORKER_HEADERS: tuple[str, ...] = ("worker", "service", "state", "where", "busy", "taken", "memory", "up", "beat")
WORKER_NUMBERS = frozenset({"busy", "taken", "memory", "up", "beat"})


def show_workers(services: Sequence[Service], at_ms: int) -> bool:
    """Show who works, with the service of each if there are several. Returns whether there is anybody."""
    headers, rows = WORKER_HEADERS, worker_rows(services, at_ms)
    if len(services) == 1:
        headers, rows = without(headers, 1), [without(row, 1) for row in rows]
    if rows:
        show_table(headers, rows, WORKER_NUMBERS)
    return bool(rows)


def without(row: tuple[T, ...], at: int) -> tuple[T, ...]:
    """*row* without one of its cells."""
    return row[:at] + row[at + 1 :]


def worker_rows(services: Iterable[Service], at_ms: int) -> list[Row]:
    """The rows of a table of workers: those of the registry, then consumers of the group that are not in it and alive or
    hold something."""
    rows: list[Row] = []
    for service in services:
        for worker in service.workers:
            rows.append(
                (
                    short_name(worker.consumer, service.name),
                    shortened(service.name, _NAME),
                    (shortened(worker.state, 20), "" if worker.state == "working" else "yellow"),
                    f"{shortened(worker.host, 40)}:{worker.pid}",
                    f"{worker.busy}/{worker.concurrency}",
                    human.number(worker.taken),
                    human.size(worker.rss) if worker.rss else "-",
                    human.duration(at_ms - worker.started_ms) if worker.started_ms else "-",
                    human.duration(at_ms - worker.beat_ms) if worker.beat_ms else "-",
                )
            )
        known = {worker.consumer for worker in service.workers}
        for one in service.stream.consumers:
            if one.name not in known and (one.alive or one.pending):
                state = "not registered" if one.alive else "gone"
                rows.append(
                    (
                        short_name(one.name, service.name),
                        shortened(service.name, _NAME),
                        (state if one.ours else "another program's", "dim" if one.alive else "yellow"),
                        "",
                        str(one.pending),
                        "",
                        "",
                        "",
                        human.duration(one.idle_ms),
                    )
                )
    return rows


def short_name(consumer: str, service: str) -> str:
    """The part of the name of a worker that tells it from others of its service."""
    return shortened(consumer.removeprefix(f"{service}-worker-"), _NAME)


# ── what needs somebody ──
def problem_lines(problems: Sequence[Problem], most: int = _MOST_PROBLEMS) -> list[tuple[str, str]]:
    """Lines and their colours: for each problem what it is, and what to do about it."""
    lines = []
    for problem in problems[:most]:
        whose = shortened(problem.service or f"server, {problem.code}", _NAME)
        style = "red" if problem.grave else "yellow"
        lines.append((f"{'!!' if problem.grave else '! '} {whose}: {shortened(problem.text, _TEXT)}", style))
        if problem.mend:
            lines.append((f"   → {shortened(problem.mend, _TEXT)}", ""))
    if len(problems) > most:
        lines.append((f"   and {len(problems) - most} more; --json tells all", "yellow"))
    return lines


def server_line(server: Server) -> str:
    """The server in one line."""
    name = f"{server.kind or 'server'} {server.version}".strip()
    memory = human.size(server.memory_used) + (f" of {human.size(server.memory_limit)}" if server.memory_limit else "")
    parts = [f"{shortened(name, _NAME)} at {shortened(server.address, _TEXT)}"]
    parts += [f"{memory} of memory"] if server.memory_used is not None else []
    parts += [several(server.clients, "client")] if server.clients is not None else []
    parts += (
        [f"{human.number(server.commands_per_second)} commands/s"] if server.commands_per_second is not None else []
    )
    parts.append(f"answers in {server.round_trip_ms:.1f} ms")
    return ", ".join(parts)
