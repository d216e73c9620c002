"""The process of the worker that `nooble bench` measures, as seen from outside: started, asked, ended."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nooble.cli.benching_worker import BenchWork
from nooble.cli.failures import Failure
from nooble.cli.worker_process import Worker, how_it_ended


@asynccontextmanager
async def at_work(work: BenchWork) -> AsyncIterator[Worker]:
    """A worker that does *work*.

    Raises:
        Failure: it cannot be started.
    """
    worker = Worker(1, "nooble.cli.benching_worker", out=2)  # standard output is for the figures
    worker.start(work)
    try:
        await asyncio.to_thread(_until, worker, lambda: bool(worker.ready_at))
        yield worker
    finally:
        worker.ask_to_stop("nooble bench is done")
        await asyncio.to_thread(_until_gone, worker)


async def count(worker: Worker) -> float:
    """Seconds that *worker* has computed; what else it has to tell is in its last report."""
    asked = worker.last.get("counted", 0)
    worker.tell("count")
    await asyncio.to_thread(_until, worker, lambda: worker.last.get("counted", 0) > asked)
    return float(worker.last["cpu"])


def _until(worker: Worker, is_so: Callable[[], bool]) -> None:
    """Listen to *worker* until something *is_so*.

    Raises:
        Failure: it has ended.
    """
    while not is_so():
        select.select([worker.reports], [], [], 0.1)
        code = worker.process.poll() if worker.process is not None else 0
        worker.hear()
        if code is not None and not is_so():
            raise Failure(worker.words or f"the worker has ended: {how_it_ended(code)}")


def _until_gone(worker: Worker) -> None:
    while worker.process is not None and worker.process.poll() is None:
        select.select([worker.reports], [], [], 0.05)
        worker.hear()
        if time.monotonic() > worker.kill_at:
            worker.kill()
    worker.bury()


def refuse_dead(worker: Worker) -> None:
    """See to it that *worker* is alive.

    Raises:
        Failure: it has ended.
    """
    if worker.process is not None and (code := worker.process.poll()) is not None:
        worker.hear()
        raise Failure(worker.words or f"the worker has ended: {how_it_ended(code)}")
