"""`nooble top`: one reading after the other, with how fast services are; on a terminal it stays in its place, elsewhere
every reading is a table or a line of its own."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import typer

from nooble.cli import human
from nooble.cli.failures import OK, complain, told
from nooble.cli.interrupts import Interrupts
from nooble.cli.operating import as_line, do, place_of
from nooble.cli.screen import show_table, table_of
from nooble.cli.servers import Wish
from nooble.cli.status import NUMBERS, overview, problem_lines, server_line, without
from nooble.errors import ServerUnavailable
from nooble.operations.reading import Rates, Reading, Service, rates_between
from nooble.operations.system import System

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from rich.console import RenderableType

_KEPT = 120
_TREND, _SHORT_TREND = 20, 8
_WIDE = 100
"""Columns from which on the table shows all that it has."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A reading, and how fast services were since the one before.

    Attributes:
        reading: what was read.
        rates: by service; empty the first time.
    """

    reading: Reading
    rates: Mapping[str, Rates] = {}


class Trends:
    """How fast services have been, reading after reading."""

    def __init__(self) -> None:
        self._ended: dict[str, deque[float | None]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def add(self, look: Look) -> None:
        """Remember what a look has found."""
        for service in look.reading.services:
            self._ended[service.name].append(look.rates.get(service.name, Rates()).ended)
        for name in set(self._ended) - {service.name for service in look.reading.services}:
            del self._ended[name]

    def drawn(self, width: int) -> dict[str, str]:
        """A small picture for each service."""
        return {name: human.sparkline(list(values)[-width:], width) for name, values in self._ended.items()}


def top(names: Sequence[str], wish: Wish | None, *, interval: float, count: int | None, json: bool) -> int:
    """Watch services until somebody says stop."""
    settings, services = place_of(names, wish)
    lively = sys.stdout.isatty() and not json

    async def watch(redis: Redis) -> None:
        with Interrupts() as interrupts:
            async with System(redis, settings) as system:
                looks = _looks(lambda: system.read(services), interval, count, interrupts.stopping)
                if lively:
                    await _show_live(looks, interval, lambda: interrupts.stop("q"))
                else:
                    await _show_each(looks, json)

    do(settings, watch)
    return OK


async def _looks(
    read: Callable[[], object], interval: float, count: int | None, stopping: asyncio.Event
) -> AsyncIterator[Look | ServerUnavailable]:
    """Readings, and outages between them. The first has to succeed.

    Raises:
        ServerUnavailable: it does not.
    """
    before: Reading | None = None
    made = 0
    while not stopping.is_set():
        try:
            reading: Reading = await read()  # type: ignore[misc]
        except ServerUnavailable as error:
            if before is None:
                raise
            yield error
        else:
            yield Look(reading=reading, rates=rates_between(before, reading) if before else {})
            before, made = reading, made + 1
        if made == count:
            return
        try:
            await asyncio.wait_for(stopping.wait(), interval)
        except TimeoutError:
            pass


# ── on a terminal ──
async def _show_live(looks: AsyncIterator[Look | ServerUnavailable], interval: float, stop: Callable[[], None]) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console, trends, shown = Console(), Trends(), None
    with _keys(stop), Live(console=console, screen=True, auto_refresh=False) as live:
        async for look in looks:
            if isinstance(look, ServerUnavailable):
                lost = Text(f"the server is away: {look}", style="red")
                live.update(Group(lost, shown) if shown else lost, refresh=True)
                continue
            trends.add(look)
            shown = _screen(look, trends, interval, console.width, console.height)
            live.update(shown, refresh=True)


def _screen(look: Look, trends: Trends, interval: float, width: int, height: int) -> RenderableType:
    """What is shown in a terminal of this size."""
    from rich.console import Group
    from rich.text import Text

    reading = look.reading
    problems = problem_lines(reading.problems, most=max(3, height // 4))
    room = max(1, height - len(problems) - 7)
    services = shown_of(reading.services, room)
    headers, rows = overview(
        reading, look.rates, trends.drawn(_TREND if width >= _WIDE else _SHORT_TREND) or None, services
    )
    if width < _WIDE and "in/s" in headers:  # what comes in shows in what waits
        at = headers.index("in/s")
        headers, rows = without(headers, at), [without(row, at) for row in rows]
    title = f"nooble top  {human.moment(reading.at_ms)}  every {human.duration(interval * 1000)}  q ends"
    parts: list[RenderableType] = [Text(title, style="bold"), Text(server_line(reading.server), style="dim"), Text()]
    parts.append(table_of(headers, rows, NUMBERS, is_narrow=width < _WIDE))
    if len(services) < len(reading.services):
        parts.append(Text(f"and {len(reading.services) - len(services)} more services", style="dim"))
    parts.append(Text())
    parts += [Text(text, style=style, overflow="ellipsis", no_wrap=True) for text, style in problems]
    return Group(*parts)


def shown_of(services: Sequence[Service], room: int) -> Sequence[Service]:
    """The services for which there is room; if not for all, those with problems and with the most work before others."""
    if len(services) <= room:
        return services
    return sorted(services, key=lambda one: (not one.problems, -one.stream.length, one.name))[:room]


@contextmanager
def _keys(stop: Callable[[], None]) -> Iterator[None]:
    """Inside of the block q stops it, if somebody can press it."""
    try:
        import termios
        import tty

        number = sys.stdin.fileno()
        before = termios.tcgetattr(number)
    except (ImportError, OSError, ValueError):  # no terminal, or none of this kind
        yield
        return
    loop = asyncio.get_running_loop()
    tty.setcbreak(number)
    loop.add_reader(number, lambda: stop() if sys.stdin.read(1).lower() in ("q", "") else None)
    try:
        yield
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)


# ── elsewhere ──
async def _show_each(looks: AsyncIterator[Look | ServerUnavailable], json: bool) -> None:
    async for look in looks:
        if isinstance(look, ServerUnavailable):
            complain(told(look))
        elif json:
            typer.echo(as_line(look))
        else:
            typer.echo(f"{human.moment(look.reading.at_ms)}  {server_line(look.reading.server)}")
            headers, rows = overview(look.reading, look.rates)
            show_table(headers, rows, NUMBERS)
            for text, _ in problem_lines(look.reading.problems):
                typer.echo(text)
            typer.echo()
