"""nooble's worker as a subject: a service as its documentation writes one, with the options that a row asks for.

Options: `concurrency`, `middleware` and `routes` (how many), `action_type` (`pedidos.pedido.esperar` gives way once,
`pedidos.pedido.calcular` uses 200 µs of CPU)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from redis.asyncio import Redis

from benchmarks.entries import OnEntries
from benchmarks.harness import serve
from benchmarks.payload import Note, Order, Vector, handle, taken
from nooble import BaseService, CommonAppSettings, ServiceWorker, action
from nooble.routing import ActionRouter


def settings_of(name: str, url: str, **values: Any) -> CommonAppSettings:
    """Settings of the benchmark: only what is said here, nothing from files."""
    return CommonAppSettings(
        service_name=name, environment="bench", redis_url=url, log_level="WARNING", _env_file=None, **values
    )


class PedidosService(BaseService):
    """What is measured."""

    @action("pedidos.pedido.crear")
    async def crear(self, order: Order) -> Any:
        """The usual case."""
        return await handle(order)

    @action("pedidos.pedido.esperar")
    async def esperar(self, order: Order) -> Any:
        """Gives way once, as a handler that awaits a database does."""
        await asyncio.sleep(0)
        return await handle(order)

    @action("pedidos.pedido.calcular")
    async def calcular(self, order: Order) -> Any:
        """Uses 200 µs of CPU."""
        until = time.thread_time() + 200e-6
        while time.thread_time() < until:
            pass
        return await handle(order)

    @action("pedidos.nota.crear")
    async def nota(self, note: Note) -> Any:
        """A payload of any length."""
        return await handle(note)

    @action("pedidos.vector.crear")
    async def vector(self, vector: Vector) -> Any:
        """A payload of numbers."""
        return await handle(vector)


async def _onwards(action: Any, context: Any, call_next: Any) -> Any:
    return await call_next(action, context)


async def _other(order: Order) -> Any:
    return await handle(order)


def service_type(options: dict[str, Any]) -> type[BaseService]:
    """The service, with so many middlewares and routes."""
    router = ActionRouter("pedidos")
    for number in range(options.get("routes", 5) - 5):
        router.action(f"otro.verbo{number}")(_other)
    attributes = {"middleware": (_onwards,) * options.get("middleware", 0), "routers": (router,)}
    return type("PedidosService", (PedidosService,), attributes)


class Nooble(OnEntries):
    """A worker."""

    packages = (*OnEntries.packages, "nooble", "structlog")

    async def setup(self) -> None:
        """Declare once: that is not what is measured."""
        self._settings = settings_of("pedidos", self.url, worker_concurrency=self.options.get("concurrency", 1))
        self._redis = Redis.from_url(self.url)
        self._service = service_type(self.options)(self._settings)

    async def start(self) -> None:
        """Start a worker; a new one each time, as its consumer is."""
        self._worker = ServiceWorker(self._settings, self._redis, self._service)
        await self._worker.start()

    async def stop(self) -> int:
        """Stop it."""
        await self._worker.stop()
        return taken()


if __name__ == "__main__":
    serve(Nooble())
