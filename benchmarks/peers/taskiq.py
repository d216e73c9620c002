"""taskiq with taskiq-redis.

Its documentation recommends `RedisStreamBroker` (the one that acknowledges), uvloop, and `ORJSONSerializer` for
speed; a result backend where results are wanted. Settings here: all of these, `max_async_tasks=100` (the default of
its command line), `max_prefetch=100`, parameters validated by pydantic (its default), results kept for 300 seconds
where answers are wanted. A caller polls for its result: every millisecond here, as the default of 200 would be all
that is measured."""

from __future__ import annotations

import asyncio
from typing import Any

from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.harness import GROUP_LEFT, Subject, cancel, serve
from benchmarks.payload import ORDER, Order, handle, taken


class Taskiq(Subject):
    """One broker, one task."""

    packages = ("taskiq", "taskiq-redis", "redis", "hiredis", "orjson", "pydantic", "uvloop")
    _answered = True

    async def setup(self) -> None:
        """A broker for sending."""
        self._sender = self._made()
        self._create = self._task(self._sender)

    async def fill(self, count: int, answered: bool) -> str:
        """Kick a backlog."""
        self._answered = answered
        await self._sender.startup()
        order = Order(**ORDER)
        for start in range(0, count, 50):
            await asyncio.gather(*(self._create.kiq(order) for _ in range(min(50, count - start))))
        return GROUP_LEFT.format(stream="orders")

    async def start(self) -> None:
        """Run a receiver."""
        self._broker = self._made()
        self._task(self._broker)
        self._work = asyncio.create_task(
            run_receiver_task(self._broker, max_async_tasks=100, max_prefetch=100, run_startup=True)
        )

    async def stop(self) -> int:
        """Cancel it."""
        await cancel(self._work)
        await self._broker.shutdown()
        return taken()

    async def open_calls(self, in_flight: int) -> None:
        """The sender's pool opens by itself."""
        await self._sender.startup()

    async def call(self) -> bool:
        """Kick, and wait for the result."""
        task = await self._create.kiq(Order(**ORDER))
        result = await task.wait_result(check_interval=0.001, timeout=30)
        return not result.is_err and bool(result.return_value["ok"])

    def _made(self) -> Any:
        broker = RedisStreamBroker(self.url, queue_name="orders", consumer_id="0").with_serializer(ORJSONSerializer())
        if self._answered:
            broker = broker.with_result_backend(RedisAsyncResultBackend(self.url, result_ex_time=300))
        return broker

    @staticmethod
    def _task(broker: Any) -> Any:
        @broker.task(task_name="crear")
        async def crear(order: Order) -> dict[str, Any]:
            return await handle(order)

        return crear


if __name__ == "__main__":
    serve(Taskiq())
