"""What was measured, and what can be said of it. Nothing is measured here, nothing shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

NOISY = 0.2
"""Spread of the rounds beyond which nothing is to be concluded from them."""


@dataclass(slots=True)
class Failures:
    """What went wrong, by its code.

    Attributes:
        counts: how often.
        messages: what was said the first time.
    """

    counts: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)

    def add(self, code: str, message: str, count: int = 1) -> None:
        """Something went wrong."""
        self.counts[code] = self.counts.get(code, 0) + count
        self.messages.setdefault(code, message)

    def rows(self) -> list[dict[str, Any]]:
        """The most frequent first."""
        codes = sorted(self.counts, key=lambda code: -self.counts[code])
        return [{"code": code, "count": self.counts[code], "message": self.messages[code]} for code in codes]


@dataclass(slots=True, kw_only=True)
class Round:
    """One round.

    Attributes:
        actions: how many were handled.
        seconds: how long it took.
        latencies: seconds from a call to its answer, of each.
        worker_cpu, client_cpu, server_cpu: seconds of computing; `None` if the server does not say.
    """

    actions: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    worker_cpu: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float | None = None

    @property
    def throughput(self) -> float:
        """Actions a second."""
        return self.actions / self.seconds


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Mean and percentiles of *seconds*, in milliseconds: values that occurred, none in between."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    values = {"mean": fmean(ordered), **{name: ordered[round(last * part)] for name, part in at.items()}}
    return {name: value * 1000 for name, value in values.items()}


def spread_of(values: Sequence[float]) -> float | None:
    """Distance of the extremes, as a part of the median; `None` for a single value."""
    return (max(values) - min(values)) / median(values) if len(values) > 1 else None


def figures_of(rounds: Sequence[Round]) -> dict[str, Any]:
    """Throughput, computing and latency of all *rounds*."""
    rates = [one.throughput for one in rounds]
    spread = spread_of(rates)
    latencies = [latency for one in rounds for latency in one.latencies]
    return {
        "rounds": len(rounds),
        "actions": sum(one.actions for one in rounds),
        "seconds": sum(one.seconds for one in rounds),
        "throughput": {"median": median(rates), "lowest": min(rates), "highest": max(rates), "spread": spread},
        "noisy": spread is not None and spread > NOISY,
        "cpu_us_per_action": {
            "worker": _each([one.worker_cpu for one in rounds], rounds),
            "client": _each([one.client_cpu for one in rounds], rounds),
            "server": _each([one.server_cpu for one in rounds], rounds),
        },
        "worker_busy": median(one.worker_cpu / one.seconds for one in rounds),
        "latency_ms": milliseconds(latencies) if latencies else None,
    }


def stages_of(watched: dict[str, dict[str, float]], latencies: Sequence[float]) -> list[dict[str, Any]]:
    """Where the time of an action goes, in the order in which it passes.

    Args:
        watched: what the worker has seen: milliseconds of each stage.
        latencies: seconds of the same calls from beginning to end; none if nothing was called.
    """
    stages: list[dict[str, Any]] = [{"stage": stage, **values} for stage, values in watched.items()]
    seen = sum(one["mean"] for one in stages)
    total = max(fmean(latencies) * 1000, seen) if latencies else seen
    if latencies and stages:
        stages.append({"stage": "answer", "mean": total - seen})
    return [{**one, "share": one["mean"] / total} for one in stages]


def _each(cpu: Sequence[float | None], rounds: Sequence[Round]) -> float | None:
    """Microseconds for each action: the median of the rounds."""
    known = [seconds / one.actions * 1e6 for seconds, one in zip(cpu, rounds, strict=True) if seconds is not None]
    return median(known) if len(known) == len(rounds) else None
