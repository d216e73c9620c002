"""The hot path is counted: how many function calls one action takes, from its bytes to the arguments of its commit, and one
send from its payload to its bytes. Counts do not depend on how busy a machine is, so a bound on them holds anywhere. Whoever
raises a bound says here what it is for."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import msgspec
import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.events import Events, Teller
from nooble.models import ActionContext, DomainAction
from nooble.models.context import shown
from nooble.models.envelope import Message
from nooble.routing import action
from nooble.services import BaseService
from nooble.wire.connection import Endpoint
from nooble.wire.delivery import deliveries_of
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import ActionStream, Ending
from nooble.workers.clock import ServerClock
from nooble.workers.execution import Execution
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.outage import Patience
from nooble.workers.reports import Reports
from nooble.workers.settlement import Settlement
from nooble.workers.terms import NearestTerms
from tests.support.platform import envelope
from tests.support.settings import NOBODY, make_settings

MANY = 200
BOUNDS = {
    "answered, by hand": 42,  # taking 7, decoding 2, the action 4, context and isolation 9, answering 11, ending 8
    "answered, declared": 39,  # 5 for routing (look-up, binding, payload, response), none for an action nobody asks for
    "fire and forget, by hand": 32,
    "fire and forget, declared": 29,
    "sent": 20,  # ids 4, envelope 6, encoding 4, address 3, limits 2
}
"""Most calls, Python's and C's together, for one action."""

KEYS = QueueManager("nooble4", "test")


class ByHand:
    """The standard's way."""

    async def process_action(self, action: DomainAction) -> Any:
        """Answer."""
        return {"ok": True}


class Declared(BaseService):
    """The declared way."""

    @action("demo.thing.do")
    async def do(self, thing: dict[str, Any]) -> dict[str, Any]:
        """Answer."""
        return {"ok": True}


class Counter:
    calls = 0


@contextmanager
def counting() -> Iterator[Counter]:
    """Counts the calls of functions inside of the block."""
    counter = Counter()

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            counter.calls += 1

    sys.setprofile(look)
    try:
        yield counter
    finally:
        sys.setprofile(None)


def workplace(service: Any, settings: CommonAppSettings) -> tuple[Execution, Settlement, InFlight]:
    """What makes outcomes and endings, without a server."""

    def by_hand(message: Message, context: ActionContext) -> Awaitable[Any]:
        return service.process_action(shown(message, context))

    flight, teller = InFlight(), Teller(Events(), "demo", "me")
    execution = Execution(
        service_name="demo",
        keys=KEYS,
        handle=getattr(service, "straight_call", None) or by_hand,
        terms=NearestTerms(service, settings),
        reach=None,
        clock=ServerClock(),
        max_deliveries=3,
        max_payload_bytes=1_000_000,
    )
    stream = ActionStream(Endpoint(redis.asyncio.Redis.from_url(NOBODY)), KEYS, "demo", "me")

    async def restore() -> None: ...

    settlement = Settlement(
        stream=stream,
        flight=flight,
        patience=Patience(teller, restore),
        execution=execution,
        reports=Reports(teller),
        max_payload_bytes=1_000_000,
    )
    return execution, settlement, flight


def handled(service: Any, queue: str | None) -> Callable[[], list[Ending]]:
    """Takes many actions from the reply of the server to their endings."""
    execution, settlement, flight = workplace(service, make_settings())
    data = msgspec.json.encode(envelope("demo.thing.do", {"n": 1}, callback_queue_name=queue))
    rows = [[b"%d-0" % number, [b"data", data, b"v", b"1"]] for number in range(1, MANY + 1)]

    def handle() -> list[Ending]:
        flight.add(deliveries_of(rows, 0))
        while flight.ready:
            run = Run(flight.ready.popleft())
            flight.finish(run, execution.execute(run))
        return settlement._next_batch()

    return handle


@pytest.mark.parametrize(
    ("name", "service", "queue"),
    [
        ("answered, by hand", ByHand, "nooble4:test:shop:responses:x:1"),
        ("answered, declared", lambda: Declared(make_settings()), "nooble4:test:shop:responses:x:1"),
        ("fire and forget, by hand", ByHand, None),
        ("fire and forget, declared", lambda: Declared(make_settings()), None),
    ],
)
async def test_an_action_takes_no_more_calls_than_it_is_allowed(name: str, service: Any, queue: str | None) -> None:
    handle = handled(service(), queue)
    handle()  # what is remembered is remembered by now
    with counting() as counter:
        endings = handle()
    assert len(endings) == MANY
    assert all((ending.reply is not None) is (queue is not None) for ending in endings)
    assert counter.calls / MANY <= BOUNDS[name]


async def test_a_send_takes_no_more_calls_than_it_is_allowed() -> None:
    client = BaseRedisClient("shop", redis.asyncio.Redis.from_url(NOBODY), make_settings("shop"))

    def send() -> None:
        client.post(client._made("demo.thing.do", {"n": 1}, {}))

    send()
    with counting() as counter:
        for _ in range(MANY):
            send()
    assert counter.calls / MANY <= BOUNDS["sent"]
