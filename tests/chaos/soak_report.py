"""How a soak is told: a table for the terminal and for the docs, and a chart. Facts go in, text comes out."""

from __future__ import annotations

import os
import platform
from html import escape
from pathlib import Path

import msgspec

from tests.chaos.soak_check import Findings
from tests.chaos.soak_faults import FAULTS
from tests.chaos.soak_traffic import LATE

WIDTH, HEIGHT, LEFT, TOP, LANE = 920, 220, 250, 40, 16
_STYLE = (
    "text{font:12px sans-serif;fill:#334}.small{font-size:10px}.title{font-size:14px;font-weight:bold}"
    ".done{fill:#4a8fd0;fill-opacity:.55;stroke:#2b6cb0;stroke-width:1}.fault{stroke:#c53030;stroke-width:1.4}"
    ".axis{stroke:#99a;stroke-width:1}.grid{stroke:#dde;stroke-width:1}"
)


class Circumstances(msgspec.Struct):
    """Under what a soak ran.

    Attributes:
        server: kind and version of the server.
        versions: of everything else.
        seed: what repeats its choices.
        seconds: how long there was traffic.
        rate: actions sent a second.
        workers: how many processes, with `concurrency` actions at once each and a lease of `lease` seconds.
        fenced: whether commits were fenced.
        keyed: sends with an idempotency key, which were repeated if their reply was lost.
        effects: whether there were effects in the commits.
        memory: megabytes of a worker that lived through all of it, in the beginning and at the end.
        server_memory: megabytes of the server's data, in the beginning and at the end.
        paused: seconds in which the producer sent nothing because too many waited.
        stalled: longest time in seconds that the observing process itself stood still.
        tracebacks: how many the workers' logs hold, but for those of handlers that fail as they are to.
        unasked: workers that ended though nobody had asked them to.
        drained: seconds from the last send until all was done.
    """

    server: str
    versions: str
    seed: int
    seconds: float
    rate: float
    workers: int
    concurrency: int
    lease: float
    fenced: bool
    keyed: int
    effects: bool
    memory: tuple[float, float]
    server_memory: tuple[float, float]
    paused: float
    stalled: float
    tracebacks: int
    unasked: int
    drained: float


def rows(f: Findings, c: Circumstances) -> list[tuple[str, str]]:
    """What is told, with what it is."""
    table = [
        ("**lost**: acknowledged, and without an end", f"**{f.lost}**"),
        ("**doubled**: two ends, two answers, two callbacks or two follow-ups", f"**{f.doubled}**"),
        ("torn: a part of an end without the other part", str(f.torn)),
        ("refused at sending, and done all the same", str(f.ghosts)),
        ("answers to another question, or wrong", str(f.wrong)),
        ("effects that drifted (balances, counter)", str(f.drifted) if c.effects else "no effects in this version"),
        ("dead letters that should not be", str(f.strays)),
        ("unfinished at the end", str(f.unfinished)),
        ("keys without a lifetime", str(f.immortal)),
        ("errors of other kinds at sending", _counts(f.odd) or "0"),
        ("workers that ended unasked", str(c.unasked)),
        (f"calls that ended later than their deadline + {LATE:g} s", str(f.late)),
        ("actions sent", f"{f.actions:,} ({_counts(f.kinds)})"),
        ("actions completed", f"{f.completed:,}, and {f.buried:,} buried as they were to be"),
        ("runs of handlers", f"{f.runs:,}; {f.most_runs} of one action at most"),
        ("sends whose reply was lost for good", f"{f.unknown:,}, done once or never"),
        ("sends with an idempotency key, repeated if need be", f"{c.keyed:,}, done once"),
        ("sends that failed for certain", f"{f.unsent:,}"),
        ("calls", _counts(f.calls) or "0"),
        ("what workers told", _counts(f.told) or "nothing"),
        ("longest time without any completion", f"{f.longest_gap:.1f} s (at {f.longest_gap_at:.0f} s)"),
        ("from the last send until all was done", f"{c.drained:.1f} s"),
        ("producer held back (too many waiting)", f"{c.paused:.0f} s"),
        ("memory of a worker, start and end", f"{c.memory[0]:.1f} MB, {c.memory[1]:.1f} MB"),
        ("data in the server, start and end", f"{c.server_memory[0]:.1f} MB, {c.server_memory[1]:.1f} MB"),
        ("tracebacks in the workers' logs", str(c.tracebacks)),
        ("longest stand-still of the observer", f"{c.stalled:.2f} s"),
    ]
    faults = [(f"fault: {name}", str(f.faults[name])) for name in FAULTS]
    return [*table, *faults, ("faults", str(sum(f.faults.values())))]


def markdown(f: Findings, c: Circumstances, chart: str) -> str:
    """The page of one soak; *chart* is the file name of its picture."""
    lines = [
        f"# Soak on {c.server}",
        "",
        f"{c.seconds / 60:.1f} minutes at {c.rate:g} actions a second, {c.workers} workers with {c.concurrency} actions at "
        f"once each, a lease of {c.lease:g} s. Seed {c.seed}. {machine()}; {c.versions}.",
        *([] if c.fenced else ["", "**A control run: the fence of the commit was switched off.**"]),
        "",
        f"![actions completed a second, and faults]({chart})",
        "",
        "| what | how much |",
        "|---|---|",
        *(f"| {what} | {much} |" for what, much in rows(f, c)),
        "",
    ]
    return "\n".join(lines)


def svg(f: Findings, c: Circumstances) -> str:
    """The chart: completed actions a second over time, and below it one lane for each kind of fault."""
    seconds = max(len(f.a_second), 2)
    step = -(-seconds // 300)  # points are means over so many seconds
    points = [
        sum(f.a_second[at : at + step]) / len(f.a_second[at : at + step]) for at in range(0, len(f.a_second), step)
    ]
    top = max([*points, 1.0])
    wide = WIDTH - LEFT - 20
    bottom, height = TOP + HEIGHT, TOP + HEIGHT + 30 + LANE * len(FAULTS) + 30

    def x(second: float) -> float:
        return LEFT + wide * min(second, seconds) / seconds

    def y(value: float) -> float:
        return bottom - HEIGHT * value / top

    area = [f"{x(0):.1f},{bottom}"]
    for number, value in enumerate(points):
        area += [f"{x(number * step):.1f},{y(value):.1f}", f"{x(number * step + step):.1f},{y(value):.1f}"]
    area.append(f"{x(seconds):.1f},{bottom}")
    title = f"{c.server}: {f.completed:,} actions, {sum(f.faults.values())} faults, {f.lost} lost, {f.doubled} doubled"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
        f'<text x="{LEFT - 8}" y="{TOP - 10}" text-anchor="end">completed a second</text>',
    ]
    for share in (0.5, 1.0):
        level = y(top * share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + wide}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(_label(LEFT - 8, level + 4, f"{top * share:.0f}", "end"))
    parts.append(f'<polygon class="done" points="{" ".join(area)}"/>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{LEFT + wide}" y1="{bottom}" y2="{bottom}"/>')
    for part in range(5):
        second = seconds * part / 4
        parts.append(_label(x(second), bottom + 14, _clock(second), "middle"))
    for number, name in enumerate(FAULTS):
        lane = bottom + 30 + LANE * number
        parts.append(_label(LEFT - 8, lane + 10, f"{name}: {f.faults[name]}", "end"))
        ticks = "".join(f"M{x(at):.1f} {lane + 2}v{LANE - 5}" for at, kind in f.marks if kind == name)
        parts.append(f'<path class="fault" d="{ticks}"/>')
    return "\n".join([*parts, "</svg>", ""])


def machine() -> str:
    """What it ran on."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for name, _, value in lines if name.strip() == "model name"), model)
    return f"{os.cpu_count()} × {model}, {platform.system()}"


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {count:,}" for name, count in sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="small" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _clock(second: float) -> str:
    return f"{int(second) // 60}:{int(second) % 60:02d}"
