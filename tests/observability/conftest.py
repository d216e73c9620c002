"""What tests of watching share: a service that runs the platform's code, and one service with declared actions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio

from nooble.errors import Reject
from nooble.models import ActionContext, DomainAction
from nooble.routing import action
from nooble.services import BaseService
from tests.support.platform import Platform


class Shop(BaseService):
    """Does what its payload says.

    Attributes:
        seen: the actions that were begun.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[DomainAction] = []

    @action("demo.order.place")
    async def place(self, data: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        """Sell, refuse, fail, wait, or pass on."""
        self.seen.append(context.action)
        match data.get("do"):
            case "refuse":
                raise Reject("sold out", error_code="SOLD_OUT")
            case "fail":
                raise OSError("the shelf has fallen down")
            case "fail once" if context.attempt == 1:
                raise OSError("the shelf has fallen down")
            case "wait":
                await asyncio.sleep(60)
            case "pass on":
                await context.send("demo.order.pack", {})
        return {"sold": True}

    @action("demo.order.pack")
    async def pack(self, data: dict[str, Any], context: ActionContext) -> None:
        """Nothing more."""
        self.seen.append(context.action)


@pytest.fixture
def platform(redis: redis.asyncio.Redis) -> Platform:
    """A service that runs the platform's code and talks to the service `demo`."""
    return Platform(redis)
