"""Actions as entries of a stream, as a service of the platform writes them, and the look into their answers.

A backlog is written by a script from a stock of different entries: a million takes seconds, and costs the sender nothing."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import redis
from pydantic import BaseModel

from benchmarks.harness import Subject
from benchmarks.payload import ORDER, Note, Order, Vector

STREAM, GROUP = "nooble4:bench:pedidos:streams:main", "pedidos-group"
QUEUE = "nooble4:bench:banco:responses:inbox:"
QUEUES = 4
MODELS: dict[str, type[BaseModel]] = {
    "pedidos.pedido.crear": Order,
    "pedidos.nota.crear": Note,
    "pedidos.vector.crear": Vector,
}
IDS = ("action_id", "tenant_id", "session_id", "task_id", "trace_id", "correlation_id")
VECTOR = 1536

_STOCK, _AT_ONCE = 200, 10_000
_FILL = """
local stream, count, stock = KEYS[1], tonumber(ARGV[1]), #ARGV - 1
for i = 0, count - 1 do redis.call('XADD', stream, '*', 'data', ARGV[2 + i % stock]) end
return count
"""
encode = msgspec.json.Encoder().encode


def entry(number: int, answered: bool, action_type: str = "pedidos.pedido.crear", data: Any = None) -> bytes:
    """One encoded action."""
    return encode(
        {
            **{name: str(uuid.uuid4()) for name in IDS},
            "action_type": action_type,
            "timestamp": "2026-11-22T00:00:00Z",
            "origin_service": "banco",
            "callback_queue_name": f"{QUEUE}{number % QUEUES}" if answered else None,
            "metadata": {},
            "data": data if data is not None else ORDER | {"order_id": number},
        }
    )


def payload(options: dict[str, Any]) -> tuple[str, Any]:
    """Type and payload of the actions of a variant: an order, a note of so many bytes, or a vector."""
    if size := options.get("note"):
        return "pedidos.nota.crear", {"note": "ñandú " * (size // 8) + "x" * (size % 8)}
    if options.get("vector"):
        return "pedidos.vector.crear", {"vector": [number / 7 for number in range(VECTOR)]}
    return options.get("action_type", "pedidos.pedido.crear"), None


class Filler:
    """Puts actions into the stream, again and again.

    Args:
        url: of the server.
        answered: whether answers are wanted.
        options: of the variant, which say what the payload is.
    """

    def __init__(self, url: str, answered: bool, options: dict[str, Any]) -> None:
        action_type, data = payload(options)
        self._stock = [entry(number, answered, action_type, data) for number in range(8 if data else _STOCK)]
        self._at_once = _AT_ONCE if data is None else max(1, 20_000_000 // len(self._stock[0]))
        self._client = redis.Redis.from_url(url)
        self._script = self._client.register_script(_FILL)

    def add(self, count: int) -> None:
        """That many more."""
        for start in range(0, count, self._at_once):
            self._script([STREAM], [min(self._at_once, count - start), *self._stock])

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


LEFT = f"return redis.call('XLEN', '{STREAM}')"


def fill(url: str, count: int, answered: bool, options: dict[str, Any]) -> str:
    """Put *count* actions into the stream. Returns the script that tells how many are left there."""
    filler = Filler(url, answered, options)
    filler.add(count)
    filler.close()
    return LEFT


def succeeded(client: redis.Redis) -> int:
    """How many answers say success; every one is looked into."""
    good = 0
    for number in range(QUEUES):
        for raw in client.lrange(f"{QUEUE}{number}", 0, -1):
            answer = msgspec.json.decode(raw)
            good += answer["success"] is True and answer["data"]["ok"] is True
    return good


class OnEntries(Subject):
    """A subject that works on such entries."""

    packages = ("redis", "hiredis", "msgspec", "pydantic", "uvloop")

    async def fill(self, count: int, answered: bool) -> str:
        """Put the backlog there."""
        self.options["answered"] = answered
        return fill(self.url, count, answered, self.options)
