"""How micro-benchmarks time: the median of many rounds, with the least and the most, in microseconds of one call.

    python -m benchmarks.micro_codec      # and _binding, _judge, _settlement, _routing

They show where a change pays; whether it does is told by `python -m benchmarks`."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

ROUNDS, CALLS = 31, 5_000


def microseconds(call: Callable[[], Any], rounds: int = ROUNDS, calls: int = CALLS) -> tuple[float, float, float]:
    """Median, least and most microseconds of one call, over so many rounds."""
    call()
    found = []
    for _ in range(rounds):
        gc.collect()
        since = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - since) / calls * 1e6)
    return statistics.median(found), min(found), max(found)


def show(cases: dict[str, Callable[[], Any]], rounds: int = ROUNDS, calls: int = CALLS) -> None:
    """Time every case and print it."""
    print(f"Python {platform.python_version()}, {rounds} rounds of {calls} calls, µs of one: median (least–most)")
    for name, call in cases.items():
        middle, least, most = microseconds(call, rounds, calls)
        print(f"{name:40}{middle:8.2f} ({least:.2f}–{most:.2f})", flush=True)


def drive(coroutine: Any) -> Any:
    """The result of a coroutine that never suspends, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it suspended")
