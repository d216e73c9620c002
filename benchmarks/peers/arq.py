"""arq.

Its documentation: raise `max_jobs` for jobs that wait, and mind that a worker polls (`poll_delay`, half a second by
default) and reads `queue_read_limit` jobs a poll. Settings here: uvloop, hiredis, `max_jobs=100`, `poll_delay=0.001`,
`queue_read_limit=1000`, no log line for a result, pickle (its default); results kept for 300 seconds where answers
are wanted, else not at all. It has no validation of payloads, so the function validates by pydantic. A caller polls
for its result: every millisecond here, as the default of 500 would be all that is measured."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from arq import Worker, create_pool
from arq.connections import RedisSettings

from benchmarks.harness import Subject, cancel, serve
from benchmarks.payload import ORDER, Order, handle, taken


async def crear(_: Any, data: dict[str, Any]) -> dict[str, Any]:
    """The job."""
    return await handle(Order.model_validate(data))


class Arq(Subject):
    """A pool and a worker."""

    packages = ("arq", "redis", "hiredis", "pydantic", "uvloop")
    _answered = True

    async def setup(self) -> None:
        """A pool for sending."""
        logging.getLogger("arq").setLevel(logging.WARNING)
        self._pool = await create_pool(RedisSettings.from_dsn(self.url))

    async def fill(self, count: int, answered: bool) -> str:
        """Enqueue a backlog."""
        self._answered = answered
        for start in range(0, count, 50):
            await asyncio.gather(*(self._pool.enqueue_job("crear", ORDER) for _ in range(min(50, count - start))))
        return "return redis.call('ZCARD', 'arq:queue')"

    async def start(self) -> None:
        """Run a worker."""
        self._worker = Worker(
            [crear],
            redis_settings=RedisSettings.from_dsn(self.url),
            max_jobs=100,
            poll_delay=0.001,
            queue_read_limit=1000,
            keep_result=300 if self._answered else 0,
            log_results=False,
            handle_signals=False,
        )
        self._work = asyncio.create_task(self._worker.async_run())

    async def stop(self) -> int:
        """Close it."""
        await cancel(self._work)
        await self._worker.close()
        return taken()

    async def call(self) -> bool:
        """Enqueue, and wait for the result."""
        job = await self._pool.enqueue_job("crear", ORDER)
        assert job is not None
        return bool((await job.result(timeout=30, poll_delay=0.001))["ok"])

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


if __name__ == "__main__":
    serve(Arq())
