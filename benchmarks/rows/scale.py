"""What changes when there is more of something: processes, routes, backlog, entries pending with others, bytes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks import entries
from benchmarks.bench import Bench
from benchmarks.figures import CPU, RATE, SERVER, Column, Measure, Table, per_action, take_turns
from benchmarks.programs import POLL, Broken, Program
from benchmarks.rows.workers import FLOOR, NOOBLE

FOREIGN = "pedidos-worker-elsewhere-nb0123456789"
"""A consumer as a living worker of nooble has: its entries are looked at, and left alone until its lease is over."""


def processes(bench: Bench) -> list[Table]:
    """One process and two over the same backlog."""
    note = (
        "CPU of all workers together for one action; the server's own CPU tells where one server ends. With a handler of "
        "200 µs CPU the second process is what does the work; with one that does nothing it has to share the cores with the "
        "first and the server."
    )
    table = Table("processes", "One process and two", (CPU, RATE, SERVER), None, note)
    count, heavy = 2 * bench.sizes.actions, max(200, bench.sizes.actions // 4)
    table.sizes = f"{count} actions a run, {heavy} with the heavy handler"
    burn = {"action_type": "pedidos.pedido.calcular"}
    variants: dict[str, tuple[int, int, dict[str, Any]]] = {
        "one process": (1, count, {}),
        "two processes": (2, count, {}),
        "one process, 200 µs handler": (1, heavy, burn),
        "two processes, 200 µs handler": (2, heavy, burn),
    }
    with ExitStack() as open_ones:
        turns: dict[str, Measure] = {}
        for name, (many, size, options) in variants.items():
            made = [open_ones.enter_context(bench.program(NOOBLE, concurrency=10, **options)) for _ in range(many)]
            for program in made:
                bench.server.empty()
                program.drain(bench.sizes.warm, answered=True)
            turns[name] = partial(_together, bench, made, size)
        return [take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)]


def _together(bench: Bench, programs: list[Program], count: int) -> dict[str, float]:
    server = bench.server
    left = programs[0].ask("fill", count=count, answered=True)
    before, since = server.cpu, time.perf_counter()
    for program in programs:
        program.ask("start")
    deadline = time.monotonic() + 120
    while server.eval(left):
        if time.monotonic() > deadline:
            raise Broken("the backlog is not done after 120 seconds")
        time.sleep(POLL)
    wall, used = time.perf_counter() - since, server.cpu - before
    cpu = sum(program.ask("mark")["cpu"] for program in programs)
    done = sum(program.ask("stop") for program in programs)
    if done != count or entries.succeeded(server.client) != count:
        raise Broken(f"{done} of {count} done, {entries.succeeded(server.client)} answers say success")
    return per_action({"cpu": cpu, "wall": wall, "server_cpu": used}, count)


def routing(bench: Bench) -> list[Table]:
    """Few routes and many."""
    note = "A service with so many declared actions; the one that is measured is one of them."
    table = Table("routing", "Routes", (CPU, RATE), f"{bench.sizes.routes[0]:,} routes", note)
    table.sizes = f"{bench.sizes.actions} actions a run"
    own = {f"{many:,} routes": (NOOBLE, {"concurrency": 1, "routes": many}) for many in bench.sizes.routes}
    with bench.programs(table, own) as programs:
        turns: dict[str, Measure] = {}
        for name, program in programs.items():
            bench.server.empty()
            program.drain(bench.sizes.warm, answered=True)
            turns[name] = partial(bench.drain, program, bench.sizes.actions, answered=True)
        return [take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)]


def backlog(bench: Bench) -> list[Table]:
    """A small backlog and a large one: the same number of actions is handled, the rest stays."""
    note = (
        "So many actions wait while the measured ones are handled; a small backlog is refilled all the time. What is "
        "measured begins when the first are done."
    )
    sizes = bench.sizes
    table = Table("backlog", "Backlog", (CPU, RATE, SERVER), f"{sizes.backlogs[0]:,} waiting", note)
    table.sizes = f"{sizes.actions} actions a run, or the backlog if that is less"
    own = {f"{deep:,} waiting": (NOOBLE, {"concurrency": 1}) for deep in sizes.backlogs}
    with bench.programs(table, own) as programs:
        turns: dict[str, Measure] = {
            name: partial(_deep, bench, programs[name], deep)
            for name, deep in zip(own, sizes.backlogs, strict=True)
            if name in programs
        }
        return [take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)]


def _deep(bench: Bench, program: Program, deep: int) -> dict[str, float]:
    """Handle a number of actions while *deep* wait, refilling what is taken when that is less than the number."""
    server, many, filled = bench.server, bench.sizes.actions, deep
    filler = entries.Filler(server.url, False, {})
    filler.add(deep)
    program.ask("start")
    deadline = time.monotonic() + 120
    while (waits := server.eval(entries.LEFT)) >= deep:
        _in_time(deadline)
    begun = filled - waits
    program.ask("begin")
    used, since = server.cpu, time.perf_counter()
    refills = deep < 2 * many
    while filled - waits - begun < many:
        if refills and deep - waits > 100:
            filler.add(deep - waits)
            filled += deep - waits
        time.sleep(POLL / 5 if refills else POLL)
        waits = server.eval(entries.LEFT)
        _in_time(deadline)
    figures = program.ask("mark")
    done = filled - server.eval(entries.LEFT) - begun
    figures |= {"wall": time.perf_counter() - since, "server_cpu": server.cpu - used}
    program.ask("stop")
    filler.close()
    return per_action(figures, done)


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Broken("the backlog is not worked off within 120 seconds")


def pending(bench: Bench) -> list[Table]:
    """Entries that another worker holds, and none."""
    many = bench.sizes.pending
    note = f"{many:,} entries of the same group are in the hands of another, living consumer."
    table = Table("pending", "Pending entries of others", (CPU, RATE, SERVER), "none pending", note)
    table.sizes = f"{bench.sizes.actions} actions a run"
    other = f"{many:,} pending"
    with bench.programs(table, {name: (NOOBLE, {"concurrency": 1}) for name in ("none pending", other)}) as programs:
        for program in programs.values():
            bench.server.empty()
            program.drain(bench.sizes.warm, answered=True)
        turns: dict[str, Measure] = {
            name: partial(_held, bench, program, many if name == other else 0) for name, program in programs.items()
        }
        return [take_turns(table, turns, bench.rounds, bench.say, bench.server.empty)]


def _held(bench: Bench, program: Program, held: int) -> dict[str, float]:
    server, count = bench.server, bench.sizes.actions
    if held:
        entries.fill(server.url, held, False, {})
        server.client.xgroup_create(entries.STREAM, entries.GROUP, id="0")
        for _ in range(0, held, 10_000):
            server.client.xreadgroup(entries.GROUP, FOREIGN, {entries.STREAM: ">"}, count=10_000)
    left = program.ask("fill", count=count, answered=True)
    figures = program.work(left, count + held, until=held)
    if figures["done"] != count or entries.succeeded(server.client) != count:
        raise Broken(f"{figures['done']} of {count} done, not all answers say success")
    return per_action(figures, count)


def payloads(bench: Bench) -> list[Table]:
    """Small payloads and large ones, and a vector: how the cost grows, beside how the floor's does."""
    note = "Text with some letters beyond ASCII, and a vector of 1,536 numbers; pydantic checks both."
    tables: list[Table] = []
    shapes: list[tuple[str, dict[str, Any], int]] = [
        (f"{size:,} B", {"note": size}, size) for size in bench.sizes.payloads
    ]
    shapes.append(("vector of 1,536", {"vector": True}, 30_000))
    for title, options, size in shapes:
        count = max(20, min(bench.sizes.actions, bench.sizes.payload_bytes // size))
        table = Table(
            f"payload {title}",
            f"Payload: {title}",
            (CPU, RATE, Column("bytes", "bytes", 0)),
            FLOOR,
            note if not tables else "",
            f"{count} actions a run",
        )
        own = {FLOOR: ("benchmarks.floor", options), "nooble": (NOOBLE, {"concurrency": 1, **options})}
        with bench.programs(table, own) as programs:
            for program in programs.values():
                bench.server.empty()
                program.drain(20, answered=True)
            turns: dict[str, Measure] = {
                name: partial(_sized, bench, program, count, options) for name, program in programs.items()
            }
            tables.append(take_turns(table, turns, bench.rounds, bench.say, bench.server.empty))
    return tables


def _sized(bench: Bench, program: Program, count: int, options: dict[str, Any]) -> dict[str, float]:
    size = len(entries.entry(0, True, *entries.payload(options)))
    return bench.drain(program, count, answered=True) | {"bytes": float(size)}
