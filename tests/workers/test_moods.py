"""A server that is there and will not serve: every mood has a line that a person understands, no loop runs hot, work goes on
within two seconds of its end, and a worker that cannot go on ends with the reason and the mend."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from nooble.config import CommonAppSettings
from nooble.errors import ServerRefused
from nooble.events import CommitRefused, Completed, DataLost, LoopBlocked, Reclaimed, ServerBack, ServerLost
from nooble.models import DomainAction
from tests.support.kinds import here_and_slowly_there
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running

Settings = Callable[..., CommonAppSettings]
Launch = Callable[..., Server]
Hire = Callable[..., Awaitable[tuple[TellingWorker, Platform]]]


def commands(server: Server) -> int:
    """How many commands the server has been sent, refused ones included, but for those of a look from outside."""
    told: dict[str, Any] = server.client.info("commandstats")
    outside = ("cmdstat_info", "cmdstat_config", "cmdstat_debug", "cmdstat_ping", "cmdstat_client", "cmdstat_set")
    return sum(stats["calls"] + stats["rejected_calls"] for name, stats in told.items() if not name.startswith(outside))


@pytest.fixture
async def hire(settings: Settings) -> AsyncIterator[Hire]:
    """Sets a worker to work at a server: `worker, platform = await hire(server)`."""
    async with AsyncExitStack() as stack:

        async def hire(
            server: Server, what: Any = lambda action: None, **values: Any
        ) -> tuple[TellingWorker, Platform]:
            client = redis.asyncio.Redis.from_url(server.url)
            stack.push_async_callback(client.aclose)
            values = {"worker_block_ms": 200, "worker_lease_seconds": 0.9} | values
            worker = TellingWorker(settings(**values), client, Doing(what))
            await stack.enter_async_context(running(worker))
            again = redis.asyncio.Redis.from_url(server.url, retry=Retry(ConstantBackoff(0.02), 100))
            stack.push_async_callback(again.aclose)
            platform = Platform(again)
            await platform.ask("demo.warm.up")
            return worker, platform

        yield hire


# ── moods that pass ──


@contextmanager
def replica(server: Server) -> Iterator[None]:
    """It is told to follow a server that is not there."""
    server.client.replicaof("127.0.0.1", "1")
    yield
    server.client.replicaof("NO", "ONE")


@contextmanager
def replica_that_says_nothing(server: Server) -> Iterator[None]:
    server.client.config_set("replica-serve-stale-data", "no")
    with replica(server):
        yield


@contextmanager
def disk_that_takes_nothing(server: Server) -> Iterator[None]:
    """A snapshot cannot be written: there is a folder in its place."""
    (server.folder / "dump.rdb" / "in-the-way").mkdir(parents=True)
    server.client.config_set("save", "3600 1")
    with suppress(redis.ResponseError):
        server.client.save()
    server.client.bgsave()
    _until(lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    shutil.rmtree(server.folder / "dump.rdb")
    server.client.config_set("save", "")


@contextmanager
def too_few_replicas(server: Server) -> Iterator[None]:
    server.client.config_set("min-replicas-to-write", "1")
    yield
    server.client.config_set("min-replicas-to-write", "0")


@contextmanager
def busy_with_a_script(server: Server) -> Iterator[None]:
    server.client.config_set("lua-time-limit", "10")
    with meanwhile(server, "EVAL", "while true do end", "0"):
        time.sleep(0.05)
        yield
        with suppress(redis.ResponseError):
            server.client.script_kill()


@contextmanager
def reading_its_data(server: Server) -> Iterator[None]:
    """Each key takes a millisecond."""
    client = server.client
    client.eval("for i = 1, 700 do redis.call('SET', 'filler:' .. i, string.rep('x', 2000), 'PX', 60000) end", 0)
    client.config_set("rdbcompression", "no")
    client.config_set("loading-process-events-interval-bytes", "1024")
    client.config_set("key-load-delay", "1000")
    with meanwhile(server, "DEBUG", "RELOAD"):
        yield
    client.config_set("key-load-delay", "0")


@contextmanager
def meanwhile(server: Server, *command: str) -> Iterator[None]:
    """A command that takes long, from somebody else; inside of the block it runs."""

    def run() -> None:
        with redis.Redis.from_url(server.url, socket_timeout=10) as client, suppress(redis.RedisError):
            client.execute_command(*command)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.005)


MOODS = {
    replica: "REDIS_URL is to name its primary",
    replica_that_says_nothing: "it is a replica",
    disk_that_takes_nothing: "it cannot write to its disk",
    too_few_replicas: "min-replicas-to-write",
    busy_with_a_script: "SCRIPT KILL",
    reading_its_data: "serves when it has read its data",
}
QUICK = (replica, disk_that_takes_nothing, busy_with_a_script)
"""One of each sort: it refuses to be asked at all, to write, and to be asked now."""


@here_and_slowly_there
@pytest.mark.parametrize(
    "mood",
    [pytest.param(mood, id=mood.__name__, marks=[pytest.mark.slow] * (mood not in QUICK)) for mood in MOODS],
)
async def test_a_mood_is_waited_out(mood: Any, launch: Launch, hire: Hire, capsys: pytest.CaptureFixture[str]) -> None:
    server = launch(enable_debug_command="yes")
    worker, platform = await hire(server)
    before = commands(server)
    with mood(server):
        await wait_until(lambda: worker.heard(ServerLost), "it is noticed")
        await asyncio.sleep(0.5)
    assert (await platform.ask("demo.thing.do", timeout=2))["success"]
    await wait_until(lambda: worker.heard(ServerBack), "it is told")
    assert len(worker.heard(ServerLost)) == len(worker.heard(ServerBack)) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "server_lost" in line]
    assert MOODS[mood] in line
    assert commands(server) - before < 60
    assert worker.heard(DataLost) == worker.heard(Reclaimed) == []


# ── moods that are no outage ──


@here_and_slowly_there
async def test_a_server_whose_memory_is_full_is_drained_and_asked_no_more_than_ever(launch: Launch, hire: Hire) -> None:
    """Sending is refused to whoever sends; a worker frees memory and is let."""
    server = launch()
    go_on = asyncio.Event()
    worker, platform = await hire(server, lambda action: go_on.wait() if action.data else None, worker_concurrency=20)
    for _ in range(20):
        await platform.send("demo.thing.do", {"slow": True})
    server.client.config_set("maxmemory", "1mb")
    with pytest.raises(redis.OutOfMemoryError):
        await platform.send("demo.thing.do")
    before = commands(server)
    go_on.set()
    await wait_until(lambda: len(worker.heard(Completed)) == 21, "all is done")
    assert commands(server) - before < 60
    assert worker.heard(ServerLost) == []
    server.client.config_set("maxmemory", "0")
    assert (await platform.ask("demo.thing.do", timeout=2))["success"]


@here_and_slowly_there
async def test_a_pause_is_no_outage(launch: Launch, hire: Hire) -> None:
    server = launch()
    worker, platform = await hire(server)
    before = commands(server)
    server.client.execute_command("CLIENT", "PAUSE", 600, "ALL")
    assert (await platform.ask("demo.thing.do", timeout=3))["success"]
    assert worker.heard(ServerLost) == []
    assert commands(server) - before < 30


@here_and_slowly_there
async def test_connections_that_somebody_kills_are_opened_again(launch: Launch, hire: Hire) -> None:
    server = launch()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> None:
        if action.data:
            begun.set()
            await go_on.wait()

    worker, platform = await hire(server, work, worker_concurrency=4)
    await platform.send("demo.thing.do", {"slow": True})
    await begun.wait()
    before = commands(server)
    server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await wait_until(lambda: worker.heard(ServerBack), "it is back")
    go_on.set()
    await wait_until(lambda: len(worker.heard(Completed)) == 2, "what was at work ends")
    assert (await platform.ask("demo.thing.do", timeout=2))["success"]
    assert len(worker.heard(ServerLost)) == 1
    assert len(worker.service.seen) == 3
    assert commands(server) - before < 60


@here_and_slowly_there
async def test_a_server_that_has_too_many_clients_is_waited_for(launch: Launch, hire: Hire) -> None:
    server = launch()
    worker, platform = await hire(server)
    server.client.config_set("maxclients", "5")
    refused = server.client.info("stats")["rejected_connections"]
    server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    crowd = [redis.Redis.from_url(server.url) for _ in range(4)]
    assert all(client.ping() for client in crowd)
    await wait_until(lambda: worker.heard(ServerLost), "it is noticed")
    await asyncio.sleep(0.7)
    refused = server.client.info("stats")["rejected_connections"] - refused
    for client in crowd:
        client.close()
    server.client.config_set("maxclients", "100")
    assert (await platform.ask("demo.thing.do", timeout=2))["success"]
    await wait_until(lambda: worker.heard(ServerBack), "it is back")
    assert 0 < refused < 40
    assert len(worker.heard(ServerLost)) == 1


# ── a worker that gives no sign of life ──


@here_and_slowly_there
async def test_a_handler_that_blocks_longer_than_the_lease_is_named_and_what_it_says_is_refused(
    launch: Launch, hire: Hire
) -> None:
    """Others could not but take its action over; they are the ones who answer."""
    server = launch()
    other = "demo-worker-other-nb0123456789"

    def work(action: DomainAction) -> str:
        if not action.data or len(worker.service.seen) > 2:
            return "done by who had it then"
        time.sleep(0.6)
        rows = server.client.xpending_range(platform.stream, platform.group, "-", "+", 10)
        (entry_id,) = [row["message_id"] for row in rows]
        assert server.client.xclaim(platform.stream, platform.group, other, 400, [entry_id])
        return "done too late"

    worker, platform = await hire(server, work, worker_lease_seconds=0.4)
    queue = platform.queue()
    await platform.send("demo.thing.do", {"slow": True}, callback_queue_name=queue)
    assert (await platform.answer(queue))["data"] == {"result": "done by who had it then"}
    await wait_until(platform.is_done, "all is done")
    assert await platform.redis.llen(queue) == 0
    (blocked,) = worker.heard(LoopBlocked)
    assert (blocked.action_types, blocked.lease) == ("demo.thing.do", 0.4)
    assert blocked.seconds > 0.3
    assert [told.why for told in worker.heard(CommitRefused)] == ["taken"]


# ── what a worker cannot wait out ──


def forget_the_password(server: Server) -> None:
    """Who is in stays in; who comes again is asked for it."""
    server.client.config_set("requirepass", "s3cret")
    server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def change_the_password(server: Server) -> None:
    server.client.execute_command("ACL", "SETUSER", "worker", "resetpass", ">another")
    server.client.execute_command("CLIENT", "KILL", "USER", "worker")


def disable_the_user(server: Server) -> None:
    server.client.execute_command("ACL", "SETUSER", "worker", "off")
    server.client.execute_command("CLIENT", "KILL", "USER", "worker")


def delete_the_user(server: Server) -> None:
    server.client.execute_command("ACL", "DELUSER", "worker")


def forbid_reading(server: Server) -> None:
    server.client.execute_command("ACL", "SETUSER", "worker", "-xreadgroup")


def forbid_scripts(server: Server) -> None:
    server.client.execute_command("ACL", "SETUSER", "worker", "-evalsha")


def forbid_the_keys(server: Server) -> None:
    server.client.execute_command("ACL", "SETUSER", "worker", "resetkeys", "~other:*")


def put_something_in_the_way(server: Server) -> None:
    with server.client.pipeline(transaction=True) as at_once:
        stream = "nooble4:test:demo:streams:main"
        at_once.delete(stream).set(stream, "something").execute()


REFUSALS = {
    forget_the_password: "user:password@host",
    change_the_password: "user:password@host",
    disable_the_user: "user:password@host",
    delete_the_user: "user:password@host",
    forbid_reading: "ACL SETUSER",
    forbid_scripts: "ACL SETUSER",
    forbid_the_keys: "ACL SETUSER",
    put_something_in_the_way: "rename or delete it",
}


@here_and_slowly_there
@pytest.mark.parametrize("refuse", REFUSALS, ids=lambda refuse: refuse.__name__)
async def test_a_worker_that_is_refused_ends_with_the_reason_and_the_mend(
    refuse: Any, launch: Launch, settings: Settings
) -> None:
    """Waiting would not help, and a worker that waits for ever looks like one that works."""
    server = launch()
    server.client.execute_command("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
    user = {} if refuse is forget_the_password else {"username": "worker", "password": "secret"}
    client = redis.asyncio.Redis.from_url(server.url, **user)
    worker = TellingWorker(settings(worker_lease_seconds=1.0), client, Doing(lambda action: None))
    life = asyncio.create_task(worker.run())
    await Platform(client).ask("demo.warm.up")
    refuse(server)
    with pytest.raises(ServerRefused) as refusal:
        async with asyncio.timeout(5):
            await life
    assert REFUSALS[refuse] in str(refusal.value)
    assert "secret" not in str(refusal.value)
    await client.aclose()


# ── settings that lose data ──


async def warnings_of(server: Server, hire: Hire, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a worker says of the server when it starts."""
    worker, _ = await hire(server)
    await worker._looking  # type: ignore[misc]
    return [line for line in capsys.readouterr().out.splitlines() if "server_may_lose_actions" in line]


async def test_a_worker_warns_at_its_start_of_settings_that_lose_actions(
    launch: Launch, hire: Hire, capsys: pytest.CaptureFixture[str]
) -> None:
    server = launch(appendonly="yes", appendfsync="no", maxmemory="100mb", maxmemory_policy="allkeys-lru")
    fsync, eviction = await warnings_of(server, hire, capsys)
    assert "a power cut loses" in fsync
    assert "appendfsync everysec" in fsync
    assert "deletes keys" in eviction
    assert "noeviction" in eviction


async def test_a_sound_server_is_worth_no_word(launch: Launch, hire: Hire, capsys: pytest.CaptureFixture[str]) -> None:
    assert await warnings_of(launch(appendonly="yes"), hire, capsys) == []


async def test_a_server_that_does_not_say_is_worth_no_word(
    launch: Launch, hire: Hire, capsys: pytest.CaptureFixture[str]
) -> None:
    server = launch()
    server.client.execute_command("ACL", "SETUSER", "default", "-info", "-config")
    assert await warnings_of(server, hire, capsys) == []
