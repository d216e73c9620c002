"""The standard's service with declared actions instead of an `if` chain. Run it: python examples/estandar_declarado.py

It behaves like its twin `estandar.py`; both are held to the same test."""

import asyncio
import os

from nooble import BaseRedisClient, BaseService, CommonAppSettings, DomainAction, RedisManager, ServiceWorker, action


class MiLogicaService(BaseService):
    @action("mi_servicio.accion.hacer_algo")
    async def hacer_algo(self, accion: DomainAction) -> dict[str, str]:
        """Do something."""
        return {"status": "completado desde MiLogicaService", "detalle": accion.action_type}

    @action("mi_servicio.accion.notificar")
    async def notificar(self) -> None:
        """Take note; there is nothing to answer."""
        self._logger.info("Notificación procesada por MiLogicaService")


async def main() -> None:
    settings = CommonAppSettings(service_name="mi_servicio", redis_url=os.environ.get("REDIS_URL", "embedded://"))
    async with RedisManager(settings) as manager:
        conn = await manager.get_redis_connection()
        async with (
            ServiceWorker(settings, conn, MiLogicaService(settings)),
            BaseRedisClient("cliente", conn, settings) as client,
        ):
            for verb in ("hacer_algo", "notificar", "bailar"):
                answer = await client.call(f"mi_servicio.accion.{verb}", timeout=5)
                print(verb, "→", answer.data if answer.error is None else answer.error.message)


if __name__ == "__main__":
    asyncio.run(main())
