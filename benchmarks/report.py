"""The report: Markdown with the machine, the versions, the targets, every figure with its spread and its ratios, and charts.

Nothing is left out: a variant that could not be measured stands in its table with the reason."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.charts import bars, file_name
from benchmarks.figures import CPU, P50, RATE, Table
from benchmarks.rows.clients import HAND, PIPELINE
from benchmarks.rows.workers import FLOOR, TIGHT
from benchmarks.targets import TARGETS

NOISY = 0.25
"""The floor's spread, from least to most by the median, above which nothing is concluded."""

BUSY = 0.1
"""The part of the machine that other programs may use: more, and wall times tell of them."""

ENOUGH = 3
"""The fewest rounds of which a spread can be told."""

CHARTS = (
    ("worker", CPU),
    ("worker", RATE),
    ("forget", CPU),
    ("send", RATE),
    ("call 1", P50),
    ("call 32", RATE),
    ("call 256", RATE),
)
_BASES = (FLOOR, TIGHT, PIPELINE, HAND)


def noise(tables: Sequence[Table], others: Sequence[float] = ()) -> list[str]:
    """What speaks against concluding anything: tables whose base varies by more than the bound, and busy neighbours."""
    found = []
    if others and max(others) > BUSY:
        found.append(f"other programs used up to {max(others):.0%} of the machine")
    for table in tables:
        base = table.base if table.base in table.runs else None
        for column in (one for one in table.columns if one in (table.columns[0], RATE)):
            spread = table.spread(base, column.key) if base else None
            if spread is not None and spread > NOISY:
                found.append(f"{table.title}: {column.title} of {base} varies by {spread:.0%}")
    return found


def write(bench: Bench, tables: Sequence[Table], folder: Path, began: str, seconds: float) -> Path:
    """Write report, charts and raw figures into *folder*. Returns the path of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    charts: dict[str, list[str]] = {}
    by_name = {table.name: table for table in tables}
    for name, column in CHARTS:
        drawn = bars(by_name[name], column) if name in by_name else None
        if drawn:
            charts.setdefault(name, []).append(file_name(by_name[name], column))
            (folder / charts[name][-1]).write_text(drawn, encoding="utf-8")
    raw = [asdict(table) | {"peers": sorted(table.peers), "aside": sorted(table.aside)} for table in tables]
    facts = {"began": began, "machine": machine(bench), "versions": bench.versions, "tables": raw}
    (folder / "figures.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path = folder / "README.md"
    path.write_text(text(bench, tables, charts, began, seconds), encoding="utf-8")
    return path


def text(bench: Bench, tables: Sequence[Table], charts: Mapping[str, Sequence[str]], began: str, seconds: float) -> str:
    """The whole report."""
    parts = [
        "# Measured",
        f"Made by `python -m benchmarks` on {began} UTC in {seconds:.0f} seconds. Variants took turns, the order was "
        f"turned each round; medians of {bench.rounds} rounds (least–most). Only ratios inside one table are comparable.",
        _verdict(bench, tables),
        "## Machine",
        _table(("what", "fact"), list(machine(bench).items())),
        "## Targets",
        _table(
            ("what", "target", "measured", "verdict"),
            [target.row({table.name: table for table in tables}) for target in TARGETS],
        ),
    ]
    for table in tables:
        parts += [f"## {table.title}", *(part for part in (table.note, table.sizes and f"{table.sizes}.") if part)]
        parts.append(figures(table))
        parts += [f"![{table.title}]({chart})" for chart in charts.get(table.name, ())]
    parts += ["## Versions", _table(("environment", "versions"), _versions(bench))]
    return "\n\n".join(parts) + "\n"


def figures(table: Table) -> str:
    """All figures of one table, with ratios to the base, to tight and to the best peer."""
    if not table.columns:
        return "\n".join(f"- **{name}** was not measured: {why}" for name, why in table.failed.items())
    first = table.columns[0]
    others = [(table.base, table.base)] if table.base in table.runs else []
    if TIGHT in table.runs:
        others.append((TIGHT, "tight"))
    if peer := table.best_peer(first):
        others.append((peer, f"best peer ({peer})"))
    others += [(name, name) for name in table.runs if name in table.aside]
    head = ["variant", *(column.title for column in table.columns)]
    head += [f"{first.title} ÷ {name}" for _, name in others]
    rows = []
    for variant in table.runs:
        row = [variant]
        for column in table.columns:
            values = table.values(variant, column.key)
            middle = table.median(variant, column.key)
            if middle is None:
                row.append("–")
                continue
            spread = f" ({values[0]:,.{column.digits}f}–{values[-1]:,.{column.digits}f})" if len(values) > 1 else ""
            row.append(f"{middle:,.{column.digits}f}{spread}")
        for other, _ in others:
            ratio = table.ratio(variant, other, first.key)
            row.append("–" if ratio is None else f"{ratio:.2f}")
        rows.append(tuple(row))
    shown = _table(tuple(head), rows) if rows else "Nothing could be measured."
    lost = [f"- **{name}** was not measured: {why.replace('|', '/')}" for name, why in table.failed.items()]
    return "\n\n".join([shown, *(["\n".join(lost)] if lost else [])])


def machine(bench: Bench) -> dict[str, str]:
    """Where it was measured."""
    memory = "unknown"
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
        total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
        memory = f"{int(total.split()[1]) / 1e6:.0f} GB"
    except (OSError, StopIteration):
        pass
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": f"{bench.server.name}, on the same machine, {bench.server.url.split(':')[0].replace('redis', 'loopback')}",
        "load at the end (1, 5, 15 min)": load,
    }


def _verdict(bench: Bench, tables: Sequence[Table]) -> str:
    if bench.rounds < ENOUGH:
        return (
            f"> **Too few rounds to conclude**: {bench.rounds}, and spread is told from {ENOUGH} on. "
            "This run shows that everything works."
        )
    found = noise(tables, bench.others)
    if not found:
        return (
            f"The bases vary by no more than {NOISY:.0%} and other programs used no more than {BUSY:.0%} of the machine: "
            "the ratios below can be relied on within that."
        )
    return (
        f"> **The machine was too noisy to conclude** (a base may vary by {NOISY:.0%} from least to most, and other "
        f"programs may use {BUSY:.0%} of the machine): " + "; ".join(found) + ". Measure again on a quiet machine."
    )


def _versions(bench: Bench) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(f"{package} {version}" for package, version in found.items()))
        for name, found in bench.versions.items()
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
