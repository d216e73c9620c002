"""What a server says of itself is read as far as it tells, and nothing is made by looking."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from nooble.config import CommonAppSettings
from nooble.errors import ServerRefused
from nooble.operations.server import read_server
from nooble.operations.standing import read_standing
from tests.support.servers import Server

Launch = Callable[..., Server]
Settings = Callable[..., CommonAppSettings]


@pytest.mark.every_server
async def test_a_server_is_known_by_kind_and_version(redis: Redis, server_kind: str) -> None:
    facts = await read_server(redis)
    assert facts.kind == server_kind
    assert facts.version[0].isdigit()
    assert not facts.is_old
    assert facts.role == "master"


@pytest.mark.every_server
async def test_a_server_says_what_it_keeps_and_what_it_deletes(redis: Redis) -> None:
    facts = await read_server(redis)
    assert (facts.append_only, facts.snapshots, facts.keeps_data) == (False, "", False)
    assert (facts.eviction, facts.evicts, facts.memory_limit) == ("noeviction", False, 0)


async def test_a_server_that_keeps_everything(launch: Launch) -> None:
    async with Redis.from_url(launch(appendonly="yes", maxmemory="1mb", maxmemory_policy="allkeys-lru").url) as redis:
        facts = await read_server(redis)
    assert (facts.append_only, facts.keeps_data) == (True, True)
    assert (facts.evicts, facts.memory_limit) == (True, 1_048_576)


async def test_a_server_that_hides_its_settings_gets_the_benefit_of_the_doubt(launch: Launch) -> None:
    server = launch()
    server.client.execute_command("ACL", "SETUSER", "guest", "on", "nopass", "~*", "+@all", "-config")
    async with Redis.from_url(server.url, username="guest", password="x") as redis:
        facts = await read_server(redis)
    assert (facts.snapshots, facts.keeps_data, facts.eviction) == (None, True, "noeviction")


async def test_looking_at_a_stream_makes_none(redis: Redis, settings: Settings) -> None:
    assert await read_standing(redis, settings()) is None
    assert await redis.keys("*") == []


async def test_a_stream_without_the_group_has_not_been_served(redis: Redis, settings: Settings) -> None:
    await redis.xadd("nooble4:test:demo:streams:main", {"data": "{}"})
    assert await read_standing(redis, settings()) is None


@pytest.mark.leaves_keys("a key of the wrong type")
async def test_a_key_of_the_wrong_type_is_for_a_person_to_mend(redis: Redis, settings: Settings) -> None:
    await redis.set("nooble4:test:demo:streams:main", "in the way")
    with pytest.raises(ServerRefused):
        await read_standing(redis, settings())
