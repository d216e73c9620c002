"""The soak: traffic of every kind and faults of every kind, for as long as one likes; then the question whether anything was
lost or doubled. `python -m tests.chaos.soak --minutes 20 --server both`, from the root of the project.

It ends with exit code 1 if any promise was broken. The ledger is kept beside the report then, to look into it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import redis
import redis.asyncio
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, TimeElapsedColumn

import nooble
from nooble.clients import BaseRedisClient
from tests.chaos.ledger import Ledger
from tests.chaos.soak_check import Findings, Left, check, numbers_in
from tests.chaos.soak_crew import SoakCrew
from tests.chaos.soak_faults import Faults
from tests.chaos.soak_report import Circumstances, markdown, svg
from tests.chaos.soak_traffic import CLIENT, MOST_WAITING, RUNS, Collector, Producer, Stalls
from tests.chaos.soak_worker import BALANCES, SERVICE, TRANSFERS, Job, effects_exist
from tests.support.keys import immortal_keys
from tests.support.platform import Platform
from tests.support.proxy import Proxy
from tests.support.servers import KINDS, Server
from tests.support.settings import make_settings
from tests.support.waiting import wait_until

CONCURRENCY = 4
DRAIN = 180.0
"""Seconds that everything gets to come to its end once there are no more faults."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be done.

    Attributes:
        server: kind of the server.
        seconds: how long there is traffic.
        seed: decides what befalls whom.
        rate: actions sent a second.
        workers: how many processes.
        pause: seconds from one fault to the next on average.
        lease: seconds.
        fenced: whether commits are fenced; not so in a control run.
    """

    server: str
    seconds: float
    seed: int
    rate: float = 150.0
    workers: int = 3
    pause: float = 1.0
    lease: float = 0.7
    fenced: bool = True


Show = Callable[[float, str], None]
"""Is told how many seconds have passed, and what there is to see."""


class Soak:
    """One soak on one server, all its parts put together.

    Args:
        plan: what is to be done.
        folder: where ledger and log are written.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.ledger = Ledger(folder / f"soak-{plan.server}.ledger")
        self._dice = random.Random(plan.seed)
        values: dict[str, Any] = {
            "worker_concurrency": CONCURRENCY,
            "worker_lease_seconds": plan.lease,
            "worker_max_deliveries": 200,
            "retry_attempts": RUNS,
            "response_ttl_seconds": 600.0,
        }
        self._job = Job("", self.ledger.path, values, plan.fenced)
        self._server = Server(plan.server, appendonly="yes", appendfsync="always")

    async def run(self, show: Show) -> tuple[Findings, Circumstances]:
        """Do it, and judge it."""
        stalls = Stalls()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.ledger.close)
            stack.callback(self._server.close)
            self._server.start()
            link = await stack.enter_async_context(Proxy(self._server.port))
            links = [await stack.enter_async_context(Proxy(self._server.port)) for _ in range(self.plan.workers)]
            settings = make_settings(CLIENT, redis_url=link.url, idempotency_window_seconds=60.0)
            raw = redis.asyncio.Redis.from_url(link.url)
            client = await stack.enter_async_context(BaseRedisClient(CLIENT, raw, settings))
            producer = Producer(client, self.ledger, self._dice, self.plan.lease, stalls)
            collector = Collector(self._server.url, producer, self.ledger)
            stack.push_async_callback(collector.redis.aclose)
            crew = stack.enter_context(SoakCrew(self._job, links))
            faults = Faults(self._server, crew, link, self.ledger, random.Random(self.plan.seed + 1), self.plan.lease)
            await stack.enter_async_context(going_on(stalls.watch()))
            return await self._run(crew, producer, collector, faults, stalls, show)

    async def _run(
        self, crew: SoakCrew, producer: Producer, collector: Collector, faults: Faults, stalls: Stalls, show: Show
    ) -> tuple[Findings, Circumstances]:
        await wait_until(lambda: self._said("worker_started") >= len(crew), "all workers are there", timeout=60)
        began_ms, began = int(time.time() * 1000), time.monotonic()
        memory_at = min(15.0, self.plan.seconds / 3)
        memory, data = 0, 0
        async with going_on(collector.run(), look_after(crew)):
            async with going_on(
                producer.run(self.plan.rate, lambda: collector.backlog > MOST_WAITING), faults.run(self.plan.pause)
            ) as tasks:
                while (passed := time.monotonic() - began) < self.plan.seconds:
                    if passed > memory_at and not (memory and data):
                        memory, data = memory or crew.memory_of_the_elder(), await self._data(collector)
                    state = f"{producer.sent:,} sent, {collector.notes:,} done, {collector.backlog:,} wait"
                    show(passed, f"{state}, {faults.count} faults")
                    await asyncio.wait(tasks, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
                    for task in tasks:
                        if task.done():
                            task.result()
            ended_ms, ended = int(time.time() * 1000), time.monotonic()
            show(ended - began, "no more faults; waiting until all is done")
            await faults.heal()
            await producer.finish()
            unfinished = await self._drained(collector)
            drained = time.monotonic() - ended
            await asyncio.sleep(2 * self.plan.lease)  # who was frozen says what it believes it still has to say
        memory_end, data_end = crew.memory_of_the_elder(), await self._data(collector)
        await asyncio.to_thread(crew.all_leave)  # their way to the server leads through this loop
        while await collector.gather():
            pass
        left = self._left(unfinished)
        findings = await asyncio.to_thread(check, self.ledger.path, left, began_ms, ended_ms)
        circumstances = Circumstances(
            server=self._version(),
            versions=f"Python {platform.python_version()}, redis-py {redis.__version__}, nooble {nooble.__version__}",
            seed=self.plan.seed,
            seconds=ended - began,
            rate=self.plan.rate,
            workers=self.plan.workers,
            concurrency=CONCURRENCY,
            lease=self.plan.lease,
            fenced=self.plan.fenced,
            keyed=producer.keyed,
            effects=left.balance is not None,
            memory=(memory / 1e6, memory_end / 1e6),
            server_memory=(data / 1e6, data_end / 1e6),
            paused=producer.paused,
            stalled=stalls.longest,
            tracebacks=self._tracebacks(),
            unasked=len(crew.unasked),
            drained=drained,
        )
        findings.odd.update({f"exit code {code}": count for code, count in Counter(crew.unasked).items()})
        return findings, circumstances

    async def _drained(self, collector: Collector) -> int:
        """Wait until nothing is left. Returns how much is, if it does not come to an end."""
        stream = Platform(collector.redis, SERVICE)

        async def is_done() -> bool:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                return await stream.is_done()
            return False

        with contextlib.suppress(AssertionError):
            await wait_until(is_done, "all is done", timeout=DRAIN)
        pending = await collector.redis.xpending(stream.stream, stream.group)
        waiting = await collector.redis.zcard(stream.retries)
        return max(await stream.backlog(), int(pending["pending"])) + int(waiting)

    def _left(self, unfinished: int) -> Left:
        client: Any = self._server.client
        dead: Counter[int] = Counter()
        after = "-"
        while entries := client.xrange(f"nooble4:test:{SERVICE}:dead_letters:main", after, count=500):
            dead.update(numbers_in(fields for _, fields in entries))
            after = f"({entries[-1][0]}"
        immortal = [name for name in immortal_keys(client) if name not in (BALANCES, TRANSFERS)]
        balance = sum(map(int, client.hvals(BALANCES))) if effects_exist() else None
        return Left(unfinished, dead, immortal, balance, int(client.get(TRANSFERS) or 0))

    async def _data(self, collector: Collector) -> int:
        """Bytes of the server's data; 0 if it is away just now."""
        with contextlib.suppress(redis.RedisError, OSError):
            return int((await collector.redis.info("memory"))["used_memory_dataset"])
        return 0

    def _said(self, word: str) -> int:
        """In how many lines of the workers' logs *word* is."""
        if not self._job.log.exists():
            return 0
        with self._job.log.open(errors="replace") as lines:
            return sum(word in line for line in lines)

    def _tracebacks(self) -> int:
        """How many the workers' logs hold, but for those of handlers that fail as they are to."""
        with self._job.log.open(errors="replace") as lines:
            return max(0, sum(("Traceback" in line) - line.startswith("RuntimeError: run ") for line in lines))

    def _version(self) -> str:
        facts = self._server.client.info("server")
        return f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {facts['redis_version']}"


@contextlib.asynccontextmanager
async def going_on(*doings: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Coroutines that go on beside what is done in the context, and are cancelled at its end."""
    tasks = [asyncio.create_task(doing) for doing in doings]
    try:
        yield tasks
    finally:
        left = set(tasks)
        while left:
            for task in left:
                task.cancel()  # again and again: what it awaits can swallow a cancellation
            _, left = await asyncio.wait(left, timeout=0.1)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ends:
        if isinstance(error, Exception):
            raise error


async def look_after(crew: SoakCrew) -> None:
    """Replace who has ended, until cancelled."""
    while True:
        crew.look_after()
        await asyncio.sleep(0.2)


def soak(plan: Plan, folder: Path, show: Show = lambda *_: None) -> tuple[Findings, Circumstances]:
    """Run *plan*, and write the report of it into *folder*: a page, a chart, and the ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ledger", "log"):
        (folder / f"soak-{plan.server}.{name}").unlink(missing_ok=True)
    findings, circumstances = asyncio.run(Soak(plan, folder).run(show))
    chart = f"soak-{plan.server}.svg"
    (folder / chart).write_text(svg(findings, circumstances))
    (folder / f"soak-{plan.server}.md").write_text(markdown(findings, circumstances, chart))
    return findings, circumstances


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="how long there is traffic (default: 20)")
    parser.add_argument("--server", choices=[*KINDS, "both"], default=KINDS[0], help="on which server")
    parser.add_argument("--seed", type=int, help="repeats the choices of another run; random if not given")
    parser.add_argument("--rate", type=float, default=150.0, help="actions sent a second (default: 150)")
    parser.add_argument("--workers", type=int, default=3, help="worker processes, 2 at least (default: 3)")
    parser.add_argument("--out", type=Path, help="folder for the report; without it the table is only printed")
    parser.add_argument("--without-fence", action="store_true", help="a control run, which has to find doubles")
    given = parser.parse_args(arguments)
    if given.workers < 2:
        parser.error("--workers must be 2 at least: somebody has to be awake while another is frozen")
    console, broken = Console(), False
    for kind in KINDS if given.server == "both" else (given.server,):
        seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
        seconds = given.minutes * 60
        plan = Plan(kind, seconds, seed, given.rate, given.workers, fenced=not given.without_fence)
        folder = given.out or Path(tempfile.mkdtemp(prefix="nooble-soak-"))
        with Progress(*Progress.get_default_columns()[:2], TimeElapsedColumn(), console=console) as progress:
            task = progress.add_task(kind, total=seconds)

            def show(
                passed: float, text: str, task: Any = task, kind: str = kind, progress: Progress = progress
            ) -> None:
                progress.update(task, completed=passed, description=f"{kind}: {text}")

            findings, circumstances = soak(plan, folder, show)
        console.print(Markdown(markdown(findings, circumstances, f"soak-{kind}.svg")))
        if findings.broken:
            broken = True
            console.print(
                f"broken: {findings.broken}; the first of each: {findings.first}; see {folder}", style="bold red"
            )
        elif given.out is None:
            shutil.rmtree(folder)
        else:
            (folder / f"soak-{kind}.ledger").unlink()
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
