"""What is declared of an action, as a value: frozen, comparable, printable. Everything that lists actions reads this."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from nooble.retry import Retry

CATCH_ALL = "*"
"""Action type of the handler that gets what no other handler is declared for."""

HIDDEN = "***"
"""What is shown instead of a sensitive value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An action as it was declared. Two routes are equal if they promise the same, wherever they stand in the source.

    Attributes:
        action_type: dotted text, or `*` for the catch-all.
        handler: qualified name of the method or function.
        source: `file:line` of the declaration.
        model: type of the payload; `None` if the handler takes none.
        response_model: type of the result, `NoneType` if it has none; `None` if nothing is declared of it.
        title: a few words for people.
        description: the docstring, or what was declared instead.
        tags: groups for the documentation.
        deprecated: whether callers should look for another action.
        version: version of the action.
        retry: its own policy or that of its router; `None` leaves it to the service and the settings.
        timeout: seconds that the handler may run, 0 for no limit; `None` as for *retry*.
        once_for: seconds for which its idempotency key is remembered, so that another run of it changes nothing; 0 for none.
        sensitive: fields of the payload that are never shown.
    """

    action_type: str
    handler: str
    source: str = field(default="", compare=False)
    model: Any = None
    response_model: Any = None
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    version: str | None = None
    retry: Retry | None = None
    timeout: float | None = None
    once_for: float = 0.0
    sensitive: frozenset[str] = frozenset()

    @property
    def is_catch_all(self) -> bool:
        """Whether it stands for every action type that nobody else handles."""
        return self.action_type == CATCH_ALL

    def redacted(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """*data* as it may be logged: sensitive values hidden."""
        return {name: HIDDEN if name in self.sensitive else value for name, value in data.items()}

    def __str__(self) -> str:
        takes = "" if self.model is None else name_of(self.model)
        gives = "" if self.response_model is None else f" -> {name_of(self.response_model)}"
        return f"{self.action_type}: {self.handler}({takes}){gives}"


def name_of(declared: Any) -> str:
    """The name of a type for people, without its modules: `Pedido`, `list[Pedido]`, `None`."""
    if get_origin(declared) is Annotated:
        return name_of(get_args(declared)[0])
    if declared is NoneType:
        return "None"
    plain = declared.__qualname__ if isinstance(declared, type) and not get_args(declared) else str(declared)
    return _MODULES.sub("", plain)


_MODULES = re.compile(r"(?:[\w<>]+\.)+(?=\w)")
