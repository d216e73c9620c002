"""The targets of the project beside what was measured. A target holds or does not; how far off it is is said in any case.

Ratios are of medians inside one run. What was not measured is said to be so, never counted as met."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.figures import CPU, RATE, Column, Table
from benchmarks.rows.clients import HAND, PACKED, PIPELINE, SEND, SEND_MANY
from benchmarks.rows.workers import BATCH, FLOOR, LAYERS, ONE, SUSPENDS, TEN, TIGHT, WHOLE

Tables = Mapping[str, Table]
Value = Callable[[Tables], float | None]


@dataclass(frozen=True)
class Target:
    """One thing that is to hold.

    Attributes:
        what: in words.
        value: what was measured, from the tables.
        bound: what it is held to.
        at_most: whether the bound is an upper one.
        unit: of both, `×` for ratios.
    """

    what: str
    value: Value
    bound: float
    at_most: bool = False
    unit: str = "×"

    def verdict(self, tables: Tables) -> str:
        """Met, or the distance."""
        value = self.value(tables)
        if value is None:
            return "not measured"
        if value <= self.bound if self.at_most else value >= self.bound:
            return "met"
        off = value / self.bound - 1 if self.at_most else 1 - value / self.bound
        return f"**missed by {off:.0%}**"

    def row(self, tables: Tables) -> tuple[str, str, str, str]:
        """What, target, measured, verdict."""
        value = self.value(tables)
        sign = "≤" if self.at_most else "≥"
        shown = "–" if value is None else f"{value:.3g} {self.unit}"
        return self.what, f"{sign} {self.bound:g} {self.unit}", shown, self.verdict(tables)


def ratio(table: str, mine: str, other: str, key: str = CPU.key) -> Value:
    """Median of *mine* by that of *other*."""
    return lambda tables: tables[table].ratio(mine, other, key) if table in tables else None


def speed(table: str, mine: str, other: str) -> Value:
    """How much less CPU *mine* needs than *other*: 2 is half of it."""
    return ratio(table, other, mine)


def above_best_peer(table: str, mine: str, column: Column) -> Value:
    """Ratio to the best peer that does as much: one that answers nobody is left out."""

    def value(tables: Tables) -> float | None:
        if table not in tables:
            return None
        return tables[table].ratio(mine, tables[table].best_peer(column), column.key)

    return value


def plain(table: str, variant: str, key: str) -> Value:
    """The median itself."""
    return lambda tables: tables[table].median(variant, key) if table in tables else None


def among(prefix: str, variant: int, key: str = CPU.key) -> Value:
    """The last variant of a table, or another by its place, by the first."""

    def value(tables: Tables) -> float | None:
        names = list(tables[prefix].runs) if prefix in tables else []
        return tables[prefix].ratio(names[variant], names[0], key) if len(names) > 1 else None

    return value


def slope(tables: Tables) -> float | None:
    """How the cost grows from the smallest to the largest payload, by how the floor's does."""
    sized = [tables[name] for name in tables if name.startswith("payload ") and "vector" not in name]
    if len(sized) < 2:
        return None
    grown = []
    for variant in ("nooble", FLOOR):
        low, high = (table.median(variant, CPU.key) for table in (sized[0], sized[-1]))
        if low is None or high is None:
            return None
        grown.append(high - low)
    return grown[0] / grown[1] if grown[1] > 0 else None


def grown(part: str) -> Value:
    """Growth in MB of the variant that begins with *part*."""

    def value(tables: Tables) -> float | None:
        found = tables.get("memory")
        names = [name for name in found.runs if name.startswith(part)] if found else []
        return found.median(names[0], "grown_mb") if found and names else None

    return value


P50, P99 = "p50_ms", "p99_ms"
TARGETS = (
    Target("handle + answer, concurrency 1: CPU by the floor's", ratio("worker", ONE, FLOOR), 1.0, at_most=True),
    Target("handle + answer, concurrency 10: CPU by the floor's", ratio("worker", TEN, FLOOR), 1.0, at_most=True),
    Target("handle + answer, gate: CPU by the floor's", ratio("worker", ONE, FLOOR), 1.15, at_most=True),
    Target("handle + answer: of tight, by CPU", speed("worker", ONE, TIGHT), 0.55),
    Target("handle + answer: of tight with the whole envelope, by CPU", speed("worker", ONE, WHOLE), 0.55),
    Target("handle + answer: throughput by the best peer's", above_best_peer("worker", ONE, RATE), 15),
    Target("handler suspends once, concurrency 10: of the floor, by CPU", speed("worker", SUSPENDS, FLOOR), 0.75),
    Target("two middlewares: of the floor, by CPU", speed("worker", LAYERS, FLOOR), 0.9),
    Target("against FastStream batch=True, by CPU", speed("worker", ONE, BATCH), 1.5),
    Target("fire-and-forget: of the floor, by CPU", speed("forget", ONE, FLOOR), 0.85),
    Target("fire-and-forget: throughput by the best peer's", above_best_peer("forget", ONE, RATE), 15),
    Target("send by 100 tasks: by redis-py's pipeline, by CPU", speed("send", SEND, PIPELINE), 4),
    Target("send_many: by redis-py's pipeline, by CPU", speed("send", SEND_MANY, PIPELINE), 6),
    Target("send_many: by a pipeline packed by hiredis, by CPU", speed("send", SEND_MANY, PACKED), 0.7),
    Target("call, 1 in flight: p50 by hand-written", ratio("call 1", "nooble", HAND, P50), 0.9, at_most=True),
    Target("call, 1 in flight: p99 by hand-written", ratio("call 1", "nooble", HAND, P99), 1.3, at_most=True),
    Target(
        "call, 1 in flight: p50 by the best peer's",
        lambda tables: (
            tables["call 1"].ratio("nooble", tables["call 1"].best_peer(tables["call 1"].columns[0]), P50)
            if "call 1" in tables
            else None
        ),
        1.0,
        at_most=True,
    ),
    Target("call, 32 in flight: calls/s by hand-written", ratio("call 32", "nooble", HAND, RATE.key), 3.5),
    Target("call, 256 in flight: calls/s by hand-written", ratio("call 256", "nooble", HAND, RATE.key), 6),
    Target("call, 32 in flight: calls/s by the best peer's", above_best_peer("call 32", "nooble", RATE), 12),
    Target("call, 256 in flight: calls/s by the best peer's", above_best_peer("call 256", "nooble", RATE), 12),
    Target("call, 256 in flight: connections", plain("call 256", "nooble", "connections"), 2, at_most=True, unit=""),
    Target("two processes: CPU by that of one", among("processes", 1), 1.1, at_most=True),
    Target("routes: CPU with the most by that with the fewest", among("routing", -1), 1.1, at_most=True),
    Target("backlog: CPU at the deepest by that at the smallest", among("backlog", -1), 1.1, at_most=True),
    Target("pending with others: CPU by that with none", among("pending", -1), 1.1, at_most=True),
    Target("payload: slope by the floor's", slope, 1.2, at_most=True),
    Target("vector of 1,536: CPU by the floor's", ratio("payload vector of 1,536", "nooble", FLOOR), 1.2, at_most=True),
    Target("worker at rest", plain("idle", "nooble", "percent"), 0.1, at_most=True, unit="% of a core"),
    Target(
        "first call after a rest: by hand-written", ratio("rest", "nooble", "by hand", "first_ms"), 1.0, at_most=True
    ),
    Target("memory at rest", plain("idle", "nooble", "rss_mb"), 70, at_most=True, unit="MB"),
    Target("memory: growth over many actions", grown("worker"), 2, at_most=True, unit="MB"),
    Target("memory: growth over calls that time out", grown("caller"), 2, at_most=True, unit="MB"),
    Target(
        "import nooble: by importing pydantic and redis",
        ratio("import", "import nooble", "pydantic and redis.asyncio", "seconds"),
        1.2,
        at_most=True,
    ),
    Target(
        "all that a service imports: by importing pydantic and redis",
        ratio("import", "all that a service imports", "pydantic and redis.asyncio", "seconds"),
        1.2,
        at_most=True,
    ),
    Target("nooble --help", plain("import", "nooble --help", "seconds"), 0.5, at_most=True, unit="s"),
)
"""In the order of the issue. Where it says "flat", growth of up to 2 MB is taken for flat: an allocator's rounding."""
