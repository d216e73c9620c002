"""What a worker says of itself in the registry: made from what it knows, bounded, and without looking at any payload."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
import time
from collections.abc import Iterable

from nooble._version import __version__
from nooble.operations.reading import AtWork, Worker
from nooble.workers.clock import ServerClock
from nooble.workers.in_flight import InFlight, Run

_MOST_AT_WORK = 20
_LONGEST_NAME = 200
_HOST, _PYTHON = socket.gethostname(), platform.python_version()


def card_of(
    *,
    service: str,
    consumer: str,
    state: str,
    version: str,
    started: float,
    concurrency: int,
    lease_seconds: float,
    flight: InFlight,
    clock: ServerClock,
    digest: str,
) -> Worker:
    """The card of a worker at this moment.

    Args:
        service, consumer, state, version, concurrency, lease_seconds: of the worker.
        started: moment of its start, of `time.monotonic`.
        flight: what it holds.
        clock: the server's time.
        digest: under which its routes are kept.
    """
    now, now_ms = time.monotonic(), clock.now_ms()
    return Worker(
        service=service,
        consumer=consumer,
        state=state,
        host=_HOST,
        pid=os.getpid(),
        version=version[:_LONGEST_NAME],
        nooble=__version__,
        python=_PYTHON,
        started_ms=int(now_ms - (now - started) * 1000),
        beat_ms=int(now_ms),
        concurrency=concurrency,
        lease_ms=int(lease_seconds * 1000),
        busy=len(flight.running),
        held=len(flight),
        taken=flight.taken,
        rss=resident_bytes(),
        at_work=tuple(_at_work(flight.running.values(), now, now_ms)),
        routes=digest,
    )


def _at_work(runs: Iterable[Run], now: float, now_ms: float) -> Iterable[AtWork]:
    """The longest-running; what an action is called comes from outside."""
    for run in sorted(runs, key=lambda run: run.started)[:_MOST_AT_WORK]:
        yield AtWork(
            entry_id=run.delivery.entry_id.decode("utf-8", "replace"),
            action_type=_named(run.action_type),
            action_id=_named(run.action_id),
            attempt=run.delivery.attempts + 1,
            since_ms=int(now_ms - (now - run.started) * 1000),
        )


def _named(name: object) -> str:
    return str(name)[:_LONGEST_NAME].encode("utf-8", "replace").decode()


def resident_bytes() -> int:
    """The memory that this process has; the most it had, where the system does not say what it has now."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
