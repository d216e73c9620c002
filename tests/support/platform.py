"""The other side of the wire, without a line of nooble: a service that runs the platform's present code. It knows streams,
the field `data` and lists, and says everything in raw commands."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import redis.asyncio

IDS = ("action_id", "tenant_id", "session_id", "task_id", "user_id", "agent_id", "trace_id", "correlation_id")


def envelope(action_type: str, data: Any = None, **fields: Any) -> dict[str, Any]:
    """An action as the platform writes it: every id as the text of a UUID."""
    return {
        **{name: str(uuid.uuid4()) for name in IDS},
        "action_type": action_type,
        "timestamp": datetime.now(UTC).isoformat(),
        "origin_service": "platform",
        "data": {} if data is None else data,
        "metadata": {},
        **fields,
    }


class Platform:
    """Sends actions to *service* and looks at what comes of them.

    Args:
        redis: a connection that does not decode.
        service: whose stream.
    """

    def __init__(self, redis: redis.asyncio.Redis, service: str = "demo") -> None:
        self.redis = redis
        self.service = service
        self.stream = f"nooble4:test:{service}:streams:main"
        self.group = f"{service}-group"
        self.retries = f"nooble4:test:{service}:retries:main"
        self.dead_letters = f"nooble4:test:{service}:dead_letters:main"
        self.asked = 0

    async def send(self, action_type: str, data: Any = None, **fields: Any) -> bytes:
        """Add an action to the stream. Returns the id of the entry."""
        return await self.add(json.dumps(envelope(action_type, data, **fields)))

    async def add(self, data: str | bytes, **facts: Any) -> bytes:
        """Add an entry that has *data* in its field `data`."""
        return await self.redis.xadd(self.stream, {"data": data, **facts})

    def queue(self) -> str:
        """Name of a list for one answer, as the platform makes it."""
        self.asked += 1
        return f"nooble4:test:platform:responses:ask:{self.asked}-{uuid.uuid4()}"

    async def ask(self, action_type: str, data: Any = None, *, timeout: float = 5.0, **fields: Any) -> dict[str, Any]:
        """Send an action and wait for its answer."""
        queue = self.queue()
        await self.send(action_type, data, callback_queue_name=queue, **fields)
        return await self.answer(queue, timeout=timeout)

    async def answer(self, queue: str, *, timeout: float = 5.0) -> dict[str, Any]:
        """The next message in the list *queue*."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            popped = await self.redis.brpop([queue], timeout=min(left, 1.0))  # less than the client's own patience
            if popped is not None:
                message: dict[str, Any] = json.loads(popped[1])
                return message
        raise AssertionError(f"no answer in {queue} within {timeout:g} s")

    async def backlog(self) -> int:
        """How many entries the stream holds, read or not."""
        return int(await self.redis.xlen(self.stream))

    async def is_done(self) -> bool:
        """Whether nothing is left, all looked at in one moment: no entry, no retry, nothing pending."""
        async with self.redis.pipeline(transaction=True) as look:
            look.xlen(self.stream).zcard(self.retries).xpending(self.stream, self.group)
            entries, retries, pending = await look.execute(raise_on_error=False)
        return isinstance(pending, dict) and not (entries or retries or pending["pending"])

    async def pending(self) -> list[dict[str, Any]]:
        """What was delivered and has not ended, with consumer and count of deliveries."""
        rows: list[dict[str, Any]] = await self.redis.xpending_range(self.stream, self.group, "-", "+", 1000)
        return rows

    async def buried(self) -> list[dict[str, Any]]:
        """The dead letters, oldest first; everything but `data` as text."""
        return [
            {name.decode(): value if name.startswith(b"data") else value.decode() for name, value in fields.items()}
            for _, fields in await self.redis.xrange(self.dead_letters)
        ]
