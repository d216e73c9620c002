"""What any worker does for all of them: retries move when they are due, the old goes away, and a key that cannot be used is
told of once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from nooble.events import DeadLettersTrimmed, Event, Events, Teller, Unwritten
from nooble.wire.connection import Endpoint
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import ActionStream
from nooble.workers.clock import ServerClock
from nooble.workers.in_flight import InFlight
from nooble.workers.outage import Patience
from nooble.workers.upkeep import Upkeep
from tests.support.platform import Platform


@pytest.fixture
def told() -> list[Event]:
    """What was told."""
    return []


@pytest.fixture
async def upkeep(redis: redis.asyncio.Redis, told: list[Event]) -> AsyncIterator[Upkeep]:
    """Upkeep of the service `demo` that does nothing by itself."""
    events = Events()
    events.subscribe(told.append)
    teller = Teller(events, "demo", "me")
    stream = ActionStream(Endpoint(redis), QueueManager("nooble4", "test"), "demo", "me")

    async def restore() -> None:
        await stream.ensure_group()

    yield Upkeep(
        stream=stream,
        flight=InFlight(),
        patience=Patience(teller, restore),
        clock=ServerClock(),
        teller=teller,
        max_dead_letters=3,
        dead_letter_ttl=0,
    )
    await stream.close()


@pytest.fixture
def platform(redis: redis.asyncio.Redis) -> Platform:
    """Who looks at what came of it."""
    return Platform(redis)


async def test_it_looks_again_when_the_next_retry_is_due(upkeep: Upkeep, platform: Platform) -> None:
    seconds, microseconds = await platform.redis.time()
    due = seconds * 1000 + microseconds // 1000 + 500
    await platform.redis.zadd(platform.retries, {b"1-0 attempt 1\n{}": due})
    assert 0.3 < await upkeep._move() <= 0.5
    assert await platform.backlog() == 0


async def test_it_looks_now_and_then_when_nothing_waits(upkeep: Upkeep) -> None:
    assert await upkeep._move() == 1.0


async def test_it_goes_on_at_once_when_there_is_more_than_it_moves_in_one_go(
    upkeep: Upkeep, platform: Platform
) -> None:
    await platform.redis.zadd(platform.retries, {b"%d-0 attempt 1\n{}" % n: 0 for n in range(150)})
    assert await upkeep._move() == 0.0
    assert await upkeep._move() == 1.0
    assert await platform.backlog() == 150


async def test_a_retry_set_that_cannot_be_used_is_told_once(
    upkeep: Upkeep, platform: Platform, told: list[Event]
) -> None:
    """And once more when it was in order in between."""
    for _ in range(2):
        await platform.redis.set(platform.retries, "no set", ex=60)
        assert await upkeep._move() == 1.0
        assert await upkeep._move() == 1.0
        await platform.redis.delete(platform.retries)
        await upkeep._move()
    assert [type(event) for event in told] == [Unwritten, Unwritten]
    assert isinstance(told[0], Unwritten)
    assert told[0].key == platform.retries
    assert "WRONGTYPE" in told[0].message


async def test_dead_letters_that_cannot_be_trimmed_do_not_keep_retries_waiting(
    upkeep: Upkeep, platform: Platform, told: list[Event]
) -> None:
    await platform.redis.set(platform.dead_letters, "no stream", ex=60)
    await platform.redis.zadd(platform.retries, {b"1-0 attempt 1\n{}": 0})
    await upkeep._move()
    await upkeep._tidy()
    assert await platform.backlog() == 1
    assert [getattr(event, "key", "") for event in told] == [platform.dead_letters]


async def test_dead_letters_are_trimmed_now_and_then_and_not_all_the_time(
    upkeep: Upkeep, platform: Platform, told: list[Event]
) -> None:
    for _ in range(2):
        for _ in range(5):
            await platform.redis.xadd(platform.dead_letters, {"reason": "old"})
        await upkeep._tidy()
    assert told == [DeadLettersTrimmed(service="demo", consumer="me", count=2)]
    assert len(await platform.buried()) == 8
