"""Retries on a real server: where they wait, what they keep, when they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from nooble.errors import InvalidActionError, Reject, RetryLater
from nooble.events import Buried, Expired, Failed, Retried
from nooble.models import DomainAction, DomainActionResponse, ErrorDetail, current_context
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ

pytestmark = pytest.mark.every_server


def fail(action: DomainAction) -> None:
    raise OSError("no")


async def test_a_retry_waits_in_the_retry_set_and_nowhere_else(employ: Employ, platform: Platform) -> None:
    """Nothing sleeps, nothing blocks: whoever comes after it is served meanwhile."""
    await employ(
        lambda action: fail(action) if action.data else None, retry_backoff_seconds=60, retry_max_delay_seconds=60
    )
    first = await platform.send("demo.thing.do", {"bad": True})
    await wait_until(lambda: platform.redis.zcard(platform.retries), "it waits")
    assert await platform.backlog() == 0
    assert (await platform.ask("demo.thing.do"))["success"]
    ((member, due),) = await platform.redis.zrange(platform.retries, 0, -1, withscores=True)
    assert member.startswith(first + b" ")
    now = (await platform.redis.time())[0]
    assert 55 <= due / 1000 - now <= 67


async def test_attempts_are_counted_and_the_first_id_is_kept(employ: Employ, platform: Platform) -> None:
    attempts: list[int] = []

    def fail_and_count(action: DomainAction) -> None:
        attempts.append(current_context().attempt)
        fail(action)

    await employ(fail_and_count, retry_attempts=3)
    first = await platform.send("demo.thing.do")
    await wait_until(platform.is_done, "it is given up")
    assert attempts == [1, 2, 3]
    (letter,) = await platform.buried()
    assert (letter["attempts"], letter["first_id"]) == ("3", first.decode())
    assert letter["entry_id"] != letter["first_id"]


async def test_pauses_follow_the_settings(employ: Employ, platform: Platform) -> None:
    worker = await employ(fail, retry_attempts=4, retry_backoff_seconds=0.02, retry_max_delay_seconds=0.05)
    await platform.send("demo.thing.do")
    await wait_until(platform.is_done, "it is given up")
    delays = [event.delay for event in worker.heard(Retried)]
    assert [pytest.approx(delay, rel=0.11) for delay in delays] == [0.02, 0.04, 0.05]


async def test_a_retry_is_done_by_any_worker_of_the_service(employ: Employ, platform: Platform) -> None:
    first = await employ(fail, retry_backoff_seconds=0.3, retry_max_delay_seconds=0.3)
    await platform.send("demo.thing.do")
    await wait_until(lambda: platform.redis.zcard(platform.retries), "it waits")
    await first.stop()
    second = await employ(lambda action: None)
    await wait_until(lambda: second.service.seen, "another does it")


async def test_two_equal_actions_that_fail_together_are_two_retries(employ: Employ, platform: Platform) -> None:
    """The same bytes twice: neither swallows the other."""
    worker = await employ(fail, retry_attempts=2)
    message = '{"action_type": "demo.thing.do", "data": {}}'
    for _ in range(2):
        await platform.add(message)
    await wait_until(platform.is_done, "both are given up")
    assert len(worker.service.seen) == 4
    assert len(await platform.buried()) == 2


async def test_a_waiting_caller_is_answered_at_the_first_failure(employ: Employ, platform: Platform) -> None:
    """And nothing is kept: it was told."""
    worker = await employ(fail, retry_attempts=3)
    answer = await platform.ask("demo.thing.do")
    assert answer["error"]["message"] == "no"
    assert len(worker.service.seen) == 1
    assert await platform.buried() == []
    (told,) = worker.heard(Failed)
    assert (told.code, told.message, type(told.error)) == ("HANDLER_ERROR", "no", OSError)


async def test_a_handler_that_wants_to_be_run_later_keeps_its_caller_waiting(
    employ: Employ, platform: Platform
) -> None:
    def later(action: DomainAction) -> int:
        if current_context().attempt < 3:
            raise RetryLater(after=0.02)
        return current_context().attempt

    await employ(later, retry_attempts=3)
    assert (await platform.ask("demo.thing.do"))["data"] == {"result": 3}


async def test_no_retry_starts_after_the_deadline_of_the_action(employ: Employ, platform: Platform) -> None:
    """It is given up as soon as it is clear that the next attempt would come too late."""
    worker = await employ(fail, retry_attempts=10, retry_backoff_seconds=0.1, retry_max_delay_seconds=0.2)
    await platform.send("demo.thing.do", metadata={"ttl_ms": 250})
    await wait_until(platform.is_done, "it is given up")
    assert 1 <= len(worker.service.seen) <= 3
    assert len(worker.heard(Buried)) == 1


class Order(BaseModel):
    number: int


REFUSALS: dict[str, Any] = {
    "REJECTED": Reject("no"),
    "OUT_OF_STOCK": Reject("no", error_code="OUT_OF_STOCK"),
    "UNKNOWN_ACTION": NotImplementedError("no"),
    "INVALID_ACTION": InvalidActionError("no"),
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_is_final(employ: Employ, platform: Platform, code: str) -> None:
    """Whether somebody waits or not, it runs once; if nobody waits it is kept, and could be replayed."""

    def refuse(action: DomainAction) -> None:
        raise REFUSALS[code]

    worker = await employ(refuse, retry_attempts=3)
    assert (await platform.ask("demo.thing.do"))["error"]["error_code"] == code
    await platform.send("demo.thing.do")
    await wait_until(lambda: worker.heard(Buried), "it is buried")
    assert len(worker.service.seen) == 2
    assert [letter["reason"] for letter in await platform.buried()] == [code]


async def test_data_that_a_service_refuses_by_hand_are_told_field_by_field(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: Order(**action.data), retry_attempts=3)
    error = (await platform.ask("demo.thing.do", {"number": "seven"}))["error"]
    assert error["error_code"] == "INVALID_PAYLOAD"
    assert [field["path"] for field in error["details"]["errors"]] == ["$.data.number"]
    await platform.send("demo.thing.do", {"number": "seven"})
    await wait_until(lambda: worker.heard(Buried), "it is buried")
    assert len(worker.service.seen) == 2
    assert [letter["reason"] for letter in await platform.buried()] == ["INVALID_PAYLOAD"]


async def test_an_answer_that_the_service_makes_itself_is_sent_as_it_is(employ: Employ, platform: Platform) -> None:
    error = ErrorDetail(error_type="Own", error_code="CLOSED", message="closed", details={"until": 9})
    worker = await employ(lambda action: DomainActionResponse(success=False, error=error))
    answer = await platform.ask("demo.thing.do", trace_id="22222222-0000-4000-8000-000000000000")
    assert (answer["success"], answer["error"]) == (False, error.model_dump())
    assert answer["trace_id"] == "22222222-0000-4000-8000-000000000000"
    assert len(worker.service.seen) == 1


async def test_an_action_that_nobody_awaits_any_more_is_not_run(employ: Employ, platform: Platform) -> None:
    queue = platform.queue()
    await platform.send("demo.thing.do", metadata={"ttl_ms": 1}, callback_queue_name=queue)
    await platform.send("demo.other.do", metadata={"ttl_ms": 1})
    await asyncio.sleep(0.01)
    worker = await employ(lambda action: None)
    assert (await platform.answer(queue))["error"]["error_code"] == "EXPIRED"
    await wait_until(lambda: len(worker.heard(Expired)) == 2, "both have expired")
    assert worker.service.seen == []
    assert [letter["reason"] for letter in await platform.buried()] == ["EXPIRED"]


async def test_many_retries_at_once_are_all_run_again(employ: Employ, platform: Platform) -> None:
    worker = await employ(fail, retry_attempts=2, worker_concurrency=10)
    for _ in range(300):
        await platform.send("demo.thing.do")
    await wait_until(platform.is_done, "all are given up", timeout=10)
    assert len(worker.service.seen) == 600
    assert len(await platform.buried()) == 300
