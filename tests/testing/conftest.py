"""Where the harness is tested: on a server of Python objects, and on every real one that the machine has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.support.servers import KINDS, Server, find_binary

FAKE = "fake"


@pytest.fixture(params=[FAKE, *KINDS])
def place(request: pytest.FixtureRequest, _servers: Callable[[str], Server]) -> Iterator[str]:
    """What `server=` is told. The harness leaves no key in it, of whatever lifetime."""
    if request.param == FAKE:
        yield FAKE
        return
    if not find_binary(request.param):
        pytest.skip(f"this machine has no {request.param} server")
    server = _servers(request.param)
    server.client.flushall()
    yield server.url
    assert server.client.keys("*") == []


@pytest.fixture
async def no_tasks() -> AsyncIterator[None]:
    """The test ends with as many tasks as it began with."""
    before = asyncio.all_tasks()
    yield
    left: set[Any] = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left
