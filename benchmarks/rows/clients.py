"""Sending, and calling: what a client costs, beside what people write by hand and what peers have."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks import entries
from benchmarks.bench import Bench
from benchmarks.figures import CONNECTIONS, CPU, P50, P99, RATE, SERVER, Measure, Table, take_turns
from benchmarks.programs import Broken, Program

PIPELINE, PACKED = "redis-py's pipeline", "pipeline packed by hiredis"
SEND, SEND_MANY = "nooble send, 100 tasks", "nooble send_many"
SENDERS = {PIPELINE: "pipeline", PACKED: "packed", SEND: "send", SEND_MANY: "send_many"}
HAND, NOOBLE = "XADD + BRPOP by hand", "nooble"
IN_FLIGHT = (1, 32, 256)


def sending(bench: Bench) -> list[Table]:
    """Send actions that nobody waits for; then look whether every one arrived as it was sent."""
    note = (
        "CPU of the sending process for one action. Both pipelines take 100 at a time and encode by msgspec, with ids from "
        "`uuid.uuid4`; `send` is awaited for each action by 100 tasks at a time."
    )
    table = Table("send", "Sending", (CPU, RATE, SERVER), PIPELINE, note, f"{bench.sizes.actions} actions a run")
    own: dict[str, tuple[str, dict[str, Any]]] = {
        name: (f"benchmarks.senders {how}", {}) for name, how in SENDERS.items()
    }
    with bench.programs(table, own) as programs:
        turns: dict[str, Measure] = {
            name: partial(_send, bench, program, bench.sizes.actions) for name, program in programs.items()
        }
        for program in programs.values():
            program.ask("send", count=bench.sizes.warm)
        return [take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)]


def _send(bench: Bench, program: Program, count: int) -> dict[str, float]:
    before = bench.server.cpu
    figures = program.ask("send", count=count)
    used = bench.server.cpu - before
    if (arrived := program.ask("arrived")) != count:
        raise Broken(f"{arrived} of {count} actions arrived as they were sent: this is no measurement")
    return {
        "cpu_us": figures["cpu"] / count * 1e6,
        "per_s": count / figures["wall"],
        "server_us": used / count * 1e6,
    }


def calls(bench: Bench) -> list[Table]:
    """Request and reply, so many in flight at a time."""
    return [_calls(bench, in_flight) for in_flight in IN_FLIGHT]


def _calls(bench: Bench, in_flight: int) -> Table:
    note = (
        "The caller's process against a worker in another one; nooble and the hand-written caller against the same nooble "
        "worker (concurrency 10). By hand: a list of its own for each call, a connection for each call in flight."
    )
    table = Table(
        f"call {in_flight}",
        f"Calls, {in_flight} in flight",
        (P50, P99, RATE, CPU, CONNECTIONS),
        HAND,
        note if in_flight == IN_FLIGHT[0] else "",
    )
    ours = max(bench.sizes.calls // (4 if in_flight == 1 else 1), 4 * in_flight)
    theirs = max(bench.sizes.peer_calls // (2 if in_flight == 1 else 1), 4 * in_flight)
    table.sizes = f"{ours} calls a run, {theirs} for peers"
    peers = tuple(peer for peer in bench.peers if peer.calls)
    by_title = {peer.title: peer for peer in peers}
    own: dict[str, tuple[str, dict[str, Any]]] = {
        name: ("benchmarks.nooble_worker", {"concurrency": 10}) for name in (HAND, NOOBLE)
    }
    with bench.programs(table, own, peers) as programs:
        callers = {HAND: "benchmarks.callers hand", NOOBLE: "benchmarks.callers nooble"}

        def once(name: str) -> dict[str, float]:
            server, worker = bench.server, programs[name]
            entries.fill(server.url, 0, False, {})
            if name in by_title:
                worker.ask("fill", count=0, answered=True)
            worker.ask("start")
            with ExitStack() as open_ones:
                open_ones.callback(_stop, worker)
                peer = by_title.get(name)
                opened = bench.peer(peer) if peer else bench.program(callers[name])
                caller = open_ones.enter_context(opened)
                found = caller.ask("call", count=theirs if peer else ours, in_flight=in_flight)
                with_caller = server.connections
                caller.end()
                time.sleep(0.05)  # the server has seen it go
                connections = with_caller - server.connections
            if found["failed"]:
                raise Broken(f"{found['failed']} answers do not say success: this is no measurement")
            count = theirs if peer else ours
            return {
                "p50_ms": found["p50"] * 1e3,
                "p99_ms": found["p99"] * 1e3,
                "per_s": count / found["wall"],
                "cpu_us": found["cpu"] / count * 1e6,
                "connections": float(connections),
            }

        turns: dict[str, Measure] = {name: partial(once, name) for name in programs}
        return take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)


def _stop(worker: Program) -> None:
    worker.ask("stop")
