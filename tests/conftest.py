"""What every test can ask for (servers, connections, settings), and what every test is held to."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import fakeredis
import pytest
import redis as redis_library
import redis.asyncio as redis_asyncio
import uvloop
from hypothesis import settings as hypothesis_settings

from nooble.config import CommonAppSettings
from tests.support import servers
from tests.support.keys import immortal_keys
from tests.support.servers import KINDS, Server, find_binary
from tests.support.settings import make_settings

hypothesis_settings.register_profile("dev", deadline=None, max_examples=15)
hypothesis_settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
hypothesis_settings.register_profile(
    "thorough", deadline=None, max_examples=200, derandomize="CI" in os.environ, print_blob=True
)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "dev")

LONG_ROOMS = ("chaos", "properties", "clients", "workers", "operations")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ON_A_SERVER = frozenset({"server_kind", "_servers"})
"""Fixtures that all who start a real server ask for."""
OF_SEVERAL_KINDS = ("place", "connection")
"""Fixtures that start one unless their parameter is `fake`."""
NOT_FAST = frozenset(
    {
        *("test_bench", "test_dev", "test_fuzz", "test_fuzz_guide", "test_plugin", "test_run", "test_strategies"),
        *(
            "test_workers_option",
            "test_probes",
            "test_prometheus",
            "test_opentelemetry",
            "test_harness",
            "test_contracts",
        ),
        *("test_differences", "test_floors", "test_guide", "test_operating_guide", "test_options", "test_deploying"),
    }
)
"""Files whose tests start other processes or threads, run whole workers, or look at all files of the project."""


# ── where a test runs ──


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked `every_server` once on each kind; where tests are long, on all but the first with the slow ones.

    One that is slow itself is run there at night.
    """
    if metafunc.definition.get_closest_marker("every_server"):
        missing = {
            kind: [pytest.mark.skip(f"this machine has no {kind} server")] for kind in KINDS if not find_binary(kind)
        }
        long = metafunc.definition.path.parent.name in LONG_ROOMS
        metafunc.parametrize(
            "server_kind",
            [
                pytest.param(
                    kind, marks=[*missing.get(kind, ()), *([pytest.mark.slow] if long and kind != KINDS[0] else [])]
                )
                for kind in KINDS
            ],
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a real server with `server`, what is nightly with `slow` as well, and what is left with `fast`."""
    for item in items:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        where = [given[name] for name in OF_SEVERAL_KINDS if name in given]
        if "fake" not in where if where else ON_A_SERVER.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
        if len(list(item.iter_markers("slow"))) > 1:
            item.add_marker(pytest.mark.nightly)
        elif item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.slow)
        if item.path.stem not in NOT_FAST and not any(map(item.get_closest_marker, ("server", "slow"))):
            item.add_marker(pytest.mark.fast)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let only those that are marked so start a server."""
    servers.permitted = item.get_closest_marker("server") is not None


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a test marked `every_loop` once on each event loop, all others on the one of the standard library."""
    return LOOPS if item.get_closest_marker("every_loop") else {"asyncio": LOOPS["asyncio"]}


@pytest.fixture(scope="module", autouse=True)
def _what_stays_is_no_garbage() -> None:
    """Let no later collection look at what is there to stay: all modules, some thousands of tests, and what they reported.
    Full ones, of which fuzzing asks for many, would take a fifth of a second each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _version_read_once() -> Iterator[None]:
    """The driver reads its own version from the disk for each of the thousands of clients that are made here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redis.utils.get_lib_version", functools.cache(redis_library.utils.get_lib_version))
        yield


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the settings of the developer who runs it: no variable, and no `.env` in the working directory."""
    settings = {name.upper() for name in CommonAppSettings.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.upper() in settings]:
            patch.delenv(variable)
        patch.chdir(tmp_path_factory.mktemp("nowhere"))
        yield


# ── real servers ──


@pytest.fixture(scope="session")
def _servers() -> Iterator[Callable[[str], Server]]:
    """The shared server of each kind, started when first asked for. It looks every 10 ms, and not every 100, at whose
    blocking command has waited long enough; those of `launch` are as they come."""
    with ExitStack() as running:
        yield functools.cache(lambda kind: running.enter_context(Server(kind, hz="100")))


@pytest.fixture
def server_kind() -> str:
    """Which kind of server the test runs on."""
    return KINDS[0]


@pytest.fixture
def server(_servers: Callable[[str], Server], server_kind: str) -> Server:
    """A running server, empty. Other tests use it next: those that stop, freeze or configure one take `launch`."""
    shared = _servers(server_kind)
    shared.client.flushall()
    return shared


@pytest.fixture
def launch(server_kind: str) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own: `launch()`, `launch("redis", appendonly="yes")`, `launch(unix=True)`."""
    with ExitStack() as running:
        yield lambda kind=server_kind, **options: running.enter_context(Server(kind, **options))


@pytest.fixture(autouse=True)
def _keys_have_lifetimes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything that a test, once over, has left in the server has a lifetime or a kind that needs none."""
    if "server" not in request.fixturenames or request.node.get_closest_marker("leaves_keys"):
        yield
        return
    server = request.getfixturevalue("server")
    yield
    if leaked := immortal_keys(server.client):
        pytest.fail("keys without a lifetime were left in the server: " + ", ".join(leaked), pytrace=False)


# ── ways to it ──


@pytest.fixture
def redis_url(server: Server) -> str:
    """Address of `server`."""
    return server.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[redis_asyncio.Redis]:
    """A connection to `server`, as a user would make one; replies are bytes."""
    client = redis_asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def fake_redis() -> AsyncIterator[fakeredis.FakeAsyncRedis]:
    """A connection to a server of Python objects, new for each test; replies are bytes."""
    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    yield client
    await client.aclose()


@pytest.fixture
def settings(redis_url: str) -> Callable[..., CommonAppSettings]:
    """Makes settings that lead to `server`: `settings()`, `settings("orders", worker_concurrency=4)`."""

    def make(service_name: str = "demo", **values: Any) -> CommonAppSettings:
        return make_settings(service_name, **({"redis_url": redis_url} | values))

    return make
