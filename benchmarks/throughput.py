"""CPU and throughput of one worker process, beside the floor, interleaved in one run.

    REDIS_URL=redis://127.0.0.1:6379 python -m benchmarks.throughput [--actions N] [--rounds N] [--erase]

The server must be empty, or `--erase` must say that it may be emptied."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from redis.asyncio import Redis

from benchmarks import floor
from nooble.config import CommonAppSettings
from nooble.models import DomainAction
from nooble.workers import ServiceWorker

STREAM = "nooble4:bench:pedidos:streams:main"
QUEUE = "nooble4:bench:banco:responses:inbox:"


class Service:
    """The standard's way: `process_action` by hand."""

    async def process_action(self, action: DomainAction) -> Any:
        """Validate and handle."""
        if action.action_type == "pedidos.pedido.crear":
            return await floor.handle(floor.Order.model_validate(action.data))
        raise NotImplementedError(action.action_type)


class SuspendingService(Service):
    """The same, with a handler that gives way once, as one that awaits a database does."""

    async def process_action(self, action: DomainAction) -> Any:
        """Give way, then handle."""
        await asyncio.sleep(0)
        return await super().process_action(action)


async def nooble(redis: Redis, count: int, queue: str | None, concurrency: int, service: Any) -> tuple[float, float]:
    """Handle *count* actions with a worker. Returns process CPU and wall time in seconds."""
    settings = CommonAppSettings(
        service_name="pedidos", environment="bench", worker_concurrency=concurrency, log_level="WARNING"
    )
    await floor.fill(redis, STREAM, count, queue)
    worker = ServiceWorker(settings, redis, service())
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await worker.start()
    while await redis.xlen(STREAM):
        await asyncio.sleep(0.005)
    figures = time.process_time() - cpu, time.perf_counter() - wall
    await worker.stop()
    if queue:
        await _check_answers(redis, count)
    return figures


async def _check_answers(redis: Redis, count: int) -> None:
    answers = [raw for number in range(4) for raw in await redis.lrange(f"{QUEUE}{number}", 0, -1)]
    done = sum(msgspec.json.decode(raw)["success"] for raw in answers)
    if done != count:
        raise SystemExit(f"{done} of {count} answers say success: this is no measurement")


Variant = Callable[[Redis, int, str | None], Awaitable[tuple[float, float]]]
VARIANTS: dict[str, Variant] = {
    "floor": floor.run,
    "nooble, concurrency 1": lambda *a: nooble(*a, 1, Service),
    "nooble, concurrency 10": lambda *a: nooble(*a, 10, Service),
    "nooble, concurrency 10, suspends": lambda *a: nooble(*a, 10, SuspendingService),
}


async def once(name: str, count: int, answered: bool) -> tuple[float, float]:
    """One measurement on an emptied server."""
    redis = Redis.from_url(os.environ["REDIS_URL"])
    await redis.flushall()
    try:
        return await VARIANTS[name](redis, count, QUEUE if answered else None)
    finally:
        await redis.flushall()
        await redis.aclose()


def _run(work: Any) -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


async def _keys() -> int:
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        return int(await redis.dbsize())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--erase", action="store_true", help="the server may be emptied")
    options = parser.parse_args()
    if not options.erase and _run(_keys()):
        raise SystemExit("the server holds keys; name an empty one, or say --erase")
    names = list(VARIANTS)
    for answered in (True, False):
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(options.rounds):  # turned each round, so that a slow spell of the machine hits all alike
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                figures[name].append(_run(once(name, options.actions, answered)))
        _print(figures, options.actions, "answered" if answered else "fire-and-forget")


def _print(figures: dict[str, list[tuple[float, float]]], count: int, title: str) -> None:
    base = statistics.median(cpu for cpu, _ in figures["floor"])
    print(f"\n{title}: {count} actions, {len(figures['floor'])} rounds, medians")
    print(f"{'':34}{'CPU µs':>8}{'min–max':>14}{'actions/s':>11}{'CPU ÷ floor':>13}")
    for name, runs in figures.items():
        cpus = sorted(cpu / count * 1e6 for cpu, _ in runs)
        cpu, wall = statistics.median(cpus), statistics.median(wall for _, wall in runs)
        spread = f"{cpus[0]:.1f}–{cpus[-1]:.1f}"
        print(f"{name:34}{cpu:8.1f}{spread:>14}{count / wall:11.0f}{cpu * count / 1e6 / base:13.2f}", flush=True)


if __name__ == "__main__":
    main()
