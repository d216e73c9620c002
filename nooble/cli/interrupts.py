"""Signals belong to the command line: the first SIGINT or SIGTERM asks a command to stop, the second ends the process at
once, with the exit code that shells give to a process that a signal has ended (130, 143)."""

from __future__ import annotations

import asyncio
import os
import signal
from types import FrameType
from typing import Self


class Interrupts:
    """Hears the signals while a command runs. To be entered in the main thread, in a running loop.

    Python's own handlers are used, not the loop's: they hear the second signal also when a handler blocks the loop.

    Attributes:
        stopping: set when the command is asked to stop.
        why: what asked first: a signal by its name, or what was given to `stop`; empty as long as nothing has.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.why = ""
        self._signals = 0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop(self, why: str) -> None:
        """Ask the command to stop. Safe at any time and from any thread."""
        self.why = self.why or why
        self._loop.call_soon_threadsafe(self.stopping.set)

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)
        self.stop(signal.Signals(number).name)
