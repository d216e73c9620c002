"""The floor: what a hand-written loop with the same guarantee costs on redis-py's ordinary API. No framework at all."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
from redis.asyncio import Redis

from benchmarks import payload
from benchmarks.entries import GROUP, MODELS, STREAM, OnEntries
from benchmarks.harness import cancel, serve

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
encode = msgspec.json.Encoder().encode


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


class Floor(OnEntries):
    """The loop."""

    async def start(self) -> None:
        """Work in the background."""
        self._work = asyncio.create_task(self._loop())

    async def stop(self) -> int:
        """End the loop."""
        await cancel(self._work)
        await self._redis.aclose()
        return payload.taken()

    async def _loop(self) -> None:
        redis = self._redis = Redis.from_url(self.url)
        await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        sha = await redis.script_load(COMMIT)
        while True:
            reply: Any = await redis.xreadgroup(GROUP, "me", {STREAM: ">"}, count=BATCH, block=1000)
            if not reply:
                continue
            entries = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))[0]
            args: list[Any] = []
            for entry_id, fields in entries:
                action = decode(fields[b"data"])
                result = await payload.handle(MODELS[action.action_type].model_validate(action.data))
                queue = action.callback_queue_name
                args += (entry_id, queue or "", _answer(action, result) if queue else b"")
            await redis.evalsha(sha, 1, STREAM, GROUP, "me", len(entries), *args)


if __name__ == "__main__":
    serve(Floor())
