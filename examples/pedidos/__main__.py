"""The shop at work: three services, each with its worker, and a customer. Run it: python -m examples.pedidos"""

import asyncio
import os
from contextlib import AsyncExitStack

from examples.pedidos.inventario import InventarioService
from examples.pedidos.pagos import PagosService
from examples.pedidos.pedidos import CrearPedido, PedidosService, VerPedido
from nooble import BaseRedisClient, BaseService, CommonAppSettings, RedisManager, Reject, ServiceClient, ServiceWorker
from nooble.errors import InvalidPayload

SERVICES: tuple[type[BaseService], ...] = (InventarioService, PagosService, PedidosService)


async def main() -> None:
    url = os.environ.get("REDIS_URL", "embedded://")
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(RedisManager(CommonAppSettings(service_name="tienda", redis_url=url)))
        redis = await manager.get_redis_connection()
        for service in SERVICES:
            name = service.__name__.removesuffix("Service").lower()
            settings = CommonAppSettings(service_name=name, redis_url=url, log_level="ERROR")
            await stack.enter_async_context(ServiceWorker(settings, redis, service(settings)))
        sender = BaseRedisClient("cliente", redis, CommonAppSettings(service_name="cliente", redis_url=url))
        await shop(ServiceClient(await stack.enter_async_context(sender)))


async def shop(client: ServiceClient) -> None:
    """What a customer does."""
    pedidos = client.of(PedidosService)
    pedido = await client.call(PedidosService.crear, CrearPedido(cliente="Ana", producto="café", cantidad=2))
    print("creado:", pedido)
    while pedido.estado != "pagado":
        await asyncio.sleep(0.05)
        pedido = await client.call(PedidosService.ver, VerPedido(numero=pedido.numero))
    print("pagado:", pedido)
    for producto, cantidad in (("té", 5), ("café", 0)):
        try:
            await pedidos.crear(CrearPedido.model_construct(cliente="Luis", producto=producto, cantidad=cantidad))
        except Reject as refusal:
            print(f"rechazado: {refusal.error_code}: {refusal}")
        except InvalidPayload as mistake:
            print(f"no válido: {mistake.details['errors'][0]['path']}: {mistake.details['errors'][0]['message']}")


if __name__ == "__main__":
    asyncio.run(main())
