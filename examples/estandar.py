"""The service and the worker of the users' standard, as the standard writes them. Run it: python examples/estandar.py

Its twin with `@action` is `estandar_declarado.py`; both are held to the same test."""

import asyncio
import os
from typing import Any

from redis.asyncio import Redis as AIORedis

from nooble.clients.base_redis_client import BaseRedisClient
from nooble.clients.redis_manager import RedisManager
from nooble.config.common_app_settings import CommonAppSettings
from nooble.models.actions import DomainAction
from nooble.services.base_service import BaseService
from nooble.workers.base_worker import BaseWorker


class MiLogicaService(BaseService):
    def __init__(
        self,
        app_settings: CommonAppSettings,
        direct_redis_conn: AIORedis | None = None,
        service_redis_client: Any | None = None,
    ):
        super().__init__(
            app_settings=app_settings, service_redis_client=service_redis_client, direct_redis_conn=direct_redis_conn
        )

    async def process_action(self, action: DomainAction) -> Any:
        self._logger.info(f"MiLogicaService procesando action: {action.action_type}")
        if action.action_type == "mi_servicio.accion.hacer_algo":
            return {"status": "completado desde MiLogicaService", "detalle": action.action_type}
        if action.action_type == "mi_servicio.accion.notificar":
            self._logger.info("Notificación procesada por MiLogicaService")
            return None
        self._logger.warning(f"MiLogicaService no maneja la acción: {action.action_type}")
        raise NotImplementedError(f"Acción no soportada por MiLogicaService: {action.action_type}")


class MiWorker(BaseWorker):
    async def _handle_action(self, action: DomainAction) -> Any | None:
        return await self.service.process_action(action)


async def main() -> None:
    settings = CommonAppSettings(service_name="mi_servicio", redis_url=os.environ.get("REDIS_URL", "embedded://"))
    redis_manager = RedisManager(settings)
    await redis_manager.initialize()
    conn = await redis_manager.get_redis_connection()
    worker = MiWorker(settings, conn, MiLogicaService(settings, direct_redis_conn=conn), "instance1")
    client = BaseRedisClient("cliente", conn, settings)
    await worker.start()
    try:
        for verb in ("hacer_algo", "notificar", "bailar"):
            respuesta = await client.send_action_pseudo_sync(
                DomainAction(action_type=f"mi_servicio.accion.{verb}", data={}), timeout=5
            )
            print(verb, "→", respuesta.data if respuesta.error is None else respuesta.error.message)
    finally:
        await client.close()
        await worker.stop()
        await redis_manager.close()


if __name__ == "__main__":
    asyncio.run(main())
