"""The driver's side: programs that are measured, each a process of its own that lives as long as its row, idle
between turns.

All alike: nooble, the floors and the peers are spoken to in the same few verbs, and it is the driver that asks the
server how much is left, so that nothing of that is in anybody's figures."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.servers import Server

ROOT = Path(__file__).resolve().parent.parent
POLL = 0.005
"""Seconds between two looks at the server: the resolution of every wall time."""


class Broken(Exception):
    """A program failed, was too slow, or did not do what it was to do: that is no measurement."""


class Program:
    """One measured process; to be used once `ready` has returned.

    Args:
        module: what is run, with its arguments: `"benchmarks.callers nooble"`.
        server: where it works.
        options: for the subject.
        python: the interpreter, for peers.
        patience: seconds that one verb may take.
    """

    def __init__(
        self,
        module: str,
        server: Server,
        options: dict[str, Any] | None = None,
        *,
        python: str = sys.executable,
        patience: float = 120.0,
    ) -> None:
        self._server, self._patience, self._name = server, patience, module
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        environment = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "PYTHONPATH"}}
        self._process = subprocess.Popen(
            [python, "-m", *module.split()],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._rest = b""
        self.versions: dict[str, str] = {}
        self.tell("setup", url=server.url, options=options or {})

    def ready(self) -> Self:
        """Wait until it has set itself up: several can do so at a time.

        Raises:
            Broken: it could not.
        """
        try:
            self.versions = self.hear("setup")
        except Broken:
            self.end()
            raise
        return self

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Have the subject do something.

        Raises:
            Broken: it could not.
        """
        self.tell(verb, **arguments)
        return self.hear(verb)

    def tell(self, verb: str, **arguments: Any) -> None:
        """Ask without waiting for the answer, which `hear` gives."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": verb, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._broken(verb, "has ended") from None

    def hear(self, verb: str) -> Any:
        """The answer to what was told."""
        reply: dict[str, Any] = json.loads(self._line(verb))
        if "error" in reply:
            raise self._broken(verb, reply["error"])
        return reply["ok"]

    def drain(self, count: int, *, answered: bool = False, until: int = 0) -> dict[str, float]:
        """Let it work off a backlog of *count*, until so many are left. Returns CPU and wall seconds, for all of it."""
        left: str = self.ask("fill", count=count, answered=answered)
        return self.work(left, count, until)

    def work(self, left: str, count: int, until: int = 0) -> dict[str, float]:
        """Start it, wait until so many are left, stop it."""
        server_cpu, since = self._server.cpu, time.perf_counter()
        self.ask("start")
        deadline = time.monotonic() + self._patience
        while True:
            remains = self._server.eval(left)
            if 0 <= remains <= until:
                break
            if time.monotonic() > deadline:
                raise self._broken("start", f"{remains} of {count} are left after {self._patience:.0f} seconds")
            time.sleep(POLL)
        wall = time.perf_counter() - since
        figures: dict[str, float] = self.ask("mark")
        figures |= {"wall": wall, "server_cpu": self._server.cpu - server_cpu, "count": count - remains}
        figures["done"] = self.ask("stop")
        return figures

    def end(self) -> None:
        """End the process. Doing it again does nothing."""
        if self._errors.closed:
            return
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _line(self, verb: str) -> bytes:
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        deadline = time.monotonic() + self._patience
        while b"\n" not in self._rest:
            if not select.select([out], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise self._broken(verb, f"did not end within {self._patience:.0f} seconds")
            chunk = os.read(out, 65536)
            if not chunk:
                raise self._broken(verb, "ended")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _broken(self, verb: str, why: str) -> Broken:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 1500))
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        self._process.kill()  # it has no further turn, and must not be in the way of others
        return Broken(f"{self._name}: {verb}: {why}" + (f" (it said: {said[-1]})" if said else ""))
