"""Each line of the table of differences is true: of a real server, of fakeredis, and of the harness where it mends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from nooble.errors import NoobleError
from nooble.testing.differences import DIFFERENCES
from nooble.testing.fake import fake_client
from nooble.wire.connection import Endpoint, Link
from tests.testing.shop import ShopService

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"

Probe = Callable[[Any], Awaitable[bool]]


async def accepts(client: Any, *command: Any) -> bool:
    link = Link(Endpoint(client))
    try:
        return await link.execute(*command) is not None
    except NoobleError:
        return False
    finally:
        await link.close()


async def shebang(client: Any) -> bool:
    return await accepts(client, "EVAL", "#!lua\nreturn 1", 0)


async def blocked_read(client: Any) -> bool:
    link, other = Link(Endpoint(client)), Link(Endpoint(client))
    await other.execute("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    read = asyncio.ensure_future(
        link.execute("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "BLOCK", 1000, "STREAMS", "s", ">")
    )
    await let_block(read)
    await other.execute("SET", "another", "key")
    await let_block(read)
    await other.execute("XADD", "s", "*", "a", "b")
    found = await read
    await link.close()
    await other.close()
    return bool(found)


async def let_block(read: asyncio.Future[Any]) -> None:
    """Give *read* the time to come back though it should not: nobody can be asked whether it waits."""
    await asyncio.wait({read}, timeout=0.05)


async def blocked_move(client: Any) -> bool:
    link, other = Link(Endpoint(client)), Link(Endpoint(client))
    move = asyncio.ensure_future(link.execute("BLMOVE", "l", "l", "RIGHT", "RIGHT", 0.5))
    await let_block(move)
    await other.execute("LPUSH", "l", "x")
    seen = await move
    kept = await other.execute("LRANGE", "l", 0, -1)
    await link.close()
    await other.close()
    return (seen, kept) == (b"x", [b"x"])


async def closed_read(client: Any) -> bool:
    link, other = Link(Endpoint(client)), Link(Endpoint(client))
    read = asyncio.ensure_future(link.execute("BLPOP", "l", 0.5))
    await let_block(read)
    await link.close()
    await asyncio.wait({read})
    assert read.exception()
    await other.execute("LPUSH", "l", "x")
    await asyncio.sleep(0.05)  # what should not happen has time to happen
    left = await other.execute("LLEN", "l")
    await other.close()
    return bool(left)


async def script_errors(client: Any) -> bool:
    return await accepts(
        client, "EVAL", "return string.find(redis.pcall('GET').err, 'wrong number', 1, true) and 1 or 0", 0
    )


async def info(client: Any) -> bool:
    return await accepts(client, "INFO", "server")


async def config(client: Any) -> bool:
    return await accepts(client, "CONFIG", "GET", "maxmemory")


async def wait(client: Any) -> bool:
    return await accepts(client, "WAIT", 0, 10)


async def acl_in_scripts(client: Any) -> bool:
    return await accepts(client, "EVAL", "return redis.acl_check_cmd('GET', 'key') and 1 or 0", 0)


PROBES: dict[str, Probe] = {
    probe.__name__: probe
    for probe in (shebang, blocked_read, blocked_move, closed_read, script_errors, info, config, wait, acl_in_scripts)
}


@pytest.fixture
async def plain() -> AsyncIterator[Any]:
    """fakeredis as it comes."""
    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    yield client
    await client.aclose()


@pytest.fixture
async def mended() -> AsyncIterator[Any]:
    """fakeredis as the harness has it."""
    client = fake_client()
    yield client
    await client.aclose()


def test_every_difference_is_proved_but_for_the_one_that_needs_none() -> None:
    assert {one.name for one in DIFFERENCES} == {*PROBES, "restart"}


@pytest.mark.every_server
@pytest.mark.leaves_keys("of the probes")
@pytest.mark.parametrize("name", PROBES)
async def test_a_real_server_does_it(name: str, redis: Any) -> None:
    assert await PROBES[name](redis)


@pytest.mark.parametrize("name", PROBES)
async def test_fakeredis_does_not(name: str, plain: Any) -> None:
    """When this fails, fakeredis has learnt it, and a line of the table and of `fake` can go."""
    assert not await PROBES[name](plain)


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.name)
async def test_the_harness_mends_what_the_table_says(one: Any, mended: Any) -> None:
    if one.name in PROBES:
        assert await PROBES[one.name](mended) is one.mended


async def test_a_harness_is_empty_at_its_beginning() -> None:
    from nooble.testing import ServiceHarness

    async with ServiceHarness(ShopService) as t:
        await t.redis.set("mine", "x")
    async with ServiceHarness(ShopService) as t:
        assert await t.redis.get("mine") is None


def test_the_guide_shows_the_table() -> None:
    text = GUIDE.read_text()
    for one in DIFFERENCES:
        assert f"| {one.real} | {one.fake} | {'yes' if one.mended else 'no'} |" in text
