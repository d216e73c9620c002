"""The workers of the soak: processes in slots, each slot with a link of its own to the server. Who is killed or dismissed is
replaced at once; who ends without having been asked to is counted."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Self

import msgspec
import pytest

from tests.chaos.soak_worker import Job, work
from tests.support.proxy import Proxy

ROOT = str(Path(__file__).parents[2])
ELDER = 0
"""The slot of the one who is never killed or dismissed: frozen, cut off and slowed it is, and its memory is watched."""

_context = multiprocessing.get_context("forkserver")


class SoakCrew:
    """Worker processes; a context manager that ends them all.

    Args:
        job: what each is told; its URL is that of its slot.
        links: one for each slot.

    Attributes:
        links: as given.
        unasked: exit codes of those that ended though nobody had asked them to.
    """

    def __init__(self, job: Job, links: list[Proxy]) -> None:
        self.links = links
        self.unasked: list[int | None] = []
        self._job = job
        self._members: list[ForkServerProcess] = []
        self._leaving: list[ForkServerProcess] = []
        self._frozen: set[int] = set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def awake(self) -> list[int]:
        """Slots whose workers are not frozen."""
        return [slot for slot in range(len(self)) if slot not in self._frozen]

    def kill(self, slot: int) -> None:
        """End one at once (SIGKILL) and replace it."""
        self._members[slot].kill()
        self._members[slot].join()
        self._replace(slot)

    def dismiss(self, slot: int) -> None:
        """Ask one to end (SIGTERM), and start another beside it, as a rolling restart does."""
        self._members[slot].terminate()
        self._leaving.append(self._members[slot])
        self._replace(slot)

    def freeze(self, slot: int) -> None:
        """Stop one's clock (SIGSTOP)."""
        self._frozen.add(slot)
        self._signal(slot, signal.SIGSTOP)

    def thaw(self, slot: int) -> None:
        """Let it go on (SIGCONT)."""
        self._frozen.discard(slot)
        self._signal(slot, signal.SIGCONT)

    def look_after(self) -> None:
        """Let go of those who have left, and replace who has ended by itself."""
        for member in [one for one in self._leaving if not one.is_alive()]:
            self._leaving.remove(member)
            if member.exitcode not in (0, -signal.SIGTERM):  # the latter: asked before it had begun
                self.unasked.append(member.exitcode)
        for slot, member in enumerate(self._members):
            if not member.is_alive():
                self.unasked.append(member.exitcode)
                self._replace(slot)

    def all_leave(self) -> None:
        """Ask all to end and wait for it."""
        for slot in range(len(self)):
            self._signal(slot, signal.SIGTERM)
        self._leaving += self._members
        self._members = []
        for member in self._leaving:
            member.join(10)
            if member.is_alive():
                member.kill()
                member.join()
        self.look_after()

    def memory_of_the_elder(self) -> int:
        """Bytes that it has resident."""
        with suppress(OSError):
            pages = Path(f"/proc/{self._members[ELDER].pid}/statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        return 0

    def _replace(self, slot: int) -> None:
        self._members[slot] = self._hired(slot)

    def _hired(self, slot: int) -> ForkServerProcess:
        job = msgspec.structs.replace(self._job, url=self.links[slot].url)
        member = _context.Process(target=work, args=(job,), daemon=True)
        member.start()
        return member

    def _signal(self, slot: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._members[slot].pid or 0, number)

    def __enter__(self) -> Self:
        _context.set_forkserver_preload([work.__module__])  # so that a new one is there in a moment
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", ROOT)
            forkserver.ensure_running()
        self._members = [self._hired(slot) for slot in range(len(self.links))]
        return self

    def __exit__(self, *_: object) -> None:
        for member in (*self._members, *self._leaving):
            member.kill()
            member.join()
