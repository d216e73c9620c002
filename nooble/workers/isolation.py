"""Each action runs in a copy of the context variables, inside the lasting task of its executor: no task is made per
action, and nothing that one handler sets is seen by the next."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from typing import Any

import msgspec


class Suspended(msgspec.Struct, gc=False):
    """Work that waits for something after its first step.

    Attributes:
        awaited: what it waits for.
        run, steps: how it goes on, and what.
    """

    awaited: Any
    run: Callable[..., Any]
    steps: Any

    def rest(self) -> Awaitable[Any]:
        """Go on to the end."""
        return _go_on(self.run, self.steps, self.awaited)


def begin(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Call *function* and take its first step, with context variables of its own: what never waits needs no more.

    `current_task()`, `asyncio.timeout()`, task groups and cancellation see one and the same task throughout.

    Returns:
        What it came to; or `Suspended`, if it has to wait for something first.
    """
    run = copy_context().run
    try:
        work = run(function, *args)
    except (GeneratorExit, StopIteration) as error:
        raise _not_for_a_handler(error) from error
    steps: Any = work if type(work) is types.CoroutineType else work.__await__()
    try:
        awaited = run(steps.send, None)
    except StopIteration as stop:
        return stop.value
    except GeneratorExit as error:
        raise _not_for_a_handler(error) from error
    return Suspended(awaited, run, steps)


@types.coroutine
def _go_on(run: Any, steps: Any, awaited: Any) -> Generator[Any, Any, Any]:
    send, throw = steps.send, steps.throw
    closing = False
    try:
        while True:
            try:
                value = yield awaited
            except BaseException as error:
                closing = type(error) is GeneratorExit
                awaited = run(throw, error)
            else:
                awaited = run(send, value)
    except StopIteration as stop:
        return stop.value
    except GeneratorExit as error:  # it ends the coroutine that awaits, so only who closes that may send it
        if closing:
            raise
        raise _not_for_a_handler(error) from error


def _not_for_a_handler(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__} is not for a handler to raise")
