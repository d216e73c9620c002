"""Where a declaration stands in the source, and how its mistakes are told: the place, the problem, the mend."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nooble.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of a declaration.

    Attributes:
        file: path of the source file.
        line: line in it, from 1.
        name: what is declared there, e.g. `PedidosService.crear`.
    """

    file: str
    line: int
    name: str

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Origin:
        """The place of *function*; that of what it wraps, if it is a wrapper."""
        inner = inspect.unwrap(function)
        code = getattr(inner, "__code__", None)
        name = getattr(inner, "__qualname__", repr(inner)).rpartition("<locals>.")[2]
        return cls(code.co_filename, code.co_firstlineno, name) if code else cls("<unknown file>", 0, name)

    @classmethod
    def of_class(cls, owner: type) -> Origin:
        """The place of the class *owner*, as far as Python knows it."""
        module = sys.modules.get(owner.__module__)
        return cls(getattr(module, "__file__", None) or owner.__module__, 0, owner.__qualname__)

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def error(self, problem: str, mend: str) -> DeclarationError:
        """The exception that tells of a mistake made here.

        Args:
            problem: what is wrong, beginning in lower case.
            mend: what to write instead.
        """
        return DeclarationError(
            f"{self}: {problem}; {mend}", details={"file": self.file, "line": self.line, "declaration": self.name}
        )

    def __str__(self) -> str:
        return f"{self.place}, {self.name}"


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean 'x'?` for the name in *known* that is nearest to *word*; *otherwise* if none is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise
