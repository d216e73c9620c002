"""Somebody at a terminal: types `nooble …` in a folder of their own, and reads what comes."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import typer.testing
from typer.testing import CliRunner

from nooble.cli.main import app

typer.testing._get_command = functools.cache(typer.testing._get_command)  # else all are made anew for each line typed
ROOT = Path(__file__).parents[2]
NOOBLE = (sys.executable, "-m", "nooble")
PATIENCE = 20.0
"""Seconds that a command gets to say what is awaited, or to end."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    Attributes:
        code: its exit code.
        out: what it showed.
        err: what it told.
    """

    code: int
    out: str
    err: str


class Running:
    """A command that is running; standard output and standard error are read as they come.

    Args:
        process: the command.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def said(self) -> str:
        """Everything so far."""
        return "".join(self.lines)

    def until(self, text: str, times: int = 1) -> str:
        """Wait until it has said *text*, or said it *times* times. Returns the line."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while len(found := [line for line in self.lines if text in line]) < times:
                left = deadline - time.monotonic()
                assert self._reader.is_alive(), f"it ended without saying {text!r}:\n{self.said}"
                assert left > 0, f"it did not say {text!r}:\n{self.said}"
                self._news.wait(min(left, 0.2))
        return found[times - 1]

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end, and that of its children. Returns its exit code; negative if a signal has ended it."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), f"something that it started lives on:\n{self.said}"
        return code

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal and wait for its end."""
        self.interrupt(number)
        return self.ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()


class Terminal:
    """A terminal in *folder*.

    Args:
        folder: the working directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def type(self, *words: str, stdin: str | None = None, **env: str) -> Finished:
        """`nooble WORDS`, in this process, which is quicker."""
        result = CliRunner().invoke(app, list(words), input=stdin, env=env, prog_name="nooble")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Finished(result.exit_code, result.stdout, result.stderr)

    def run(self, *words: str, **env: str) -> Finished:
        """`nooble WORDS`, in a process of its own."""
        done = subprocess.run(
            [*NOOBLE, *words],
            check=False,
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **env: str) -> Running:
        """`nooble WORDS`, without waiting for its end."""
        return Running(
            subprocess.Popen(
                [*NOOBLE, *words],
                cwd=self.folder,
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    def environment(self, env: dict[str, str] | None = None) -> dict[str, str]:
        """What a process of its own is given."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "100", **(env or {})}
