"""One trace for a call, the action that follows from it, and its second attempt. Run it: python examples/tracing.py

Needs the SDK of OpenTelemetry: pip install "nooble[otel]" opentelemetry-sdk. Without REDIS_URL it brings a server of its own
(the extra `embedded`)."""

import asyncio
import os
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from nooble import ActionContext, BaseRedisClient, BaseService, CommonAppSettings, RedisManager, ServiceWorker, action


class TiendaService(BaseService):
    @action("tienda.pedido.crear")
    async def crear(self, pedido: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        """Sell, and have a mail sent."""
        await context.send("correo.aviso.enviar", {"para": pedido["cliente"]})
        return {"numero": 1}


class CorreoService(BaseService):
    def __init__(self, app_settings: CommonAppSettings) -> None:
        super().__init__(app_settings)
        self.enviado = asyncio.Event()

    @action("correo.aviso.enviar")
    async def enviar(self, aviso: dict[str, Any], context: ActionContext) -> None:
        """Send; the mail server is away the first time."""
        if context.attempt == 1:
            raise ConnectionError("el servidor de correo no contesta")
        self.enviado.set()


def one_line(span: ReadableSpan) -> str:
    """A span for people."""
    facts = span.attributes or {}
    shown = " ".join(str(facts[name]) for name in ("nooble.action", "nooble.attempt", "error.type") if name in facts)
    parent = f"{span.parent.span_id:016x}" if span.parent else "-" * 16
    kind, name = span.kind.name.lower(), span.name.partition(" ")[0]
    trace_id, span_id = span.context.trace_id, span.context.span_id
    return f"{trace_id:032x} {span_id:016x} from {parent} {kind:8} {name:7} {shown}\n"


async def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=one_line)))
    trace.set_tracer_provider(provider)

    url = os.environ.get("REDIS_URL", "embedded://")
    tienda, correo, web = (
        CommonAppSettings(service_name=name, redis_url=url, tracing=True, retry_backoff_seconds=0.05, log_level="ERROR")
        for name in ("tienda", "correo", "web")
    )
    async with RedisManager(web) as manager:
        redis = await manager.get_redis_connection()
        mail = CorreoService(correo)
        async with (
            ServiceWorker(tienda, redis, TiendaService(tienda)),
            ServiceWorker(correo, redis, mail),
            BaseRedisClient("web", redis, web) as client,
        ):
            with trace.get_tracer("web").start_as_current_span("POST /pedidos"):
                answer = await client.call("tienda.pedido.crear", {"cliente": "Ana"})
            print(answer.data)
            await mail.enviado.wait()


if __name__ == "__main__":
    asyncio.run(main())
