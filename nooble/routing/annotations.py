"""From an annotation to the type it names. Text is looked up where Python would have: in the module, in the functions
around a local class, in the class itself; a service is known by its name in modules that import it only for types."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, SimpleNamespace
from typing import Any, get_type_hints


def resolve(annotation: Any, function: Callable[..., Any], owner: type | None = None) -> Any:
    """The type that *annotation* of *function* names.

    Args:
        annotation: a type, or text from `from __future__ import annotations` or quotes.
        function: whose annotation it is.
        owner: the class that has it, if it is a method or belongs to a service.

    Raises:
        Exception: it cannot be resolved; whatever its evaluation raises.
    """
    function = inspect.unwrap(function)
    holder = SimpleNamespace(__annotations__={"it": annotation})
    globalns = getattr(function, "__globals__", {})
    missing: NameError | None = None
    for localns in _namespaces(function, owner):
        try:
            return get_type_hints(holder, globalns, dict(localns), include_extras=True)["it"]
        except NameError as error:
            missing = missing or error
    assert missing is not None
    raise missing


def _namespaces(function: Callable[..., Any], owner: type | None) -> Iterator[Mapping[str, Any]]:
    """Where to look besides the module, one after the other."""
    around = _around(function) if "<locals>" in function.__qualname__ else {}
    yield around
    if owner is not None:
        yield {**{one.__name__: one for one in reversed(owner.__mro__)}, **vars(owner), **around}


def _around(function: Callable[..., Any]) -> dict[str, Any]:
    """The local names of the functions of its module that are running: a local class is made while they do."""
    frames = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is function.__globals__:
            frames.append(frame.f_locals)
        frame = frame.f_back
    return {name: value for names in reversed(frames) for name, value in names.items()}
