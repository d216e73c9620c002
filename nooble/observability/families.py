"""Every metric by name: what is exported under it, with which labels, in base units. Names are a contract: dashboards and
alerts of others depend on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nooble.observability.counting import CALL_BOUNDS, PROCESS_BOUNDS, WAIT_BOUNDS

_OF_SERVICE = ("service",)
_OF_ACTION = ("service", "action")


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once, counted elsewhere by the same bounds."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add observations.

        Args:
            counts: how many fell below each bound and not below the one before; the last: above all.
            total: their sum.
        """
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


class Families:
    """The metrics in one registry.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: Sequence[str] = _OF_SERVICE) -> Counter:
            return Counter(f"nooble_{name}_total", text, labels, registry=registry)

        def histogram(name: str, text: str, bounds: Sequence[float]) -> BulkHistogram:
            return BulkHistogram(f"nooble_{name}_seconds", text, _OF_ACTION, buckets=bounds, registry=registry)

        def gauge(name: str, text: str, labels: Sequence[str] = _OF_SERVICE, mode: Any = "livemostrecent") -> Gauge:
            return Gauge(f"nooble_{name}", text, labels, registry=registry, multiprocess_mode=mode)

        # what workers do
        self.handled = counter(
            "messages_handled",
            "Actions whose outcome is written: completed, failed (its caller knows), retried, buried, expired, released.",
            (*_OF_ACTION, "outcome"),
        )
        self.process = histogram(
            "process_duration", "From the start of a run to the commit of its outcome.", PROCESS_BOUNDS
        )
        self.wait = histogram(
            "queue_wait", "From the writing of an entry to its start, by the server's clock.", WAIT_BOUNDS
        )
        self.in_progress = gauge("messages_in_progress", "Actions at work now.", _OF_ACTION, "livesum")
        self.retries = counter("retries", "Runs that failed and were put off.", _OF_ACTION)
        self.buried = counter("buried", "Actions that became dead letters.", _OF_ACTION)
        self.redeliveries = counter("redeliveries", "Entries taken over from consumers that gave no sign of life.")
        self.refused = counter("commits_refused", "Outcomes that the fence refused: somebody else had the entry.")
        self.leases_lost = counter(
            "leases_lost", "Handlers cancelled because somebody else had taken their entry over."
        )
        self.held = counter("held", "Actions whose end could not be written, kept and tried again.")
        self.unwritten = counter("outputs_unwritten", "Answers and follow-ups that could not be written.")
        self.data_losses = counter("data_losses", "Times that the server had lost something.")
        self.trimmed = counter("dead_letters_trimmed", "Dead letters dropped by age or number.")
        self.outages = counter("server_outages", "Times that the server could not be reached or could not serve.")
        self.outage_seconds = counter("server_outage_seconds", "Seconds that these outages took, once they are over.")
        self.clock_jumps = counter("server_clock_jumps", "Times that the clock of the server was seen to jump.")
        self.loop_blocks = counter(
            "loop_blocks", "Times that the event loop stood still for a third of a lease or longer."
        )
        self.loop_blocked = counter("loop_blocked_seconds", "Seconds that it stood still then.")
        self.worker_info = gauge("worker_info", "Workers by version.", ("service", "version", "python"), "livesum")

        # what clients do
        self.sent = counter("messages_sent", "Actions that the server has, by kind.", ("service", "target", "kind"))
        self.not_sent = counter("messages_not_sent", "Actions that could not be sent.", ("service", "target"))
        self.call = histogram(
            "call_duration", "From sending a call to its answer, or to its end without one.", CALL_BOUNDS
        )
        self.calls = counter("calls", "Calls by outcome: ok, error, timeout or failed.", (*_OF_ACTION, "outcome"))
        self.call_timeouts = counter("call_timeouts", "Calls without an answer in time.", _OF_ACTION)

        # how the system stands
        self.length = gauge("stream_length", "Entries in the stream: waiting and at work.")
        self.lag = gauge("group_lag", "Entries that no worker has been given yet.")
        self.pending = gauge("group_pending", "Entries that were given to a worker and have not ended.")
        self.oldest_waiting = gauge("oldest_waiting_seconds", "Age of the first entry that no worker has been given.")
        self.oldest_pending = gauge("oldest_pending_seconds", "Age of the oldest entry that has not ended.")
        self.dead_letters = gauge("dead_letters", "Dead letters that are kept.")
        self.retries_waiting = gauge("retries_waiting", "Actions that wait for their next run.")
        self.workers = gauge("workers", "Workers in the registry, by state.", ("service", "state"))
        self.read_at = gauge("reading_timestamp_seconds", "Moment at which the gauges of the system were last read.")


STATES = ("starting", "working", "quiet", "waiting", "stopping")
"""Of workers; anything else that stands in the registry counts as `unknown`."""


def set_reading(families: Families, service: Any) -> None:
    """Set the gauges of one service of a reading of the system.

    Args:
        families: the metrics.
        service: as in `nooble.operations.reading`.
    """
    name, stream = service.name, service.stream
    families.length.labels(name).set(stream.length)
    families.pending.labels(name).set(stream.pending)
    if stream.lag is not None:
        families.lag.labels(name).set(stream.lag)
    families.oldest_waiting.labels(name).set((stream.oldest_waiting_ms or 0) / 1000)
    families.oldest_pending.labels(name).set((stream.oldest_pending_ms or 0) / 1000)
    families.dead_letters.labels(name).set(service.dead.count)
    families.retries_waiting.labels(name).set(service.retries.count)
    states = [worker.state if worker.state in STATES else "unknown" for worker in service.workers]
    for state in (*STATES, "unknown"):
        families.workers.labels(name, state).set(states.count(state))
