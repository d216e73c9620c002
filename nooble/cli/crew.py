"""What `nooble workers` does: workers are shown as they say of themselves, and asked to rest, to go on or to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
import typer

from nooble.cli.failures import FAILED, OK, Failure, Misuse, complain
from nooble.cli.harmless import harmless, shortened
from nooble.cli.named import settings_named
from nooble.cli.operating import as_json, confirm, do, place_of, several
from nooble.cli.servers import Wish
from nooble.cli.status import read, show_workers
from nooble.operations.reading import Consumer, Service, Worker
from nooble.operations.system import System

if TYPE_CHECKING:
    from redis.asyncio import Redis

Wanted = Literal["quiet", "resume", "stop"]
_WORDS = {"quiet": "to take nothing new", "resume": "to take actions again", "stop": "to stop"}


class Crew(msgspec.Struct, frozen=True, kw_only=True):
    """Who works for a service.

    Attributes:
        service: its name.
        workers: those of the registry.
        consumers: those of the group, as the server sees them.
        vanished: workers that have ended without a word not long ago.
    """

    service: str
    workers: tuple[Worker, ...]
    consumers: tuple[Consumer, ...]
    vanished: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who was asked.

    Attributes:
        wish: for what.
        asked: workers that will hear of it.
        gone: workers that were not there any more.
    """

    wish: str
    asked: tuple[str, ...]
    gone: tuple[str, ...] = ()


def show_many(names: Sequence[str], wish: Wish | None, json: bool) -> None:
    """Show who is at work."""
    settings, services = place_of(names, wish)
    reading = do(settings, lambda redis: read(redis, settings, services))
    if json:
        typer.echo(as_json([_crew(service) for service in reading.services]))
        return
    if not show_workers(reading.services, reading.at_ms):
        typer.echo(
            f"Nobody is at work{' for ' + ', '.join(services) if services else ''}; `nooble run` starts a worker."
        )
    for service in reading.services:
        for name in service.vanished:
            typer.echo(f"{harmless(service.name)}: {shortened(name, 100)} has ended without a word", err=True)


def steer(
    service: str,
    wish: Wish | None,
    wanted: Wanted,
    workers: Sequence[str] | None,
    every: bool,
    confirmed: bool,
    json: bool,
) -> int:
    """Want something of workers."""
    if bool(workers) == every:
        raise Misuse("name workers, or say --all" + ("; not both" if every else "; `nooble workers list` shows them"))
    settings = settings_named(service, wish)
    reading = do(settings, lambda redis: read(redis, settings, (settings.service_name,)))
    known = [worker.consumer for one in reading.services for worker in one.workers]
    names = known if every else [_named(part, known, settings.service_name) for part in workers or ()]
    if not names:
        raise Failure(f"no worker of {settings.service_name} is in the registry; nobody was asked")
    if every and not confirmed:
        confirm(f"Ask {several(len(names), 'worker')} of {settings.service_name} {_WORDS[wanted]}?")

    async def ask(redis: Redis) -> Asked:
        async with System(redis, settings) as system:
            told = {name: await system.steer(settings.service_name, name, wanted) for name in dict.fromkeys(names)}
        return Asked(
            wish=wanted,
            asked=tuple(name for name, heard in told.items() if heard),
            gone=tuple(name for name, heard in told.items() if not heard),
        )

    done = do(settings, ask)
    if json:
        typer.echo(as_json(done))
    elif done.asked:
        they = "it hears" if len(done.asked) == 1 else "they hear"
        typer.echo(
            f"Asked {several(len(done.asked), 'worker')} {_WORDS[wanted]}; {they} of it with the next sign of life."
        )
    for name in done.gone:
        complain(f"{shortened(name, 100)} is not there any more")
    return FAILED if done.gone else OK


def _named(part: str, known: Sequence[str], service: str) -> str:
    """The worker that *part* of a name means."""
    if part in known:
        return part
    found = [name for name in known if part in name.removeprefix(f"{service}-worker-")]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} workers have it in their names" if found else "no worker that is there has it in its name"
    raise Failure(
        f"{shortened(part, 100)!r} is no worker of {service}: {what}; `nooble workers list {service}` shows them"
    )


def _crew(service: Service) -> Crew:
    return Crew(
        service=service.name, workers=service.workers, consumers=service.stream.consumers, vanished=service.vanished
    )
