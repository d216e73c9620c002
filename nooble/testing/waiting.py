"""Tests wait for a fact, never for a time: a slow machine makes them slower, not wrong."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


async def wait_until(
    predicate: Callable[[], Value | Awaitable[Value]], description: str = "it is true", timeout: float = 5.0
) -> Value:
    """Ask *predicate*, plain or async, until its value is true; return that value.

    Args:
        predicate: what is asked again and again.
        description: what is waited for, to end the sentence "waited … until".
        timeout: seconds after which the test fails, in the middle of a predicate if need be.

    Raises:
        AssertionError: it did not become true in time; tells the description and the last value.
    """
    value, pause = None, _FIRST_PAUSE
    try:
        async with asyncio.timeout(timeout) as limit:
            while True:
                answer = predicate()
                value = await answer if inspect.isawaitable(answer) else answer
                if value:
                    return value
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
    except TimeoutError:
        if not limit.expired():
            raise
    raise AssertionError(f"waited {timeout:g} s until {description}; last value: {value!r}")
