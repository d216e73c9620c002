"""streaq.

Its documentation: uvloop, and `concurrency` and `prefetch` as the tasks allow. Settings here: uvloop,
`concurrency=100`, `prefetch=100`, pickle (its default); results kept for 300 seconds where answers are wanted, else
not at all (`ttl=0`). It has no validation of payloads, so the task validates by pydantic."""

from __future__ import annotations

import asyncio
from typing import Any

from streaq import Worker

from benchmarks.harness import Subject, cancel, serve
from benchmarks.payload import ORDER, Order, handle, taken


class Streaq(Subject):
    """A worker that sends, and one that works."""

    packages = ("streaq", "coredis", "pydantic", "uvloop")
    _answered = True

    async def setup(self) -> None:
        """A worker for sending; its connections live in a task of their own."""
        self._sender, self._create = self._made()
        self._ready, self._over = asyncio.Event(), asyncio.Event()
        self._open = asyncio.create_task(self._hold())
        await self._ready.wait()

    async def fill(self, count: int, answered: bool) -> str:
        """Enqueue a backlog."""
        if answered != self._answered:
            self._answered = answered
            await self.close()
            await self.setup()
        for start in range(0, count, 500):
            await self._sender.enqueue_many([self._create.enqueue(ORDER) for _ in range(min(500, count - start))])
        return f"return redis.call('XLEN', '{self._sender.stream_key}normal')"

    async def start(self) -> None:
        """Run a worker."""
        self._worker, _ = self._made()
        self._work = asyncio.create_task(self._worker.run_async())

    async def stop(self) -> int:
        """Cancel it."""
        await cancel(self._work)
        return taken()

    async def call(self) -> bool:
        """Enqueue, and wait for the result."""
        task = await self._create.enqueue(ORDER)
        return bool((await task.result(30)).result["ok"])

    async def close(self) -> None:
        """Close the sender."""
        self._over.set()
        await asyncio.wait([self._open], timeout=3)

    async def _hold(self) -> None:
        async with self._sender:
            self._ready.set()
            await self._over.wait()

    def _made(self) -> tuple[Any, Any]:
        worker = Worker(
            self.url, concurrency=100, prefetch=100, handle_signals=False, redis_kwargs={"max_connections": 1000}
        )

        @worker.task(ttl=300 if self._answered else 0)
        async def crear(data: dict[str, Any]) -> dict[str, Any]:
            return await handle(Order.model_validate(data))

        return worker, crear


if __name__ == "__main__":
    serve(Streaq())
