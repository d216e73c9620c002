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
        if code is None:
            return cls.here(plain_name(inner) if isinstance(inner, type) else f"a {type(inner).__name__}")
        return cls(code.co_filename, code.co_firstlineno, plain_name(inner))

    @classmethod
    def here(cls, name: str) -> Origin:
        """The line outside of this room that is being run, for what is declared there as *name*."""
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_ROOM):
            frame = frame.f_back
        return cls(frame.f_code.co_filename, frame.f_lineno, name)

    @classmethod
    def of_class(cls, owner: type, attribute: str = "") -> Origin:
        """The place of the class *owner*, or of an attribute of it, as far as Python knows it."""
        module = sys.modules.get(owner.__module__)
        name = f"{plain_name(owner)}.{attribute}" if attribute else plain_name(owner)
        return cls(getattr(module, "__file__", None) or owner.__module__, 0, name)

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


def plain_name(named: Any) -> str:
    """The name of a class or function, without the functions around it."""
    return str(named.__qualname__).rpartition("<locals>.")[2]


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean 'x'?` for the name in *known* that is nearest to *word*; *otherwise* if none is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise


_ROOM = __name__.rpartition(".")[0]
