"""saq.

Its documentation: the Redis queue with hiredis (`saq[hiredis]`), and more `concurrency` than the default of 10 for
jobs that wait. Settings here: uvloop, hiredis, `concurrency=100`, JSON (its default); jobs kept for 300 seconds where
answers are wanted, else deleted at their end (`ttl=-1`). It has no validation of payloads, so the function validates
by pydantic. A call is `apply`, which polls: every millisecond here, as the default of 500 would be all that is
measured."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from saq import Queue, Worker

from benchmarks.harness import Subject, cancel, serve
from benchmarks.payload import ORDER, Order, handle, taken


async def crear(_: Any, *, order: dict[str, Any]) -> dict[str, Any]:
    """The job."""
    return await handle(Order.model_validate(order))


class Saq(Subject):
    """A queue and a worker."""

    packages = ("saq", "redis", "hiredis", "pydantic", "uvloop")

    async def setup(self) -> None:
        """A queue for sending."""
        logging.getLogger("saq").setLevel(logging.WARNING)
        self._queue = Queue.from_url(self.url)
        await self._queue.connect()

    async def fill(self, count: int, answered: bool) -> str:
        """Enqueue a backlog."""
        ttl = 300 if answered else -1
        for start in range(0, count, 50):
            jobs = range(min(50, count - start))
            await asyncio.gather(*(self._queue.enqueue("crear", order=ORDER, ttl=ttl) for _ in jobs))
        return "return redis.call('ZCARD', 'saq:default:incomplete')"

    async def start(self) -> None:
        """Run a worker."""
        self._used = Queue.from_url(self.url)
        self._worker = Worker(self._used, [crear], concurrency=100)
        self._work = asyncio.create_task(self._worker.start())

    async def stop(self) -> int:
        """Stop it."""
        await self._worker.stop()
        await cancel(self._work)
        await self._used.disconnect()
        return taken()

    async def call(self) -> bool:
        """Enqueue, and wait for the result."""
        return bool((await self._queue.apply("crear", timeout=30, poll_interval=0.001, order=ORDER))["ok"])

    async def close(self) -> None:
        """Close the queue."""
        await self._queue.disconnect()


if __name__ == "__main__":
    serve(Saq())
