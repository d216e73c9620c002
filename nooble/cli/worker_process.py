"""A process with a worker, as its supervisor sees it: started, told, heard, asked to stop, killed.

Two pipes join the two. By one the worker gets its order, and the end of that pipe is the order to stop: so a supervisor that
was killed has asked for it, too. By the other it reports that it is ready, what it has used up, and in what words it
failed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from nooble.logger import get_logger

_GRACE = 10.0
"""Seconds that running actions get, as long as a worker has not said what its settings are."""
_PATIENCE = 5.0
"""Seconds beyond the grace after which a worker that was asked to stop is killed."""
_NOT_FOR_WORKERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""Variables by which systemd speaks to the supervisor alone."""
_SETTLED = 10.0
"""Seconds at work after which an end has nothing to do with the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every worker is to do.

    Attributes:
        targets, services, options: as of `nooble run`.
        url, source: the server that was asked for, and where.
        said: what has to be added to a call so that it reaches this server.
        for_developer: whether to say what to type next, and to log every action.
        traceback: whether to tell where in the code a failure happened.
        number: which worker, from 1; what it logs says it.
        is_first: whether it is the first of all.
        has_limits: whether it is to report what it uses up.
        is_probed: whether it is to report how it is.
    """

    targets: list[str]
    services: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    url: str | None = None
    source: str = "COMMANDLINE"
    said: str = ""
    for_developer: bool = False
    traceback: bool = False
    number: int = 1
    is_first: bool = False
    has_limits: bool = False
    is_probed: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use up before another one takes its place; `None` sets no limit.

    Attributes:
        memory_mb: megabytes of memory.
        actions: actions that it has started.
    """

    memory_mb: int | None = None
    actions: int | None = None

    def __bool__(self) -> bool:
        return self.memory_mb is not None or self.actions is not None

    def passed_by(self, report: dict[str, Any], ease: float) -> str:
        """Which limit a worker has passed that reports this; empty if it has not.

        Args:
            report: what it has used up.
            ease: part of the actions that it may leave undone, so that not all workers end at a time.
        """
        memory = report.get("rss", 0) // 1_000_000
        if self.memory_mb is not None and memory > self.memory_mb:
            return f"{memory} MB of memory, more than --max-memory {self.memory_mb}"
        if self.actions is not None and report.get("taken", 0) >= self.actions * (1 - ease):
            return f"{report['taken']} actions, of --max-actions {self.actions}"
        return ""


def how_it_ended(code: int) -> str:
    """An exit code of `subprocess`, for a person."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit code {code}"
    if code > 0:
        return f"exit code {code}, by a second signal ({name})"
    return f"killed by {name}{', as the system does when memory is short' if number == signal.SIGKILL else ''}"


class Worker:
    """The place of one worker: a process, and the next one when that has ended.

    Args:
        number: which.
        module: the code of the process.
        out: its standard output, if not that of this process.
    """

    def __init__(self, number: int, module: str = "nooble.cli.supervised", out: int | None = None) -> None:
        self.number = number
        self._module = module
        self._out = out
        self.process: subprocess.Popen[bytes] | None = None
        self.code = 0
        self.starts_at = 0.0
        self.ends_in_a_row = 0
        self.asked = ""
        self.log = get_logger().bind(worker=number)

    def start(self, work: Work) -> None:
        """Start a process, and give it its order. Probes look on from a thread of their own: what was known of the process
        before is forgotten first."""
        self._unread = b""
        self.asked, self.kill_at, self.grace = "", 0.0, _GRACE
        self.ready_at, self.last = 0.0, dict[str, Any]()
        self.heard_at = time.monotonic()
        self.ease = random.uniform(0.0, 0.1)
        self.words = ""
        self.began = time.monotonic()
        order, orders = os.pipe()
        self.reports, report = os.pipe()
        words = [sys.executable, "-m", self._module, str(order), str(report)]
        self.process = subprocess.Popen(  # noqa: S603 - ourselves
            words,
            pass_fds=(order, report),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            env={name: value for name, value in os.environ.items() if name not in _NOT_FOR_WORKERS},
            process_group=0,  # Ctrl-C is for the supervisor, which passes it on
        )
        for theirs in (order, report):
            os.close(theirs)
        os.set_blocking(self.reports, False)
        self._orders = os.fdopen(orders, "w")
        self.tell(json.dumps(asdict(work)))

    def tell(self, line: str) -> None:
        """Tell it *line*, if it still listens."""
        with suppress(BrokenPipeError):
            print(line, file=self._orders, flush=True)

    def ask_to_stop(self, why: str) -> None:
        """Let it finish what runs and end; killed if it does not."""
        if not self.asked:
            self.asked = why
            self.kill_at = time.monotonic() + self.grace + _PATIENCE
            self.tell(why)
            with suppress(BrokenPipeError):
                self._orders.close()

    def hear(self) -> None:
        """Take in what it reports."""
        with suppress(BlockingIOError):
            while piece := os.read(self.reports, 65_536):
                self._unread += piece
        *lines, self._unread = self._unread.split(b"\n")
        if lines:
            self.heard_at = time.monotonic()
        for report in map(json.loads, lines):
            if "ready" in report:
                self.ready_at = time.monotonic()
            self.grace = report.get("grace", self.grace)
            self.words = report.get("failed", self.words)
            self.last |= report

    def bury(self) -> None:
        """Let go of what the process that has ended had."""
        assert self.process is not None
        self.code = self.process.returncode
        self.process = None
        os.close(self.reports)
        with suppress(BrokenPipeError):
            self._orders.close()

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid if self.process is not None else 0

    @property
    def is_settled(self) -> bool:
        """Whether it has been at work long enough to be taken for healthy."""
        return bool(self.ready_at) and time.monotonic() - self.ready_at > _SETTLED
