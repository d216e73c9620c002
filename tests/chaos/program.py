"""A worker that is to be killed and frozen. It writes down when a handler starts and ends, and what it hears of others
taking over; each action has a follow-up and an answer."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
from pathlib import Path
from typing import Any

import redis.asyncio

from nooble.events import CommitRefused, Event, LeaseLost, Reclaimed
from nooble.models import DomainAction, current_context
from nooble.workers import ServiceWorker
from tests.chaos.ledger import Ledger
from tests.support.settings import make_settings


class Service:
    """Does what the action says: `demo.item.make` sends a follow-up, `demo.poison.drink` ends the process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def process_action(self, action: DomainAction) -> Any:
        """Do it."""
        number = action.data["n"]
        self._ledger.write("start", number, os.getpid())
        if action.action_type == "demo.poison.drink":
            os.abort()
        if slow := action.data.get("seconds", 0):
            await asyncio.sleep(random.uniform(0, slow))
        await current_context().send("out.item.note", {"n": number})
        self._ledger.write("end", number, os.getpid())
        return {"n": number}


def work(url: str, path: Path, values: dict[str, Any]) -> None:
    """Work until killed. What runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with path.with_suffix(".log").open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    asyncio.run(_work(url, Ledger(path), values))


async def _work(url: str, ledger: Ledger, values: dict[str, Any]) -> None:
    connection = redis.asyncio.Redis.from_url(url)
    worker = ServiceWorker(make_settings(redis_url=url, **values), connection, Service(ledger))

    def note(event: Event) -> None:
        ledger.write("told", type(event).__name__, os.getpid())

    worker.events.subscribe(note, [CommitRefused, LeaseLost, Reclaimed])
    await worker.run()
