"""The measured program's side: a subject is driven by JSON lines on standard input and answers on standard output.

Nothing but the standard library is needed here, as the peers run in environments of their own. Whatever else a subject
prints goes to standard error. The clock of a run begins when the subject is started and is read when the driver asks."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

Left = str
"""A Lua script that returns how much is left to do; the driver asks the server, so nobody polls inside the subject."""


class Subject:
    """A program that can be measured. Subclasses implement what they can.

    Attributes:
        packages: whose versions the report names.
        url: where the server is.
        options: what the driver chose for this variant.
    """

    packages: tuple[str, ...] = ()
    url: str
    options: dict[str, Any]

    async def setup(self) -> None:
        """Get ready, once for each program."""

    async def fill(self, count: int, answered: bool) -> Left:
        """Put a backlog of *count* there; where *answered*, an answer is wanted for each."""
        raise NotImplementedError("has no backlog")

    async def start(self) -> None:
        """Begin to work in the background."""
        raise NotImplementedError("does not work")

    async def stop(self) -> int:
        """End the work. Returns how many were done since the last time."""
        raise NotImplementedError("does not work")

    async def send(self, count: int) -> int:
        """Send *count* actions. Returns how many the server has."""
        raise NotImplementedError("does not send")

    async def call(self) -> bool:
        """Send one action and await its answer. Returns whether it says success."""
        raise NotImplementedError("does not call")

    async def open_calls(self, in_flight: int) -> None:
        """Prepare for that many calls at a time."""

    async def close(self) -> None:
        """Let go of connections."""


class _Driven:
    """The verbs of the protocol, over one subject."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._cpu = self._wall = 0.0

    async def setup(self, url: str, options: dict[str, Any]) -> dict[str, str]:
        self._subject.url, self._subject.options = url, options
        await self._subject.setup()
        found = {}
        for name in self._subject.packages:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = "missing"
        return {"python": platform.python_version(), **found}

    async def fill(self, count: int, answered: bool) -> Left:
        return await self._subject.fill(count, answered)

    async def start(self) -> bool:
        gc.collect()
        self._begin()
        await self._subject.start()
        return True

    async def mark(self) -> dict[str, float]:
        return {"cpu": time.process_time() - self._cpu, "wall": time.perf_counter() - self._wall, "rss": _rss()}

    async def begin(self) -> bool:
        self._begin()
        return True

    async def stop(self) -> int:
        return await self._subject.stop()

    async def send(self, count: int) -> dict[str, float]:
        gc.collect()
        self._begin()
        sent = await self._subject.send(count)
        return await self.mark() | {"sent": sent}

    async def call(self, count: int, in_flight: int, warm: bool = True, reopen: bool = True) -> dict[str, Any]:
        """*count* calls, *in_flight* at a time."""
        if reopen:
            await self._subject.open_calls(in_flight)
        if warm:
            await asyncio.gather(*(self._subject.call() for _ in range(in_flight)))
        latencies: list[float] = []
        failed = 0
        left = iter(range(count))

        async def caller() -> None:
            nonlocal failed
            for _ in left:
                since = time.perf_counter()
                failed += not await self._subject.call()
                latencies.append(time.perf_counter() - since)

        gc.collect()
        self._begin()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        figures = await self.mark()
        latencies.sort()
        return figures | {
            "failed": failed,
            "p50": statistics.median(latencies),
            "p99": latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))],
        }

    async def close(self) -> bool:
        await self._subject.close()
        return True

    async def __call__(self, verb: str, arguments: dict[str, Any]) -> Any:
        method: Callable[..., Awaitable[Any]] = getattr(self, verb, None) or getattr(self._subject, verb)
        return await method(**arguments)

    def _begin(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()


def serve(subject: Subject) -> None:
    """Run *subject* until standard input ends."""
    with os.fdopen(os.dup(1), "w", buffering=1) as out:
        os.dup2(2, 1)  # a framework that prints does not disturb the protocol
        work = _listen(subject, out)
        try:
            import uvloop
        except ImportError:
            asyncio.run(work)
        else:
            uvloop.run(work)


async def _listen(subject: Subject, out: Any) -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    driven = _Driven(subject)
    while line := await lines.get():
        request = json.loads(line)
        try:
            reply = {"ok": await driven(request.pop("do"), request)}
        except Exception as error:  # told to the driver, which decides
            import traceback

            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=out, flush=True)
    os._exit(0)  # threads of a framework do not keep it


def _rss() -> int:
    """Resident bytes of this process."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks; again and again, as libraries swallow cancellations."""
    left = {task for task in tasks if not task.done()}
    for _ in range(100 if left else 0):
        for task in left:
            task.cancel()
        if left:
            left = (await asyncio.wait(left, timeout=0.05))[1]
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            print(f"ended with {error!r}", file=sys.stderr)


GROUP_LEFT = """
local ok, groups = pcall(redis.call, 'XINFO', 'GROUPS', '{stream}')
if not ok or not groups[1] then return -1 end
local one = {{}}
for i = 1, #groups[1], 2 do one[groups[1][i]] = groups[1][i + 1] end
return (one['lag'] or -1) + one['pending']
"""
"""What is left for the first group of a stream whose entries are not deleted; -1 if the group is not there yet."""
