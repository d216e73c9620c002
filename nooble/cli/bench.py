"""`nooble bench`: how fast a person's own service is with a payload of their own, and where the time goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from nooble.cli.benching import Bench, measure
from nooble.cli.benching_figures import NOISY
from nooble.cli.call import errand_for
from nooble.cli.failures import FAILED, OK, Misuse
from nooble.cli.harmless import harmless
from nooble.cli.hosting import run_in_loop
from nooble.cli.interrupts import Interrupts
from nooble.cli.screen import show_json, show_table
from nooble.cli.servers import Wish
from nooble.observability.logging import init_logging
from nooble.routing.origin import did_you_mean

_STAGES = {
    "before": "on its way, and waiting to start",
    "handler": "handler, with validation",
    "commit": "waiting for the commit, and committing",
    "answer": "the answer on its way back",
}


def bench(
    target: str,
    action_type: str,
    words: Sequence[str],
    wish: Wish | None,
    *,
    fields: Sequence[str],
    as_json: bool,
    **wanted: Any,
) -> int:
    """Measure, and show it.

    Args:
        target: the code of the service.
        action_type: type of the action.
        words: its payload.
        wish: the server that was asked for; an embedded one if none was.
        fields: further fields of the action, as `name=value`.
        as_json: whether to show it as JSON.
        wanted: further attributes of `Bench`.

    Returns:
        The exit code: failed, if any action has.

    Raises:
        Misuse: something in it cannot be meant.
    """
    errand = errand_for(action_type, words, wish or Wish("embedded://", "DEFAULT"), targets=[target], fields=fields)
    if errand.service is None:
        known = f"it has {', '.join(errand.known)}"
        raise Misuse(f"{target} has no action {action_type!r}; {did_you_mean(action_type, errand.known, known)}")
    order = Bench(errand=errand, target=target, **wanted)
    init_logging("ERROR", log_format=errand.settings.log_format, redact=errand.settings.log_redact)
    figures: dict[str, Any] = {}
    with _progress(order.rounds + 2) as tell:
        run_in_loop(_measured(order, tell, figures))
    if as_json:
        show_json(figures)
    else:
        _show(figures)
    return FAILED if figures["failures"] else OK


async def _measured(order: Bench, tell: Callable[[str], None], figures: dict[str, Any]) -> None:
    with Interrupts() as interrupts:
        figures.update(await measure(order, interrupts.stopping, tell))


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Shows on a terminal how far it is; what it gives is told of every step."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting the worker", total=steps)

        def tell(step: str) -> None:
            progress.update(task, advance=1, description=step)

        yield tell


# ── showing ──
def _show(figures: dict[str, Any]) -> None:
    calls = figures["mode"] == "calls"
    load = f"{figures['in_flight']} calls in flight" if calls else f"at most {figures['in_flight']} waiting"
    typer.echo(
        f"{figures['action_type']} by {figures['service']}: {figures['actions']:,} {figures['mode']} "
        f"in {figures['rounds']} rounds, {load}, concurrency {figures['concurrency']}"
    )
    typer.echo(f"Server: {figures['server']}; the environment {figures['environment']} is removed again\n")
    rate, cpu = figures["throughput"], figures["cpu_us_per_action"]
    show_table(
        ("", "median", "lowest", "highest"),
        [("actions/s", *(f"{rate[name]:,.0f}" for name in ("median", "lowest", "highest")))],
    )
    typer.echo("")
    show_table(
        ("µs of computing for each action", "", ""),
        [
            ("worker", _number(cpu["worker"]), f"busy {figures['worker_busy']:.0%} of a core"),
            ("client", _number(cpu["client"]), "this process"),
            ("server", _number(cpu["server"]), "others who use it included"),
        ],
    )
    typer.echo("")
    if figures["latency_ms"]:
        show_table(_LATENCY, [("a call, from end to end", *_percentiles(figures["latency_ms"]), "")])
        typer.echo("")
    if figures["stages_ms"]:
        show_table(
            ("where the time goes, in a round that was watched, ms", *_LATENCY[1:]),
            [(_STAGES[one["stage"]], *_percentiles(one), f"{one['share']:.0%}") for one in figures["stages_ms"]],
        )
        typer.echo("")
    if figures["failures"]:
        show_table(
            (f"failed, of {figures['handled']:,} with warming up and watching", "", ""),
            [((one["code"], "red"), f"{one['count']:,}", harmless(one["message"])) for one in figures["failures"]],
        )
        typer.echo("")
    _conclude(rate["spread"], figures["noisy"])


_LATENCY = ("latency, ms", "mean", "p50", "p90", "p99", "max", "share")


def _percentiles(values: dict[str, float]) -> list[str]:
    return [f"{values[name]:.2f}" if name in values else "" for name in _LATENCY[1:-1]]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}"


def _conclude(spread: float | None, noisy: bool) -> None:
    if spread is None:
        typer.echo("One round: how far rounds differ is not known.")
    elif noisy:
        told = f"The rounds differ by {spread:.0%}, more than {NOISY:.0%}: the machine is too noisy to conclude much."
        typer.secho(told, fg=typer.colors.YELLOW)
    else:
        typer.echo(f"The rounds differ by {spread:.0%}.")
