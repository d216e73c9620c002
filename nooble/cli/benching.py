"""Measures a service: a worker in a process of its own, a client here, and between them the person's own server, in an
environment that nothing else uses and of which nothing is left."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nooble.cli.benching_figures import Failures, Round, figures_of, stages_of
from nooble.cli.benching_process import at_work, count, refuse_dead
from nooble.cli.benching_worker import SENT, BenchWork, sweep
from nooble.cli.call import Errand
from nooble.cli.failures import Failure
from nooble.cli.settings import OWN_NAME
from nooble.cli.worker_process import Worker
from nooble.clients import BaseRedisClient, RedisManager
from nooble.config import CommonAppSettings
from nooble.config.common_app_settings import masked_url
from nooble.errors import CallTimeout, code_of
from nooble.models import DomainAction
from nooble.wire.faults import FOREIGN_ERRORS, fault

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CHUNK = 100
"""Most actions of one write, where nobody waits for answers."""
_POLL = 0.001
"""Seconds between two looks at the stream."""
_LOOK = 0.1
"""Seconds between two looks at the worker, and at whether to stop."""
_WARM_UP = 0.1
"""Part of a round that comes before the first, to warm up."""
_LIFETIME = 3600
"""Seconds after which the server itself drops what is left, should this process and its worker be killed together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is to be measured.

    Attributes:
        errand: the action, and the service that does it.
        target: the code.
        rounds: how many rounds.
        actions: actions in all; `None` to go by the time.
        seconds: seconds in all.
        calls: whether answers are awaited.
        in_flight: how many calls are in flight at a time, or how many actions wait in the stream at most.
        timeout: seconds to wait for an answer.
        options: settings that were given on the command line.
        traceback: whether to tell where in the code a failure happened.
    """

    errand: Errand
    target: str
    rounds: int
    actions: int | None
    seconds: float
    calls: bool
    in_flight: int
    timeout: float
    options: dict[str, Any] = field(default_factory=dict)
    traceback: bool = False


async def measure(bench: Bench, stopping: asyncio.Event, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure. Returns the figures.

    Args:
        bench: what.
        stopping: set when it is to be given up.
        tell: is told of every step.

    Raises:
        Failure: the service cannot run, or *stopping* was set.
        ServerUnavailable, ServerRefused: the server does not do it.
    """
    environment = f"bench-{secrets.token_hex(4)}"
    settings = bench.errand.settings.model_copy(update={"environment": environment})
    failures = Failures()
    work = BenchWork(
        targets=[bench.target],
        options={"retry_attempts": 1, **bench.options, "environment": environment, "log_level": "CRITICAL"},
        url=settings.redis_url,
        keys=f"{settings.queue_prefix}:{environment}:*",
        traceback=bench.traceback,
    )
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(RedisManager(settings))
        redis = await manager.get_redis_connection()
        stack.push_async_callback(sweep, redis, work.keys)
        client = await stack.enter_async_context(BaseRedisClient(OWN_NAME, redis, settings))
        load = Load(bench, client, redis, settings, failures, stopping)
        async with at_work(work) as worker:
            tell("warming up")
            await load.run(worker, *_part(bench, 0, _WARM_UP))
            rounds: list[Round] = []
            for number in range(1, bench.rounds + 1):
                tell(
                    f"round {number} of {bench.rounds}" + (f", {rounds[-1].throughput:,.0f}/s before" if rounds else "")
                )
                rounds.append(await load.run(worker, *_part(bench, number)))
            load.note_failures(worker)
        async with at_work(replace(work, is_watched=True)) as watched:
            tell("where the time goes")
            load.is_watched = True
            seen = await load.run(watched, *_part(bench, 1))
            load.note_failures(watched)
            stages = stages_of(watched.last["stages"], seen.latencies)
    return {
        "action_type": bench.errand.action.action_type,
        "service": bench.errand.service,
        "server": masked_url(settings.redis_url),
        "environment": environment,
        "mode": "calls" if bench.calls else "sends",
        "in_flight": bench.in_flight,
        "concurrency": bench.options.get("worker_concurrency", settings.worker_concurrency),
        **figures_of(rounds),
        "stages_ms": stages,
        "handled": load.handled,
        "failures": failures.rows(),
    }


class Load:
    """Keeps a worker busy, and measures.

    Args:
        bench: what is measured.
        client: sends.
        redis: asks the server.
        settings: name the keys.
        failures: what goes wrong is noted here.
        stopping: set when it is to be given up.

    Attributes:
        is_watched: whether actions say when they were sent.
        handled: how many actions there were in all rounds.
    """

    def __init__(
        self,
        bench: Bench,
        client: BaseRedisClient,
        redis: Redis,
        settings: CommonAppSettings,
        failures: Failures,
        stopping: asyncio.Event,
    ) -> None:
        self._bench = bench
        self._client = client
        self._redis = redis
        self._failures = failures
        self._stopping = stopping
        self.is_watched = False
        self.handled = 0
        keys, service = client.queue_manager, bench.errand.service or settings.service_name
        self._stream, self._retries = keys.get_service_action_stream(service), keys.get_retry_set(service)
        self._keys = (self._stream, self._retries, keys.get_dead_letter_stream(service))
        given = bench.errand.action
        self._fields = given.model_dump(include=given.model_fields_set - _OF_EACH, exclude_none=True)

    async def run(self, worker: Worker, actions: int | None, seconds: float) -> Round:
        """One round, of *actions* or of *seconds*."""
        before, server_before, began, own = (
            await count(worker),
            await self._server_cpu(),
            time.monotonic(),
            time.process_time(),
        )
        end = None if actions is not None else began + seconds
        made = Round()
        await (self._calls if self._bench.calls else self._sends)(worker, made, actions, end)
        made.seconds = time.monotonic() - began
        self.handled += made.actions
        made.client_cpu = time.process_time() - own
        made.worker_cpu = await count(worker) - before
        after = await self._server_cpu()
        made.server_cpu = None if after is None or server_before is None else after - server_before
        for key in self._keys:
            await _asked(self._redis.expire(key, _LIFETIME))
        return made

    def note_failures(self, worker: Worker) -> None:
        """Take over what *worker* has seen go wrong, where no answers tell."""
        if not self._bench.calls:
            for one in worker.last["failures"]:
                self._failures.add(one["code"], one["message"], one["count"])

    # ── calls ──
    async def _calls(self, worker: Worker, made: Round, actions: int | None, end: float | None) -> None:
        bench, left = self._bench, iter(range(actions)) if actions is not None else None
        action_type, data, service = bench.errand.action.action_type, bench.errand.action.data, bench.errand.service

        async def caller() -> None:
            while (end is None or time.monotonic() < end) and (left is None or next(left, None) is not None):
                began = time.monotonic()
                fields = {**self._fields, "metadata": {SENT: began}} if self.is_watched else self._fields
                try:
                    answer = await self._client.call(
                        action_type, data, timeout=bench.timeout, service=service, **fields
                    )
                except CallTimeout as error:
                    self._failures.add(code_of(error), str(error))
                else:
                    made.latencies.append(time.monotonic() - began)
                    if answer.error is not None:
                        self._failures.add(answer.error.error_code or answer.error.error_type, answer.error.message)
                made.actions += 1

        callers = {asyncio.create_task(caller()) for _ in range(bench.in_flight)}
        try:
            left_over = callers
            while left_over:
                self._refuse_end(worker)
                done, left_over = await asyncio.wait(left_over, timeout=_LOOK, return_when=asyncio.FIRST_EXCEPTION)
                for one in done:
                    one.result()
        finally:
            for one in callers:
                one.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    # ── sends ──
    async def _sends(self, worker: Worker, made: Round, actions: int | None, end: float | None) -> None:
        service = self._bench.errand.service
        while (end is None or time.monotonic() < end) and (actions is None or made.actions < actions):
            self._refuse_end(worker)
            room = min(_CHUNK, self._bench.in_flight - await self._waiting())
            count = room if actions is None else min(room, actions - made.actions)
            if count <= 0:
                await asyncio.sleep(_POLL)
                continue
            await self._client.send_many([self._action() for _ in range(count)], service=service)
            made.actions += count
        while await self._waiting():
            self._refuse_end(worker)
            await asyncio.sleep(_POLL)

    async def _waiting(self) -> int:
        """How many actions have not ended."""
        waiting: int = await _asked(self._redis.xlen(self._stream)) + await _asked(self._redis.zcard(self._retries))
        return waiting

    def _action(self) -> Any:
        given = self._bench.errand.action
        if not self.is_watched and not self._fields:
            return given.action_type, given.data
        fields = {**self._fields, "metadata": {SENT: time.monotonic()}} if self.is_watched else self._fields
        return DomainAction(action_type=given.action_type, data=given.data, **fields)

    # ── both ──
    def _refuse_end(self, worker: Worker) -> None:
        """See to it that there is sense in going on.

        Raises:
            Failure: there is none any more.
        """
        if self._stopping.is_set():
            raise Failure("interrupted before it was done; nothing is left of it on the server")
        refuse_dead(worker)

    async def _server_cpu(self) -> float | None:
        """Seconds that the server has computed; `None` if it does not say."""
        try:
            info = await self._redis.info("cpu")
        except FOREIGN_ERRORS:
            return None
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


# ── the server ──
async def _asked(question: Awaitable[Any]) -> Any:
    try:
        return await question
    except FOREIGN_ERRORS as error:
        raise fault(error) from error


# ── helpers ──
_OF_EACH = frozenset({"action_id", "action_type", "timestamp", "data", "metadata"})
"""What every action has of its own, or is given with its type."""


def _part(bench: Bench, number: int, share: float = 1.0) -> tuple[int | None, float]:
    """Actions, or seconds, of round *number*, or of a *share* of it. All rounds together have what was asked for."""
    seconds = bench.seconds / bench.rounds * share
    if bench.actions is None:
        return None, seconds
    actions = bench.actions // bench.rounds + (number <= bench.actions % bench.rounds)
    return max(1, round(actions * share)), seconds
