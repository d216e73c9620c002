"""Tests wait for a fact, never for a time: a slow machine makes them slower, not wrong."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def wait_until(
    predicate: Callable[[], Value | Awaitable[Value]], description: str, timeout: float = 5.0
) -> Value:
    """Ask *predicate*, plain or async, until its value is true; return that value.

    Args:
        predicate: what is asked again and again.
        description: what is being waited for, to end the sentence "waited … until".
        timeout: seconds after which the test fails, in the middle of a predicate if need be.

    Raises:
        AssertionError: it did not become true in time; tells the description and the last value.
    """
    value, pause = None, 0.001
    try:
        async with asyncio.timeout(timeout) as limit:
            while True:
                answer = predicate()
                value = await answer if inspect.isawaitable(answer) else answer
                if value:
                    return value
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.01)
    except TimeoutError:
        if not limit.expired():
            raise
    raise AssertionError(f"waited {timeout:g} s until {description}; last value: {value!r}")
