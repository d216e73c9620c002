"""dramatiq with its Redis broker.

Its documentation: worker threads as many as the work waits (8 by default), prefetch by `dramatiq_queue_prefetch`.
Settings here: one process, 8 threads, prefetch 100, a plain `def` (its `AsyncIO` middleware costs a hop to another
thread), JSON (its default), its default middleware; results by its Redis backend where answers are wanted. It has no
validation of payloads, so the actor validates by pydantic. A call is `get_result(block=True)`, in a thread each."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ["dramatiq_queue_prefetch"] = "100"  # noqa: SIM112  # its own name

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.harness import Subject, serve
from benchmarks.payload import HANDLED, ORDER, Order, taken


def crear(data: dict[str, Any]) -> dict[str, Any]:
    """The actor."""
    order = Order.model_validate(data)
    HANDLED.count += 1
    return {"ok": True, "of": type(order).__name__}


class Dramatiq(Subject):
    """A broker, an actor and a worker."""

    packages = ("dramatiq", "redis", "hiredis", "pydantic")

    async def setup(self) -> None:
        """A broker for sending."""
        self._made(True)
        self._threads = ThreadPoolExecutor(256)

    async def fill(self, count: int, answered: bool) -> str:
        """Send a backlog."""
        self._made(answered)
        await asyncio.to_thread(lambda: [self._actor.send(ORDER) for _ in range(count)])
        return "return redis.call('HLEN', 'dramatiq:default.msgs')"

    async def start(self) -> None:
        """Start threads."""
        self._worker = dramatiq.Worker(self._broker, worker_threads=8, worker_timeout=100)
        self._worker.start()

    async def stop(self) -> int:
        """Stop them."""
        await asyncio.to_thread(self._worker.stop)
        return taken()

    async def call(self) -> bool:
        """Send, and wait for the result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call)

    def _call(self) -> bool:
        return bool(self._actor.send(ORDER).get_result(block=True, timeout=30_000)["ok"])

    def _made(self, answered: bool) -> None:
        self._broker = RedisBroker(url=f"{self.url}?max_connections=1000")
        if answered:
            self._broker.add_middleware(
                Results(backend=RedisBackend(url=f"{self.url}?max_connections=1000"), result_ttl=300_000)
            )
        dramatiq.set_broker(self._broker)
        options = {"store_results": True} if answered else {}
        self._actor = dramatiq.actor(crear, broker=self._broker, **options)


if __name__ == "__main__":
    serve(Dramatiq())
