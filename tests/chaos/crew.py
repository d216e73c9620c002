"""Worker processes, and what can befall them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.chaos.ledger import Ledger
from tests.chaos.program import work

ROOT = str(Path(__file__).parents[2])
PATIENCE = 10.0
"""Seconds that a worker gets to end."""
_context = multiprocessing.get_context("forkserver")


class Crew:
    """A number of worker processes; a context manager that ends them all. What befalls whom is written into the ledger.

    Args:
        url: where their server is.
        ledger: path of the file that they write to.
        values: their settings, and whatever else `program.work` knows.

    Attributes:
        members: those that were hired and not killed.
    """

    def __init__(self, url: str, ledger: Path, **values: Any) -> None:
        self._job = (url, ledger)
        self._values = values
        self._ledger = Ledger(ledger)
        self._frozen: set[int | None] = set()
        self.members: list[ForkServerProcess] = []

    def hire(self, count: int = 1, **values: Any) -> list[ForkServerProcess]:
        """Start *count* more, with *values* beside or instead of those of all. Returns them."""
        hired = []
        for _ in range(count):
            member = _context.Process(target=work, args=(*self._job, self._values | values), daemon=True)
            member.start()
            hired.append(member)
        self.members += hired
        return hired

    def kill(self, member: ForkServerProcess) -> None:
        """End one at once (SIGKILL), in the middle of whatever it does."""
        self._ledger.write("disturbed", member.pid, "killed")
        self._end(member)

    def freeze(self, member: ForkServerProcess) -> None:
        """Stop one's clock (SIGSTOP): it knows nothing of what happens meanwhile."""
        self._ledger.write("disturbed", member.pid, "frozen")
        self._frozen.add(member.pid)
        _signal(member, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all who are frozen go on (SIGCONT): they believe that they still have what they had."""
        for member in self.members:
            if member.is_alive():
                _signal(member, signal.SIGCONT)
        self._frozen.clear()

    def ask_to_stop(self, member: ForkServerProcess) -> None:
        """Send it SIGTERM, as whoever deploys does."""
        _signal(member, signal.SIGTERM)

    def ended(self, member: ForkServerProcess) -> int:
        """Wait until one has ended by itself. Returns its exit code, negative if a signal has ended it.

        Raises:
            AssertionError: I7, it does not end.
        """
        member.join(PATIENCE)
        assert member.exitcode is not None, f"I7: worker {member.pid} has not ended within {PATIENCE:g} s"
        self.members.remove(member)
        return member.exitcode

    @property
    def awake(self) -> list[ForkServerProcess]:
        """Those that are not frozen."""
        return [member for member in self.members if member.pid not in self._frozen]

    def replace_the_dead(self) -> None:
        """Start one for each that has ended by itself, as whoever runs services does."""
        dead = [member for member in self.members if not member.is_alive()]
        for member in dead:
            self._ledger.write("disturbed", member.pid, "died")
        self.members = [member for member in self.members if member not in dead]
        self.hire(len(dead))

    def __enter__(self) -> Self:
        _context.set_forkserver_preload([work.__module__])  # so that a new one is there in a moment
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", ROOT)
            forkserver.ensure_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in list(self.members):
            self._end(member)  # it is over: that is nothing that befell it
        self._ledger.close()

    def _end(self, member: ForkServerProcess) -> None:
        member.kill()
        member.join()
        self.members.remove(member)


def _signal(member: ForkServerProcess, number: signal.Signals) -> None:
    assert member.pid is not None
    os.kill(member.pid, number)
