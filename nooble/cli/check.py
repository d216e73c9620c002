"""`nooble check`: everything that can be known before something runs, and what to do about what is not as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from nooble.cli.failures import FAILED, OK, UNREACHABLE, Failure, exit_code_of, told
from nooble.cli.planning import Plan, plans_for
from nooble.cli.screen import show_json, show_table
from nooble.cli.servers import Wish
from nooble.cli.settings import own_settings
from nooble.cli.targets import Part, parts_of
from nooble.clients import RedisManager
from nooble.clients.base_redis_client import queue_manager_of
from nooble.config import CommonAppSettings
from nooble.config.common_app_settings import masked_url
from nooble.errors import NoobleError
from nooble.observability.logging import init_logging
from nooble.operations.server import Risk, ServerFacts, read_server, risks_of
from nooble.operations.standing import read_standing
from nooble.wire.embedded import Choice
from nooble.wire.embedded.url import PRODUCTION

if TYPE_CHECKING:
    from redis.asyncio import Redis

State = Literal["ok", "warning", "failed"]
MARKS: dict[State, tuple[str, str]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at.

    Attributes:
        state: how it is.
        what: what was looked at.
        found: what was found.
        mend: what to do about it.
        exit_code: what it means for the command.
    """

    state: State
    what: str
    found: str
    mend: str = ""
    exit_code: int = OK


def check(targets: Sequence[str], services: Sequence[str], wish: Wish | None, as_json: bool) -> int:
    """Look at everything, and show it."""
    findings, plans = _code(targets, services, wish)
    findings += asyncio.run(_servers(plans, wish))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        show_table(("", "what", "found", "what to do"), [_row(finding) for finding in findings])
    codes = {finding.exit_code for finding in findings if finding.state == "failed"}
    return UNREACHABLE if codes == {UNREACHABLE} else FAILED if codes else OK


def _row(finding: Finding) -> tuple[str | tuple[str, str], ...]:
    return MARKS[finding.state], finding.what, finding.found, finding.mend


def _failed(what: str, error: Exception) -> Finding:
    found, _, mend = told(error).partition("; ")
    return Finding("failed", what, found, mend, exit_code_of(error) if exit_code_of(error) == UNREACHABLE else FAILED)


# ── code ──
def _code(targets: Sequence[str], services: Sequence[str], wish: Wish | None) -> tuple[list[Finding], list[Plan]]:
    findings: list[Finding] = []
    plans: list[Plan] = []
    for target in targets:
        try:
            parts = parts_of([target])
        except (Failure, NoobleError) as error:
            findings.append(_failed(f"import {target}", error))
            continue
        findings.append(Finding("ok", f"import {target}", ", ".join(part.name for part in parts)))
        for part in parts:
            findings += _service(part, plans, services, wish)
    try:
        plans_for([plan.part for plan in plans], services, wish=wish)
    except (Failure, NoobleError) as error:  # each is well by itself, and all together are not
        findings.append(_failed("all together", error))
    return findings, plans


def _service(part: Part, plans: list[Plan], services: Sequence[str], wish: Wish | None) -> Iterator[Finding]:
    try:
        (plan,) = plans_for([part], wish=wish)
    except (Failure, NoobleError) as error:
        yield _failed(f"settings of {part.name}", error)
        return
    if services and not {part.name, plan.service_name}.intersection(services):
        return
    plans.append(plan)
    kind = type(plan.settings).__name__
    yield Finding("ok", f"settings of {part.name}", f"{kind}: {plan.service_name} in {plan.settings.environment}")
    yield from _routes(plan)


def _routes(plan: Plan) -> Iterator[Finding]:
    what = f"actions of {plan.service_name}"
    types = [route.action_type for route in plan.part.routes if not route.is_catch_all]
    if not types:
        mend = "@action on a method makes an action known to calls, checks and documentation"
        yield Finding("warning", what, "none is declared; process_action is written by hand", mend)
        return
    yield Finding("ok", what, f"{len(types)}: {', '.join(types)}")
    keys = queue_manager_of(plan.settings)
    astray = sorted({one.partition(".")[0] for one in types if keys.target_service(one) != plan.service_name})
    for segment in astray:
        yield Finding(
            "warning",
            what,
            f"callers look for {segment}.* at a service called {segment!r}; this one is called {plan.service_name!r}",
            f"set SERVICE_ALIASES={segment}={plan.service_name} for them, or rename one of the two",
        )


# ── server ──
async def _servers(plans: Sequence[Plan], wish: Wish | None) -> list[Finding]:
    """Every server that a plan leads to, and the streams there. Without a plan, the one that this command would use."""
    places: list[tuple[CommonAppSettings, Choice]] = [(plan.settings, plan.server) for plan in plans]
    if not places:
        try:
            places = [own_settings(wish)]
        except (Failure, NoobleError) as error:
            return [_failed("server", error)]
    init_logging("ERROR")
    findings: list[Finding] = []
    seen: set[str] = set()
    for settings, choice in places:
        try:
            async with RedisManager(settings) as manager:
                redis = await manager.get_redis_connection()
                if settings.redis_url not in seen:
                    findings += _server(await read_server(redis), settings, choice)
                seen.add(settings.redis_url)
                findings += [finding async for finding in _stream(redis, settings)] if plans else []
        except NoobleError as error:
            if settings.redis_url not in seen:
                findings.append(replace(_failed("server", error), found=f"{_where(settings, choice)}: {error}"))
            seen.add(settings.redis_url)
    return findings


def _where(settings: CommonAppSettings, choice: Choice) -> str:
    return f"{masked_url(settings.redis_url)}, by {choice.reason}"


def _server(facts: ServerFacts, settings: CommonAppSettings, choice: Choice) -> Iterator[Finding]:
    yield Finding("ok", "server", _where(settings, choice))
    version = f"{facts.kind} {facts.version}"
    if facts.is_old:
        yield Finding("failed", "version", version, "Redis 7.0 or Valkey 7.2 is the oldest that will do", FAILED)
    else:
        yield Finding("ok", "version", version)
    production = settings.environment.lower() in PRODUCTION
    risks = {risk.what: risk for risk in risks_of(facts)}
    for what, fine in _FINE.items():
        if (risk := risks.get(what)) is not None:
            yield _told(risk, production=production)
        elif (found := fine(facts)) is not None:
            yield Finding("ok", what, found)
        elif what in _SILENT:
            yield Finding("warning", what, *_SILENT[what])


_FINE: dict[str, Callable[[ServerFacts], str | None]] = {
    "role": lambda facts: "a primary",
    "persistence": lambda facts: "every write goes to its append-only file" if facts.append_only else None,
    "fsync": lambda facts: f"appendfsync {facts.fsync}" if facts.append_only and facts.fsync else None,
    "eviction": lambda facts: facts.eviction,
}
_SILENT = {
    "persistence": (
        "no append-only file; it hides its snapshots: a restart loses what came after the last",
        "appendonly yes keeps what it has acknowledged",
    ),
    "eviction": ("it does not say", "make sure that maxmemory-policy is noeviction"),
}


def _told(risk: Risk, *, production: bool) -> Finding:
    """Having no persistence is what a server of development is like; the other grave risks are so anywhere."""
    fails = risk.grave and (production or risk.what != "persistence")
    return Finding("failed" if fails else "warning", risk.what, risk.found, risk.mend, FAILED if fails else OK)


async def _stream(redis: Redis, settings: CommonAppSettings) -> AsyncIterator[Finding]:
    what = f"stream of {settings.service_name}"
    try:
        standing = await read_standing(redis, settings)
    except NoobleError as error:
        yield _failed(what, error)
        return
    if standing is None:
        yield Finding("ok", what, "no worker has served it yet")
        return
    yield Finding("ok", what, f"{standing.entries} entries, {standing.pending} of them at work")
    adopt = f"nooble adopt {settings.service_name}"
    if standing.foreign:
        consumers = ", ".join(f"{name} ({count})" for name, count in standing.foreign.items())
        yield Finding("warning", what, f"left pending by other programs, and not run again: {consumers}", adopt)
    if standing.history:
        yield Finding("warning", what, "holds entries that were acknowledged and never deleted", adopt)
