"""Handling a backlog in one process: with an answer for each action, and without."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.environments import Peer
from benchmarks.figures import CPU, RATE, SERVER, Measure, Table, take_turns
from benchmarks.programs import Program

NOOBLE = "benchmarks.nooble_worker"
FLOOR, TIGHT, WHOLE = "floor", "tight", "tight, whole envelope"
ONE, TEN = "nooble, concurrency 1", "nooble, concurrency 10"
SUSPENDS, LAYERS = "nooble, concurrency 10, suspends once", "nooble, two middlewares"
BATCH = "FastStream, batch=True"
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    FLOOR: ("benchmarks.floor", {}),
    TIGHT: ("benchmarks.tight", {}),
    WHOLE: ("benchmarks.tight", {"whole": True}),
    ONE: (NOOBLE, {"concurrency": 1}),
    TEN: (NOOBLE, {"concurrency": 10}),
    SUSPENDS: (NOOBLE, {"concurrency": 10, "action_type": "pedidos.pedido.esperar"}),
    LAYERS: (NOOBLE, {"concurrency": 1, "middleware": 2}),
}
NOTE = (
    "CPU of the worker's process for one action, and actions a second. The floor is a hand-written loop on redis-py's "
    "ordinary API with the same guarantee: a fenced commit of a batch, an answer for each action. Tight is that loop as "
    "fast as Python lets it be; `whole envelope` decodes all 15 fields with real UUIDs and times, and writes the real time "
    "into each answer, as a framework must and the two others need not."
)


def worker(bench: Bench) -> list[Table]:
    """Handle and answer."""
    return [_measure(bench, Table("worker", "Handle and answer, one process", (CPU, RATE, SERVER), FLOOR, NOTE), True)]


def forget(bench: Bench) -> list[Table]:
    """Handle, nobody waits."""
    title = "Handle, fire-and-forget, one process"
    return [_measure(bench, Table("forget", title, (CPU, RATE, SERVER), FLOOR, "The same, and no answer."), False)]


def _measure(bench: Bench, table: Table, answered: bool) -> Table:
    sizes = bench.sizes
    table.sizes = f"{sizes.actions} actions a run, {sizes.peer_actions} for peers (but batch=True)"
    by_title = {peer.title: peer for peer in bench.peers}
    with bench.programs(table, OWN, bench.peers) as programs:
        turns: dict[str, Measure] = {}
        for name, program in programs.items():
            turns[name] = partial(_once, bench, program, by_title.get(name), answered)
        warm = Table("warm", "", ())
        take_turns(
            warm,
            {name: partial(_warm, bench, program, answered) for name, program in programs.items()},
            1,
            lambda _: None,
            bench.server.empty,
        )
        table.failed |= warm.failed
        return take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)


def _once(bench: Bench, program: Program, peer: Peer | None, answered: bool) -> dict[str, float]:
    count = bench.sizes.actions if peer is None or peer.batch else bench.sizes.peer_actions
    asked = answered and (peer is None or peer.answers)
    return bench.drain(program, count, answered=asked, looked_into=peer is None)


def _warm(bench: Bench, program: Program, answered: bool) -> dict[str, float]:
    return program.drain(bench.sizes.warm, answered=answered)
