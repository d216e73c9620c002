"""What nobody should notice: a worker at rest, the first call after it, memory over time, and how long a start takes."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial

from benchmarks import entries
from benchmarks.bench import Bench
from benchmarks.figures import Column, Measure, Table, take_turns
from benchmarks.programs import ROOT, Broken
from benchmarks.rows.workers import NOOBLE

SHARE = Column("percent", "% of a core", 3)
FIRST = Column("first_ms", "first call ms", 2)
SECOND = Column("second_ms", "second call ms", 2)
RSS = Column("rss_mb", "RSS MB")
GROWN = Column("grown_mb", "grown by MB")
SECONDS = Column("seconds", "s", 3)

STARTS = {
    "python alone": "",
    "pydantic and redis.asyncio": "import pydantic, redis.asyncio",
    "import nooble": "import nooble",
    "all that a service imports": "from nooble import BaseService, CommonAppSettings, RedisManager, ServiceWorker, action",
}


def idle(bench: Bench) -> list[Table]:
    """A worker that has nothing to do, and the first call after a rest."""
    return [_at_rest(bench), _first_call(bench)]


def _at_rest(bench: Bench) -> Table:
    seconds = bench.sizes.idle_seconds
    note = "After it has handled some hundred actions; memory as the system counts it (RSS)."
    table = Table("idle", "A worker at rest", (SHARE, RSS), None, note, f"{seconds:g} seconds")
    with bench.programs(table, {"nooble": (NOOBLE, {"concurrency": 10})}) as programs:

        def rest() -> dict[str, float]:
            program = programs["nooble"]
            left = program.ask("fill", count=bench.sizes.warm, answered=True)
            program.ask("start")
            while bench.server.eval(left):
                time.sleep(0.01)
            time.sleep(0.2)
            program.ask("begin")
            time.sleep(seconds)
            figures = program.ask("mark")
            program.ask("stop")
            return {"percent": figures["cpu"] / figures["wall"] * 100, "rss_mb": figures["rss"] / 1e6}

        turns: dict[str, Measure] = {"nooble": rest} if programs else {}
        return take_turns(table, turns, min(bench.rounds, 3), bench.say, bench.server.empty)


def _first_call(bench: Bench) -> Table:
    sizes = bench.sizes
    note = "Worker and caller have been silent that long; each figure is the median of its round."
    table = Table("rest", "The first call after a rest", (FIRST, SECOND), "by hand", note)
    table.sizes = f"{sizes.rests} rests of {sizes.rest_seconds:g} seconds a round"
    own = {"nooble": ("benchmarks.callers nooble", {}), "by hand": ("benchmarks.callers hand", {})}
    with bench.programs(table, own) as programs, ExitStack() as open_ones:
        worker = open_ones.enter_context(bench.program(NOOBLE, concurrency=10))

        def once(name: str) -> dict[str, float]:
            caller = programs[name]
            entries.fill(bench.server.url, 0, False, {})
            worker.ask("start")
            try:
                caller.ask("call", count=20, in_flight=1)
                first: list[float] = []
                second: list[float] = []
                for _ in range(sizes.rests):
                    time.sleep(sizes.rest_seconds)
                    for found in (first, second):
                        figures = caller.ask("call", count=1, in_flight=1, warm=False, reopen=False)
                        if figures["failed"]:
                            raise Broken("an answer does not say success")
                        found.append(figures["p50"] * 1e3)
            finally:
                worker.ask("stop")
                caller.ask("close")
            middle = len(first) // 2
            return {"first_ms": sorted(first)[middle], "second_ms": sorted(second)[middle]}

        turns: dict[str, Measure] = {name: partial(once, name) for name in programs}
        return take_turns(table, turns, min(bench.rounds, 5), bench.say, bench.server.empty)


def memory(bench: Bench) -> list[Table]:
    """Memory after many actions, and after many calls that nobody answers."""
    sizes = bench.sizes
    note = (
        "RSS at the end, and how much it grew: the worker's since a tenth of the way, the caller's over that many timeouts "
        "after as many before them, when caches and pools are full."
    )
    table = Table("memory", "Memory over time", (RSS, GROWN), None, note)
    table.sizes = f"{sizes.memory_actions:,} actions, {sizes.timeouts:,} calls that time out, once each"
    own = {"worker": (NOOBLE, {"concurrency": 10}), "caller": ("benchmarks.callers nooble", {})}
    with bench.programs(table, own) as programs:

        def worked() -> dict[str, float]:
            program, part = programs["worker"], max(1, sizes.memory_actions // 10)
            seen = []
            for _ in range(10):
                bench.server.empty()
                figures = program.drain(part, answered=True)
                if figures["done"] != part:
                    raise Broken(f"{figures['done']} of {part} done")
                seen.append(figures["rss"] / 1e6)
            return {"rss_mb": seen[-1], "grown_mb": seen[-1] - seen[0]}

        def timed_out() -> dict[str, float]:
            program, seen = programs["caller"], []
            for _ in range(2):
                ended = program.ask("time_out", count=sizes.timeouts)
                if ended < sizes.timeouts:
                    raise Broken(f"{ended} of {sizes.timeouts} calls ended by their timeout")
                seen.append(program.ask("mark")["rss"] / 1e6)
            return {"rss_mb": seen[-1], "grown_mb": seen[-1] - seen[0]}

        named: dict[str, tuple[str, Measure]] = {
            "worker": (f"worker, {sizes.memory_actions:,} actions", worked),
            "caller": (f"caller, {sizes.timeouts:,} timeouts", timed_out),
        }
        turns = {title: measure for name, (title, measure) in named.items() if name in programs}
        return [take_turns(table, turns, 1, bench.say, bench.server.empty)]


def imports(bench: Bench) -> list[Table]:
    """How long a start takes."""
    note = "Wall time of a new process until it ends, the interpreter's own start included."
    table = Table("import", "Starting", (SECONDS,), "pydantic and redis.asyncio", note)
    commands = {name: [sys.executable, "-c", code] for name, code in STARTS.items()}
    commands["nooble --help"] = [sys.executable, "-m", "nooble", "--help"]

    def start(words: list[str]) -> dict[str, float]:
        since = time.perf_counter()
        ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise Broken(f"exit code {ended.returncode}: {ended.stderr.strip()[-200:]}")
        return {"seconds": time.perf_counter() - since}

    turns: dict[str, Measure] = {name: partial(start, words) for name, words in commands.items()}
    for words in commands.values():
        subprocess.run(words, cwd=ROOT, capture_output=True, check=False)  # compiles what is not compiled yet
    return [take_turns(table, turns, max(bench.rounds, bench.sizes.imports), bench.say, lambda: None)]
