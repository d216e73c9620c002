"""Many actions through one worker, every answer matched to its call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.workers import ServiceWorker
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

ACTIONS, AT_ONCE = 20_000, 500


@pytest.mark.slow
@pytest.mark.every_server
async def test_twenty_thousand_calls_each_get_their_own_answer(
    redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]
) -> None:
    """Through one worker and one client, five hundred in flight."""
    worker = ServiceWorker(settings(worker_concurrency=10), redis, Doing(lambda action: action.data))
    numbers = iter(range(ACTIONS))
    wrong: list[int] = []

    async with running(worker), BaseRedisClient("shop", redis, settings("shop")) as client:

        async def caller() -> None:
            for number in numbers:
                answer = await client.call("demo.number.echo", {"n": number}, timeout=30)
                if answer.data != {"n": number}:
                    wrong.append(number)

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        await wait_until(Platform(redis).is_done, "nothing is left")
    assert wrong == []
    assert len(worker.service.seen) == ACTIONS
