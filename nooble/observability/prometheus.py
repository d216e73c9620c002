"""Metrics for Prometheus: what this process gives out, on a port of nooble's or in a web application of your own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from nooble.errors import ConfigurationFault

try:
    from nooble.observability.folding import forget_process
    from nooble.observability.metering import Metrics
except ImportError as error:
    raise ConfigurationFault(
        f'metrics=True needs the Prometheus client ({error}): pip install "nooble[prometheus]", or set metrics=False'
    ) from error

__all__ = ["Metrics", "exposition", "forget_process", "metrics", "metrics_app", "watch_client"]

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
"""An ASGI application."""


@cache
def metrics() -> Metrics:
    """The metrics of this process, in the metrics library's own registry; made when first asked for."""
    return Metrics()


def exposition() -> tuple[bytes, str]:
    """What `/metrics` answers: body and content type. From any thread; see `Metrics.exposition`.

    Where `PROMETHEUS_MULTIPROC_DIR` is set, it is that of all processes that share it.
    """
    return metrics().exposition()


def watch_client(client: Any) -> None:
    """Count what *client* does: for those whose settings say `metrics`."""
    metrics().observe_client(client)


def metrics_app(give: Callable[[], tuple[bytes, str]] = exposition) -> App:
    """An ASGI application that answers every GET with the metrics, to be mounted at `/metrics`.

    Args:
        give: gives body and content type; it runs in a thread, as it may read from the server.
    """

    async def app(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"only GET\n", "text/plain; charset=utf-8")
        else:
            body, content_type = await asyncio.to_thread(give)
            await _answer(send, 200, b"" if scope["method"] == "HEAD" else body, content_type)

    return app


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": message["type"] + ".complete"})
    await send({"type": "lifespan.shutdown.complete"})
