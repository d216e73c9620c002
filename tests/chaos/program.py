"""A worker that is to be killed and frozen. It writes down when a handler starts and ends, and what it hears of others
taking over; each action has a follow-up and an answer, and both name the run that they come from."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import redis.asyncio

from nooble import RetryLater
from nooble.cli.hosting import run_in_loop, serve
from nooble.cli.interrupts import Interrupts
from nooble.cli.planning import Plan
from nooble.cli.targets import Part
from nooble.config import CommonAppSettings
from nooble.events import (
    ActionEvent,
    CommitRefused,
    DataLost,
    Event,
    LeaseLost,
    LoopBlocked,
    Reclaimed,
    ServerBack,
    ServerLost,
)
from nooble.models import DomainAction, current_context
from nooble.wire.embedded import Choice
from nooble.workers import BaseWorker, ServiceWorker
from tests.chaos.controls import switch_off
from tests.chaos.ledger import Ledger
from tests.chaos.points import Trap
from tests.support.settings import make_settings

TOLD = [CommitRefused, LeaseLost, Reclaimed, LoopBlocked, DataLost, ServerLost, ServerBack]
"""Kinds of events that are written down."""


class Service:
    """Does what the action says: `demo.item.make` sends a follow-up, `demo.poison.drink` ends the process.

    In the data of an action: `n`, its number; `seconds`, the longest that it may take; `exactly`, how long it takes;
    `blocks`, seconds for which its first run blocks the loop; `fails`, how many of its attempts fail; `after`, seconds until
    the next; `stubborn`, that it goes on in spite of cancellation.
    """

    def __init__(self, ledger: Ledger, trap: Trap | None = None) -> None:
        self._ledger = ledger
        self._trap = trap
        self._runs = itertools.count(1)

    async def process_action(self, action: DomainAction) -> Any:
        """Do it."""
        context, data = current_context(), action.data
        number, run = data["n"], f"{os.getpid()}.{next(self._runs)}"
        facts = (run, action.action_id, context.deliveries, context.attempt, time.monotonic())
        self._ledger.write("start", number, os.getpid(), *facts)
        self._reach("handler:before")
        await self._take_time(data, first=context.deliveries == 1)
        if action.action_type == "demo.poison.drink":
            os.abort()
        if context.attempt <= data.get("fails", 0):
            self._ledger.write("failed", number, os.getpid(), run)
            raise RetryLater(after=data.get("after", 0.01))
        await context.send("out.item.note", {"n": number, "run": run})
        self._ledger.write("end", number, os.getpid(), run)
        self._reach("handler:after")
        return {"n": number, "run": run}

    async def _take_time(self, data: dict[str, Any], *, first: bool) -> None:
        if first:
            time.sleep(data.get("blocks", 0))
        seconds = data.get("exactly", 0) or random.uniform(0, data.get("seconds", 0))
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(*[asyncio.CancelledError] * data.get("stubborn", 0)):
                await asyncio.sleep(left)

    def _reach(self, point: str) -> None:
        if self._trap is not None:
            self._trap.reached(point)


def work(url: str, path: Path, values: dict[str, Any]) -> None:
    """Work until killed. What runs in a process of its own.

    Args:
        url: where the server is.
        path: of the ledger; what the worker says goes into a file beside it.
        values: settings, and beside them `crash_at`, `freeze_at`, `term_at` (see `points`), `without` (names of
            protections that are switched off, see `controls`), and `as_command`: run as `nooble run` does, which
            comes to rest at a signal.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with path.with_suffix(".log").open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    ledger, values = Ledger(path), dict(values)
    trap, as_command = Trap(ledger, values), values.pop("as_command", False)
    switch_off(values.pop("without", ()), trap)
    trap.lay()
    settings = make_settings(redis_url=url, **values)
    if as_command:
        run_in_loop(_serve(settings, ledger, trap))
    else:
        asyncio.run(_work(settings, ledger, trap))


async def _work(settings: CommonAppSettings, ledger: Ledger, trap: Trap) -> None:
    await _worker(settings, redis.asyncio.Redis.from_url(settings.redis_url), ledger, trap).run()


async def _serve(settings: CommonAppSettings, ledger: Ledger, trap: Trap) -> None:
    def make(app_settings: CommonAppSettings, async_redis_conn: redis.asyncio.Redis) -> BaseWorker:
        return _worker(app_settings, async_redis_conn, ledger, trap)

    with Interrupts() as interrupts:
        await serve(
            [Plan(Part(target="program:make", make=make), settings, Choice(settings.redis_url, "a test"))], interrupts
        )


def _worker(settings: CommonAppSettings, connection: redis.asyncio.Redis, ledger: Ledger, trap: Trap) -> BaseWorker:
    worker = ServiceWorker(settings, connection, Service(ledger, trap))

    def note(event: Event) -> None:
        ledger.write("told", type(event).__name__, os.getpid(), *_whom(event))

    worker.events.subscribe(note, TOLD)
    return worker


def _whom(event: Event) -> tuple[str, ...]:
    return (event.action_id,) if isinstance(event, ActionEvent) and event.action_id else ()
