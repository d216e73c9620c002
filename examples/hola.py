"""A service, its worker and a call, in one file. Run it: python examples/hola.py

Without REDIS_URL it brings a server of its own (the extra `embedded`)."""

import asyncio
import os

from pydantic import BaseModel

from nooble import (
    BaseRedisClient,
    BaseService,
    CommonAppSettings,
    RedisManager,
    Reject,
    ServiceClient,
    ServiceWorker,
    action,
)


class Cotizar(BaseModel):
    producto: str
    cantidad: int


class Cotizacion(BaseModel):
    producto: str
    total: float


class TiendaService(BaseService):
    @action("tienda.producto.cotizar")
    async def cotizar(self, pedido: Cotizar) -> Cotizacion:
        """What so many of a product cost."""
        if pedido.producto != "café":
            raise Reject(f"no vendemos {pedido.producto}", error_code="UNKNOWN_PRODUCT")
        return Cotizacion(producto=pedido.producto, total=4.5 * pedido.cantidad)


async def main() -> None:
    settings = CommonAppSettings(service_name="tienda", redis_url=os.environ.get("REDIS_URL", "embedded://"))
    async with RedisManager(settings) as manager:
        redis = await manager.get_redis_connection()
        async with (
            ServiceWorker(settings, redis, TiendaService(settings)),
            BaseRedisClient("cliente", redis, settings) as sender,
        ):
            client = ServiceClient(sender)
            print(await client.call(TiendaService.cotizar, Cotizar(producto="café", cantidad=2)))
            try:
                await client.call(TiendaService.cotizar, Cotizar(producto="té", cantidad=1))
            except Reject as refusal:
                print(f"{refusal.error_code}: {refusal}")


if __name__ == "__main__":
    asyncio.run(main())
