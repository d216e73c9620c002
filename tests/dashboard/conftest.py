"""What the tests of the dashboard share: a shop with a service that fails, and a browser without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

import httpx2
import pytest
from pydantic import BaseModel, Field

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.dashboard import Access, dashboard
from nooble.models.redaction import HIDDEN
from nooble.observability.redaction import Sensitive
from nooble.routing import action
from nooble.services import BaseService
from nooble.workers import ServiceWorker
from tests.support.waiting import wait_until

HOME = "http://127.0.0.1:8420"
FROM_A_PAGE = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form that a page of the dashboard itself has sent."""

__all__ = ["FROM_A_PAGE", "HIDDEN", "HOME"]


class Cobrar(BaseModel):
    pedido: int
    importe: float = Field(gt=0, description="In euros.")
    tarjeta: Annotated[str, Sensitive()] = ""
    urgente: bool = False
    nota: str | None = None


class Cobro(BaseModel):
    recibo: str


class PagosService(BaseService):
    """Payments; the bank fails as long as it is told to."""

    is_broken = False

    @action("pagos.cargo.cobrar", retry=None)
    async def cobrar(self, cargo: Cobrar) -> Cobro:
        """Charge for an order."""
        if self.is_broken or cargo.pedido < 0:
            raise ValueError(f"the bank does not answer for {cargo.pedido}")
        return Cobro(recibo=f"R-{cargo.pedido}")


@pytest.fixture
def shop(
    settings: Callable[..., CommonAppSettings], redis: Any
) -> Callable[..., AbstractAsyncContextManager[PagosService]]:
    """`async with shop() as service`: the service at work."""

    @asynccontextmanager
    async def open_shop(**values: Any) -> AsyncIterator[PagosService]:
        own = settings("pagos", **({"worker_beat_seconds": 0.05, "retry_attempts": 1} | values))
        service = PagosService(own)
        worker = ServiceWorker(own, redis, service)
        await worker.start()
        try:
            yield service
        finally:
            await worker.stop()

    return open_shop


@pytest.fixture
async def sender(settings: Callable[..., CommonAppSettings], redis: Any) -> AsyncIterator[BaseRedisClient]:
    """A client of the shop."""
    async with BaseRedisClient("tienda", redis, settings("tienda")) as client:
        yield client


@pytest.fixture
async def browse(
    settings: Callable[..., CommonAppSettings], redis: Any
) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    """`browse(token=…)`: a client of a dashboard that is protected so. It sends what a browser sends from a page of it."""
    opened: list[tuple[httpx2.AsyncClient, Any]] = []

    def make(
        *,
        of: Any = None,
        headers: Any = None,
        redact: Any = None,
        mount: str = "",
        address: str = "127.0.0.1",
        **access: Any,
    ) -> httpx2.AsyncClient:
        app = dashboard(of or redis, settings("dash"), access=Access(**access), redact=redact, every=0.02)
        transport = httpx2.ASGITransport(app, root_path=mount, client=(address, 1))
        client = httpx2.AsyncClient(transport=transport, base_url=HOME, headers=headers or FROM_A_PAGE)
        opened.append((client, app))
        return client

    yield make
    for client, app in opened:
        await client.aclose()
        await app.state.desk.close()


@pytest.fixture
def bury(shop: Any, sender: BaseRedisClient, redis: Any) -> Callable[..., Any]:
    """`await bury(3)`: three charges are dead letters, and no worker is there any more."""

    async def dead(count: int = 1, **payload: Any) -> list[str]:
        async with shop() as service:
            service.is_broken = True
            for number in range(count):
                await sender.send("pagos.cargo.cobrar", {"pedido": number, "importe": 9.5, **payload})
            key = "nooble4:test:pagos:dead_letters:main"

            async def all_dead() -> bool:
                return await redis.xlen(key) == count

            await wait_until(all_dead, "all of them are dead letters")
        return [entry_id.decode() for entry_id, _ in await redis.xrange(key)]

    return dead
