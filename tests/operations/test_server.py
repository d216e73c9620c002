"""What a server says of itself is read as far as it tells, what can be lost by it is judged, and nothing is made by
looking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from nooble.config import CommonAppSettings
from nooble.errors import ServerRefused
from nooble.operations.server import ServerFacts, read_facts, read_server, risks_of
from nooble.operations.standing import read_standing
from nooble.wire.connection import Endpoint, Link
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


# ── what can be lost ──


def facts(**values: Any) -> ServerFacts:
    """A server by which nothing is lost, but for *values*."""
    sound: dict[str, Any] = {"append_only": True, "snapshots": "", "fsync": "everysec", "eviction": "noeviction"}
    rest: dict[str, Any] = {"kind": "valkey", "version": "9", "compatible": "7.2", "memory_limit": 0, "role": "master"}
    return ServerFacts(**(sound | rest | values))


@pytest.mark.parametrize(
    ("values", "what", "lost", "mend", "grave"),
    [
        ({"append_only": False}, "persistence", "a restart loses every action", "appendonly yes", True),
        ({"append_only": False, "snapshots": "60 1"}, "persistence", "after the last", "appendonly yes", False),
        ({"fsync": "no"}, "fsync", "a power cut loses", "appendfsync everysec", False),
        ({"eviction": "allkeys-lru", "memory_limit": 10**8}, "eviction", "it deletes keys", "noeviction", True),
        ({"eviction": "allkeys-lru"}, "eviction", "for when a maxmemory is set", "noeviction", False),
        ({"role": "slave"}, "role", "nothing can be written", "name its primary", True),
    ],
)
def test_a_setting_that_loses_actions_is_told_with_what_is_lost_and_the_mend(
    values: dict[str, Any], what: str, lost: str, mend: str, grave: bool
) -> None:
    (risk,) = risks_of(facts(**values))
    assert (risk.what, risk.grave) == (what, grave)
    assert lost in risk.found
    assert mend in risk.mend


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"fsync": "always", "memory_limit": 10**8},
        {"append_only": False, "snapshots": None, "fsync": None, "eviction": None},
        {"append_only": True, "snapshots": None, "fsync": None, "eviction": None},
        {"append_only": False, "snapshots": None, "fsync": "no"},
    ],
    ids=["sound", "sounder", "silent", "says little", "fsync without a file"],
)
def test_a_sound_server_and_one_that_does_not_say_are_no_risk(values: dict[str, Any]) -> None:
    assert risks_of(facts(**values)) == []


@pytest.mark.every_server
async def test_all_is_read_in_one_round_trip(launch: Launch) -> None:
    server = launch(appendonly="yes", appendfsync="no")
    async with Redis.from_url(server.url) as redis:
        link = Link(Endpoint(redis))
        read = await read_facts(link)
        await link.close()
    assert (read.append_only, read.fsync, link.opened) == (True, "no", 1)


async def test_a_server_that_says_nothing_of_itself_is_told_apart(launch: Launch) -> None:
    server = launch()
    server.client.execute_command("ACL", "SETUSER", "guest", "on", "nopass", "~*", "+@all", "-info")
    async with Redis.from_url(server.url, username="guest", password="x") as redis:
        with pytest.raises(ServerRefused, match="ACL SETUSER"):
            await read_server(redis)


# ── streams ──


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
