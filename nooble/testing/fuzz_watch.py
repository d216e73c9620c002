"""What is seen of a service from inside while it is fuzzed: which handlers ran, for how long, what they left in memory."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

_OURS = {"app_settings", "service_redis_client", "direct_redis_conn", "service_name"}
"""What the framework itself puts into a service."""
_DEEPEST = 6
_SILENT = {"nooble", "redis", "fakeredis", "structlog", "asyncio", *sys.stdlib_module_names}
"""Packages whose objects are tools: what they hold is nobody's business."""


@dataclasses.dataclass(slots=True)
class HandlerRun:
    """A handler that was called.

    Attributes:
        action_type: for which action.
        seconds: how long it took; 0 as long as it goes on.
        error: what it raised.
    """

    action_type: str
    seconds: float = 0.0
    error: BaseException | None = None


class Watch:
    """Sees the handlers of a service run, until it is closed.

    Args:
        service: the service; what it does not declare is not seen.

    Attributes:
        runs: what was seen.
    """

    def __init__(self, service: Any) -> None:
        declared = getattr(service, "_declared", {})
        self._bindings = {name: one.binding(type(service)) for name, one in declared.items()}
        self._before: dict[str, Callable[..., Any]] = {}
        self.runs: list[HandlerRun] = []

    def open(self) -> None:
        """Begin, before the service gets its first action."""
        for name, binding in self._bindings.items():
            self._before[name] = binding._function
            binding._function = self._watched(name, binding._function, binding.signature.is_async)

    def close(self) -> None:
        """The handlers are what they were."""
        for name, function in self._before.items():
            self._bindings[name]._function = function
        self._before.clear()

    def _watched(self, name: str, function: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
        if is_async:

            @functools.wraps(function)
            async def call(*gifts: Any, **named: Any) -> Any:
                with _Timed(self.runs, name):
                    return await function(*gifts, **named)

            return call

        @functools.wraps(function)
        def call_in_thread(*gifts: Any, **named: Any) -> Any:
            with _Timed(self.runs, name):
                return function(*gifts, **named)

        return call_in_thread


class _Timed:
    def __init__(self, runs: list[HandlerRun], name: str) -> None:
        self._run = HandlerRun(name)
        runs.append(self._run)

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._run.seconds = time.monotonic() - self._began
        self._run.error = error


def state_of(service: Any) -> dict[str, str]:
    """What a service holds, by its attributes, as text that is the same as long as nothing changes. Tools, such as
    connections and locks, are left out."""
    return {
        name: told
        for name, value in vars(service).items()
        if name not in _OURS and (told := _told(value, 0, set())) is not None
    }


def _told(value: Any, depth: int, seen: set[int]) -> str | None:
    if value is None or isinstance(value, str | bytes | int | float | complex):
        return repr(value)
    if id(value) in seen or depth > _DEEPEST:
        return "…"
    seen = seen | {id(value)}
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_told(one, depth + 1, seen)}" for key, one in value.items()) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(str(_told(one, depth + 1, seen)) for one in value)) + "}"
    if _is_list(value):
        return "[" + ", ".join(str(_told(one, depth + 1, seen)) for one in value) + "]"
    return _told_object(value, depth, seen)


def _told_object(value: Any, depth: int, seen: set[int]) -> str | None:
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        return f"{kind.__name__}{_told(msgspec.structs.asdict(value), depth + 1, seen)}"
    is_data = isinstance(value, BaseModel) or dataclasses.is_dataclass(value)
    if kind.__module__.partition(".")[0] in _SILENT and not is_data:
        return None
    inside = getattr(value, "__dict__", None)
    return None if inside is None or callable(value) else f"{kind.__name__}{_told(inside, depth + 1, seen)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or (
        isinstance(value, Iterable) and type(value).__module__ == "collections" and hasattr(value, "__len__")
    )


def resident() -> int:
    """Bytes of memory that this process has; where the system does not say, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1_024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
