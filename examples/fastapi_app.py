"""A web application whose lifespan runs a worker and a client. Run it: uvicorn examples.fastapi_app:app

Needs `pip install fastapi uvicorn`. Without REDIS_URL it brings a server of its own (the extra `embedded`)."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
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


class Saludo(BaseModel):
    nombre: str


class SaludosService(BaseService):
    @action("saludos.saludo.decir")
    async def decir(self, saludo: Saludo) -> str:
        """Greet somebody."""
        if saludo.nombre == "nadie":
            raise Reject("a nadie no se le saluda")
        return f"¡Hola, {saludo.nombre}!"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The worker handles actions while the application serves requests."""
    settings = CommonAppSettings(service_name="saludos", redis_url=os.environ.get("REDIS_URL", "embedded://"))
    async with RedisManager(settings) as manager:
        redis = await manager.get_redis_connection()
        async with (
            ServiceWorker(settings, redis, SaludosService(settings)),
            BaseRedisClient("web", redis, settings) as sender,
        ):
            app.state.client = ServiceClient(sender)
            yield


app = FastAPI(lifespan=lifespan)


@app.post("/saludos")
async def saludar(saludo: Saludo) -> dict[str, Any]:
    """Ask the service, and turn its refusal into a status."""
    client: ServiceClient = app.state.client
    try:
        return {"saludo": await client.call(SaludosService.decir, saludo, timeout=5)}
    except Reject as refusal:
        raise HTTPException(409, detail=str(refusal)) from refusal
