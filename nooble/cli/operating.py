"""What the commands have in common that look at a running system or change it: which services are meant, the way to the
server, and how a person is asked and kept informed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import typer

from nooble.cli.failures import Failure, Misuse
from nooble.cli.harmless import escaped_json, harmless
from nooble.cli.named import settings_named
from nooble.cli.screen import is_somebody_here
from nooble.cli.servers import Wish
from nooble.cli.settings import own_settings
from nooble.clients import RedisManager
from nooble.config import CommonAppSettings
from nooble.errors import ServerUnavailable
from nooble.observability.logging import init_logging

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")


def place_of(names: Sequence[str], wish: Wish | None) -> tuple[CommonAppSettings, tuple[str, ...]]:
    """The settings that lead to the services *names*, or to all of them if none is named, and their names.

    Raises:
        Misuse: they are not in one place.
    """
    if not names:
        return own_settings(wish)[0], ()
    settings = [settings_named(name, wish) for name in names]
    places = {(one.redis_url, one.queue_prefix, one.environment) for one in settings}
    if len(places) > 1:
        raise Misuse("these services have other servers, prefixes or environments; look at one place at a time")
    return settings[0], tuple(dict.fromkeys(one.service_name for one in settings))


def do(settings: CommonAppSettings, what: Callable[[Redis], Awaitable[T]], timeout: float | None = None) -> T:
    """Do *what* with a connection to the server of *settings*.

    Raises:
        ServerUnavailable: it cannot be reached, or not all is done within *timeout* seconds.
    """

    async def connected() -> T:
        try:
            async with asyncio.timeout(timeout) as limit, RedisManager(settings) as manager:
                return await what(await manager.get_redis_connection())
        except TimeoutError:
            if not limit.expired():
                raise
            raise ServerUnavailable(f"it did not answer within {timeout:g} s") from None

    init_logging(settings.log_level, log_format=settings.log_format, redact=settings.log_redact)
    return asyncio.run(connected())


# ── told ──
def as_json(value: Any, indent: int | None = 2) -> str:
    """A struct as JSON in which nothing acts on a terminal."""
    document = msgspec.json.encode(value, enc_hook=str)
    return escaped_json((document if indent is None else msgspec.json.format(document, indent=indent)).decode())


def as_line(value: Any) -> str:
    """A struct as one line of JSON."""
    return as_json(value, indent=None)


def tell_kept(kept: dict[str, str], told: Callable[[str], None]) -> None:
    """Why some stay as they were."""
    for name, why in kept.items():
        told(f"{harmless(name)} stays: {harmless(why)}")


# ── asked ──
def confirm(question: str) -> None:
    """Go on only if somebody says yes.

    Raises:
        Misuse: nobody is here.
        Failure: they do not.
    """
    _needs_somebody()
    if not typer.confirm(question, err=True):
        raise Failure("nothing was done")


def confirm_by_name(warning: str, name: str) -> None:
    """Go on only if somebody types *name*.

    Raises:
        Misuse: nobody is here.
        Failure: they type something else.
    """
    _needs_somebody()
    if typer.prompt(f"{warning} Type {name} to go on", err=True) != name:
        raise Failure("nothing was done: that was not its name")


def _needs_somebody() -> None:
    if not is_somebody_here():
        raise Misuse("nobody is here to confirm it; say --yes")


# ── kept informed ──
@contextmanager
def progress_bar(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; elsewhere nothing. Call what it gives with how much is done so far."""
    if not sys.stderr.isatty():
        yield lambda so_far: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total or None)
        yield lambda so_far: bar.update(task, completed=so_far)


def several(count: int, one: str, many: str = "") -> str:
    """So many of something, in words: `1 retry`, `2 retries`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
