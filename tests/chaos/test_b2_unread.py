"""Row B2: answers that nobody reads do not stay."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from nooble.config import CommonAppSettings
from nooble.workers import ServiceWorker
from tests.chaos.invariants import i4_nothing_is_left, i5_every_key_has_a_lifetime
from tests.chaos.scene import Scene
from tests.support.platform import envelope
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

CLIENTS = 10_000


@pytest.mark.slow
@pytest.mark.every_server
async def test_b2_answers_that_ten_thousand_clients_never_read_expire(
    scene: Scene, settings: Callable[..., CommonAppSettings]
) -> None:
    """Each has a queue of its own, and all have gone when their lifetime is over."""
    platform = scene.platform
    for _ in range(CLIENTS // 1_000):
        async with platform.redis.pipeline(transaction=False) as many:
            for _ in range(1_000):
                action = envelope("demo.item.echo", callback_queue_name=platform.queue())
                many.xadd(platform.stream, {"data": json.dumps(action)})
            await many.execute()
    before = scene.server.client.dbsize()
    worker = ServiceWorker(
        settings(response_ttl_seconds=2.0, worker_beat_seconds=0), platform.redis, Doing(lambda action: None)
    )
    async with running(worker):
        await i4_nothing_is_left(platform, 20)
    assert len(worker.service.seen) == CLIENTS
    i5_every_key_has_a_lifetime(scene.server)
    await wait_until(lambda: scene.server.client.dbsize() <= before, "all have gone", timeout=10)
