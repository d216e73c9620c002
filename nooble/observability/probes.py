"""Probes over HTTP: /livez, /readyz and /metrics, answered in a thread of their own, so that they answer also while the
event loop stands still. What they say is asked of functions; nothing here knows of workers. A client, however slow, rude or
many, holds a thread for seconds and a few kilobytes, and nobody else."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from nooble.errors import ConfigurationFault
from nooble.logger import get_logger

_SECONDS = 5.0
"""Seconds in which a request must have come, and that its answer gets to leave."""
_MOST_BYTES = 8_192
"""Most bytes of a request that are read."""
_MOST_CLIENTS = 16
"""Most requests at a time; further connections are closed unheard."""


class Verdict(NamedTuple):
    """What a probe finds.

    Attributes:
        ok: whether all is well; otherwise the status is 503.
        facts: why, for people and programs; becomes the body, as JSON.
    """

    ok: bool
    facts: Mapping[str, Any]


Judge = Callable[[], Verdict]
Metrics = Callable[[], tuple[bytes, str]]
"""Gives the metrics and their content type."""


class Probes:
    """A small HTTP server. It answers from `start` to `close`.

    Args:
        port: where it listens; 0 takes a free one.
        host: at which address; `0.0.0.0` for all.
        live: what /livez says.
        ready: what /readyz says.
        metrics: what /metrics says; `None` if there are none.

    Attributes:
        host, port: where it listens.

    Raises:
        ConfigurationFault: it cannot listen there; names the port and the option.
    """

    def __init__(
        self, port: int, host: str = "127.0.0.1", *, live: Judge, ready: Judge, metrics: Metrics | None = None
    ) -> None:
        try:
            self._server = _Server(host, port)
        except (OSError, OverflowError) as error:
            raise ConfigurationFault(
                f"the probes cannot listen on port {port} of {host}: {getattr(error, 'strerror', None) or error}; give "
                "another one by --probe-port, PROBE_PORT or probe_port (0 takes any that is free), another address by "
                "PROBE_HOST, or none at all"
            ) from error
        self._server.pages = {
            "/livez": lambda: _told(live()),
            "/readyz": lambda: _told(ready()),
            "/metrics": _no_metrics if metrics is None else lambda: (200, *_swapped(metrics())),
        }
        self.host, self.port = host, self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="nooble-probes", daemon=True
        )

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Answer no more. Takes a tenth of a second; safe to call again."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


# ── what is said ──
Answer = tuple[int, str, bytes]
"""Status, content type, body."""

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


def _told(verdict: Verdict) -> Answer:
    return 200 if verdict.ok else 503, _JSON, json.dumps(verdict.facts, default=repr).encode() + b"\n"


def _swapped(found: tuple[bytes, str]) -> tuple[str, bytes]:
    return found[1], found[0]


def _no_metrics() -> Answer:
    return 404, _TEXT, b"metrics are off: set METRICS=true, with the extra `prometheus` installed\n"


# ── how it is said ──
class _Server(ThreadingHTTPServer):
    """One thread a request, and not too many of them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages: Mapping[str, Callable[[], Answer]] = {}
        self._seats = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without looking up the name of the host, which can take its time."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._seats.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._seats.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._seats.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients come and go as they like; nothing of it is worth a line."""


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD, one request a connection."""

    server: _Server
    server_version = "nooble"
    sys_version = ""
    timeout = _SECONDS

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Bounded(self.connection), 1024)

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._answer(404, _TEXT, f"there is {', '.join(self.server.pages)}\n".encode())
            return
        try:
            status, kind, body = page()
        except Exception as error:  # what is asked must not break who asks
            get_logger().warning("probe_failed", path=self.path.partition("?")[0], error=repr(error))
            status, kind, body = 500, _TEXT, f"it could not be found out: {type(error).__name__}\n".encode()
        self._answer(status, kind, body)

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: in plain words, which repeat nothing of the request."""
        self.close_connection = True
        self._answer(405 if code == 501 else code, _TEXT, b"this is no request that is answered here: GET or HEAD\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.connection.settimeout(_SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: nothing of them is worth a line."""


class _Bounded(io.RawIOBase):
    """A socket of which no more is read than so many bytes within so many seconds, however they trickle."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic() + _SECONDS
        self._left = _MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._until - time.monotonic()
        if seconds <= 0 or self._left <= 0:
            raise TimeoutError("the request takes too long, or is too long")
        self._connection.settimeout(seconds)
        view = memoryview(buffer)[: self._left]
        count = self._connection.recv_into(view)
        self._left -= count
        return count
