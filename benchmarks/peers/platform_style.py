"""The worker that the platform's services have at present, as its standard has it written by hand.

It reads up to 50 entries, makes a task for each, reads the envelope as a pydantic model, validates the payload by pydantic,
answers by LPUSH and EXPIRE in a pipeline, and acknowledges by itself; it deletes nothing. Its caller awaits a list of
its own with BRPOP, as the hand-written one does. Settings here: uvloop, hiredis, replies decoded to text (the
platform's default), a blocking pool of 50 connections, no log lines."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.callers import HandCaller
from benchmarks.entries import GROUP, STREAM, OnEntries
from benchmarks.harness import GROUP_LEFT, cancel, serve
from benchmarks.payload import Order, handle, taken


class DomainAction(BaseModel):
    """What is sent, field by field as in the standard."""

    action_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    action_type: str
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    tenant_id: str | None = None
    session_id: str | None = None
    task_id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    origin_service: str | None = None
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = None
    callback_queue_name: str | None = None
    callback_action_type: str | None = None
    data: dict[str, Any]
    metadata: dict[str, Any] | None = None


class DomainActionResponse(BaseModel):
    """What is answered."""

    action_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = None
    task_id: str | None = None
    tenant_id: str | None = None
    session_id: str | None = None
    success: bool
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    data: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class Platform(HandCaller, OnEntries):
    """Such a worker, and such a caller."""

    packages = ("redis", "hiredis", "pydantic", "uvloop")

    async def fill(self, count: int, answered: bool) -> str:
        """The same entries; what is acknowledged stays in the stream."""
        if count:
            await super().fill(count, answered)
        async with Redis.from_url(self.url) as redis:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        return GROUP_LEFT.format(stream=STREAM)

    async def start(self) -> None:
        """Work in the background."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving = Redis.from_pool(
            BlockingConnectionPool.from_url(self.url, max_connections=50, timeout=60, decode_responses=True)
        )
        self._work = asyncio.create_task(self._loop())

    async def stop(self) -> int:
        """End it."""
        await cancel(self._work, *self._tasks)
        await self._serving.aclose()
        return taken()

    async def _loop(self) -> None:
        while True:
            read: Any = await self._serving.xreadgroup(GROUP, "worker-1", {STREAM: ">"}, count=50, block=2000)
            pairs = read.items() if isinstance(read, dict) else read or []
            for _, found in pairs:
                for entry_id, fields in found[0] if found and isinstance(found[0], list) else found:
                    task = asyncio.create_task(self._do(entry_id, fields["data"]))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _do(self, entry_id: str, data: str) -> None:
        action = DomainAction.model_validate_json(data)
        result = await handle(Order.model_validate(action.data))
        if queue := action.callback_queue_name:
            answer = DomainActionResponse(
                correlation_id=action.correlation_id,
                trace_id=action.trace_id,
                task_id=action.task_id,
                tenant_id=action.tenant_id,
                session_id=action.session_id,
                success=True,
                data=result,
            )
            await self._serving.pipeline().lpush(queue, answer.model_dump_json()).expire(queue, 300).execute()
        await self._serving.xack(STREAM, GROUP, entry_id)


if __name__ == "__main__":
    serve(Platform())
