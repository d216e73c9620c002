"""Metrics and traces of a worker, brought along if its settings ask for them; nothing of them is even imported otherwise."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nooble.clients import watching
from nooble.routing.middleware import Middleware
from nooble.routing.route import CATCH_ALL

if TYPE_CHECKING:
    from nooble.workers.base_worker import BaseWorker
    from nooble.workers.clock import ServerClock


def watched(worker: BaseWorker, clock: ServerClock) -> tuple[Middleware, ...]:
    """Have *worker* and its client watched as its settings say.

    Args:
        worker: who works.
        clock: its view of the server's clock.

    Returns:
        What is to run around all of its other middleware.

    Raises:
        ConfigurationFault: an extra is not installed; names it.
    """
    settings = worker.app_settings
    middleware: tuple[Middleware, ...] = ()
    if settings.metrics:
        _count(worker, clock)
    if settings.tracing:
        from nooble.observability.opentelemetry import Tracing

        me = weakref.ref(worker)
        tracing = Tracing(
            settings,
            group=worker.consumer_group_name,
            stream=worker.action_stream_name,
            consumer=lambda: getattr(me(), "consumer_name", ""),
        )
        middleware = (tracing.middleware,)
    watching.begin(worker.redis_client)
    return middleware


def _count(worker: BaseWorker, clock: ServerClock) -> None:
    from nooble.observability.prometheus import metrics

    me = weakref.ref(worker)

    def at_work() -> Iterable[str]:
        engine = getattr(me(), "_engine", None)
        return () if engine is None else [run.action_type for run in list(engine.flight.running.values())]

    redis, settings, name = worker.async_redis_conn, worker.app_settings, worker.service_name

    async def read() -> Any:
        from nooble.operations.system import System

        async with System(redis, settings) as system:
            return await system.read([name])

    def declared() -> Iterable[str]:
        routes: Iterable[Any] = getattr(getattr(me(), "service", None), "routes", ())
        return [route.action_type for route in routes if route.action_type != CATCH_ALL]

    kept = metrics()
    end = kept.observe(
        worker.events,
        service=name,
        declared=declared,
        now_ms=clock.now_ms,
        at_work=at_work,
        source=read,
    )
    weakref.finalize(worker, kept.ending.append, end)  # by the garbage collector, wherever it runs: no more than a note
