"""Services at work in this process: connected, made, run side by side in one event loop, and brought to rest together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any, TypeVar

from nooble.cli.failures import Failure, described
from nooble.cli.interrupts import Interrupts
from nooble.cli.making import make_worker
from nooble.cli.planning import Plan
from nooble.clients import BaseRedisClient, RedisManager
from nooble.errors import ConfigurationFault, ServerFault
from nooble.events import Events, Teller
from nooble.logger import get_logger
from nooble.observability.health import Health, observed
from nooble.observability.logging import log_events
from nooble.observability.probes import Metrics
from nooble.workers import BaseWorker
from nooble.workers.outage import Patience

T = TypeVar("T")
Loop = Callable[[], asyncio.AbstractEventLoop]


def run_in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* in a new event loop, uvloop's if it is installed."""
    factory: Loop | None = None
    if find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


async def serve(
    plans: Sequence[Plan],
    interrupts: Interrupts,
    made: Callable[[Sequence[BaseWorker]], object] | None = None,
    observer: Callable[[Health], object] | None = None,
) -> None:
    """Run *plans* until the first interrupt, or until one of them fails. Either way all are brought to rest.

    Args:
        plans: what runs.
        interrupts: what ends it.
        made: is given the workers before they run.
        observer: is given what is known of their health, and sees to it that others learn of it; by default the probes that
            the settings ask for are opened here.

    Raises:
        Failure: a service could not be made, or a worker ended by an error that nobody expected, which has been logged.
        ServerRefused: the server refuses for a reason that a person must mend.
        ConfigurationFault: the port of the probes cannot be listened on.
    """
    async with AsyncExitStack() as resources:
        probes = probes_wanted(plans) if observer is None else {}
        patience = max(plan.settings.worker_lease_seconds for plan in plans)
        health = await resources.enter_async_context(observed(patience=patience, **probes))
        if observer is not None:
            observer(health)
        opening = [asyncio.create_task(_worker_of(plan, resources)) for plan in plans]
        try:
            workers = await _all_of(opening, interrupts.stopping)
        finally:
            await _end(opening)
        health.workers = workers
        if made is not None:
            made(workers)
        runs = [asyncio.create_task(_run(worker), name=worker.consumer_name) for worker in workers]
        try:
            await _all_of(runs, interrupts.stopping)
        finally:
            health.stop()
            if interrupts.why:
                grace = max(plan.settings.worker_grace_seconds for plan in plans)
                get_logger(plans[0].settings.log_level).info("stopping", why=interrupts.why, grace=grace)
            await asyncio.gather(*(worker.stop() for worker in workers), return_exceptions=True)
            await _end(runs, patience=1.0)
        for run in runs:
            if not run.cancelled():
                run.result()  # what went wrong at the very end


def probes_wanted(plans: Sequence[Plan]) -> dict[str, Any]:
    """Where probes listen that tell of all *plans*, and what gives the metrics; empty if none are wanted.

    Raises:
        Failure: the settings name several ports.
    """
    places = {
        (plan.settings.probe_port, plan.settings.probe_host) for plan in plans if plan.settings.probe_port is not None
    }
    if len(places) > 1:
        named = ", ".join(sorted(f"{host}:{port}" for port, host in places))
        raise Failure(f"the services want their probes at {named}, but share one process: name one by --probe-port")
    for port, host in places:
        metrics = exposition_wanted(any(plan.settings.metrics for plan in plans))
        return {"port": port, "host": host, "metrics": metrics}
    return {}


def exposition_wanted(metrics: bool) -> Metrics | None:
    """What /metrics gives, if *metrics* are counted."""
    if not metrics:
        return None
    from nooble.observability.prometheus import exposition

    return exposition


async def _all_of(tasks: Sequence[asyncio.Task[T]], stopping: asyncio.Event) -> list[T]:
    """The results of *tasks*; of none of them if *stopping* is set first. The first error among them is raised at once."""
    stop = asyncio.create_task(stopping.wait())
    left: set[asyncio.Task[Any]] = set(tasks)
    try:
        while left and not stop.done():
            done, _ = await asyncio.wait({stop, *left}, return_when=asyncio.FIRST_COMPLETED)
            left -= done
            for task in done:
                if not task.cancelled():
                    task.result()
        return [] if left else [task.result() for task in tasks if not task.cancelled()]
    finally:
        stop.cancel()


async def _end(tasks: Sequence[asyncio.Task[Any]], patience: float = 0.0) -> None:
    """Cancel what is still going on after *patience*, and wait for its end."""
    if tasks and patience:
        await asyncio.wait(tasks, timeout=patience)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run(worker: BaseWorker) -> None:
    """One worker, from start to end. An error that nobody expected is logged with its traceback."""
    try:
        await worker.run()
    except (ServerFault, ConfigurationFault):
        raise
    except Exception as error:
        log = get_logger(worker.app_settings.log_level, service=worker.service_name)
        log.exception("worker_failed", consumer=worker.consumer_name)
        raise Failure(f"the worker of {worker.service_name} failed: {described(error)}") from error


# ── making ──
async def _worker_of(plan: Plan, resources: AsyncExitStack) -> BaseWorker:
    """Connect, and make the service and its worker. Waits for a server that is away."""
    settings, part = plan.settings, plan.part
    manager = RedisManager(settings)
    resources.push_async_callback(manager.close)
    connection = await _patience(plan).persist(manager.get_redis_connection)
    client = BaseRedisClient(settings.service_name, connection, settings)
    resources.push_async_callback(client.close)
    return await make_worker(part, settings, connection, client)


def _patience(plan: Plan) -> Patience:
    """Tells of an outage once when it begins and once when it ends, as workers do."""
    events = Events()
    log_events(events, get_logger(plan.settings.log_level, service=plan.service_name))
    return Patience(Teller(events, plan.service_name, ""), _no_group)


async def _no_group() -> None:
    """There is no group to restore before there is a worker."""
