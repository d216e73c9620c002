"""`nooble dashboard`, and the dashboard beside `nooble dev`: where it listens, who is let in, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from os import environ
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from nooble.cli import options as o
from nooble.cli.failures import OK, Failure, Misuse, told

if TYPE_CHECKING:
    from nooble.config import CommonAppSettings
    from nooble.dashboard import Access

PORT = 8420
_LAST_PORT = 65_535
_OTHERS = 20
"""How many further ports are tried beside `nooble dev`, where nobody has asked for a certain one."""
_PATIENCE = 5.0


def _port(value: str | int) -> int:
    """A port. Kubernetes sets NOOBLE_DASHBOARD_PORT=tcp://… in pods beside a Service named nooble-dashboard: that is not
    meant for us.

    Raises:
        BadParameter: it is none.
    """
    if isinstance(value, str) and value.startswith("tcp://") and value == environ.get("NOOBLE_DASHBOARD_PORT"):
        why = f"NOOBLE_DASHBOARD_PORT={value} is what Kubernetes says of a Service, and is ignored"
        typer.secho(f"{why}; --port names a port, {PORT} if not.", fg=typer.colors.YELLOW, err=True)
        return PORT
    if str(value).isascii() and str(value).isdigit() and int(value) <= _LAST_PORT:
        return int(value)
    raise typer.BadParameter(f"{str(value)[:60]!r} is no port: 0 to {_LAST_PORT}")


def dashboard(
    host: Annotated[str, o.option("--host", metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, o.option("--port", parser=_port, metavar="PORT", help="On which port.")] = PORT,
    read_only: Annotated[bool, o.flag("--read-only", help="Nothing can be changed from it.")] = False,
    token: Annotated[
        str | None,
        o.option(
            "--token",
            metavar="TOKEN",
            help="Who knows it is let in. Better by NOOBLE_DASHBOARD_TOKEN: others see a command line.",
        ),
    ] = None,
    user: Annotated[
        list[str] | None,
        o.option("--user", metavar="NAME:PASSWORD", help="Who is let in by basic authentication; can be repeated."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        o.option("--allow-host", metavar="NAME", help="A name under which it may be reached; can be repeated."),
    ] = None,
    root_path: Annotated[str, o.option("--root-path", metavar="PATH", help="Under which a proxy serves it.")] = "",
    redis_url: o.RedisUrl = None,
) -> int:
    """See the whole system in a browser, understand it, mend it.

    It listens on this machine only, unless it is told otherwise; then it needs a token or users.
    """
    _need_extra()
    from nooble.cli.hosting import run_in_loop
    from nooble.cli.settings import own_settings
    from nooble.config.common_app_settings import masked_url
    from nooble.dashboard.access import LOOPBACK, Access, is_loopback
    from nooble.observability.logging import init_logging

    allowed = [*(allow_host or ()), *(LOOPBACK if allow_host or is_loopback(host) else ())]
    access = Access(token=token, users=_users(user or ()), hosts=allowed or None, read_only=read_only)
    settings, choice = own_settings(redis_url)
    init_logging(settings.log_level, log_format=settings.log_format, redact=settings.log_redact)

    def ready(address: str) -> None:
        typer.echo(f"Server: {masked_url(settings.redis_url)}, by {choice.reason}")
        typer.echo(f"Dashboard: {address}  (Ctrl-C ends it)")

    run_in_loop(_until_interrupted(settings, access, host, port, root_path, ready))
    return OK


class Beside:
    """A dashboard in a thread of its own, for as long as the block lasts. If it cannot be, that is told, and no more.

    Args:
        url: the server.
        is_wanted: whether there is to be one; `None`: if the extra is installed.
    """

    def __init__(self, url: str, is_wanted: bool | None) -> None:
        self._url = url
        self._is_wanted = _is_installed() if is_wanted is None else is_wanted
        self._thread = threading.Thread(target=self._work, name="nooble-dashboard", daemon=True)
        self._stop: Callable[[], object] = lambda: None
        self._over = threading.Event()

    def __enter__(self) -> Self:
        if self._is_wanted:
            _need_extra()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._stop()
        if self._is_wanted:
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        import asyncio

        try:
            asyncio.run(self._serve())
        except Exception as error:  # services run all the same
            typer.secho(f"No dashboard: {told(error)}", fg=typer.colors.YELLOW, err=True)

    async def _serve(self) -> None:
        import asyncio

        from nooble.cli.servers import Wish
        from nooble.cli.settings import own_settings
        from nooble.dashboard import Access

        stopped, loop = asyncio.Event(), asyncio.get_running_loop()

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopped.set)

        self._stop = stop
        if self._over.is_set():
            return
        settings, _ = own_settings(Wish(self._url))
        await _serve(
            *(settings, Access(), "127.0.0.1", PORT, "", _OTHERS, stopped.wait),
            lambda address: typer.echo(f"Dashboard: {address}"),
        )


async def _until_interrupted(
    settings: CommonAppSettings,
    access: Access,
    host: str,
    port: int,
    root_path: str,
    ready: Callable[[str], object],
) -> None:
    from nooble.cli.interrupts import Interrupts

    with Interrupts() as interrupts:
        await _serve(settings, access, host, port, root_path, 0, interrupts.stopping.wait, ready)


async def _serve(
    settings: CommonAppSettings,
    access: Access,
    host: str,
    port: int,
    root_path: str,
    others: int,
    stopped: Callable[[], Any],
    ready: Callable[[str], object],
) -> None:
    from nooble.clients import RedisManager
    from nooble.dashboard import dashboard as make
    from nooble.dashboard.serving import address_of, listening, serve

    sock = listening(host, port, access, others)
    manager = RedisManager(settings)
    try:
        ready(address_of(sock))
        await serve(make(manager, settings, access=access), access, sock, stopped, root_path)
    finally:
        await manager.close()


def _users(words: Sequence[str]) -> dict[str, str]:
    users = {}
    for word in words:
        name, colon, password = word.partition(":")
        if not colon:
            raise Misuse(f"--user {name!r} has no password; write NAME:PASSWORD")
        users[name] = password
    return users


def _is_installed() -> bool:
    return all(find_spec(name) is not None for name in ("starlette", "uvicorn", "jinja2"))


def _need_extra() -> None:
    if not _is_installed():
        raise Failure("the dashboard needs more than is installed: pip install 'nooble[dashboard]'")
