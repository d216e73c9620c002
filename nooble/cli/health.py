"""`nooble health`: one word for a probe, and why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import typer

from nooble.cli.failures import FAILED, OK
from nooble.cli.harmless import harmless, shortened
from nooble.cli.operating import as_json, do, place_of, several
from nooble.cli.servers import Wish
from nooble.cli.status import read, server_line
from nooble.operations.reading import Reading, Service


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One of the things that have to be well.

    Attributes:
        what: `server`, or the name of a service.
        ok: whether it is.
        why: how it is, in words.
    """

    what: str
    ok: bool
    why: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether all is well.

    Attributes:
        ok: whether every check says so.
        checks: the server first, then the services that were named.
    """

    ok: bool
    checks: tuple[Check, ...]


def health(names: Sequence[str], wish: Wish | None, timeout: float, json: bool) -> int:
    """Tell whether all is well."""
    settings, services = place_of(names, wish)

    reading = do(settings, lambda redis: read(redis, settings, services), timeout)
    found = judged(reading, services)
    if json:
        typer.echo(as_json(found))
    else:
        for check in found.checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {harmless(check.what)}: {shortened(check.why, 400)}")
    return OK if found.ok else FAILED


def judged(reading: Reading, services: Sequence[str]) -> Health:
    """Whether the server and *services* are well, by one reading."""
    there = {service.name: service for service in reading.services}
    checks = [_of_server(reading), *(_of_service(name, there.get(name)) for name in services)]
    return Health(ok=all(check.ok for check in checks), checks=tuple(checks))


def _of_server(reading: Reading) -> Check:
    replica = reading.server.role == "slave"
    why = "it is a replica: nothing can be written to it" if replica else server_line(reading.server)
    return Check(what="server", ok=not replica, why=why)


def _of_service(name: str, service: Service | None) -> Check:
    if service is None:
        return Check(what=name, ok=False, why="no worker has ever served it here")
    ready = sum(worker.state == "working" for worker in service.workers)
    if ready:
        return Check(what=name, ok=True, why=f"{several(ready, 'worker')} ready")
    if service.workers:
        states = ", ".join(f"{worker.state}" for worker in service.workers[:10])
        return Check(
            what=name, ok=False, why=f"none of {several(len(service.workers), 'worker')} takes actions: {states}"
        )
    unregistered = sum(one.ours and one.alive for one in service.stream.consumers)
    if unregistered:  # they keep out of the registry
        return Check(what=name, ok=True, why=f"{several(unregistered, 'worker')} alive, not in the registry")
    return Check(
        what=name, ok=False, why=f"no worker is there; {service.unread}" if service.unread else "no worker is there"
    )
