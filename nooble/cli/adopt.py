"""`nooble adopt`: takes over a stream that the platform's code has used before, once a person has seen what that means."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Literal

import typer

from nooble import operations
from nooble.cli.failures import Failure, Misuse
from nooble.cli.named import settings_named
from nooble.cli.screen import is_somebody_here, show_json
from nooble.cli.servers import Wish
from nooble.clients import RedisManager
from nooble.config import CommonAppSettings
from nooble.observability.logging import init_logging
from nooble.operations import Adoption
from nooble.operations.standing import read_standing
from nooble.wire.redis_stream import Standing

Pending = Literal["bury", "replay", "leave"]
_FATES: dict[Pending, str] = {
    "bury": "are kept in the dead letters",
    "replay": "run again, at the end of the stream",
    "leave": "are left as they are",
}


def adopt(name: str, pending: Pending, idle: float, confirmed: bool, wish: Wish | None, as_json: bool) -> None:
    """Take over the stream of the service *name*, or of the one service of a target."""
    settings = settings_named(name, wish)
    init_logging(settings.log_level, log_format=settings.log_format, redact=settings.log_redact)
    standing = asyncio.run(_look(settings))
    if standing is None or not (standing.foreign or standing.history):
        done = Adoption()
    else:
        if not confirmed:
            _confirm(settings, standing, pending, idle)
        done = asyncio.run(_adopt(settings, pending, idle))
    if as_json:
        show_json(asdict(done))
    elif done == Adoption():
        typer.echo(f"There is nothing to adopt in the stream of {settings.service_name}.")
    else:
        typer.echo(f"Adopted: {_told(done)}.")


async def _look(settings: CommonAppSettings) -> Standing | None:
    async with RedisManager(settings) as manager:
        return await read_standing(await manager.get_redis_connection(), settings)


async def _adopt(settings: CommonAppSettings, pending: Pending, idle: float) -> Adoption:
    async with RedisManager(settings) as manager:
        redis = await manager.get_redis_connection()
        with _progress() as progress:
            return await operations.adopt(redis, settings, pending=pending, idle_seconds=idle, progress=progress)


# ── talking to a person ──
def _confirm(settings: CommonAppSettings, standing: Standing, pending: Pending, idle: float) -> None:
    service = settings.service_name
    typer.echo(f"The stream of {service} in {settings.environment} holds {standing.entries} entries.", err=True)
    for consumer, count in standing.foreign.items():
        typer.echo(f"  {count} left pending by {consumer}: {_FATES[pending]}, if idle for {idle:g} s", err=True)
    if standing.history:
        typer.echo("  those that were acknowledged are deleted", err=True)
    typer.echo("This cannot be undone. Workers of the platform's own code must have been stopped.", err=True)
    if not is_somebody_here():
        raise Misuse("nobody is here to confirm it; say --yes")
    if typer.prompt(f"Type {service} to go on", err=True) != service:
        raise Failure("nothing was done: that was not its name")


@contextmanager
def _progress() -> Iterator[Callable[[Adoption], None] | None]:
    """What was done so far, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("Adopting …") as status:
        yield lambda so_far: status.update(f"Adopting … {_told(so_far)}")


def _told(adoption: Adoption) -> str:
    return f"{adoption.ended} pending entries ended, {adoption.gone} were gone, {adoption.deleted} old entries deleted"
