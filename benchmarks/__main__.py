"""Measures nooble beside a hand-written floor and its peers, and writes a report: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.bench import QUICK, TINY, Bench, Sizes
from benchmarks.environments import default_folder
from benchmarks.figures import Table
from benchmarks.programs import Broken
from benchmarks.rows import ROWS
from benchmarks.servers import KINDS, Refused, Server

HERE = Path(__file__).parent


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help="which, joined by commas (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each variant (default: 7)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and 3 rounds: to see that it works")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes and one round: to see that it runs")
    parser.add_argument("--actions", type=int, help="actions a run, instead of what the size says")
    parser.add_argument("--most", type=int, help="most actions in any backlog and over time (default: a million)")
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, default=True, help="measure the peers as well"
    )
    parser.add_argument("--environments", type=Path, default=default_folder(), help="where the peers are installed")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="which server to start")
    parser.add_argument("--server", metavar="URL", help="use this one instead; it is emptied")
    parser.add_argument("--erase", action="store_true", help="that server may be emptied although it holds keys")
    parser.add_argument("--out", type=Path, default=HERE / "report", help="folder for the report")
    options = parser.parse_args(words)
    options.names = [name.strip() for name in options.rows.split(",") if name.strip()]
    if unknown := [name for name in options.names if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.tiny or options.quick:
        options.rounds = min(options.rounds, 1 if options.tiny else 3)
    return options


def sizes_of(options: argparse.Namespace) -> Sizes:
    """How much is done."""
    from dataclasses import replace

    sizes = TINY if options.tiny else QUICK if options.quick else Sizes()
    if options.actions:
        sizes = replace(sizes, actions=options.actions)
    if options.most:
        deep = tuple(dict.fromkeys(min(size, options.most) for size in sizes.backlogs))
        sizes = replace(
            sizes,
            backlogs=deep,
            memory_actions=min(sizes.memory_actions, options.most),
            pending=min(sizes.pending, options.most),
        )
    return sizes


def main(words: list[str] | None = None) -> int:
    """Measure and write. Returns 0, 1 if something could not be measured, 2 for a refusal, 3 if it was too noisy."""
    options = parse(words)
    began, since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), time.perf_counter()
    tables: list[Table] = []
    try:
        with Server(options.kind, options.server, erase=options.erase) as server:
            bench = Bench(server, sizes_of(options), options.rounds, options.environments, options.peers)
            for name in options.names:
                bench.say(f"{name} ({time.perf_counter() - since:.0f} s)")
                server.empty()
                bench.listen(0.1 if options.tiny else 1.0)
                try:
                    tables += ROWS[name](bench)
                except Broken as why:  # told in the report; the other rows go on
                    tables.append(Table(name, name, (), failed={"the whole row": str(why)}))
                report.write(bench, tables, options.out, began, time.perf_counter() - since)
            server.empty()
    except Refused as why:
        print(why, file=sys.stderr)
        return 2
    print(options.out / "README.md")
    noisy = report.noise(tables, bench.others) if options.rounds >= report.ENOUGH else []
    for one in noisy:
        print(f"too noisy to conclude: {one}", file=sys.stderr)
    if any(table.failed for table in tables):
        return 1
    return 3 if noisy else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    sys.exit(main())
