"""`-w N`: a process that does no work itself and keeps N others at work, each a worker like that of a single `run`. It
starts them, starts them again, passes signals on, and has them replaced that have used up what they may."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import FrameType

from nooble.cli.crew_health import CrewHealth, crew_probes
from nooble.cli.failures import FAILED, OK, Failure, Misuse
from nooble.cli.servers import Wish
from nooble.cli.worker_process import Limits, Work, Worker, how_it_ended
from nooble.logger import get_logger

_TICK = 0.25
"""Seconds between two looks at the workers."""
_TRIES = 4
"""Ends right after the start, of every worker in a row, after which there is no use in starting them again."""
_SHORTEST, _LONGEST = 0.5, 30.0
"""Seconds of the first pause before a worker is started again, and of the longest."""


class GivenUp(Failure):
    """The workers cannot work.

    Args:
        message: why.
        exit_code: what the process of the supervisor ends with.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def pause_before(start: int, luck: float) -> float:
    """Seconds before a worker is started again that has ended *start* times in a row; *luck* from 0 to 1 spreads them."""
    longest: float = min(_LONGEST, _SHORTEST * 2.0 ** (start - 1))
    return longest * (0.5 + luck / 2)


def supervise(
    work: Work, wish: Wish | None, count: int, limits: Limits, keep_server: Callable[[], object] | None = None
) -> int:
    """Keep *count* workers at work until a signal. Returns the exit code.

    Args:
        work: what each is to do.
        wish: the server that was asked for.
        count: how many.
        limits: what each may use up.
        keep_server: called now and then, so that the server stays there; by default it is started and kept here, if it
            is an embedded one.

    Raises:
        Failure: the settings of the environment are wrong.
        ConfigurationFault: the port of the probes cannot be listened on.
        GivenUp: the workers fail at once whenever they are started.
    """
    from nooble.cli.settings import own_settings
    from nooble.observability.logging import init_logging
    from nooble.wire.embedded import is_embedded, resolve_url

    settings, choice = own_settings(wish)
    level = work.options.get("log_level") or settings.log_level
    form = work.options.get("log_format") or settings.log_format
    init_logging(level.upper(), log_format=form, redact=settings.log_redact)
    if wish is not None:
        work = replace(work, url=wish.url, source=wish.source)
    if keep_server is None and is_embedded(choice.url):  # its owner is to outlive the workers
        work = replace(work, url=settings.redis_url, source="COMMANDLINE")
        again = settings.model_copy(update={"redis_url": choice.url})
        keep_server = lambda: resolve_url(again)  # noqa: E731
    supervisor = Supervisor(work, count, limits, keep_server or (lambda: None))
    wanted = settings.model_copy(update=work.options)
    with crew_probes(supervisor.health, wanted) as supervisor.forget:
        return supervisor.run(is_probed=wanted.probe_port is not None)


class Supervisor:
    """Keeps workers at work until a signal.

    Args:
        work: what each is to do.
        count: how many.
        limits: what each may use up.
        keep_server: called now and then, so that the server stays there.

    Attributes:
        health: how the workers are.
        forget: is told the number of every process that has ended.
    """

    def __init__(self, work: Work, count: int, limits: Limits, keep_server: Callable[[], object]) -> None:
        self._work = replace(work, has_limits=bool(limits))
        self._limits = limits
        self._keep_server = keep_server
        self._workers = [Worker(number) for number in range(1, count + 1)]
        self.health = CrewHealth(self._workers)
        self.forget: Callable[[int], object] = lambda pid: None
        self._log = get_logger()
        self._is_first = True
        self._worked = False
        self._why = ""

    def run(self, is_probed: bool = False) -> int:
        """Supervise. Returns the exit code.

        Args:
            is_probed: whether the workers are to report how they are; so they do for systemd, too.

        Raises:
            GivenUp: the workers fail at once whenever they are started.
        """
        self._work = replace(self._work, is_probed=is_probed or self.health.is_wanted)
        with ExitStack() as stack:
            self._bell, ring = socket.socketpair()
            for one in (self._bell, ring):
                stack.enter_context(one).setblocking(False)
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False))
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, self._hear_signal))
            stack.callback(self._stop, "the supervisor gives up")
            self._log.info("supervisor_started", workers=len(self._workers), pid=os.getpid())
            while not self._why:
                self._start_due()
                self._look()
                self._recycle()
                self._keep_server()
            return self._stop(self._why)

    # ── watching ──
    def _start_due(self) -> None:
        for worker in self._workers:
            if worker.process is None and worker.starts_at <= time.monotonic() and not self._why:
                worker.start(replace(self._work, number=worker.number, is_first=self._is_first))
                self._is_first = False

    def _look(self) -> None:
        """Wait for news, or for a tick, and take it in."""
        reports = [worker.reports for worker in self._workers if worker.process is not None]
        select.select([self._bell.fileno(), *reports], [], [], _TICK)
        self.health.beat()
        with suppress(BlockingIOError):
            self._bell.recv(64)
        for worker in self._workers:
            if worker.process is None:
                continue
            code = worker.process.poll()  # asked before its last words are read
            worker.hear()
            self._worked = self._worked or bool(worker.ready_at)
            if code is not None:
                self._ended(worker, code)
            elif worker.asked and time.monotonic() > worker.kill_at:
                worker.log.warning("worker_killed", pid=worker.pid, message="it did not stop in time")
                worker.kill()
            elif worker.is_settled:
                worker.ends_in_a_row = 0

    def _ended(self, worker: Worker, code: int) -> None:
        """A process has ended: start another one in its place, at once, later, or not at all."""
        facts = {"pid": worker.pid, "how": how_it_ended(code), "after": round(time.monotonic() - worker.began, 1)}
        self.forget(worker.pid)
        worker.bury()
        if self._why:
            worker.log.info("worker_ended", **facts)
            return
        if worker.asked:
            worker.log.info("worker_replaced", because=worker.asked, **facts)
            worker.starts_at = 0.0
            return
        if worker.words and not self._worked:  # what keeps it from starting keeps all of them
            raise GivenUp(worker.words, code)
        worker.ends_in_a_row = 1 if worker.is_settled else worker.ends_in_a_row + 1
        if all(one.ends_in_a_row >= _TRIES for one in self._workers):
            last = worker.words or facts["how"]
            raise GivenUp(
                f"the workers end right after their start, {_TRIES} times in a row, and are not started again; "
                f"the last of them: {last}",
                code if worker.words else FAILED,
            )
        pause = pause_before(worker.ends_in_a_row, random.random())
        worker.starts_at = time.monotonic() + pause
        reason = {"reason": worker.words} if worker.words else {}
        worker.log.warning("worker_ended", **facts, **reason, again_in=round(pause, 1))

    def _recycle(self) -> None:
        """Have a worker replaced that has passed a limit; one at a time, so that the others do its work meanwhile."""
        here = [worker for worker in self._workers if worker.process is not None]
        if any(worker.asked for worker in self._workers) or not all(worker.ready_at for worker in here):
            return
        for worker in here:
            passed = self._limits.passed_by(worker.last, worker.ease)
            if passed and not worker.last.get("taken"):
                raise GivenUp(f"a worker that has done nothing yet has {passed}: give it more", Misuse.exit_code)
            if passed:
                worker.log.info("worker_recycled", pid=worker.pid, because=passed)
                worker.ask_to_stop(passed)
                return

    # ── coming to rest ──
    def _stop(self, why: str) -> int:
        """Let all finish, each within its grace. Returns the exit code: that of the first that could not."""
        self.health.stop()
        stopping = [worker for worker in self._workers if worker.process is not None]
        if not stopping:
            return OK
        self._why = why
        self._log.info("supervisor_stopping", why=why)
        for worker in stopping:
            worker.ask_to_stop(why)
        while any(worker.process is not None for worker in stopping):
            self._look()
        codes = [worker.code for worker in stopping if worker.code]
        self._log.info("supervisor_stopped", workers=len(stopping))
        return OK if not codes else codes[0] if codes[0] > 0 else FAILED

    def _hear_signal(self, number: int, _: FrameType | None) -> None:
        if self._why:
            for worker in self._workers:
                if worker.process is not None:
                    worker.process.kill()  # and no waiting: what was interrupted may be a wait itself
            os._exit(128 + number)
        self._why = signal.Signals(number).name
