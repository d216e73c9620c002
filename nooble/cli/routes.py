"""`nooble routes`: what the services of a target can be asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from nooble.cli.failures import shown
from nooble.cli.planning import Plan, plans_for
from nooble.cli.screen import show_json, show_table
from nooble.cli.targets import parts_of
from nooble.routing import Route
from nooble.routing.route import name_of


def routes(targets: Sequence[str], services: Sequence[str], as_json: bool) -> None:
    """Show the actions of every service that *targets* name."""
    plans = plans_for(parts_of(targets), services)
    if as_json:
        show_json([_facts(plan, route) for plan in plans for route in plan.part.routes])
        return
    rows = [_row(plan, route) for plan in plans for route in plan.part.routes]
    if rows:
        show_table(("service", "action", "takes", "gives", "what it does", "where"), rows)
    for plan in plans:
        if not plan.part.routes:
            typer.echo(
                f"{plan.service_name} ({plan.part.name}) declares no action: its process_action is written by hand."
            )


def _row(plan: Plan, route: Route) -> tuple[str, ...]:
    facts = _facts(plan, route)
    what = route.title or route.description.partition("\n")[0]
    return (
        plan.service_name,
        route.action_type + (" (deprecated)" if route.deprecated else ""),
        facts["takes"] or "",
        facts["gives"] or "",
        what,
        facts["source"],
    )


def _facts(plan: Plan, route: Route) -> dict[str, Any]:
    file, _, line = route.source.rpartition(":")
    return {
        "service": plan.service_name,
        "action": route.action_type,
        "takes": None if route.model is None else name_of(route.model),
        "gives": None if route.response_model is None else name_of(route.response_model),
        "title": route.title,
        "description": route.description,
        "tags": list(route.tags),
        "deprecated": route.deprecated,
        "version": route.version,
        "timeout": route.timeout,
        "attempts": None if route.retry is None else route.retry.attempts,
        "handler": route.handler,
        "source": f"{shown(file)}:{line}" if file else route.source,
    }
