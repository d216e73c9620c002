"""A worker of the soak. It writes down, outside of Redis, when a handler starts and ends and what it hears of others taking
over. Whatever an action is about, its end is a note to another service, written in its commit: one action, one note."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio

from nooble.events import (
    Buried,
    CommitRefused,
    DataLost,
    Event,
    Expired,
    Held,
    LeaseLost,
    Reclaimed,
    Retried,
    Unwritten,
)
from nooble.models import ActionContext, DomainAction, current_context
from nooble.wire.scripts import COMMIT
from nooble.workers import ServiceWorker
from tests.chaos.ledger import Ledger
from tests.support.settings import make_settings

SERVICE = "soak"
NOTE = "out.item.note"
BALANCES, TRANSFERS = "soak:balances", "soak:transfers"
"""Keys of the effects: a hash of balances whose sum never changes, and how many transfers there were."""

TOLD = (Buried, CommitRefused, DataLost, Expired, Held, LeaseLost, Reclaimed, Retried, Unwritten)
_FENCE = "if count and count == tonumber(ARGV[a + 1]) then"


class Job(msgspec.Struct, frozen=True):
    """What a worker process is told.

    Attributes:
        url: where its server is, by a link of its own.
        ledger: path of the file that it writes to; its logs stand beside it.
        settings: its settings.
        fenced: whether its commits are fenced. They are not in a control run, which must find doubles.
    """

    url: str
    ledger: Path
    settings: dict[str, Any]
    fenced: bool = True

    @property
    def log(self) -> Path:
        """Where it logs."""
        return self.ledger.with_suffix(".log")


class Service:
    """Does what the action says, and sends a note of it through the context.

    Args:
        ledger: where starts and ends are written down.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def process_action(self, action: DomainAction) -> Any:
        """Do it.

        Raises:
            RuntimeError: the action is one that fails, this time or every time.
        """
        data, context = action.data, current_context()
        number, kind = data["n"], action.action_type.rpartition(".")[2]
        self._ledger.write("start", number, kind, os.getpid())
        await asyncio.sleep(data.get("seconds", random.uniform(0, 0.02)))
        if context.attempt <= data.get("failures", 0):
            raise RuntimeError(f"run {context.attempt} of {number} fails, as it is to")
        if kind == "follow":
            await context.send("soak.item.ship", {"n": number})
        else:
            await context.send(NOTE, {"n": number})
        if kind == "transfer" and effects_exist():
            effects: Any = getattr(context, "effects", None)
            effects.hash_increment(BALANCES, str(data["source"]), -data["amount"])
            effects.hash_increment(BALANCES, str(data["target"]), data["amount"])
            effects.increment(TRANSFERS)
        self._ledger.write("end", number, kind, os.getpid())
        return {"n": number}


def effects_exist() -> bool:
    """Whether this nooble has effects that join the commit."""
    return hasattr(ActionContext, "effects")


def work(job: Job) -> None:
    """Work until killed or told to end. What runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever drives the soak
    with job.log.open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    if not job.fenced:
        switch_off_the_fence()
    asyncio.run(_work(job, Ledger(job.ledger)))


async def _work(job: Job, ledger: Ledger) -> None:
    settings = make_settings(SERVICE, redis_url=job.url, **job.settings)
    worker = ServiceWorker(settings, redis.asyncio.Redis.from_url(job.url), Service(ledger))

    def note(event: Event) -> None:
        ledger.write("told", type(event).__name__, os.getpid())

    worker.events.subscribe(note, TOLD)
    running = asyncio.create_task(worker.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    watch = asyncio.create_task(_end_with_the_driver())
    await asyncio.wait({running})
    watch.cancel()
    if not running.cancelled():
        running.result()


async def _end_with_the_driver() -> None:
    """A soak that was killed leaves nobody behind."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os._exit(3)


def switch_off_the_fence() -> None:
    """From now on this process commits whatever it believes to have, as if nobody had taken it over.

    Raises:
        RuntimeError: the script no longer asks as it did, so that this would switch nothing off.
    """
    if COMMIT.text.count(_FENCE) != 1:
        raise RuntimeError(f"commit.lua has no line `{_FENCE}` any more: tell the soak what its fence looks like now")
    COMMIT.text = COMMIT.text.replace(_FENCE, "if true then")
    COMMIT.bare = COMMIT.text.partition("\n")[2]
    COMMIT.digest, COMMIT.bare_digest = (
        hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for text in (COMMIT.text, COMMIT.bare)
    )
