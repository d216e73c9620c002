"""What was measured: figures of variants over rounds, their medians and spread, and the turns that variants take.

Within a round every variant has one turn, and the order is turned each round: a slow spell of the machine hits all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.programs import Broken

Measure = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Column:
    """One figure of a table.

    Attributes:
        key: in the measured figures.
        title, digits: as shown.
        less_is_better: how a ratio to another variant is meant.
    """

    key: str
    title: str
    digits: int = 1
    less_is_better: bool = True


CPU = Column("cpu_us", "CPU µs")
RATE = Column("per_s", "per s", 0, less_is_better=False)
SERVER = Column("server_us", "server µs")
P50 = Column("p50_ms", "p50 ms", 2)
P99 = Column("p99_ms", "p99 ms", 2)
CONNECTIONS = Column("connections", "connections", 0)


@dataclass
class Table:
    """One row of the issue, measured.

    Attributes:
        name: of the row, as `--rows` takes it, perhaps with a part.
        title, note: for readers.
        columns: what is shown; the first is what ratios are of.
        base: the variant that ratios are of, if there is one.
        runs: by variant, the figures of every round.
        failed: by variant, why it has none.
        sizes: how much was done, in words.
        peers: which variants are peers.
        aside: peers that do less than the others, and are no "best peer": one handler call for many, no answers.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    base: str | None = None
    note: str = ""
    sizes: str = ""
    runs: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    peers: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)

    def values(self, variant: str, key: str) -> list[float]:
        """All values of one figure, sorted."""
        return sorted(run[key] for run in self.runs.get(variant, ()) if key in run)

    def median(self, variant: str | None, key: str) -> float | None:
        """Its median; `None` if it was not measured."""
        values = self.values(variant, key) if variant else []
        return statistics.median(values) if values else None

    def spread(self, variant: str, key: str) -> float | None:
        """From least to most, as a part of the median."""
        values = self.values(variant, key)
        middle = self.median(variant, key)
        return (values[-1] - values[0]) / middle if values and middle else None

    def ratio(self, variant: str | None, to: str | None, key: str) -> float | None:
        """Median of *variant* by the median of *to*."""
        mine, other = self.median(variant, key), self.median(to, key)
        return mine / other if mine is not None and other else None

    def best_peer(self, column: Column) -> str | None:
        """The peer with the best median; `None` if none was measured."""
        found = {name: self.median(name, column.key) for name in self.runs if name in self.peers - self.aside}
        ranked = sorted((value, name) for name, value in found.items() if value is not None)
        return (ranked[0] if column.less_is_better else ranked[-1])[1] if ranked else None


def take_turns(
    table: Table, variants: Mapping[str, Measure], rounds: int, say: Callable[[str], None], before: Callable[[], Any]
) -> Table:
    """Measure every variant once each round; one that breaks is told in the table and has no further turn."""
    names = list(variants)
    for number in range(rounds):
        for name in in_turn(names, number):
            if name in table.failed:
                continue
            before()
            try:
                figures = dict(variants[name]())
            except Broken as why:
                table.failed[name] = str(why)
                table.runs.pop(name, None)
                say(f"    {name}: {why}")
                continue
            table.runs.setdefault(name, []).append(figures)
        say(f"    {table.name}: round {number + 1} of {rounds}")
    table.runs = {name: table.runs[name] for name in names if name in table.runs}
    return table


def in_turn(names: Iterable[str], number: int) -> list[str]:
    """*names* in the order of round *number*: another first each round, and backwards every second time."""
    listed = list(names)
    turn = number % len(listed) if listed else 0
    order = listed[turn:] + listed[:turn]
    return order[::-1] if number % 2 else order


def per_action(figures: Mapping[str, float], count: float) -> dict[str, float]:
    """CPU, throughput and the server's cost of one of *count* actions."""
    return {
        "cpu_us": figures["cpu"] / count * 1e6,
        "per_s": count / figures["wall"],
        "server_us": figures.get("server_cpu", 0.0) / count * 1e6,
        "rss_mb": figures.get("rss", 0.0) / 1e6,
    }
