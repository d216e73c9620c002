"""What the tests stand on holds: servers start, freeze, die and come back; waiting ends; guards see what they guard."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fakeredis
import pytest
import redis as redis_library
import redis.asyncio
import uvloop

from nooble.config import CommonAppSettings
from tests.support.keys import PERMANENT_KINDS, immortal_keys
from tests.support.servers import Server
from tests.support.waiting import wait_until

Launch = Callable[..., Server]
ROOT = Path(__file__).parents[1]


# ── servers ──


@pytest.mark.every_server
def test_a_server_answers_as_soon_as_it_has_started(server: Server, server_kind: str) -> None:
    assert server.kind == server_kind
    assert server.client.info("server")["process_id"] == server.pid
    assert ("valkey_version" in server.client.info("server")) == (server_kind == "valkey")


@pytest.mark.every_server
def test_a_server_can_listen_on_a_socket_alone(launch: Launch) -> None:
    server = launch(unix=True)
    assert server.url.startswith("unix:///")
    assert server.client.config_get("port") == {"port": "0"}


def test_a_server_with_a_password_lets_nobody_in_without_it(launch: Launch) -> None:
    server = launch(password="s3cret")
    assert ":s3cret@" in server.url
    with (
        redis_library.Redis.from_url(server.url.replace(":s3cret@", "")) as stranger,
        pytest.raises(redis_library.AuthenticationError),
    ):
        stranger.ping()


def test_a_frozen_server_keeps_its_connections_and_says_nothing(launch: Launch) -> None:
    server = launch()
    with redis_library.Redis.from_url(server.url, socket_timeout=0.05, retry=None) as impatient:
        impatient.ping()
        server.freeze()
        with pytest.raises(redis_library.TimeoutError):
            impatient.ping()
        server.thaw()
        assert impatient.ping()


def test_a_stopped_server_refuses_connections(launch: Launch) -> None:
    server = launch()
    server.stop()
    with pytest.raises(redis_library.ConnectionError):
        server.client.ping()


def test_a_server_stops_even_when_frozen(launch: Launch) -> None:
    server = launch()
    server.freeze()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_a_server_comes_back_at_the_same_address_with_what_it_had_written_down(launch: Launch) -> None:
    server = launch(appendonly="yes", appendfsync="always")
    url, pid = server.url, server.pid
    server.client.set("key", "value")
    server.kill()
    server.start()
    assert (server.url, server.client.get("key")) == (url, "value")
    assert server.pid != pid


def test_a_server_that_wrote_nothing_down_comes_back_empty(launch: Launch) -> None:
    server = launch()
    server.client.set("key", "value")
    assert server.restart().client.get("key") is None


def test_a_server_takes_another_port_when_its_own_is_taken(
    server: Server, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = server.port + 1
    monkeypatch.setattr("random.sample", lambda *_: [server.port, free])
    assert launch().port == free


def test_a_server_never_mistakes_a_stranger_on_its_port_for_itself(
    server: Server, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.sample", lambda *_: [server.port])
    with pytest.raises(RuntimeError, match=r"does not start:(.|\n)*[Aa]ddress already in use"):
        launch()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel watches over servers on Linux only")
async def test_a_server_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import time; from tests.support.servers import Server\n"
        "print(Server().start().port, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        port = int(run.stdout.readline())
        run.kill()

    async def refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await wait_until(refused, "the server is gone")


# ── fixtures ──


async def test_the_connection_leads_to_an_empty_server_and_speaks_bytes(redis: redis.asyncio.Redis) -> None:
    assert await redis.dbsize() == 0
    await redis.set("key", "value", ex=10)
    assert await redis.get("key") == b"value"


async def test_the_fake_connection_is_new_and_runs_scripts(fake_redis: fakeredis.FakeAsyncRedis) -> None:
    assert await fake_redis.dbsize() == 0
    assert await fake_redis.eval("return redis.call('INCR', KEYS[1])", 1, "key") == 1


def test_settings_lead_to_the_server_of_the_test(settings: Callable[..., CommonAppSettings], redis_url: str) -> None:
    made = settings("orders", worker_concurrency=4)
    assert (made.service_name, made.environment, made.redis_url) == ("orders", "test", redis_url)
    assert made.worker_concurrency == 4


def test_no_variable_and_no_file_of_the_developer_reaches_a_test() -> None:
    assert not {name.lower() for name in os.environ} & set(CommonAppSettings.model_fields)
    assert not Path(".env").exists()


@pytest.mark.every_loop
async def test_a_test_can_run_on_each_event_loop(request: pytest.FixtureRequest) -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop) == ("uvloop" in request.node.name)


# ── the guard of keys ──


@pytest.mark.leaves_keys("it shows what the guard sees")
async def test_the_guard_names_the_keys_that_would_stay_for_ever(server: Server, redis: redis.asyncio.Redis) -> None:
    await redis.set("nooble4:test:demo:dedup:1", "x")
    await redis.lpush("nooble4:test:demo:responses:a_b:1", "x")
    await redis.set("nooble4:test:demo:dedup:2", "x", ex=10)
    assert immortal_keys(server.client) == ["nooble4:test:demo:dedup:1", "nooble4:test:demo:responses:a_b:1"]


async def test_the_guard_lets_streams_and_registries_be(server: Server, redis: redis.asyncio.Redis) -> None:
    for kind in PERMANENT_KINDS:
        await redis.set(f"nooble4:test:demo:{kind}:main", "x")
    assert immortal_keys(server.client) == []


@pytest.mark.leaves_keys("it shows what the guard sees")
async def test_the_guard_is_not_fooled_by_a_service_called_streams(server: Server, redis: redis.asyncio.Redis) -> None:
    await redis.set("nooble4:test:streams:cache:main", "x")
    assert immortal_keys(server.client) == ["nooble4:test:streams:cache:main"]


# ── waiting ──


async def test_waiting_returns_the_value_that_ended_it() -> None:
    values = iter([0, None, 7])
    assert await wait_until(lambda: next(values), "a value comes") == 7


async def test_waiting_asks_async_predicates_too() -> None:
    async def ready() -> str:
        return "yes"

    assert await wait_until(ready, "it is ready") == "yes"


async def test_waiting_in_vain_tells_what_for_and_the_last_value() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s until pigs fly; last value: \[\]"):
        await wait_until(list, "pigs fly", timeout=0.05)


async def test_waiting_ends_in_the_middle_of_a_predicate_that_hangs() -> None:
    with pytest.raises(AssertionError, match="until the answer"):
        await wait_until(asyncio.Event().wait, "the answer", timeout=0.05)


async def test_an_error_of_the_predicate_is_not_taken_for_waiting_in_vain() -> None:
    async def broken() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await wait_until(broken, "anything")
