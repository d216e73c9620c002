"""`nooble fuzz`: services tried out from what they declare, on a server of their own, and every fault with the line to type
to see it again."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from nooble.cli.failures import FAILED, OK, Failure, Misuse, shown
from nooble.cli.harmless import harmless
from nooble.cli.making import make_worker
from nooble.cli.planning import chosen, refuse_unknown_gifts, settings_of
from nooble.cli.screen import Cell, show_json, show_table
from nooble.cli.targets import Part, parts_of
from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.config.common_app_settings import masked_url
from nooble.observability.logging import init_logging
from nooble.workers import BaseWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from nooble.testing.fuzz import Subject, Verdict
    from nooble.testing.fuzz_trials import Tell

SERVERS = ("embedded", "fake")
"""Servers without an address."""
_SCHEMES = ("redis://", "rediss://", "unix://", "embedded://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be fuzzed, and how much.

    Attributes:
        targets, services: as of `nooble run`.
        actions: only these types.
        examples: sound payloads for each action.
        seed: of chance; `None` for any.
        url: the server.
        memory: mebibytes by which the process may grow over one action.
        patience: seconds that an action gets to end, beyond its timeout.
    """

    targets: Sequence[str]
    services: Sequence[str] = ()
    actions: Sequence[str] = ()
    examples: int = 100
    seed: int | None = None
    url: str = "embedded"
    memory: int = 64
    patience: float = 5.0


def fuzz(order: Order, as_json: bool) -> int:
    """Do it, and show what came of it."""
    if order.url not in SERVERS and not order.url.startswith(_SCHEMES):
        raise Misuse(
            f"--url {order.url} is no server; write {' or '.join(SERVERS)}, or an address: redis://host:6379/0"
        )
    parts = chosen(parts_of(order.targets), list(order.services))
    try:
        from nooble.testing.fuzz import Terms, fuzz_services
        from nooble.testing.mistakes import HarnessMistake
    except ImportError as error:
        raise Failure(f"fuzzing needs hypothesis ({error}): pip install 'nooble[testing]'") from error
    init_logging("CRITICAL")
    seed = secrets.randbelow(2**32) if order.seed is None else order.seed
    with _progress(as_json) as tell:
        terms = Terms(examples=order.examples, seed=seed, memory=order.memory * 2**20, tell=tell)
        try:
            tested = fuzz_services(
                [_subject(part) for part in parts],
                server=_address(order.url),
                action_types=order.actions,
                terms=terms,
                patience=order.patience,
            )
        except HarnessMistake as error:
            raise Misuse(str(error)) from error
    faults = sum(len(one.findings) for one in tested)
    if as_json:
        server = masked_url(order.url)
        show_json({"seed": seed, "server": server, "faults": faults, "actions": [one.as_dict() for one in tested]})
    else:
        _show(tested, seed, faults)
    return FAILED if faults else OK


# ── what is fuzzed ──
def _address(url: str) -> str:
    if not url.startswith("embedded://"):
        return url
    from nooble.wire.embedded import resolve_url

    return resolve_url(CommonAppSettings(service_name="nooble-fuzz", environment="fuzz", redis_url=url))


def _subject(part: Part) -> Subject:
    """*part*, with a worker that is made of what its constructor asks for, as `nooble run` makes it."""
    from nooble.testing.fuzz import Subject

    refuse_unknown_gifts(part)

    async def make(settings: CommonAppSettings, connection: Redis) -> BaseWorker:
        return await make_worker(
            part, settings, connection, BaseRedisClient(settings.service_name, connection, settings)
        )

    return Subject(settings_of(part, {}), make)


# ── what is shown ──
@contextmanager
def _progress(as_json: bool) -> Iterator[Tell]:
    """What is told of progress, on a terminal; it is gone at the end."""
    if as_json or not sys.stderr.isatty():
        yield lambda action_type, trial, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("…")
        yield lambda action_type, trial, done, total: progress.update(
            bar, description=f"{action_type} {trial}", completed=done, total=total
        )


def _show(tested: Sequence[Verdict], seed: int, faults: int) -> None:
    trials = ("valid", "invalid", "hostile", "twice")
    rows: list[list[Cell]] = []
    for one in tested:
        counts: list[Cell] = [str(one.counts.get(trial, "–")) for trial in trials]
        kinds = ", ".join(dict.fromkeys(finding.kind for finding in one.findings))
        rows.append([one.action_type, *counts, (kinds, "red") if kinds else ("✓", "green")])
    show_table(("action", *trials, "found"), rows)
    for finding in (finding for one in tested for finding in one.findings):
        typer.echo()
        typer.secho(harmless(f"{finding.action_type}: {finding.kind}"), bold=True)
        typer.echo(harmless(f"  {finding.message}", lines=True))
        if finding.where:
            path, _, line = finding.where.rpartition(":")
            typer.echo(harmless(f"  at {shown(path)}:{line}"))
        typer.echo(f"  {finding.mend}")
        if not finding.always:
            typer.echo("  It did not come again every time that the same was sent.")
        if finding.call:
            typer.echo(f"  $ {finding.call}")
        elif isinstance(finding.payload, list):
            typer.echo(f"  entry: {harmless(str(finding.payload))[:1_000]}")
    typer.echo()
    typer.echo(f"{len(tested)} actions, {faults} faults; --seed {seed} does the same again")
