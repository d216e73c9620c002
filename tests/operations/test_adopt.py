"""A stream that the platform's code has used is taken over by one explicit, repeatable step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault
from nooble.operations import Adoption, adopt

STREAM = "nooble4:test:demo:streams:main"
DEAD_LETTERS = "nooble4:test:demo:dead_letters:main"
GROUP = "demo-group"


def entry(number: int) -> dict[str, bytes]:
    """What a service of the platform writes."""
    return {"data": msgspec.json.encode({"action_type": "demo.cosa.hacer", "data": {"number": number}})}


@pytest.fixture
async def platform_stream(redis: Redis) -> list[bytes]:
    """Six entries: two acknowledged and never deleted, two left pending by an old worker, two not read yet."""
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    ids = [await redis.xadd(STREAM, entry(number)) for number in range(6)]
    await redis.xreadgroup(GROUP, "demo-worker-7d3f", {STREAM: ">"}, count=4)
    await redis.xack(STREAM, GROUP, *ids[:2])
    return ids


async def left(redis: Redis) -> list[int]:
    """Numbers of the entries in the stream."""
    return [msgspec.json.decode(fields[b"data"])["data"]["number"] for _, fields in await redis.xrange(STREAM)]


@pytest.mark.every_server
async def test_old_failures_are_buried_and_the_history_is_deleted(
    redis: Redis, settings: Callable[..., CommonAppSettings], platform_stream: list[bytes]
) -> None:
    """What remains is what was never read; what was pending is in the dead letters with its own bytes."""
    assert await adopt(redis, settings(), idle_seconds=0) == Adoption(ended=2, gone=0, deleted=2)
    assert await left(redis) == [4, 5]
    letters = [fields for _, fields in await redis.xrange(DEAD_LETTERS)]
    assert [letter[b"data"] for letter in letters] == [entry(2)["data"], entry(3)["data"]]
    assert {letter[b"reason"] for letter in letters} == {b"ADOPTED"}
    assert [letter[b"first_id"] for letter in letters] == platform_stream[2:4]


async def test_old_failures_can_run_again(
    redis: Redis, settings: Callable[..., CommonAppSettings], platform_stream: list[bytes]
) -> None:
    """They go to the end of the stream, where a worker finds them like new ones."""
    assert (await adopt(redis, settings(), pending="replay", idle_seconds=0)).ended == 2
    assert await left(redis) == [4, 5, 2, 3]
    assert (await redis.xpending(STREAM, GROUP))["pending"] == 0


async def test_doing_it_again_does_nothing(
    redis: Redis, settings: Callable[..., CommonAppSettings], platform_stream: list[bytes]
) -> None:
    """It can be repeated, after an interruption for one."""
    await adopt(redis, settings(), idle_seconds=0)
    assert await adopt(redis, settings(), idle_seconds=0) == Adoption()


async def test_entries_that_somebody_may_be_at_work_on_are_left(
    redis: Redis, settings: Callable[..., CommonAppSettings], platform_stream: list[bytes]
) -> None:
    """A worker of the platform may still be running beside us."""
    assert await adopt(redis, settings()) == Adoption(ended=0, gone=0, deleted=2)
    assert await left(redis) == [2, 3, 4, 5]


async def test_entries_of_our_own_workers_are_left(redis: Redis, settings: Callable[..., CommonAppSettings]) -> None:
    """They are rightly pending: another worker takes them over by itself."""
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    await redis.xadd(STREAM, entry(1))
    await redis.xreadgroup(GROUP, "demo-worker-host-1-nb0123456789", {STREAM: ">"})
    assert await adopt(redis, settings(), idle_seconds=0) == Adoption()
    assert (await redis.xpending(STREAM, GROUP))["pending"] == 1


async def test_pending_entries_whose_data_were_deleted_are_counted(
    redis: Redis, settings: Callable[..., CommonAppSettings], platform_stream: list[bytes]
) -> None:
    """They leave the pending list; there is nothing left of them to keep."""
    await redis.xdel(STREAM, platform_stream[2])
    assert await adopt(redis, settings(), idle_seconds=0) == Adoption(ended=1, gone=1, deleted=2)


async def test_a_stream_that_others_read_too_is_not_touched(
    redis: Redis, settings: Callable[..., CommonAppSettings], platform_stream: list[bytes]
) -> None:
    """What one group has acknowledged may be new to another."""
    await redis.xgroup_create(STREAM, "audit", id="0")
    with pytest.raises(ConfigurationFault, match="audit"):
        await adopt(redis, settings(), idle_seconds=0)
    assert await left(redis) == [0, 1, 2, 3, 4, 5]


async def test_a_service_without_a_stream_has_nothing_to_adopt(
    redis: Redis, settings: Callable[..., CommonAppSettings]
) -> None:
    """Nothing is there, nothing is made."""
    assert await adopt(redis, settings()) == Adoption()
    assert await redis.keys("*") == []


async def test_long_work_shows_its_progress(redis: Redis, settings: Callable[..., CommonAppSettings]) -> None:
    """A thousand entries are deleted in bounded steps."""
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    pipe = redis.pipeline(transaction=False)
    for number in range(1_000):
        pipe.xadd(STREAM, entry(number))
    ids = await pipe.execute()
    await redis.xreadgroup(GROUP, "demo-worker-7d3f", {STREAM: ">"}, count=1_000)
    await redis.xack(STREAM, GROUP, *ids)
    seen: list[Any] = []
    assert (await adopt(redis, settings(), progress=seen.append)).deleted == 1_000
    assert len(seen) > 4
    assert [step.deleted for step in seen] == sorted(step.deleted for step in seen)
