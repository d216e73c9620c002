"""`None`: a service that has nothing to say returns nothing."""

from __future__ import annotations

from collections.abc import Callable

import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


async def test_a_caller_is_told_that_it_is_done(
    redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient
) -> None:
    """Who waits is answered with success and no data, and does not run into its timeout."""
    async with running(ServiceWorker(settings("mail"), redis, Doing(lambda action: None))):
        answer = await client.call("mail.letter.send", timeout=5)
    assert answer.success
    assert answer.data == {}


async def test_no_callback_is_sent(redis: redis.asyncio.Redis, settings: Settings, client: BaseRedisClient) -> None:
    """A callback without a result would say nothing."""
    shop, mail = Doing(lambda action: None), Doing(lambda action: None)
    worker = ServiceWorker(settings("mail"), redis, mail)
    async with running(ServiceWorker(settings("shop"), redis, shop), worker):
        await client.call_back("mail.letter.send", callback_action_type="shop.letter.sent")
        await wait_until(lambda: mail.seen, "the letter is sent")
        await client.call("mail.letter.send", timeout=5)  # what came before it has ended by then
    assert shop.seen == []
