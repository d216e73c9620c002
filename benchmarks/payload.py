"""What every measured program handles: the same payload, checked by pydantic, and the same handler that does nothing.

Imported by the peers in their own environments: nothing but pydantic may be needed here."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

ORDER = {"order_id": 7, "customer": "acme", "amount": 12.5, "items": ["a", "b", "c"]}


class Order(BaseModel):
    """The payload of every measurement but those of size."""

    order_id: int
    customer: str
    amount: float
    items: list[str]


class Note(BaseModel):
    """A payload of any length."""

    note: str


class Vector(BaseModel):
    """A payload of numbers, as embeddings are."""

    vector: list[float]


class Handled:
    """What a handler has done: so that a program cannot pass by doing nothing."""

    count = 0


HANDLED = Handled()


async def handle(payload: BaseModel) -> dict[str, Any]:
    """The handler of every measurement: it does nothing but count."""
    HANDLED.count += 1
    return {"ok": True, "of": type(payload).__name__}


def taken() -> int:
    """How many were handled since this was last asked."""
    count, HANDLED.count = HANDLED.count, 0
    return count
