"""Who is at work in a harness: the workers of its services and of those that stand in for others, the clients, the server;
how all of them begin, and how they end without a trace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from nooble.config import CommonAppSettings
from nooble.errors import ServerUnavailable
from nooble.testing.building import refuse_unknown_settings, server_opened, service_made, settings_for
from nooble.testing.clients import HarnessClient
from nooble.testing.clock import Clock, keys_below
from nooble.testing.looking import WaitingRetry, at_work, letters, look, only_running, told
from nooble.testing.mistakes import HarnessMistake
from nooble.testing.stubs import Outside, OutsideWorker
from nooble.testing.traffic import Traffic
from nooble.wire.connection import Endpoint, Link
from nooble.wire.dead_letters import DeadLetter
from nooble.workers.base_worker import BaseWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "nooble4"
_PATIENCE = 5.0
"""Seconds that workers get to start, and stubs to take what was sent to them."""
_CHUNK = 500
_QUIET = 1
_OUTSIDE: Mapping[str, Any] = {"retry_attempts": 1, "worker_concurrency": 10}


class Member:
    """A service of the harness and its worker.

    Attributes:
        service: the service.
        settings: its settings in the harness.
        worker: its worker.
        running: the worker's life.
    """

    worker: BaseWorker
    running: asyncio.Task[None]

    def __init__(self, service: Any, settings: CommonAppSettings) -> None:
        self.service = service
        self.settings = settings

    def start(self, worker: BaseWorker) -> None:
        """Let *worker* work for the service from now on."""
        self.worker = worker
        self.running = asyncio.create_task(worker.run(), name=f"nooble-{worker.service_name}")


class Crew:
    """All who are at work.

    Args:
        services: services, or what makes them.
        make_worker: makes a worker of settings, connection and service.
        overrides: settings that win.
        environment: part of the names of all keys, used by nobody else.

    Attributes:
        inside: the services of the harness, by name.
        outside: those that are not in it.
        traffic: what happened.
        place: how the names of all keys begin.
    """

    redis: Redis
    link: Link
    client: HarnessClient
    clock: Clock

    def __init__(
        self, services: Sequence[Any], make_worker: Callable[..., Any], overrides: Mapping[str, Any], environment: str
    ) -> None:
        if not services:
            raise HarnessMistake("ServiceHarness() has no service: give it services, or classes of services")
        for name in ("environment", "redis_url"):
            if name in overrides:
                raise HarnessMistake(f"{name} is the harness's own to choose; a server is named as server=…")
        if "service_name" in overrides and len(services) > 1:
            raise HarnessMistake("service_name names one service; give several of them with settings of their own")
        refuse_unknown_settings(services, overrides)
        self._services = services
        self._make_worker = make_worker
        self._overrides = {"queue_prefix": _PREFIX, **overrides, "environment": environment}
        self.place = f"{self._overrides['queue_prefix']}:{environment}"
        self.inside: dict[str, Member] = {}
        self.outside = Outside(self.inside, self._admit)
        self.traffic = Traffic()
        self._stand_ins: dict[str, Member] = {}
        self._clients: list[HarnessClient] = []

    @property
    def workers(self) -> list[BaseWorker]:
        """The workers of the services."""
        return [member.worker for member in self.inside.values()]

    @property
    def everybody(self) -> list[BaseWorker]:
        """They, and those that stand in for others."""
        return self.workers + [member.worker for member in self._stand_ins.values()]

    # ── beginning ──
    async def open(self, server: Any, caller: str, stack: AsyncExitStack) -> None:
        """Connect, make the services, and let them begin. What is to be closed is pushed onto *stack*.

        Raises:
            HarnessMistake: something cannot work.
            Exception: what a service raises when it is made or starts.
        """
        self.redis, url, is_ours = await server_opened(server, self._overrides)
        if is_ours:
            stack.push_async_callback(self.redis.aclose)
        self._overrides["redis_url"] = url
        self.link = Link(Endpoint(self.redis))
        stack.push_async_callback(self.link.close)
        stack.push_async_callback(self._sweep)
        stack.push_async_callback(self._close_clients)
        stack.push_async_callback(self._stop)
        self.clock = Clock(self.link, self.place, lambda: self.workers)
        for service in self._services:
            self._make(service)
        self.client = self._client(settings_for(None, {**self._overrides, "service_name": caller}))
        for member in self.inside.values():
            self._hire(member)
        await self._all_at_work()

    def _make(self, service: Any) -> None:
        settings = settings_for(service, self._overrides)
        name = settings.service_name
        if name in self.inside:
            raise HarnessMistake(f"two services are called {name!r} and would take each other's actions")
        gifts = {
            "app_settings": settings,
            "service_redis_client": self._client(settings),
            "direct_redis_conn": self.redis,
        }
        self.inside[name] = Member(service_made(service, gifts), settings)

    def _client(self, settings: CommonAppSettings) -> HarnessClient:
        client = HarnessClient(settings.service_name, self.redis, settings, self.outside)
        self._clients.append(client)
        return client

    def _hire(self, member: Member) -> None:
        worker = self._make_worker(member.settings, self.redis, member.service)
        if not isinstance(worker, BaseWorker):
            raise HarnessMistake(f"worker={self._make_worker!r} made {worker!r}, which is no BaseWorker")
        self._equip(worker, member.settings, inside=True)
        member.start(worker)

    def _equip(self, worker: BaseWorker, settings: CommonAppSettings, *, inside: bool) -> None:
        worker._clock = self.clock.of_worker()
        worker.redis_client = HarnessClient(settings.service_name, self.redis, settings, self.outside)
        self.traffic.watch(worker, inside=inside)

    def _admit(self, service: str) -> None:
        settings = settings_for(None, {**self._overrides, **_OUTSIDE, "service_name": service})
        worker = OutsideWorker(settings, self.redis)
        worker.outside = self.outside
        self._equip(worker, settings, inside=False)
        member = self._stand_ins[service] = Member(None, settings)
        member.start(worker)

    async def _all_at_work(self) -> None:
        until = time.monotonic() + _PATIENCE
        while not all(worker._engine is not None and worker._engine._tasks for worker in self.workers):
            self.check()
            if time.monotonic() > until:
                late = [worker.service_name for worker in self.workers if not worker.initialized]
                raise HarnessMistake(
                    f"not started within {_PATIENCE:g} s: {', '.join(late)}; what does startup wait for?"
                )
            await asyncio.sleep(0)

    def check(self) -> None:
        """See that all workers live.

        Raises:
            BaseException: what one of them has ended with.
        """
        for member in (*self.inside.values(), *self._stand_ins.values()):
            if member.running.done():
                member.running.result()

    # ── ending ──
    async def _stop(self) -> None:
        members = (*self.inside.values(), *self._stand_ins.values())
        self.outside.close()
        for member in members:
            if hasattr(member, "worker"):
                await _end(member)

    async def _close_clients(self) -> None:
        for client in self._clients:
            await client.close()

    async def _sweep(self) -> None:
        """Delete every key of this harness."""
        try:
            keys = await keys_below(self.link, self.place)
            for first in range(0, len(keys), _CHUNK):
                await self.link.execute(b"DEL", *keys[first : first + _CHUNK])
        except ServerUnavailable:
            return  # a server that the test has stopped

    async def crash(self, name: str) -> None:
        """End the worker of a service as if its process had died, and let a new one begin."""
        member = self.inside[name]
        engine = member.worker._engine
        assert engine is not None

        async def perish() -> None:
            for task in engine._tasks.values():
                task.cancel()
            await asyncio.wait(engine._tasks.values())

        engine._rest = perish  # type: ignore[method-assign]
        await _end(member)
        self._hire(member)
        await self._all_at_work()

    # ── looking ──
    async def look(self) -> tuple[list[DeadLetter], list[WaitingRetry]]:
        """Dead letters and waiting retries of the services."""
        return await letters(self.link, self.workers), (await look(self.link, self.workers)).retries

    async def is_idle(self, skip_retries: bool) -> bool:
        """Whether nothing is ready, running or due, or waits for a later time, if that is to be skipped."""
        self.check()
        if at_work(self.everybody):
            return False
        sight = await look(self.link, self.everybody)
        if not sight.is_resting or at_work(self.everybody):
            return False
        if skip_retries and sight.retries:
            await self.clock.advance(sight.retries[0].due_in)
            return False
        return True

    async def nudge(self, quiet: int) -> int:
        """Find out whether somebody waits for an answer that a retry will give, and nothing else goes on than handlers that
        may wait for the same. When it was so twice, move time on to that retry. Returns how often it was so, of late."""
        self.check()
        if not only_running(self.everybody):
            return 0
        sight = await look(self.link, self.everybody)
        awaited = [retry.due_in for retry in sight.retries if retry.is_awaited]
        if not awaited or sum(sight.waiting.values()) > at_work(self.everybody):
            return 0
        if quiet < _QUIET:
            return quiet + 1
        await self.clock.advance(max(0.0, min(awaited)))
        return 0

    async def told(self) -> str:
        """What is going on, for people."""
        sight = await look(self.link, self.everybody)
        waiting = [f"{count} in the stream of {name}" for name, count in sight.waiting.items() if count]
        return "; ".join(filter(None, [told(self.everybody), *waiting])) or "something has just begun"

    # ── others ──
    async def meet_strangers(self) -> None:
        """See that what was sent by clients of other makes, too, is taken."""
        ending = b":streams:main"
        for key in await keys_below(self.link, self.place):
            if key.endswith(ending):
                self.outside.expect(key.removesuffix(ending).decode().rpartition(":")[2])

    async def outside_settled(self) -> None:
        """Wait until what was sent to others is taken."""
        until = time.monotonic() + _PATIENCE
        while self._stand_ins and time.monotonic() < until:
            workers = [member.worker for member in self._stand_ins.values()]
            if not any((await look(self.link, workers)).waiting.values()):
                return
            self.check()
            await asyncio.sleep(0)

    def require_outside(self, action_type: str, verb: str) -> None:
        """Make sure that an action is one of a service that is not in the harness.

        Raises:
            HarnessMistake: it is not.
        """
        target = self.client.queue_manager.target_service(action_type)
        by_name = any(one.action_type == action_type for one in self.outside.actions)  # sent with service=…
        if target in self.inside and not by_name:
            raise HarnessMistake(
                f"{verb}({action_type!r}): its service {target!r} is at work in this harness, and {verb} is for those that "
                "are not; leave the service out of it, or look at what the service did"
            )


async def _end(member: Member) -> None:
    """Bring a worker to rest, and wait until nothing of it is left."""
    await member.worker.stop()
    looking = getattr(member.worker, "_looking", None)
    left = {member.running} | ({looking} if looking is not None else set())
    await asyncio.wait(left, timeout=_PATIENCE)
    for task in left:
        if task.done() and not task.cancelled():
            task.exception()  # it was raised where the harness looked at it, or the test is over
