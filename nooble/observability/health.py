"""How a process with workers is, for probes and for systemd: whether its event loop beats, and whether its workers can take
work. `observed` is all that a program needs that runs its workers itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from nooble.logger import get_logger
from nooble.observability.probes import Metrics, Probes, Verdict
from nooble.observability.systemd import Notifier

_BEAT = 0.5
"""Seconds between two beats."""


class Observed(Protocol):
    """What is known of a worker here."""

    service_name: str

    @property
    def is_ready(self) -> bool:
        """Whether it can take work."""

    @property
    def state(self) -> str:
        """How it is, in a word."""


class Health:
    """How the workers of this process are.

    Args:
        patience: seconds without a beat after which the event loop is taken for dead.
        notifier: tells systemd, if it listens.

    Attributes:
        workers: what is looked at; none as long as none is made.
        stopping: set when they come to rest.
    """

    def __init__(self, patience: float = 30.0, notifier: Notifier | None = None) -> None:
        self.workers: Sequence[Observed] = ()
        self.stopping = False
        self._patience = patience
        self._notifier = notifier or Notifier()
        self._beaten = time.monotonic()
        self._was_ready = False

    @property
    def age(self) -> float:
        """Seconds since the event loop has beaten."""
        return time.monotonic() - self._beaten

    def live(self) -> Verdict:
        """Whether the event loop beats."""
        age = self.age
        return Verdict(age < self._patience, {"beat_age": round(age, 3), "limit": self._patience})

    def ready(self) -> Verdict:
        """Whether every worker can take work; otherwise which cannot, and how it is."""
        states = {one.service_name: one.state for one in self.workers}
        if self.stopping:
            return Verdict(False, {"why": "stopping", "workers": states})
        if not self.workers:
            return Verdict(False, {"why": "starting", "workers": states})
        unready = [f"{one.service_name} is {one.state}" for one in self.workers if not one.is_ready]
        why = {"why": "; ".join(unready)} if unready else {}
        return Verdict(not unready, {**why, "workers": states})

    def stop(self) -> None:
        """The workers come to rest from now on."""
        if not self.stopping:
            self.stopping = True
            self._notifier.stopping()
            self._notifier.status("stopping")

    async def beat(self) -> None:
        """Beat until cancelled, and tell systemd."""
        pause = min(_BEAT, self._notifier.watchdog / 3 or _BEAT)
        while True:
            self._beaten = time.monotonic()
            self._notifier.alive()
            if self._notifier.is_heard and not self.stopping:
                self._tell()
            await asyncio.sleep(pause)

    def _tell(self) -> None:
        ready, facts = self.ready()
        if ready and not self._was_ready:
            self._was_ready = True
            self._notifier.ready()
        self._notifier.status(str(facts.get("why", "ready")))


@asynccontextmanager
async def observed(
    workers: Sequence[Observed] = (),
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    patience: float = 30.0,
    metrics: Metrics | None = None,
) -> AsyncIterator[Health]:
    """Probes, and signs of life for systemd, as long as the block lasts. `nooble run` does this itself; a program that
    runs its workers in its own way writes::

        async with observed([worker], port=9000, metrics=exposition):
            await worker.run()

    Args:
        workers: what is looked at; can be set later, as `workers` of what this gives.
        port: where /livez, /readyz and /metrics are answered; 0 takes a free port, `None` answers nowhere.
        host: at which address; `0.0.0.0` for all.
        patience: seconds without a beat after which /livez says that the event loop is dead. A lease is a good measure:
            from then on others take over what these workers hold.
        metrics: what /metrics gives, such as `nooble.observability.prometheus.exposition`.

    Raises:
        ConfigurationFault: the port cannot be listened on.
    """
    health = Health(patience)
    health.workers = workers
    probes: Probes | None = None
    if port is not None:
        probes = Probes(port, host, live=health.live, ready=health.ready, metrics=metrics).start()
        say_listening(probes)
    beating = asyncio.create_task(health.beat(), name="nooble-beat")
    try:
        yield health
    finally:
        health.stop()
        beating.cancel()
        if probes is not None:
            await asyncio.to_thread(probes.close)


def say_listening(probes: Probes, **facts: Any) -> None:
    """Log where *probes* listen."""
    host = f"[{probes.host}]" if ":" in probes.host else probes.host
    get_logger().info("probes_listening", url=f"http://{host}:{probes.port}/readyz", **facts)
