"""A send waits for as much safety as it asks for, and says so when it was not had."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import redis.asyncio as redis_asyncio

from nooble.clients import BaseRedisClient
from nooble.errors import ConfigurationFault, NotDurable, QueueFull
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.settings import make_settings
from tests.support.waiting import wait_until

Launch = Callable[..., Server]


@contextlib.asynccontextmanager
async def client_of(server: Server, **values: object):  # type: ignore[no-untyped-def]
    async with (
        redis_asyncio.Redis.from_url(server.url) as redis,
        BaseRedisClient("shop", redis, make_settings("shop", **values)) as client,
    ):
        yield client, Platform(redis)


async def test_on_disk(launch: Launch) -> None:
    async with client_of(launch(appendonly="yes", appendfsync="everysec")) as (client, platform):
        await client.send("demo.thing.do", durability="fsync")
        await client.send("demo.thing.do", durability="fsync", idempotency_key="7")
        await client.send_many([("demo.thing.do", {"n": n}) for n in range(300)], durability="fsync")
        assert await platform.backlog() == 302


async def test_as_the_settings_say(launch: Launch) -> None:
    async with client_of(launch(appendonly="no"), durability="fsync") as (client, platform):
        with pytest.raises(NotDurable, match="appendonly"):
            await client.send("demo.thing.do")
        await client.send("demo.thing.do", durability="server")
        assert await platform.backlog() == 2


async def test_a_disk_that_does_not_confirm_in_time(launch: Launch) -> None:
    """It was sent all the same, and the error says how to repeat it."""
    server = launch(appendonly="yes", appendfsync="no")
    async with client_of(server, durability_timeout_seconds=0.05) as (client, platform):
        with pytest.raises(NotDurable, match="idempotency_key") as refused:
            await client.send("demo.thing.do", durability="fsync")
        assert refused.value.details == {"durability": "fsync", "sent": 1}
        assert await platform.backlog() >= 1


async def test_repeating_it_elsewhere_is_no_proof(launch: Launch) -> None:
    """Who repeats it by another connection has written nothing there, and yet it must wait for the disk."""
    server = launch(appendonly="yes", appendfsync="no")
    for _ in range(2):
        async with client_of(server, durability_timeout_seconds=0.05) as (client, platform):
            with pytest.raises(NotDurable):
                await client.send("demo.thing.do", durability="fsync", idempotency_key="7")
            assert await platform.backlog() == 1


async def test_a_durability_that_is_none_is_told(launch: Launch) -> None:
    async with client_of(launch()) as (client, platform):
        with pytest.raises(ValueError, match="server, fsync, replicated"):
            await client.send("demo.thing.do", durability="fsnyc")
        assert await platform.backlog() == 0


@pytest.mark.slow
async def test_on_replicas(launch: Launch) -> None:
    primary = launch(repl_diskless_sync_delay="0")
    async with client_of(primary, durability_timeout_seconds=0.2) as (client, platform):
        with pytest.raises(NotDurable, match="0 of 1 replicas"):
            await client.send("demo.thing.do", durability="replicated")
        replica = launch()
        replica.client.replicaof("127.0.0.1", primary.port)
        await wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up", "it follows")

        async def is_safe() -> bool:
            try:
                await client.send("demo.thing.do", durability="replicated", idempotency_key="7")
            except NotDurable:
                return False
            return True

        await wait_until(is_safe, "it is on the replica")
        assert replica.client.xlen(platform.stream) == 2
        with pytest.raises(NotDurable, match="1 of 2 replicas"):
            async with client_of(primary, durability_timeout_seconds=0.1, durability_replicas=2) as (greedy, _):
                await greedy.send("demo.thing.do", durability="replicated")


async def test_a_full_stream_is_no_question_of_durability(launch: Launch) -> None:
    async with client_of(launch(appendonly="yes")) as (client, platform):
        await platform.redis.set("nooble4:test:demo:limits:backlog", 1)
        await client.send("demo.thing.do", durability="fsync")
        with pytest.raises(QueueFull):
            await client.send("demo.thing.do", durability="fsync")


async def test_a_server_without_the_command_is_told_before_anything_is_sent(launch: Launch) -> None:
    try:
        server = launch("redis", appendonly="yes")
    except FileNotFoundError:
        pytest.skip("this machine has no redis server")
    if any(server.client.execute_command("COMMAND INFO", "WAITAOF")):
        pytest.skip("this redis has the command")
    async with client_of(server) as (client, platform):
        with pytest.raises(ConfigurationFault, match="appendfsync always"):
            await client.send("demo.thing.do", durability="fsync")
        assert await platform.backlog() == 0


async def test_the_script_is_forgotten_in_between(launch: Launch) -> None:
    async with client_of(launch(appendonly="yes")) as (client, platform):
        for _ in range(3):
            await client.send("demo.thing.do", durability="fsync")
            await platform.redis.script_flush()
        assert await platform.backlog() == 3
