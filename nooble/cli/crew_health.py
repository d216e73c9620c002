"""How the workers of a supervisor are, as they report it: one answer for all of them, to probes and to systemd."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from nooble.cli.worker_process import Worker
from nooble.config import CommonAppSettings
from nooble.observability.health import say_listening
from nooble.observability.probes import Metrics, Probes, Verdict
from nooble.observability.systemd import Notifier

PATIENCE = 30.0
"""Seconds of silence after which the supervisor, or a worker that has reported before, is taken for dead."""


class CrewHealth:
    """How workers are.

    Alive: the supervisor has looked after them lately, and every worker that has reported at all still reports, and says
    that its event loop beats. A worker that is starting, that was asked to stop, or that waits to be started again is in
    the hands of the supervisor and counts as alive.

    Ready: at least one worker can take work. One of them is replaced at a time when limits are passed, so that all of them
    are a moment that need not come; the answer counts them.

    Args:
        workers: their places.
        notifier: tells systemd, if it listens.
    """

    def __init__(self, workers: Sequence[Worker], notifier: Notifier | None = None) -> None:
        self._workers = workers
        self._notifier = notifier or Notifier()
        self._beaten = time.monotonic()
        self._was_ready = self._stopping = False

    @property
    def is_wanted(self) -> bool:
        """Whether systemd wants to know."""
        return self._notifier.is_heard

    def beat(self) -> None:
        """The supervisor has looked after its workers."""
        self._beaten = time.monotonic()
        if not self.is_wanted:
            return
        if self.live().ok:
            self._notifier.alive()
        if self._stopping:
            return
        ready, facts = self.ready()
        if ready and not self._was_ready:
            self._was_ready = True
            self._notifier.ready()
        self._notifier.status(facts["ready"])

    def stop(self) -> None:
        """They come to rest from now on."""
        if not self._stopping:
            self._stopping = True
            self._notifier.stopping()
            self._notifier.status("stopping")

    def live(self) -> Verdict:
        """Whether supervisor and workers give signs of life; otherwise who does not."""
        age = time.monotonic() - self._beaten
        silent = [worker.number for worker in self._workers if _is_silent(worker)]
        ok = age < PATIENCE and not silent
        return Verdict(ok, {"beat_age": round(age, 3), "limit": PATIENCE, "silent_workers": silent})

    def ready(self) -> Verdict:
        """Whether a worker can take work; how each is."""
        states = {str(worker.number): _state(worker) for worker in self._workers}
        ready = sum(state == "ready" for state in states.values())
        why = "stopping" if self._stopping else "" if ready else "no worker can take work"
        facts = {"why": why} if why else {}
        return Verdict(not why, {**facts, "ready": f"{ready} of {len(states)} ready", "workers": states})


def _is_silent(worker: Worker) -> bool:
    if worker.process is None or worker.asked or "health" not in worker.last:
        return False
    return not worker.last["health"]["live"] or time.monotonic() - worker.heard_at > PATIENCE


def _state(worker: Worker) -> Any:
    """`ready`, or why it is not."""
    if worker.process is None:
        return "ended, to be started again"
    if worker.asked:
        return "stopping"
    health = worker.last.get("health")
    if health is None:
        return "starting"
    return "ready" if health["ready"] else health.get("why", "not ready")


@contextmanager
def crew_probes(health: CrewHealth, settings: CommonAppSettings) -> Iterator[Callable[[int], object]]:
    """Probes and metrics of the whole crew, on one port, as *settings* want them, as long as the block lasts. To be entered
    before the first worker starts. Gives what is to be told of every process that has ended.

    Raises:
        ConfigurationFault: the port cannot be listened on.
    """
    with ExitStack() as stack:
        metrics, forget = stack.enter_context(_shared_metrics()) if settings.metrics else (None, _nothing)
        if settings.probe_port is not None:
            probes = Probes(
                settings.probe_port, settings.probe_host, live=health.live, ready=health.ready, metrics=metrics
            )
            say_listening(stack.enter_context(probes))
        yield forget


@contextmanager
def _shared_metrics() -> Iterator[tuple[Metrics, Callable[[int], object]]]:
    """A folder in which all workers count, as the variable tells them; what gives the sum, and what forgets a process."""
    import os
    import tempfile

    before = os.environ.get(_FOLDER)
    with tempfile.TemporaryDirectory(prefix="nooble-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[_FOLDER] = folder
        try:
            from nooble.observability.prometheus import exposition, forget_process

            yield exposition, forget_process
        finally:
            del os.environ[_FOLDER]
            if before is not None:
                os.environ[_FOLDER] = before


_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def _nothing(pid: int) -> None:
    """What has to be done for a process that has counted nothing."""
