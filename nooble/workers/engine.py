"""One run of a worker: reader, executors and settler side by side, joined by what is in flight; how they begin, and how
they come to rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Literal

from nooble.config import CommonAppSettings
from nooble.errors import ServerFault
from nooble.events import DataLost, Teller
from nooble.models.context import ActionContext
from nooble.models.outcomes import Released
from nooble.operations.reading import Worker
from nooble.routing import Route
from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import ActionStream
from nooble.wire.registry import Registry
from nooble.workers.batches import BatchReports
from nooble.workers.beat import Beat
from nooble.workers.card import card_of
from nooble.workers.clock import ServerClock
from nooble.workers.consumer import Consumer
from nooble.workers.execution import Execution
from nooble.workers.executor import Executors
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.lease import Lease
from nooble.workers.outage import Patience
from nooble.workers.pace import Pace
from nooble.workers.settlement import Settlement
from nooble.workers.upkeep import Upkeep

State = Literal["starting", "working", "quiet", "waiting", "stopping", "stopped"]
"""How a worker is: `quiet` takes nothing new, `waiting` waits for the server."""

_LAST_WORDS = 2.0
"""Seconds beyond the grace in which the last outcomes are written and what is left is handed back."""
_LOOK = 0.1
"""Seconds between two looks at whether a worker that was asked to be quiet still is to be."""


class Engine:
    """The loops of one run.

    Args:
        stream: the service's stream, through the eyes of this run's consumer.
        execution: what is done with a delivery.
        clock: the server's time.
        teller: tells what happens.
        settings: concurrency, lease, grace and bounds.
        registry: the worker's place among the workers.
        routes: gives what the service has declared.
        obey: is given what somebody wants of the worker.
        is_quiet: whether it takes nothing from the beginning.
    """

    def __init__(
        self,
        *,
        stream: ActionStream,
        execution: Execution,
        clock: ServerClock,
        teller: Teller,
        settings: CommonAppSettings,
        registry: Registry,
        routes: Callable[[], Iterable[Route]],
        obey: Callable[[str], None],
        is_quiet: bool = False,
    ) -> None:
        self.stream = stream
        self.flight = flight = InFlight(trial=settings.worker_lease_seconds / 2)
        self.patience = patience = Patience(teller, self._restore_group, clock)
        self._teller = teller
        self._grace = settings.worker_grace_seconds
        self._concurrency = settings.worker_concurrency
        self._resume_at = b"0"
        self._grace_ends = 0.0
        pace = Pace(settings.worker_concurrency, settings.worker_read_ahead)
        shared: dict[str, Any] = {"stream": stream, "flight": flight, "patience": patience}
        self._consumer = Consumer(
            **shared,
            pace=pace,
            teller=teller,
            concurrency=settings.worker_concurrency,
            block_ms=settings.worker_block_ms,
            lease=settings.worker_lease_seconds,
        )
        self._consumer.is_quiet = is_quiet
        self._executors = Executors(flight=flight, execution=execution, pace=pace, teller=teller)
        self._settlement = Settlement(
            **shared, execution=execution, reports=BatchReports(teller), max_payload_bytes=settings.max_payload_bytes
        )
        self._lease = Lease(**shared, clock=clock, teller=teller, seconds=settings.worker_lease_seconds)
        self._upkeep = Upkeep(
            **shared,
            clock=clock,
            teller=teller,
            max_dead_letters=settings.dead_letter_max_length,
            dead_letter_ttl=settings.dead_letter_ttl_seconds,
        )
        self._card = partial(
            card_of,
            service=settings.service_name,
            consumer=stream.consumer,
            version=settings.service_version,
            started=time.monotonic(),
            concurrency=settings.worker_concurrency,
            lease_seconds=settings.worker_lease_seconds,
            flight=flight,
            clock=clock,
        )
        self._beat_seconds = settings.worker_beat_seconds
        self._beat = Beat(
            registry=registry,
            patience=patience,
            teller=teller,
            seconds=settings.worker_beat_seconds,
            card=self._describe,
            routes=routes,
            obey=obey,
        )
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._phase: State = "starting"

    @property
    def state(self) -> State:
        """How it is now."""
        if self._phase == "stopping":
            return "stopping"
        if self.patience.down:
            return "waiting"
        if self._phase == "working" and self._consumer.is_quiet:
            return "quiet"
        return self._phase

    async def quiet(self) -> None:
        """Take nothing new from now on. Returns when what had not started is handed back, or the server is away."""
        await self._consumer.be_quiet()
        self._beat.soon()
        while self.state == "quiet" and not self._consumer.is_at_rest:
            await self._consumer.rested.wait(_LOOK)

    def resume(self) -> None:
        """Take up work again."""
        self._consumer.resume()
        self._beat.soon()

    async def run(self) -> None:
        """Work until cancelled; then come to rest: nothing that was taken is lost. Cancelling again ends the grace.

        Raises:
            ServerRefused: the server refuses what a person must mend.
        """
        await self._lease.renew()  # sets the clock before the first deadline is looked at
        self._executors.owner = asyncio.current_task()
        self._start("reader", self._consumer.run())
        self._start("sharer", self._consumer.share())
        self._start("settler", self._settlement.run())
        self._start("lease", self._lease.run())
        self._start("upkeep", self._upkeep.run())
        self._start("watch", self._executors.watch())
        for slot in range(self._concurrency):
            self._start(f"executor-{slot}", self._executors.run(slot))
        if self._beat_seconds:
            self._start("beat", self._beat.run())
        self._phase = "working"
        try:
            await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            try:
                await self._come_to_rest()
            finally:
                self._raise_failure()

    def executes(self, context: ActionContext | None) -> bool:
        """Whether *context* is that of a handler that runs here now."""
        return context is not None and any(run.context is context for run in self.flight.running.values())

    def remember(self, last_delivered: bytes) -> None:
        """The stream has a history that must not run again: a group that has to be made anew begins here."""
        self._resume_at = last_delivered

    # ── coming to rest ──
    async def _come_to_rest(self) -> None:
        """In a task of its own, so that another cancellation cannot leave things half done."""
        self._phase = "stopping"
        self._beat.soon()
        self._grace_ends = time.monotonic() + self._grace
        rest = asyncio.create_task(self._rest(), name="nooble-rest")
        cancelled: asyncio.CancelledError | None = None
        while not rest.done():
            try:
                await asyncio.wait({rest})
            except asyncio.CancelledError as error:
                cancelled = error
                self._grace_ends = time.monotonic()
                self.flight.space.ring()
        rest.result()
        if cancelled is not None:
            raise cancelled

    async def _rest(self) -> None:
        """Stop reading, hand back what has not started, let handlers finish within the grace, write what there is to
        say."""
        try:
            await _end([self._tasks["reader"], self._tasks["sharer"]])
            await self.stream.reader.close()
            await self._hand_back_unseen()
            self._release(self.flight.take_unstarted())
            await self._handlers_end()
            for run in list(self.flight.running.values()):
                run.cancel("stop")
            self._grace_ends = max(self._grace_ends, time.monotonic() + _LAST_WORDS)
            await self._handlers_end()
        finally:
            await _end(self._tasks.values())
            await self._say_last_words()
            await self.stream.close()

    async def _handlers_end(self) -> None:
        while self.flight.running and (left := self._grace_ends - time.monotonic()) > 0:
            await self.flight.space.wait(left)

    async def _hand_back_unseen(self) -> None:
        """The read that was cut off may have been given entries."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                self._release(await self.stream.unseen(delivery.entry_id for delivery in self.flight))
        except (ServerFault, TimeoutError):
            return  # they stay pending and are taken over a lease later

    def _release(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self.flight.finish(Run(delivery), Released())

    async def _say_last_words(self) -> None:
        """Write what has an outcome, and leave the group."""
        try:
            async with asyncio.timeout(max(self._grace_ends - time.monotonic(), _LAST_WORDS)):
                await self._settlement.finish()
                if not await self.stream.leave():
                    await self._hand_back_unseen()  # given to us in the very moment in which we stopped reading
                    await self._settlement.finish()
                    await self.stream.leave()
                if self._beat_seconds:
                    await self._beat.leave()
        except (ServerFault, TimeoutError):
            return  # what is not written stays pending; its fence is still ours until somebody takes it over

    # ── helpers ──
    def _raise_failure(self) -> None:
        """If a loop has failed, its error is the worker's."""
        ended = [task for task in self._tasks.values() if task.done() and not task.cancelled()]
        errors = [error for task in ended if (error := task.exception()) is not None]
        for error in errors:
            if not isinstance(error, KeyboardInterrupt):  # which the event loop has raised itself
                raise error

    def _describe(self, digest: str) -> Worker:
        return self._card(state=self.state, digest=digest)

    def _start(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(loop, name=f"nooble-{name}")

    async def _restore_group(self) -> None:
        if await self.stream.ensure_group(self._resume_at):
            self._teller.tell(DataLost, message=f"the group {self.stream.group} had vanished; it was made anew")

    def __repr__(self) -> str:
        return f"<Engine {self.stream!r} {self.flight!r}{' waiting for the server' if self.patience.down else ''}>"


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* until they have ended, or two seconds: a cancellation can be swallowed by what a task awaits."""
    left = {task for task in tasks if not task.done()}
    for _ in range(20):
        if not left:
            return
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)
