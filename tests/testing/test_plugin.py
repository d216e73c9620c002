"""The plugin: fixtures for who asks for them, and no cost or change for who does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.servers import Server

pytest_plugins = ["pytester"]

SERVICE = """
import asyncio
from nooble import BaseService, action

class EchoService(BaseService):
    @action("echo.text.say")
    async def say(self, text: dict) -> str:
        return text["text"]
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs a test file in a process of its own, with this plugin and that of asyncio alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    ini = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"

    def run_file(text: str, *more: str) -> pytest.RunResult:
        pytester.makeini(ini)
        pytester.makepyfile(SERVICE + text)
        return pytester.runpytest_subprocess("-p", "pytest_asyncio.plugin", "-p", "nooble.testing.plugin", *more)

    return run_file


def test_importing_it_imports_nothing_of_nooble_that_costs() -> None:
    code = (
        "import sys; import nooble.testing.plugin; "
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in "
        "{'nooble', 'pydantic', 'redis', 'msgspec', 'structlog', 'fakeredis', 'hypothesis'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nooble", "nooble._version", "nooble.testing", "nooble.testing.plugin"]


USES = """
async def test_harness(nooble_harness, nooble_key_guard, wait_until):
    async with nooble_harness(EchoService, worker_concurrency=2) as t:
        assert await t.call(EchoService.say, {"text": "hola"}) == "hola"
        await wait_until(lambda: True, "it is true")

def test_without_a_plugin_for_asyncio(nooble_harness):
    async def work():
        async with nooble_harness(EchoService) as t:
            return await t.call(EchoService.say, {"text": "hola"})
    assert asyncio.run(work()) == "hola"
"""


def test_the_fixtures_are_used_on_a_fake_server(run) -> None:
    run(USES).assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_fixtures_are_used_on_an_embedded_server(run) -> None:
    run(USES, "--nooble-server=embedded").assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_fixtures_are_used_on_a_server_of_ones_own(run, server: Server) -> None:
    run(USES, f"--nooble-server={server.url}").assert_outcomes(passed=2)
    assert server.client.keys("*") == []


LEAKS = """
async def test_leak(nooble_harness, nooble_key_guard):
    async with nooble_harness(EchoService) as t:
        await t.redis.set("left", "behind")
        await t.redis.set("short-lived", "x", ex=60)
"""


@pytest.mark.slow
@pytest.mark.leaves_keys("is what it is about")
def test_keys_that_are_left_fail_the_test(run, server: Server) -> None:
    server.client.set("from before", "x")
    result = run(LEAKS, f"--nooble-server={server.url}")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 keys without a lifetime were left in the server: left"])
    run(LEAKS).assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_harness_that_was_not_ended_is_told(run) -> None:
    result = run(
        """
def test_not_ended(nooble_harness):
    async def begin():
        await nooble_harness(EchoService).__aenter__()
    asyncio.run(begin())
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*not ended: <ServiceHarness echo>; write async with nooble_harness(…) as t:"])


@pytest.mark.slow
def test_a_server_that_is_none_is_a_mistake(run) -> None:
    result = run(USES, "--nooble-server=valkey")
    result.stdout.fnmatch_lines(["*--nooble-server=valkey: say fake, embedded, or an address*"])


def test_nothing_happens_unless_it_is_used(run) -> None:
    result = run(
        """
import sys
def test_nothing():
    assert "nooble.testing.harness" not in sys.modules
    assert "nooble.testing.building" not in sys.modules
"""
    )
    result.assert_outcomes(passed=1)
