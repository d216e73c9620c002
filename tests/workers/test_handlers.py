"""Handlers that misbehave: they hang, swallow, cancel, exit, raise what nobody should. The worker lives, and the next
action does not notice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from nooble.events import Buried, LoopBlocked
from nooble.models import DomainAction
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ

pytestmark = pytest.mark.every_loop
Handler = Callable[[], Coroutine[Any, Any, Any]]


async def hang() -> None:
    await asyncio.sleep(60)


async def ask_after(employ: Employ, platform: Platform, bad: Handler, **values: Any) -> dict[str, Any]:
    """What who waits is told of *bad*. Sees to it that the next actions in the same task are as sound as ever."""

    async def work(action: DomainAction) -> Any:
        if action.data:
            return await bad()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, "sound"))
        return task.result()

    await employ(work, **{"worker_concurrency": 1, "retry_attempts": 1} | values)
    answer = await platform.ask("demo.thing.do", {"bad": True})
    for _ in range(2):
        assert (await platform.ask("demo.other.do"))["data"] == {"result": "sound"}
    await wait_until(platform.is_done, "all has ended")
    return answer


# ── timeouts ──


async def test_a_handler_that_hangs_is_ended_by_its_timeout(employ: Employ, platform: Platform) -> None:
    error = (await ask_after(employ, platform, hang, action_timeout_seconds=0.05))["error"]
    assert (error["error_type"], error["error_code"]) == ("ActionTimeout", "TIMEOUT")
    assert "longer than its timeout of 0.05 s" in error["message"]


async def test_a_timeout_is_retried_like_other_failures_and_says_where_the_handler_was(
    employ: Employ, platform: Platform
) -> None:
    worker = await employ(lambda action: hang(), action_timeout_seconds=0.02, retry_attempts=2)
    await platform.send("demo.thing.do")
    await wait_until(platform.is_done, "it is given up")
    assert len(worker.service.seen) == 2
    (letter,) = await platform.buried()
    assert (letter["reason"], letter["attempts"]) == ("TIMEOUT", "2")
    assert "in hang" in letter["traceback"]


async def test_a_handler_that_ends_in_another_way_when_its_time_is_over_has_timed_out(
    employ: Employ, platform: Platform
) -> None:
    async def translate() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            raise ConnectionError("the driver says: cancelled") from None

    answer = await ask_after(employ, platform, translate, action_timeout_seconds=0.05)
    assert answer["error"]["error_code"] == "TIMEOUT"


async def test_a_handler_that_swallows_its_cancellation_and_ends_well_has_ended_well(
    employ: Employ, platform: Platform
) -> None:
    async def finish() -> str:
        try:
            await hang()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return "done after all"

    answer = await ask_after(employ, platform, finish, action_timeout_seconds=0.05)
    assert answer["data"] == {"result": "done after all"}


async def test_a_handler_that_swallows_its_cancellation_and_goes_on_is_cancelled_again(
    employ: Employ, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nooble.workers.executor._AGAIN", 0.1)

    async def go_on() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            await hang()

    answer = await ask_after(employ, platform, go_on, action_timeout_seconds=0.05)
    assert answer["error"]["error_code"] == "TIMEOUT"


async def test_a_timeout_of_the_handlers_own_is_its_own_error(employ: Employ, platform: Platform) -> None:
    async def own() -> None:
        async with asyncio.timeout(0.01):
            await hang()

    error = (await ask_after(employ, platform, own, action_timeout_seconds=5))["error"]
    assert (error["error_type"], error["error_code"]) == ("TimeoutError", "HANDLER_ERROR")


async def test_who_is_in_time_does_not_notice(employ: Employ, platform: Platform) -> None:
    answer = await ask_after(employ, platform, lambda: asyncio.sleep(0.05, "in time"), action_timeout_seconds=1)
    assert answer["data"] == {"result": "in time"}


# ── cancellations that nobody asked for ──


async def raise_cancelled() -> None:
    raise asyncio.CancelledError


async def await_cancelled() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize("bad", [raise_cancelled, await_cancelled, cancel_itself])
async def test_a_cancellation_from_inside_is_the_handlers_failure(
    employ: Employ, platform: Platform, bad: Handler
) -> None:
    assert (await ask_after(employ, platform, bad))["error"]["error_code"] == "HANDLER_CANCELLED"


async def test_a_handler_that_cancels_itself_and_returns_harms_nobody_else(employ: Employ, platform: Platform) -> None:
    """The cancellation has not even been delivered when it ends."""

    async def leave_a_trap() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "gone"

    assert (await ask_after(employ, platform, leave_a_trap))["data"] == {"result": "gone"}


# ── what nobody should raise ──


async def exit_program() -> None:
    raise SystemExit(3)


async def stop_iteration() -> Any:
    return next(iter(()))


async def group() -> None:
    raise BaseExceptionGroup("several", [SystemExit(3), OSError("no")])


async def recurse() -> Any:
    return await recurse()


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (exit_program, "SystemExit"),
        (stop_iteration, "RuntimeError"),
        (group, "BaseExceptionGroup"),
        (recurse, "RecursionError"),
    ],
)
async def test_whatever_a_handler_raises_is_an_answer(
    employ: Employ, platform: Platform, bad: Handler, kind: str
) -> None:
    error = (await ask_after(employ, platform, bad))["error"]
    assert (error["error_type"], error["error_code"]) == (kind, "HANDLER_ERROR")


async def test_an_error_without_words_is_an_answer_and_a_dead_letter(employ: Employ, platform: Platform) -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise LookupError("no words")

    async def fail() -> None:
        raise Speechless

    assert "Speechless" in (await ask_after(employ, platform, fail))["error"]["message"]
    await platform.send("demo.thing.do", {"bad": True})
    (letter,) = await wait_until(platform.buried, "it is buried")
    assert "Speechless" in letter["error"]


# ── results that cannot be told ──


@pytest.mark.parametrize(
    "result", [object(), {1, object()}, {"deep": {"er": lambda: 0}}], ids=["object", "set", "deep"]
)
async def test_a_result_that_cannot_be_encoded_is_told(employ: Employ, platform: Platform, result: Any) -> None:
    async def give() -> Any:
        return result

    error = (await ask_after(employ, platform, give))["error"]
    assert error["error_code"] == "INVALID_RESPONSE"
    assert "demo.thing.do" in error["message"]


async def test_a_result_that_contains_itself_is_told(employ: Employ, platform: Platform) -> None:
    async def give() -> Any:
        loop: dict[str, Any] = {}
        loop["self"] = loop
        return loop

    assert (await ask_after(employ, platform, give))["error"]["error_code"] == "INVALID_RESPONSE"


# ── handlers that stand in the way ──


async def test_a_handler_that_blocks_the_loop_is_told_of(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: time.sleep(0.5), worker_lease_seconds=0.6)
    await platform.ask("demo.thing.do")
    (blocked,) = await wait_until(lambda: worker.heard(LoopBlocked), "it is told")
    assert 0.2 < blocked.seconds < 1
    assert blocked.lease == 0.6


async def test_handlers_that_never_wait_do_not_starve_the_rest(employ: Employ, platform: Platform) -> None:
    """However many lie ready, everything else in the loop gets its turn after a few of them."""
    done: list[int] = []
    in_a_row: list[int] = []

    async def count() -> None:
        while True:
            before = len(done)
            await asyncio.sleep(0)
            in_a_row.append(len(done) - before)

    for _ in range(1_000):
        await platform.send("demo.thing.do")
    counting = asyncio.create_task(count())
    await employ(lambda action: (time.sleep(0.0001), done.append(1)))
    await wait_until(platform.is_done, "all is done")
    counting.cancel()
    assert len(done) == 1_000
    assert max(in_a_row) < 40


async def test_a_handler_may_leave_tasks_behind(employ: Employ, platform: Platform) -> None:
    """They are its own; they neither hold it up nor end with it."""
    left: list[asyncio.Task[None]] = []

    async def leave() -> str:
        left.append(asyncio.create_task(hang()))
        return "left"

    assert (await ask_after(employ, platform, leave))["data"] == {"result": "left"}
    assert not left[0].done()
    left[0].cancel()


async def test_nothing_of_it_is_buried_that_was_answered(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: hang(), action_timeout_seconds=0.02, retry_attempts=1)
    assert not (await platform.ask("demo.thing.do"))["success"]
    assert worker.heard(Buried) == []
