"""Each action has context variables of its own in a task that lasts: all that asyncio offers works as in any task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any

import pytest

from nooble.workers.isolation import Suspended, begin

pytestmark = pytest.mark.every_loop
colour: ContextVar[str] = ContextVar("colour", default="none")


async def isolated(work: Awaitable[Any]) -> Any:
    """What *work* comes to, as an executor runs it."""
    begun = begin(lambda: work)
    return await begun.rest() if isinstance(begun, Suspended) else begun


async def test_what_work_returns_is_returned() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await isolated(work()) == 7


async def test_what_one_action_sets_the_next_does_not_see() -> None:
    async def paint() -> str:
        before = colour.get()
        colour.set("red")
        await asyncio.sleep(0)
        assert colour.get() == "red"
        return before

    assert await isolated(paint()) == "none"
    assert await isolated(paint()) == "none"
    assert colour.get() == "none"


async def test_what_was_set_around_it_is_seen() -> None:
    async def look() -> str:
        return colour.get()

    colour.set("blue")
    assert await isolated(look()) == "blue"


async def test_tokens_can_be_reset_across_suspensions() -> None:
    async def work() -> str:
        token = colour.set("red")
        await asyncio.sleep(0)
        colour.reset(token)
        return colour.get()

    assert await isolated(work()) == "none"


async def test_tasks_made_inside_inherit_the_variables() -> None:
    async def look() -> str:
        return colour.get()

    async def work() -> str:
        colour.set("red")
        return await asyncio.create_task(look())

    assert await isolated(work()) == "red"


async def test_the_current_task_is_the_lasting_one() -> None:
    async def work() -> asyncio.Task[Any] | None:
        await asyncio.sleep(0)
        return asyncio.current_task()

    assert await isolated(work()) is asyncio.current_task()


async def test_a_timeout_inside_ends_what_it_is_about() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            return "late"
        return "in time"

    assert await isolated(work()) == "late"


async def test_a_task_group_inside_gathers_results() -> None:
    async def work() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, n)) for n in range(3)]
        return [task.result() for task in tasks]

    assert await isolated(work()) == [0, 1, 2]


async def test_a_failing_task_group_raises_its_group() -> None:
    async def fail() -> None:
        raise LookupError("inside")

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as caught:
        await isolated(work())
    assert caught.group_contains(LookupError, match="inside")


async def test_cancelling_the_task_cancels_the_work_where_it_is() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("cleaned up")

    async def outer() -> None:
        await isolated(work())

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["cleaned up"]


async def test_work_that_swallows_its_cancellation_goes_on() -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "stubborn"

    async def outer() -> str:
        return str(await isolated(work()))

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "stubborn"


@pytest.mark.parametrize("error", [LookupError("no"), asyncio.CancelledError(), SystemExit(3)], ids=repr)
async def test_what_work_raises_is_raised(error: BaseException) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)):
        await isolated(work())


async def test_generator_exit_of_a_handler_is_an_error_like_any_other() -> None:
    """Let through, it would quietly end the executor that runs it."""

    async def work() -> None:
        raise GeneratorExit

    with pytest.raises(RuntimeError, match="GeneratorExit"):
        await isolated(work())


async def test_stop_iteration_of_a_handler_is_an_error_and_no_result() -> None:
    """A bare `next()` on what is empty: Python turns it into a `RuntimeError`, and so it stays."""

    async def work() -> Any:
        return next(iter([]))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await isolated(work())


async def test_an_awaited_future_that_fails_raises_inside() -> None:
    async def work() -> str:
        try:
            await failing
        except LookupError:
            return "caught inside"
        return "nothing"

    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(failing.set_exception, LookupError())
    assert await isolated(work()) == "caught inside"


async def test_async_generators_inside_are_closed() -> None:
    steps: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for n in range(10):
                yield n
                await asyncio.sleep(0)
        finally:
            steps.append("closed")

    async def work() -> int:
        source = numbers()
        async for n in source:
            if n == 2:
                await source.aclose()  # type: ignore[attr-defined]
                return n
        return -1

    assert await isolated(work()) == 2
    assert steps == ["closed"]


class Ready:
    """Awaitable, and no coroutine."""

    def __await__(self) -> Generator[Any, None, int]:
        yield from asyncio.sleep(0).__await__()
        return 7


@pytest.mark.parametrize("work", [Ready, lambda: asyncio.create_task(asyncio.sleep(0, 7))], ids=["object", "task"])
async def test_anything_awaitable_will_do(work: Callable[[], Awaitable[int]]) -> None:
    assert await isolated(work()) == 7


async def test_what_is_set_before_the_first_step_is_not_seen_by_the_next() -> None:
    """A plain function that makes its coroutine runs in the copy, too."""

    def paint() -> Awaitable[str]:
        before = colour.get()
        colour.set("red")

        async def done() -> str:
            return before

        return done()

    for _ in range(2):
        assert begin(paint) == "none"
    assert colour.get() == "none"
