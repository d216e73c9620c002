"""`nooble routes`: what the services of a target can be asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from nooble.cli.failures import shown
from nooble.cli.planning import chosen, name_on_the_wire
from nooble.cli.screen import show_json, show_table
from nooble.cli.targets import parts_of
from nooble.routing import Route
from nooble.routing.route import name_of


def routes(targets: Sequence[str], services: Sequence[str], as_json: bool) -> None:
    """Show the actions of every service that *targets* name."""
    parts = [(name_on_the_wire(part), part) for part in chosen(parts_of(targets), list(services))]
    rows = [_facts(name, route) for name, part in parts for route in part.routes]
    if as_json:
        show_json(rows)
        return
    if rows:
        show_table(("service", "action", "takes", "gives", "what it does", "where"), [_cells(row) for row in rows])
    for name, part in parts:
        if not part.routes:
            typer.echo(f"{name} ({part.name}) declares no action: its process_action is written by hand.")


def _cells(facts: dict[str, Any]) -> tuple[str, ...]:
    return (
        facts["service"],
        facts["action"] + (" (deprecated)" if facts["deprecated"] else ""),
        facts["takes"] or "",
        facts["gives"] or "",
        facts["title"] or facts["description"].partition("\n")[0],
        facts["source"],
    )


def _facts(service: str, route: Route) -> dict[str, Any]:
    file, _, line = route.source.rpartition(":")
    return {
        "service": service,
        "action": route.action_type,
        "takes": None if route.model is None else name_of(route.model),
        "gives": None if route.response_model is None else name_of(route.response_model),
        "title": route.title,
        "description": route.description,
        "tags": list(route.tags),
        "deprecated": route.deprecated,
        "version": route.version,
        "timeout": route.timeout,
        "once_for": route.once_for,
        "attempts": None if route.retry is None else route.retry.attempts,
        "handler": route.handler,
        "source": f"{shown(file)}:{line}" if file else route.source,
    }
