"""docket (the package is called pydocket).

Its documentation: `concurrency` above the default of 10 for tasks that wait. Settings here: uvloop, hiredis,
`concurrency=100`, 1,000 connections, `minimum_check_interval` of a millisecond (a worker that is full sleeps 250 by
default); execution records kept for 300 seconds where answers are wanted, else not
at all. Arguments travel by cloudpickle (its own way); the task validates by pydantic. A call is `get_result`, which
is told of the end by pub/sub."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

from docket import Docket, Worker

from benchmarks.harness import Subject, cancel, serve
from benchmarks.payload import ORDER, Order, handle, taken


async def crear(data: dict[str, Any]) -> dict[str, Any]:
    """The task."""
    return await handle(Order.model_validate(data))


class DocketPeer(Subject):
    """A docket and a worker."""

    packages = ("pydocket", "redis", "hiredis", "pydantic", "uvloop")
    _answered = True
    _docket: Any = None

    async def fill(self, count: int, answered: bool) -> str:
        """Add a backlog."""
        self._answered = answered
        await self._fresh()
        for start in range(0, count, 500):
            many = range(min(500, count - start))
            await self._docket.add_many([self._docket.call(crear)(ORDER) for _ in many])
        stream, queue = self._docket.stream_key, self._docket.queue_key
        return f"return redis.call('XLEN', '{stream}') + redis.call('ZCARD', '{queue}')"

    async def start(self) -> None:
        """Run a worker."""
        self._running = asyncio.Event()
        self._work = asyncio.create_task(self._run())

    async def stop(self) -> int:
        """Cancel it."""
        await cancel(self._work)
        return taken()

    async def open_calls(self, in_flight: int) -> None:
        """A docket for sending."""
        await self._fresh()

    async def call(self) -> bool:
        """Add, and wait for the result."""
        execution = await self._docket.add(crear)(ORDER)
        return bool((await execution.get_result(timeout=timedelta(seconds=30)))["ok"])

    async def close(self) -> None:
        """Close the docket."""
        docket, self._docket = self._docket, None
        if docket is not None:
            await docket.__aexit__(None, None, None)

    async def _fresh(self) -> None:
        logging.getLogger("docket").setLevel(logging.WARNING)
        await self.close()
        kept = timedelta(seconds=300 if self._answered else 0)
        docket = Docket("orders", f"{self.url}?max_connections=1000", execution_ttl=kept)
        docket.register(crear)
        self._docket = await docket.__aenter__()

    async def _run(self) -> None:
        async with Worker(self._docket, concurrency=100, minimum_check_interval=timedelta(milliseconds=1)) as worker:
            await worker.run_forever()


if __name__ == "__main__":
    serve(DocketPeer())
