"""`nooble dev`: a supervisor that has the server, and a child that has the services and is started anew on every change.

A pipe leads from the supervisor to the child. It brings the order, and its end is the order to stop: so a supervisor that
was killed has asked for it, too, and Ctrl-C, which reaches both, asks twice for the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from nooble.cli.dashboard import Beside
from nooble.cli.failures import FAILED, OK, shown
from nooble.cli.servers import Wish
from nooble.cli.worker_process import Limits, Work

_TICK_MS = 500
"""Milliseconds between two looks at child and server."""
_PATIENCE = 15.0
"""Seconds that a child gets to come to rest: its grace, and what it needs to say its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a child is to do.

    Attributes:
        targets, services, options: as of `nooble run`.
        url: the server.
        said: what has to be added to a call so that it reaches this server.
    """

    targets: Sequence[str]
    services: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    said: str = ""


def dev(order: Order, wish: Wish | None, reload: bool, watched: Sequence[str], dashboard: bool | None = None) -> int:
    """Run services until Ctrl-C; start them anew whenever a file changes.

    Args:
        order: what is to run; the server is chosen here.
        wish: the server that was asked for; an embedded one if none was.
        reload: whether to watch.
        watched: what to watch, instead of the working directory.
        dashboard: whether there is to be one beside them; `None`: if its extra is installed.
    """
    watching = reload and find_spec("watchfiles") is not None
    if reload and not watching:
        typer.secho("No reload on change: pip install 'nooble[dev]' brings it.", fg=typer.colors.YELLOW, err=True)
    child = Child()  # it has a lot to import, and needs no order for that
    try:
        order, keep_server = with_server(order, wish)
        beside = Beside(order.url, dashboard)
    except BaseException:
        child.kill()
        raise
    paths = [Path(one) for one in watched or ["."]] if watching else []
    with beside:
        return Supervisor(order, child, keep_server, paths).run()


def dev_many(work: Work, wish: Wish | None, count: int, dashboard: bool | None = None) -> int:
    """Run *count* workers until Ctrl-C, on a server of their own, without reload."""
    from nooble.cli.supervisor import supervise

    order, keep_server = with_server(Order(targets=work.targets), wish)
    work = replace(work, said=order.said, for_developer=True)
    with Beside(order.url, dashboard):
        return supervise(work, Wish(order.url), count, Limits(), keep_server)


def with_server(order: Order, wish: Wish | None) -> tuple[Order, Callable[[], object]]:
    """*order*, on the server that is named, or on an embedded one, which is started or joined; says which. And what to do
    now and then so that it stays there: one that was joined ends with its owner."""
    from nooble.cli.settings import own_settings
    from nooble.config.common_app_settings import masked_url
    from nooble.wire.embedded import find, is_embedded, resolve_url

    settings, choice = own_settings(wish or Wish("embedded://", "DEFAULT"))
    order = replace(order, url=settings.redis_url)
    if not is_embedded(choice.url):
        typer.echo(f"Server: {masked_url(choice.url)}, by {choice.reason}")
        said = f"--redis-url {wish.url}" if wish and wish.source == "COMMANDLINE" else ""
        return replace(order, said=said), lambda: None
    live = find()
    if live is None or live.url != settings.redis_url:
        typer.echo(f"Server: {settings.redis_url}")
        order = replace(order, said=f"--redis-url {choice.url}")
    elif live.owner == os.getpid():
        typer.echo(f"Server: {live.version}, started here; its data stay in .nooble")
    else:
        typer.echo(f"Server: {live.version}, started by process {live.owner}")
    again = settings.model_copy(update={"redis_url": choice.url})
    return order, lambda: resolve_url(again)


class Supervisor:
    """Keeps one child at work.

    Args:
        order: what it is to do.
        child: the first child, which has no order yet.
        keep_server: sees to it that the server is there; called now and then.
        watched: files and folders whose changes start it anew; without any, its end is the end.
    """

    def __init__(self, order: Order, child: Child, keep_server: Callable[[], object], watched: Sequence[Path]) -> None:
        self._order = order
        self._child = child
        self._keep_server = keep_server
        self._watched = watched
        self._stopping = threading.Event()

    def run(self) -> int:
        """Supervise until a signal. Returns the exit code."""
        with ExitStack() as stack:
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, self._hear))
            try:
                self._child.take(self._order)
                self._supervise()
            finally:
                self._child.stop()
        return OK if self._stopping.is_set() else self._child.code or FAILED

    def _supervise(self) -> None:
        waiting = False
        for changed in self._changes():
            if changed:
                typer.secho(f"Changed: {', '.join(changed)}", fg=typer.colors.CYAN)
                self._child.stop()
                self._child = Child()
                self._child.take(self._order)
                waiting = False
            elif self._child.code is None:
                self._keep_server()
            elif not self._watched:
                return
            elif not waiting:
                typer.secho("Waiting for a change …", fg=typer.colors.CYAN)
                waiting = True

    def _changes(self) -> Iterator[list[str]]:
        """The files that have changed, again and again; none, if it was only time to look at the child."""
        if not self._watched:
            while not self._stopping.wait(_TICK_MS / 1000):
                yield []
            return
        from watchfiles import PythonFilter, watch

        for changes in watch(
            *self._watched,
            watch_filter=PythonFilter(extra_extensions=(".env", ".toml")),
            stop_event=self._stopping,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield sorted({shown(path) for _, path in changes})

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._stopping.is_set():
            self._child.kill()
            os._exit(128 + number)
        self._stopping.set()


class Child:
    """A process with the services, from its start on. It gets ready, and waits for its order."""

    def __init__(self) -> None:
        theirs, ours = os.pipe()
        words = [sys.executable, "-m", "nooble.cli.dev_child", str(theirs)]
        self._process = subprocess.Popen(words, pass_fds=(theirs,))  # noqa: S603 - ourselves
        os.close(theirs)
        self._pipe = os.fdopen(ours, "w")

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.poll()

    def take(self, order: Order) -> None:
        """Give it its order."""
        with suppress(BrokenPipeError):  # it has ended already, and told why
            print(json.dumps(asdict(order)), file=self._pipe, flush=True)

    def stop(self) -> None:
        """Ask it to come to rest, and wait until it has."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._pipe.close()
