"""What every row works with: the server, the sizes, the programs it has started, and where it says how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import entries
from benchmarks.environments import PEERS, NotInstalled, Peer, python_of
from benchmarks.figures import Table, per_action
from benchmarks.programs import Broken, Program
from benchmarks.servers import Server


@dataclass(frozen=True)
class Sizes:
    """How much is done. Figures of different sizes are not comparable."""

    actions: int = 20_000
    peer_actions: int = 3_000
    warm: int = 500
    calls: int = 10_000
    peer_calls: int = 500
    backlogs: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    routes: tuple[int, ...] = (10, 10_000)
    pending: int = 100_000
    payloads: tuple[int, ...] = (100, 10_000, 100_000, 1_000_000)
    payload_bytes: int = 40_000_000
    idle_seconds: float = 10.0
    rest_seconds: float = 1.1
    rests: int = 5
    memory_actions: int = 1_000_000
    timeouts: int = 10_000
    imports: int = 7


QUICK = Sizes(
    actions=5_000,
    peer_actions=1_000,
    calls=3_000,
    peer_calls=200,
    backlogs=(1_000, 100_000),
    pending=20_000,
    payload_bytes=8_000_000,
    idle_seconds=3.0,
    rests=3,
    memory_actions=50_000,
    timeouts=1_000,
    imports=3,
)
TINY = Sizes(
    actions=300,
    peer_actions=100,
    warm=50,
    calls=60,
    peer_calls=20,
    backlogs=(500, 1_000),
    routes=(10, 100),
    pending=500,
    payloads=(100, 10_000),
    payload_bytes=200_000,
    idle_seconds=0.3,
    rest_seconds=0.1,
    rests=1,
    memory_actions=1_000,
    timeouts=250,
    imports=1,
)


@dataclass
class Bench:
    """One run of the benchmarks."""

    server: Server
    sizes: Sizes = field(default_factory=Sizes)
    rounds: int = 7
    environments: Path = Path()
    with_peers: bool = True
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)

    def listen(self, seconds: float = 1.0) -> None:
        """Note how much of the machine other programs use, while ours rest. Nothing is noted where that cannot be told."""
        before = _busy()
        time.sleep(seconds)
        after = _busy()
        if before and after and after[1] > before[1]:
            self.others.append((after[0] - before[0]) / (after[1] - before[1]))

    def say(self, text: str) -> None:
        """Tell how far it is, on standard error: the report is elsewhere."""
        print(text, file=sys.stderr, flush=True)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Those that take part."""
        return PEERS if self.with_peers else ()

    def program(self, module: str, **options: Any) -> Program:
        """One of our own programs, ready."""
        return self._ready(Program(module, self.server, options), "this environment")

    def peer(self, peer: Peer) -> Program:
        """A peer's program, ready.

        Raises:
            Broken: it cannot be installed, or does not get ready.
        """
        return self._ready(self._begun(peer), peer.name)

    def _begun(self, peer: Peer) -> Program:
        try:
            python = python_of(peer, self.environments)
        except NotInstalled as error:
            raise Broken(str(error)) from None
        return Program(peer.module, self.server, python=python, patience=60)

    def _ready(self, program: Program, environment: str) -> Program:
        self.versions.setdefault(environment, {}).update(program.ready().versions)
        return program

    @contextmanager
    def programs(
        self, table: Table, own: Mapping[str, tuple[str, dict[str, Any]]], peers: tuple[Peer, ...] = ()
    ) -> Iterator[dict[str, Program]]:
        """Programs for the length of a row. Those that do not get ready are told in the table."""
        with ExitStack() as open_ones:
            begun: dict[str, tuple[str, Program]] = {}
            for name, (module, options) in own.items():
                begun[name] = "this environment", open_ones.enter_context(Program(module, self.server, options))
            for peer in peers:
                table.peers.add(peer.title)
                if peer.batch:
                    table.aside.add(peer.title)
                try:
                    begun[peer.title] = peer.name, open_ones.enter_context(self._begun(peer))
                except Broken as why:
                    table.failed[peer.title] = str(why)
            ready: dict[str, Program] = {}
            for name, (environment, program) in begun.items():
                try:
                    ready[name] = self._ready(program, environment)
                except Broken as why:
                    table.failed[name] = str(why)
            for name, reason in table.failed.items():
                self.say(f"    {name}: {reason}")
            yield ready

    def drain(self, program: Program, count: int, *, answered: bool, looked_into: bool = True) -> dict[str, float]:
        """One measured run over a backlog, each answer looked into.

        Args:
            program: who works.
            count: how many actions.
            answered: whether answers are wanted.
            looked_into: whether answers lie in the queues of `entries`; the handler's own count is looked at in any case.

        Raises:
            Broken: not all were done, or not all answers say success.
        """
        figures = program.drain(count, answered=answered)
        if figures["done"] != count:
            raise Broken(f"the handler did {figures['done']} of {count}: this is no measurement")
        if answered and looked_into and (good := entries.succeeded(self.server.client)) != count:
            raise Broken(f"{good} of {count} answers say success: this is no measurement")
        return per_action(figures, count)


def _busy() -> tuple[int, int] | None:
    """Ticks that all cores of the machine were busy, and all ticks there were."""
    try:
        with open("/proc/stat") as file:
            ticks = [int(one) for one in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
