"""From what happens to metrics. What happens for every action is counted in plain lists (`counting`); here it is given to
the metrics library: when somebody asks, and every second where several processes count together."""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import platform
import threading
import time
from collections import Counter as Count
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from nooble import events as e
from nooble._version import __version__
from nooble.logger import get_logger
from nooble.observability.counting import UNKNOWN, Names, Tallies, Tally
from nooble.observability.families import BulkHistogram, Families, set_reading
from nooble.observability.folding import FOLDER, forget_process, forget_the_dead, unfolded

Source = Callable[[], Awaitable[Any]]
"""Reads how the system stands; see `nooble.operations.reading.Reading`."""

_TOGETHER_EVERY = 1.0
_READING_LASTS, _READING_LASTS_TOGETHER, _READING_PATIENCE = 5.0, 15.0, 3.0


class Metrics:
    """The metrics of this process.

    Args:
        registry: where they are registered; an endpoint of your own that exports it exports them.

    Attributes:
        ending: what `observe` has returned for workers that are gone; called at the next occasion. It is there for the
            garbage collector, which runs anywhere, in the middle of anything: it may add here, and do nothing else.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._together = os.environ.get(FOLDER)
        registry.register(_Fresh(self))  # before all others: it is asked first
        self.families = Families(registry)
        self.ending: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()
        self._workers: dict[int, _Observed] = {}
        self._sources: dict[str, Source] = {}
        self._read_at = -math.inf
        self._reading = threading.Lock()
        self._targets, self._called = Names(), Names()
        self._keeper: threading.Thread | None = None

    # ── who is observed ──
    def observe(
        self,
        events: e.Events,
        *,
        service: str,
        declared: Callable[[], Iterable[str]] = tuple,
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
        at_work: Callable[[], Iterable[str]] = tuple,
        source: Source | None = None,
    ) -> Callable[[], None]:
        """Count what a worker does.

        Args:
            events: of the worker.
            service: its name.
            declared: gives the action types that become labels; all others count as `unknown`.
            now_ms: the server's clock in milliseconds.
            at_work: gives the types of the actions that are at work now.
            source: reads how the service stands, for the gauges of the system.

        Returns:
            A function that ends it; what was counted stays.
        """
        sent = self.families.sent

        def count_sent(stream: str) -> None:
            sent.labels(service, self._targets(stream.split(":")[2]), "follow_up").inc()

        worker = _Observed(self.families, service, Tallies(declared, now_ms, count_sent), at_work)
        info = self.families.worker_info.labels(service, __version__, platform.python_version())
        ends = [events.subscribe(worker.tallies.add, [e.Settled]), events.subscribe(worker.hear, list(_RARE))]
        with self._lock:
            self._end_all()
            self._workers[id(worker)] = worker
            if source is not None:
                self._sources.setdefault(service, source)
        info.inc()
        self._keep_together()

        def end() -> None:
            with self._lock:
                if self._workers.pop(id(worker), None) is None:
                    return
                worker.flush()
                worker.set_at_work(rest=self._rest(service))
                if not any(other.service == service for other in tuple(self._workers.values())):
                    self._sources.pop(service, None)
            info.dec()
            for unsubscribe in ends:
                unsubscribe()

        return end

    def observe_client(self, client: Any) -> Callable[[], None]:
        """Count what a client sends, and how long its calls take.

        Args:
            client: a `BaseRedisClient`.

        Returns:
            A function that ends it.
        """
        families, service = self.families, client.service_name

        def hear(event: e.ClientEvent) -> None:
            if isinstance(event, e.CallEnded):
                action = self._called(event.action_type)
                families.call.labels(service, action).observe(event.seconds)
                families.calls.labels(service, action, event.outcome).inc()
                if event.outcome == "timeout":
                    families.call_timeouts.labels(service, action).inc()
            elif isinstance(event, e.Sent):
                families.sent.labels(service, self._targets(event.target), event.kind).inc()
            else:
                families.not_sent.labels(service, self._targets(event.target)).inc()

        self._keep_together()
        return client.events.subscribe(hear, [e.ClientEvent])  # type: ignore[no-any-return]

    # ── what is given out ──
    def exposition(self) -> tuple[bytes, str]:
        """The metrics in Prometheus' text format, and their content type.

        From any thread. Where the thread runs an event loop, the gauges of the system are those of the time before;
        elsewhere they are read now, if they are older than some seconds.
        """
        self.refresh()
        if not self._together:
            return generate_latest(self.registry), CONTENT_TYPE_LATEST
        self.flush()
        forget_the_dead(self._together)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        with unfolded(self._together):
            return generate_latest(registry), CONTENT_TYPE_LATEST

    def flush(self) -> None:
        """Give what has gathered to the metrics library."""
        with self._lock:
            self._end_all()
            at_work: dict[str, Count[str]] = {}
            workers = tuple(self._workers.values())
            for worker in workers:
                worker.flush()
                at_work.setdefault(worker.service, Count()).update(worker.types_at_work())
            for worker in workers:
                worker.set_at_work(at_work[worker.service])

    def _end_all(self) -> None:
        while self.ending:
            self.ending.popleft()()

    def refresh(self, lasts: float = _READING_LASTS) -> None:
        """Read how the system stands, not in the way of an event loop.

        Args:
            lasts: seconds for which the last reading is good enough.
        """
        if not self._sources or time.monotonic() - self._read_at < lasts:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._read()
        else:
            threading.Thread(target=self._read, name="nooble-reading", daemon=True).start()

    def _read(self) -> None:
        """Read, in a loop of its own: that of the workers may be busy, or stand still."""
        if not self._reading.acquire(blocking=False):
            return
        try:
            self._read_at = time.monotonic()
            for name, source in list(self._sources.items()):
                try:
                    reading = asyncio.run(asyncio.wait_for(_awaited(source), _READING_PATIENCE))
                    for service in reading.services:
                        if service.name == name:
                            set_reading(self.families, service)
                    self.families.read_at.labels(name).set(time.time())
                except Exception as error:  # the old values stay, and their age is told
                    get_logger(service=name).warning("system_not_read", error=f"{type(error).__name__}: {error}")
        finally:
            self._reading.release()

    def _rest(self, service: str) -> Count[str]:
        rest: Count[str] = Count()
        for worker in tuple(self._workers.values()):
            if worker.service == service:
                rest.update(worker.types_at_work())
        return rest

    # ── several processes ──
    def _keep_together(self) -> None:
        """Where processes count together, whoever is asked reads what all have written: so all write every second."""
        if self._together and (self._keeper is None or not self._keeper.is_alive()):
            self._keeper = threading.Thread(target=self._keep, name="nooble-metrics", daemon=True)
            self._keeper.start()
            atexit.register(self._leave)

    def _keep(self) -> None:
        while True:
            time.sleep(_TOGETHER_EVERY)
            try:
                self.flush()
                self.refresh(_READING_LASTS_TOGETHER)
            except Exception as error:  # the next time may go well; without this thread nothing would be written again
                get_logger().warning("metrics_not_written", error=f"{type(error).__name__}: {error}")

    def _leave(self) -> None:
        self.flush()
        forget_process(os.getpid())


class _Observed:
    """One worker, as it is counted."""

    def __init__(
        self, families: Families, service: str, tallies: Tallies, at_work: Callable[[], Iterable[str]]
    ) -> None:
        self.service, self.tallies = service, tallies
        self._families, self._at_work = families, at_work
        self._children: dict[str, tuple[BulkHistogram, BulkHistogram]] = {}
        for name, _ in (pair for pairs in _RARE.values() for pair in pairs):
            getattr(families, name).labels(service)  # 0 from the start: else the first time would be no change

    def hear(self, event: e.Event) -> None:
        """What happens rarely is counted as it happens."""
        for name, field in _RARE[type(event)]:
            amount = 1 if field is None else getattr(event, field)
            getattr(self._families, name).labels(self.service).inc(amount)

    def flush(self) -> None:
        """Give what has gathered to the metrics library."""
        for action, tally in self.tallies.take().items():
            self._give(action, tally)

    def _give(self, action: str, tally: Tally) -> None:
        families, labels = self._families, (self.service, action)
        if action not in self._children:
            self._children[action] = families.process.labels(*labels), families.wait.labels(*labels)
        process, wait = self._children[action]
        process.add(tally.process, tally.process_sum)
        wait.add(tally.wait, tally.wait_sum)
        for outcome, count in tally.outcomes.items():
            families.handled.labels(*labels, outcome).inc(count)
            if outcome == "retried":
                families.retries.labels(*labels).inc(count)
            elif outcome == "buried":
                families.buried.labels(*labels).inc(count)

    def types_at_work(self) -> Count[str]:
        """The actions that are at work now, as labels."""
        names, declared = tuple(self._at_work()), self.tallies.declared
        if not declared.issuperset(names):
            declared = self.tallies.ask_again()
        return Count(name if name in declared else UNKNOWN for name in names)

    def set_at_work(self, rest: Count[str]) -> None:
        """Set the gauges: of every action of the service, what all its workers in this process do."""
        for name in (*self.tallies.declared, UNKNOWN):
            self._families.in_progress.labels(self.service, name).set(rest[name])


_RARE: dict[type[e.Event], tuple[tuple[str, str | None], ...]] = {
    e.Reclaimed: (("redeliveries", None),),
    e.CommitRefused: (("refused", None),),
    e.LeaseLost: (("leases_lost", None),),
    e.Held: (("held", None),),
    e.Unwritten: (("unwritten", None),),
    e.DataLost: (("data_losses", None),),
    e.ServerLost: (("outages", None),),
    e.ServerBack: (("outage_seconds", "seconds"),),
    e.ClockJumped: (("clock_jumps", None),),
    e.LoopBlocked: (("loop_blocks", None), ("loop_blocked", "seconds")),
    e.DeadLettersTrimmed: (("trimmed", "count"),),
}
"""Event → what it counts as, and which of its fields says how much; one, if none does."""


class _Fresh:
    """Asked before all other metrics of a registry: what has gathered is in them when they are asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterator[Any]:
        """It has no metric of its own."""
        return iter(())

    def collect(self) -> Iterator[Any]:
        """Nothing; but now the others are up to date."""
        self._metrics.flush()
        return iter(())


async def _awaited(source: Source) -> Any:
    return await source()
