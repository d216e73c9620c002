"""The bad link is as bad as it was told to be, and no worse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.proxy import Proxy
from tests.support.servers import Server


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


class Caller:
    """A client without any cleverness."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, command: str, timeout: float = 5.0) -> bytes:
        self.writer.write(f"{command}\r\n".encode())
        async with asyncio.timeout(timeout):
            return await self.reader.readline()


@pytest.fixture
async def dial(proxy: Proxy) -> AsyncIterator[Callable[[], Awaitable[Caller]]]:
    callers = []

    async def dial() -> Caller:
        callers.append(Caller(*await asyncio.open_connection("127.0.0.1", proxy.port)))
        return callers[-1]

    yield dial
    for caller in callers:
        caller.writer.close()


@pytest.fixture
async def caller(dial: Callable[[], Awaitable[Caller]]) -> Caller:
    return await dial()


async def test_a_good_link_changes_nothing(proxy: Proxy, caller: Caller) -> None:
    assert await caller.say("ECHO hello") == b"$5\r\n"
    assert await caller.reader.readline() == b"hello\r\n"
    assert proxy.accepted == 1


async def test_a_slow_link_is_late_both_ways(proxy: Proxy, caller: Caller) -> None:
    proxy.delay, before = 0.03, time.monotonic()
    assert await caller.say("PING") == b"+PONG\r\n"
    assert time.monotonic() - before >= 0.06


async def test_a_deaf_link_loses_what_is_sent(proxy: Proxy, caller: Caller, server: Server) -> None:
    proxy.deaf = True
    with pytest.raises(TimeoutError):
        await caller.say("SET key value EX 10", timeout=0.1)
    assert server.client.get("key") is None


async def test_a_mute_link_loses_only_the_reply(proxy: Proxy, caller: Caller, server: Server) -> None:
    proxy.mute = True
    with pytest.raises(TimeoutError):
        await caller.say("SET key value EX 10", timeout=0.1)
    assert server.client.get("key") == "value"


async def test_a_connection_that_has_lost_something_stays_silent(
    proxy: Proxy, caller: Caller, dial: Callable[[], Awaitable[Caller]]
) -> None:
    """Nothing on a real link arrives after something that was sent before it did not."""
    for fault in ("deaf", "mute"):
        caller = await dial()
        setattr(proxy, fault, True)
        with pytest.raises(TimeoutError):
            await caller.say("PING", timeout=0.05)
        setattr(proxy, fault, False)
        with pytest.raises(TimeoutError):
            await caller.say("PING", timeout=0.05)
        assert await (await dial()).say("PING") == b"+PONG\r\n"


async def test_a_swallowed_reply_is_that_of_the_request_which_was_named(
    proxy: Proxy, caller: Caller, server: Server
) -> None:
    proxy.swallow(b"SET")
    assert await caller.say("PING") == b"+PONG\r\n"
    with pytest.raises(ConnectionResetError):
        await caller.say("SET key value EX 10")
    assert (proxy.faults, server.client.get("key")) == (1, "value")


async def test_of_a_cut_reply_the_beginning_arrives(proxy: Proxy, caller: Caller) -> None:
    proxy.cut(3)
    assert await caller.say("PING") == b"+PO"


async def test_a_reset_breaks_what_stands_and_spares_what_comes(
    proxy: Proxy, caller: Caller, dial: Callable[[], Awaitable[Caller]]
) -> None:
    await caller.say("PING")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await caller.say("PING")
    assert await (await dial()).say("PING") == b"+PONG\r\n"
