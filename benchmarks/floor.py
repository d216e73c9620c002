"""The floor: what a hand-written loop with the same guarantee costs on redis-py's ordinary API. No framework at all."""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec
from pydantic import BaseModel
from redis.asyncio import Redis

COMMIT = """
local stream, group, me, n = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local owned = {}
local rows = redis.call('XPENDING', stream, group, ARGV[4], ARGV[4 + 3 * (n - 1)], n, me)
for _, row in ipairs(rows) do owned[row[1]] = true end
local done = {}
for i = 0, n - 1 do
  local id, queue, value = ARGV[4 + 3 * i], ARGV[5 + 3 * i], ARGV[6 + 3 * i]
  if owned[id] then
    if queue ~= '' then
      redis.call('LPUSH', queue, value)
      redis.call('PEXPIRE', queue, 300000)
    end
    done[#done + 1] = id
  end
end
if #done > 0 then
  redis.call('XACK', stream, group, unpack(done))
  redis.call('XDEL', stream, unpack(done))
end
return #done
"""
BATCH = 100
IDS = ("action_id", "tenant_id", "session_id", "task_id", "trace_id", "correlation_id")
encode = msgspec.json.Encoder().encode


class Order(BaseModel):
    """The payload of every measurement."""

    order_id: int
    customer: str
    amount: float
    items: list[str]


class Envelope(msgspec.Struct):
    """What the floor reads of an action."""

    action_type: str
    data: dict[str, Any]
    task_id: str | None = None
    tenant_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    callback_queue_name: str | None = None


decode = msgspec.json.Decoder(Envelope).decode


def entry(number: int, queue: str | None) -> bytes:
    """One action as a service of the platform writes it."""
    return encode(
        {
            **{name: str(uuid.uuid4()) for name in IDS},
            "action_type": "pedidos.pedido.crear",
            "timestamp": "2026-11-22T00:00:00Z",
            "origin_service": "banco",
            "callback_queue_name": queue,
            "metadata": {},
            "data": {"order_id": number, "customer": "acme", "amount": 12.5, "items": ["a", "b", "c"]},
        }
    )


async def fill(redis: Redis, stream: str, count: int, queue: str | None) -> None:
    """Put *count* actions into *stream*; their answers are wanted on four queues that begin with *queue*."""
    for start in range(0, count, 500):
        pipe = redis.pipeline(transaction=False)
        for number in range(start, min(start + 500, count)):
            pipe.xadd(stream, {"data": entry(number, f"{queue}{number % 4}" if queue else None)})
        await pipe.execute()


async def handle(order: Order) -> dict[str, Any]:
    """The handler of every measurement."""
    return {"ok": True, "id": order.order_id}


async def run(redis: Redis, count: int, queue: str | None) -> tuple[float, float]:
    """Handle *count* actions. Returns process CPU and wall time in seconds."""
    await redis.xgroup_create("floor", "group", id="0", mkstream=True)
    await fill(redis, "floor", count, queue)
    sha = await redis.script_load(COMMIT)
    cpu, wall, done = time.process_time(), time.perf_counter(), 0
    while done < count:
        reply = await redis.xreadgroup("group", "me", {"floor": ">"}, count=BATCH, block=1000)
        entries = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))[0]
        args: list[Any] = []
        for entry_id, fields in entries:
            action = decode(fields[b"data"])
            result = await handle(Order.model_validate(action.data))
            args += (entry_id, action.callback_queue_name or "", _answer(action, result) if queue else b"")
        done += await redis.evalsha(sha, 1, "floor", "group", "me", len(entries), *args)
    return time.process_time() - cpu, time.perf_counter() - wall


def _answer(action: Envelope, result: dict[str, Any]) -> bytes:
    return encode(
        {
            "action_id": str(uuid.uuid4()),
            "correlation_id": action.correlation_id,
            "trace_id": action.trace_id,
            "task_id": action.task_id,
            "tenant_id": action.tenant_id,
            "session_id": action.session_id,
            "success": True,
            "timestamp": "2026-11-22T00:00:00Z",
            "data": result,
            "error": None,
        }
    )
