"""A worker under a supervisor: gets an order by one pipe and works until that pipe ends; reports by another."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from traceback import format_exception
from typing import Any

import typer

from nooble.cli.failures import FAILED, OK, exit_code_of, told
from nooble.cli.interrupts import Interrupts
from nooble.cli.servers import Wish
from nooble.cli.worker_process import Work
from nooble.observability.health import Health
from nooble.workers import BaseWorker
from nooble.workers.card import resident_bytes

_SOON, _TICK = 0.1, 0.5
"""Seconds between two reports, until the worker is ready and from then on."""
_LAST_WORDS = 10.0
"""Seconds beyond the grace after which a worker ends that was asked to stop, come what may."""


class Ear(threading.Thread):
    """Hears what the supervisor has to say, and reports to it. In a thread of its own: a handler that blocks the event
    loop does not keep a worker from hearing that its supervisor is gone.

    Args:
        order: the pipe from the supervisor, from which the order has been read.
        report: the pipe to it.
        often: whether the supervisor wants to know again and again what this worker uses up, and how it is.
    """

    def __init__(self, order: int, report: int, often: bool = False) -> None:
        super().__init__(name="nooble-ear", daemon=True)
        self._order = order
        self._report = report
        self._often = often
        self._workers: Sequence[BaseWorker] = ()
        self._health: Health | None = None
        self._grace = 0.0
        self._interrupts: Interrupts | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Listen until the end."""
        is_ready = False
        while not self._is_over(_SOON if not is_ready else _TICK if self._often else None):
            if not is_ready and self._workers and all(worker.initialized for worker in self._workers):
                is_ready = True
                self.say(ready=True, **self._used_up())
            elif is_ready or self._often:
                self.say(**self._used_up())
        with self._lock:
            if self._interrupts is None:
                os._exit(OK)  # nothing has begun
        time.sleep(self._grace + _LAST_WORDS)
        os._exit(FAILED)

    def attach(self, interrupts: Interrupts, grace: float) -> None:
        """From now on there is something to stop."""
        with self._lock:
            self._interrupts, self._grace = interrupts, grace
        self.say(grace=grace)

    def made(self, workers: Sequence[BaseWorker]) -> None:
        """These are the workers of this process."""
        self._workers = workers

    def observe(self, health: Health) -> None:
        """This is how they are."""
        self._health = health

    def say(self, **report: Any) -> None:
        """Report."""
        with suppress(OSError):
            os.write(self._report, json.dumps(report).encode() + b"\n")

    def _is_over(self, patience: float | None) -> bool:
        """Whether the supervisor has asked to stop, or is gone; waits *patience* seconds for it, or as long as it takes."""
        if not select.select([self._order], [], [], patience)[0]:
            return False
        return self.heard(os.read(self._order, 1000).decode().strip())

    def heard(self, words: str) -> bool:
        """The supervisor has said *words*; none, if it is gone. Returns whether that is the end."""
        with self._lock, suppress(RuntimeError):  # the loop has ended already
            if self._interrupts is not None:
                self._interrupts.stop(words or "the supervisor is gone")
        return True

    def _used_up(self) -> dict[str, Any]:
        report: dict[str, Any] = {"taken": sum(worker.taken for worker in self._workers), "rss": resident_bytes()}
        if self._often and self._health is not None:
            ready, facts = self._health.ready()
            report["health"] = {**facts, "live": self._health.live().ok, "ready": ready}
        return report


def work(work: Work, ear: Ear) -> None:
    """Do *work* until the supervisor asks to stop, or a signal does."""
    from nooble.cli.dev_child import next_lines, talkative
    from nooble.cli.hosting import run_in_loop
    from nooble.cli.planning import plans_for
    from nooble.cli.run import log_start, start_logging
    from nooble.cli.targets import parts_of
    from nooble.observability.logging import say_on_every_line

    wish = None if work.url is None else Wish(work.url, work.source)
    plans = plans_for(parts_of(work.targets), work.services, work.options, wish)
    if work.for_developer:
        plans = [talkative(plan) for plan in plans]
    start_logging(plans)
    say_on_every_line(worker=work.number)
    if work.is_first and work.for_developer:
        for line in next_lines(plans, work.said):
            typer.echo(line)
    elif work.is_first:
        log_start(plans)
    run_in_loop(_until_asked(plans, ear))


async def _until_asked(plans: Sequence[Any], ear: Ear) -> None:
    from nooble.cli.hosting import serve

    with Interrupts() as interrupts:
        ear.attach(interrupts, max(plan.settings.worker_grace_seconds for plan in plans))
        await serve(plans, interrupts, ear.made, ear.observe)


def main(order: int, report: int) -> int:
    """Take the order and do it. Returns the exit code."""
    line = read_order(order, report)
    if not line:
        return OK
    given = Work(**json.loads(line))
    ear = Ear(order, report, given.has_limits or given.is_probed)
    return tried(lambda: work(given, ear), ear, given.traceback)


def read_order(order: int, report: int) -> bytes:
    """The line that says what to do; empty if the supervisor is gone. What this process starts inherits no pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until there is something to stop
    for pipe in (order, report):
        os.set_inheritable(pipe, False)
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(order, 1)
        if not piece:
            return b""
        line += piece
    return bytes(line)


def tried(body: Callable[[], None], ear: Ear, traceback: bool) -> int:
    """Do *body* while *ear* listens; report what it raises. Returns the exit code."""
    ear.start()
    try:
        body()
    except Exception as error:
        ear.say(failed="".join(format_exception(error)).rstrip() if traceback else told(error))
        return exit_code_of(error)
    return OK


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
