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

from tests.chaos.program import work

ROOT = str(Path(__file__).parents[2])
_context = multiprocessing.get_context("forkserver")


class Crew:
    """A number of worker processes; a context manager that ends them all.

    Args:
        url: where their server is.
        ledger: path of the file that they write to.
        values: their settings.

    Attributes:
        members: those that were hired and not killed.
    """

    def __init__(self, url: str, ledger: Path, **values: Any) -> None:
        self._job = (url, ledger, values)
        self._frozen: set[int | None] = set()
        self.members: list[ForkServerProcess] = []

    def hire(self, count: int = 1) -> None:
        """Start *count* more."""
        for _ in range(count):
            member = _context.Process(target=work, args=self._job, daemon=True)
            member.start()
            self.members.append(member)

    def kill(self, member: ForkServerProcess) -> None:
        """End one at once (SIGKILL), in the middle of whatever it does."""
        member.kill()
        member.join()
        self.members.remove(member)

    def freeze(self, member: ForkServerProcess) -> None:
        """Stop one's clock (SIGSTOP): it knows nothing of what happens meanwhile."""
        self._frozen.add(member.pid)
        _signal(member, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all who are frozen go on (SIGCONT): they believe that they still have what they had."""
        for member in self.members:
            if member.pid in self._frozen:
                _signal(member, signal.SIGCONT)
        self._frozen.clear()

    @property
    def awake(self) -> list[ForkServerProcess]:
        """Those that are not frozen."""
        return [member for member in self.members if member.pid not in self._frozen]

    def replace_the_dead(self) -> None:
        """Start one for each that has ended by itself, as whoever runs services does."""
        dead = [member for member in self.members if not member.is_alive()]
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
            self.kill(member)


def _signal(member: ForkServerProcess, number: signal.Signals) -> None:
    assert member.pid is not None
    os.kill(member.pid, number)
