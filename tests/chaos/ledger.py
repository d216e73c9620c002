"""What happened, written down outside of Redis: a file that several processes append to, line by line, whatever becomes of
them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


class Ledger:
    """Lines of words in the file at *path*. Each is one write, so that none is ever torn by a kill or by a neighbour."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        """Append a line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())

    def lines(self, first: str) -> list[list[str]]:
        """The lines so far that begin with the word *first*, without it."""
        split = (line.split(" ") for line in self.path.read_text().splitlines())
        return [words[1:] for words in split if words[0] == first]

    def count(self, first: str) -> Counter[str]:
        """How often each second word comes in lines that begin with the word *first*."""
        return Counter(words[0] for words in self.lines(first))

    def close(self) -> None:
        """Write nothing more."""
        os.close(self._file)
