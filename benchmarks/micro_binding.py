"""What binding costs: from an action to the call of its handler, by what the handler asks for and what it returns.

python -m benchmarks.micro_binding
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from pydantic import BaseModel

from benchmarks.micro import CALLS, ROUNDS, drive, show
from benchmarks.nooble_worker import settings_of
from benchmarks.payload import ORDER, Order
from nooble import ActionContext, BaseService, DomainAction, action


class OrderStruct(msgspec.Struct):
    """The payload as a Struct."""

    order_id: int
    customer: str
    amount: float
    items: list[str]


class Receipt(BaseModel):
    """A declared result."""

    number: int


RECEIPT = Receipt(number=1)


class PedidosService(BaseService):
    """One handler for each way to ask."""

    @action("pedidos.modelo.crear")
    async def model(self, order: Order) -> Any:
        """A pydantic model."""

    @action("pedidos.struct.crear")
    async def struct(self, order: OrderStruct) -> Any:
        """A Struct."""

    @action("pedidos.plano.crear")
    async def plain(self, order: dict[str, Any]) -> Any:
        """Data as it came."""

    @action("pedidos.contexto.crear")
    async def context(self, order: Order, context: ActionContext) -> Any:
        """The context as well."""

    @action("pedidos.recibo.crear")
    async def receipt(self, order: Order) -> Receipt:
        """A declared result."""
        return RECEIPT


def cases() -> dict[str, Callable[[], Any]]:
    """What is timed."""
    service = PedidosService(settings_of("pedidos", "redis://localhost"))
    validate = Order.__pydantic_validator__.validate_python
    named = {"modelo": "pydantic model", "struct": "msgspec Struct", "plano": "plain data"}
    named |= {"contexto": "pydantic model and context", "recibo": "pydantic model, declared result"}
    timed: dict[str, Callable[[], Any]] = {"validation alone": lambda: validate(ORDER)}
    for part, title in named.items():
        made = DomainAction(action_type=f"pedidos.{part}.crear", data=ORDER)
        timed[title] = lambda made=made: drive(service.process_action(made))
    return timed


def main(rounds: int = ROUNDS, calls: int = CALLS) -> None:
    """Time and print."""
    show(cases(), rounds, calls)


if __name__ == "__main__":
    main()
