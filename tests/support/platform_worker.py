"""A worker as the platform's code has it: it knows the field `data` and nothing else, and answers by LPUSH."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import random
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Self

import redis.asyncio as redis_asyncio

_IDS = ("correlation_id", "trace_id", "task_id", "tenant_id", "session_id")


class PlatformWorker:
    """Serves one stream, several actions at a time and in no order; a context manager.

    Args:
        redis: whose connection parameters are used.
        stream: the key of the stream.
        group: its consumer group.
        handle: makes the result of an action, awaited if need be; by default the data of the action.

    Attributes:
        seen: the envelopes that came, as they were.
    """

    def __init__(
        self, redis: redis_asyncio.Redis, stream: str, group: str, handle: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        pool = redis.connection_pool
        options = pool.connection_kwargs | {"decode_responses": True, "client_name": "platform", "socket_timeout": 10.0}
        made = redis_asyncio.BlockingConnectionPool(8, 60, pool.connection_class, **options)
        self._redis = redis_asyncio.Redis.from_pool(made)
        self._stream, self._group, self._name = stream, group, group.replace("-group", "-worker-instance1")
        self._handle = handle or (lambda envelope: envelope["data"])
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self.seen: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        with contextlib.suppress(redis_asyncio.ResponseError):
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        self._start(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        while left := {task for task in self._tasks if not task.done()}:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)  # a fake server can swallow a cancellation
        await self._redis.aclose()
        if self._errors:
            raise self._errors[0]

    async def _run(self) -> None:
        while True:
            read = await self._redis.xreadgroup(self._group, self._name, {self._stream: ">"}, count=50, block=500)
            entries = [entry for _, found in _pairs(read) for entry in found]
            if not entries:
                await asyncio.sleep(0.005)  # fake servers do not block
            random.shuffle(entries)
            for entry_id, fields in entries:
                self._start(self._do(entry_id, json.loads(fields["data"])))

    async def _do(self, entry_id: str, envelope: dict[str, Any]) -> None:
        self.seen.append(envelope)
        result = self._handle(envelope)
        if inspect.isawaitable(result):
            result = await result
        if queue := envelope.get("callback_queue_name"):
            message = {name: envelope[name] for name in _IDS} | {
                "action_id": str(uuid.uuid4()),
                "timestamp": datetime.now().isoformat(),
                "data": result,
            }
            if callback := envelope.get("callback_action_type"):
                message |= {"action_type": callback, "origin_service": self._group, "user_id": envelope["user_id"]}
            else:
                message |= {"success": True, "error": None, "action_type_response_to": envelope["action_type"]}
            pipe = self._redis.pipeline()
            await pipe.lpush(queue, json.dumps(message)).expire(queue, 300).execute()
        await self._redis.xack(self._stream, self._group, entry_id)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._errors.append(error)


def _pairs(read: Any) -> list[tuple[str, Any]]:
    """Streams and their entries, in whatever shape this version of the library returns them."""
    return list(read.items()) if isinstance(read, dict) else read or []
