"""Retries and dead letters: what fails and nobody waits for is tried again, and kept if it fails for good."""

from __future__ import annotations

from collections.abc import Callable

import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import Reject, RetryLater
from nooble.models import DomainAction, current_context
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_a_failed_action_runs_again(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """How often and after how long is set by `retry_attempts`, `retry_backoff_seconds`, `retry_max_delay_seconds`."""
    attempts: list[int] = []

    def fail_twice(action: DomainAction) -> None:
        attempts.append(current_context().attempt)
        if len(attempts) < 3:
            raise ConnectionError("the printer is off")

    async with running(ServiceWorker(settings("printer", retry_attempts=3), redis, Doing(fail_twice))):
        await client.send("printer.page.print")
        await wait_until(lambda: attempts == [1, 2, 3], "it has run three times")


async def test_what_fails_for_good_is_kept(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """A dead letter says why, how often it was tried and where it failed, and has the action's own bytes."""

    def jam(action: DomainAction) -> None:
        raise OSError("paper jam")

    worker = ServiceWorker(settings("printer", retry_attempts=2), redis, Doing(jam))
    async with running(worker):
        sent = await client.send("printer.page.print", {"page": 1})
        dead = worker.queue_manager.get_dead_letter_stream("printer")
        await wait_until(lambda: redis.xlen(dead), "it is buried")
    ((_, letter),) = await redis.xrange(dead)
    assert (letter[b"reason"], letter[b"error"], letter[b"attempts"]) == (b"HANDLER_ERROR", b"OSError: paper jam", b"2")
    assert b"in jam" in letter[b"traceback"]
    assert DomainAction.model_validate_json(letter[b"data"]).action_id == sent


async def test_a_refusal_is_not_tried_again(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """What the business refuses, what no handler knows and what is not valid stays so."""

    def refuse(action: DomainAction) -> None:
        raise Reject("closed on Sundays")

    service = Doing(refuse)
    worker = ServiceWorker(settings("printer", retry_attempts=3), redis, service)
    async with running(worker):
        await client.send("printer.page.print")
        await wait_until(lambda: redis.xlen(worker.queue_manager.get_dead_letter_stream("printer")), "it is buried")
    assert len(service.seen) == 1


async def test_a_handler_can_ask_for_another_time(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """`RetryLater` says after how long; even a caller that waits is answered by the later run then."""

    def busy_at_first(action: DomainAction) -> str:
        if current_context().attempt == 1:
            raise RetryLater("warming up", after=0.05)
        return "printed"

    async with running(ServiceWorker(settings("printer"), redis, Doing(busy_at_first))):
        answer = await client.call("printer.page.print", timeout=5)
    assert answer.data == {"result": "printed"}


async def test_a_caller_hears_of_the_first_failure(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Somebody waits: an error now is worth more than a result later."""

    def jam(action: DomainAction) -> None:
        raise OSError("paper jam")

    service = Doing(jam)
    worker = ServiceWorker(settings("printer", retry_attempts=3), redis, service)
    async with running(worker):
        assert not (await client.call("printer.page.print", timeout=5)).success
    assert len(service.seen) == 1
    assert not await redis.xlen(worker.queue_manager.get_dead_letter_stream("printer"))
