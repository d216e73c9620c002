"""The dashboard on a port of its own. Whoever serves it elsewhere than on this machine has to ask who is there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from nooble.dashboard.access import Access, check_bind
from nooble.errors import ConfigurationFault

if TYPE_CHECKING:
    from starlette.applications import Starlette

PORT = 8420
"""Where it is looked for."""


class _Server(uvicorn.Server):
    """A server whose signals are somebody else's business, and that lets go those who watch before it waits for them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Starlette = self.config.app  # type: ignore[assignment]
        await app.state.desk.watch.close()
        await super().shutdown(sockets)


async def serve(
    app: Starlette, access: Access, sock: socket.socket, stopped: Callable[[], Awaitable[object]], root_path: str = ""
) -> None:
    """Serve *app* until *stopped* ends.

    Args:
        app: what `dashboard` has made.
        access: who may look.
        sock: where it listens: see `listening`.
        stopped: awaited; its end is the end.
        root_path: the path under which a proxy serves it.
    """
    check_bind(str(sock.getsockname()[0]), access)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        root_path=root_path,
        server_header=False,
        timeout_graceful_shutdown=3,
        limit_concurrency=500,
        h11_max_incomplete_event_size=65_536,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([sock]), name="nooble-dashboard")
    waiting = asyncio.ensure_future(stopped())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        server.should_exit = True
        await asyncio.wait({serving})
    serving.result()


def listening(host: str, port: int, access: Access, others: int = 0) -> socket.socket:
    """A socket that listens at *host* and *port*, or at one of the *others* next ports if that is taken.

    Raises:
        ConfigurationFault: nobody would be asked who they are, or the port is taken.
    """
    check_bind(host, access)
    problem: OSError | None = None
    for one in range(port, port + 1 + others):
        try:
            family = socket.getaddrinfo(host, one, type=socket.SOCK_STREAM)[0][0]
            made = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            problem = error
            continue
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, one))
            made.listen(128)
        except OSError as error:
            made.close()
            problem = error
            continue
        made.setblocking(False)
        return made
    raise ConfigurationFault(
        f"the dashboard cannot listen at {host}:{port}: {problem}; --port names another"
    ) from problem


def address_of(sock: socket.socket) -> str:
    """What to open in a browser."""
    host, port = sock.getsockname()[:2]
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104 - compared
    return f"http://{name}:{port}/"
