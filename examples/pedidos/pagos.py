"""Payments: the bank fails now and then, so the action has a retry policy of its own."""

from pydantic import BaseModel, PositiveFloat

from nooble import ActionContext, BaseService, Retry, action
from nooble.errors import ExternalServiceError


class Cobrar(BaseModel):
    pedido: int
    importe: PositiveFloat


class Cobro(BaseModel):
    pedido: int
    recibo: str


class PagosService(BaseService):
    @action("pagos.cargo.cobrar", retry=Retry(attempts=5, backoff=0.05))
    async def cobrar(self, cargo: Cobrar, context: ActionContext) -> Cobro:
        """Charge for an order. The bank is told the idempotency key, so that a repetition is not charged twice."""
        if context.attempt == 1:
            raise ExternalServiceError("el banco no contesta")
        return Cobro(pedido=cargo.pedido, recibo=f"R-{context.idempotency_key[:8]}")
