"""Each action runs in a copy of the context variables, inside the lasting task of its executor: no task is made per
action, and nothing that one handler sets is seen by the next."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from contextvars import copy_context
from typing import Any


@types.coroutine
def isolated(work: Awaitable[Any]) -> Generator[Any, Any, Any]:
    """Await *work* with context variables of its own.

    `current_task()`, `asyncio.timeout()`, task groups and cancellation see one and the same task throughout.
    """
    run = copy_context().run
    steps: Any = work if type(work) is types.CoroutineType else work.__await__()
    send, throw = steps.send, steps.throw
    closing = False
    try:
        awaited = run(send, None)
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
        raise RuntimeError("GeneratorExit is not for a handler to raise") from error
