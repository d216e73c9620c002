"""What routing costs: lookup, binding and dispatch of one action, above pydantic's validation and the handler itself.

    python benchmarks/micro_routing.py

Each figure is the median of several rounds, of the time of `service.process_action(action)` less the time of
`handler(model.__pydantic_validator__.validate_python(action.data))`, measured in turn. The budget is 2.5 µs.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pydantic
from pydantic import BaseModel

from nooble.config import CommonAppSettings
from nooble.models import ActionContext, DomainAction
from nooble.models.context import set_current
from nooble.routing import ActionRouter, Next
from nooble.services import BaseService

BUDGET = 2.5
ROUNDS, CALLS = 41, 5_000
DATA = {"customer": "ada", "lines": 3, "total": 12.5}


class Order(BaseModel):
    customer: str
    lines: int
    total: float


class Receipt(BaseModel):
    number: int


RECEIPT = Receipt(number=1)


async def plain(order: Order):  # type: ignore[no-untyped-def]  # without a declared result: nothing to check
    return None


async def checked(order: Order) -> Receipt:
    return RECEIPT


async def with_context(order: Order, context: ActionContext):  # type: ignore[no-untyped-def]
    return None


async def bare(order: Any) -> Any:
    """The handler alone, as the baseline calls it."""
    return None


async def onwards(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
    return await call_next(action, context)


def service_of(handler: Callable[..., Any], routes: int, middleware: tuple[Any, ...] = ()) -> BaseService:
    """A service with *routes* actions; the one that is measured is in their middle."""
    router = ActionRouter("bench")
    for number in range(routes):
        router.action(f"orders.verb{number}")(handler)
    service_type = type("Bench", (BaseService,), {"routers": (router,), "middleware": middleware})
    return service_type(CommonAppSettings(service_name="bench", _env_file=None))


async def seconds(call: Callable[[], Awaitable[Any]]) -> float:
    """Seconds of one of many calls."""
    started = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - started) / CALLS


async def overhead(service: BaseService, routes: int) -> float:
    """Median microseconds of one action above validation and handler."""
    action = DomainAction(action_type=f"bench.orders.verb{routes // 2}", data=DATA)
    validate = Order.__pydantic_validator__.validate_python
    set_current(ActionContext(action))

    async def through_routing() -> None:
        await service.process_action(action)

    async def by_hand() -> None:
        await bare(validate(action.data))

    await through_routing()
    rounds = [(await seconds(through_routing)) - (await seconds(by_hand)) for _ in range(ROUNDS)]
    return statistics.median(rounds) * 1e6


async def main() -> int:
    print(f"Python {platform.python_version()}, pydantic {pydantic.VERSION}, {ROUNDS} rounds of {CALLS} calls")
    cases = [
        ("1 route", plain, 1, ()),
        ("100 routes", plain, 100, ()),
        ("10,000 routes", plain, 10_000, ()),
        ("100 routes, result checked", checked, 100, ()),
        ("100 routes, context parameter", with_context, 100, ()),
        ("100 routes, one middleware", plain, 100, (onwards,)),
        ("100 routes, three middleware", plain, 100, (onwards,) * 3),
    ]
    worst = 0.0
    for name, handler, routes, middleware in cases:
        cost = await overhead(service_of(handler, routes, middleware), routes)
        worst = max(worst, cost)
        print(f"{name:32} {cost:6.2f} µs above validation and handler")
    print(f"worst {worst:.2f} µs of {BUDGET} µs")
    return int(worst > BUDGET)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
