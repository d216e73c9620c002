"""The worker of the standard: infrastructure, and the one method that a service's worker has to write (standard §2)."""

from __future__ import annotations

import asyncio
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, get_args

from nooble.clients.base_redis_client import BaseRedisClient, queue_manager_of
from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerFault
from nooble.events import Events, Teller
from nooble.logger import get_logger
from nooble.models.actions import DomainAction
from nooble.models.context import ActionContext, find_context, shown
from nooble.models.envelope import Message
from nooble.observability.logging import log_events
from nooble.operations.server import read_facts, risks_of
from nooble.routing.middleware import Call, Middleware, chain
from nooble.wire.connection import Endpoint
from nooble.wire.redis_stream import ActionStream, Standing
from nooble.wire.registry import Registry, Wish
from nooble.workers.clock import ServerClock
from nooble.workers.engine import Engine, State
from nooble.workers.execution import Execution
from nooble.workers.life import Life
from nooble.workers.terms import NearestTerms
from nooble.workers.watching import watched

if TYPE_CHECKING:
    from redis.asyncio import Redis


class BaseWorker(ABC):
    """Takes actions from the stream of a service, hands them to the service, and sees to their end.

    Args:
        app_settings: settings of the service.
        async_redis_conn: a connection to the server. Its parameters are used, itself it is left alone: the worker has
            connections of its own, which no other code can disturb.
        service_instance: the service that does the work. Text in its place is taken as the suffix, as some of the
            platform's workers pass it.
        consumer_id_suffix: text in the name of the consumer, to tell workers apart; by default host and process.

    Attributes:
        app_settings, service_name, service: as given.
        queue_manager: names of keys.
        redis_client: for calling other services.
        action_stream_name, consumer_group_name: where it reads.
        consumer_name: its own name; new at every start, so that an old run can never commit as a new one.
        events: subscribe here to learn what happens.
        middleware: runs around every action, outside that of the service; set it on the class or the instance.

    Raises:
        ConfigurationFault: something is missing, or is no connection.
    """

    middleware: Sequence[Middleware] = ()

    def __init__(
        self,
        app_settings: CommonAppSettings,
        async_redis_conn: Redis,
        service_instance: Any = None,
        consumer_id_suffix: str | None = None,
    ) -> None:
        if isinstance(service_instance, str):
            service_instance, consumer_id_suffix = None, service_instance
        if async_redis_conn is None:
            raise ConfigurationFault("async_redis_conn is None: pass the connection that RedisManager hands out")
        self.app_settings = app_settings
        self.async_redis_conn = async_redis_conn
        self.service_name = app_settings.service_name
        self.service: Any = service_instance
        self.queue_manager = queue_manager_of(app_settings)
        self.redis_client = BaseRedisClient(self.service_name, async_redis_conn, app_settings)
        self.action_stream_name = self.queue_manager.get_service_action_stream(self.service_name)
        self.consumer_group_name = self.queue_manager.get_consumer_group(self.service_name)
        self.events = Events()
        self.initialized = False
        self._service_started = False
        self._suffix = consumer_id_suffix or f"{socket.gethostname()}-{os.getpid()}"
        self._endpoint = Endpoint(async_redis_conn)
        self._clock = ServerClock()
        self._engine: Engine | None = None
        self._has_lived = self._is_quiet = False
        self._life = Life(self._live, f"nooble-{self.service_name}", self._tell_failure)
        log = get_logger(app_settings.log_level, service=self.service_name)
        self._logger = log.bind()
        self._open_stream()
        log_events(self.events, log)
        self._watching = watched(self, self._clock)

    @abstractmethod
    async def _handle_action(self, action: DomainAction) -> Any:
        """Hand *action* to the service (standard §2.3): `return await self.service.process_action(action)`.

        Args:
            action: what is to be done.

        Returns:
            The result, for the caller or the callback; `None` if there is nothing to say.

        Raises:
            Exception: whatever went wrong. A waiting caller is told; otherwise the retry policy decides.
        """

    # ── life ──
    async def initialize(self) -> None:
        """Make sure of the group and start the service. Called by `run`; an override calls it through `super()`."""
        await self._ensure_consumer_group_exists()
        if not self._service_started:
            await getattr(self.service, "start_once", _nothing)()
            self._service_started = True
        self.initialized = True

    async def run(self) -> None:
        """Work until stopped (standard §2.2). Cancelling it lets running actions finish within the grace first.

        Raises:
            ServerRefused: the server refuses for a reason that a person must mend.
            RuntimeError: it is running already.
        """
        await self._life.run()

    async def start(self) -> None:
        """Run in the background. `stop` ends it; an error that ends it is logged."""
        self._life.start()

    async def stop(self) -> None:
        """Stop reading, finish what runs within the grace, hand back the rest. Safe at any time and any number of times.

        Returns when that is done; at once if a handler of this worker asks, as it cannot wait for its own end.
        """
        asked_by_handler = self._engine is not None and self._engine.executes(find_context())
        await self._life.end(wait=not asked_by_handler)
        if not self._life.going_on:
            await self._close()  # what `initialize` has opened, if that was all

    async def quiet(self) -> None:
        """Take nothing new: hand back what has not started, finish what runs, stay in the group. Until `resume`, or the end
        of this run. Does nothing if it is not running."""
        if self._life.going_on:
            self._is_quiet = True
            if self._engine is not None:
                await self._engine.quiet()

    async def resume(self) -> None:
        """Take up work again, after `quiet`."""
        self._is_quiet = False
        if self._engine is not None:
            self._engine.resume()

    @property
    def state(self) -> State:
        """How it is: `starting`, `working`, `quiet` (takes nothing new), `waiting` (for the server), `stopping` or
        `stopped`."""
        if not self._life.going_on:
            return "stopped"
        if self._life.ending:
            return "stopping"
        return "starting" if self._engine is None else self._engine.state

    @property
    def is_ready(self) -> bool:
        """Whether it can take an action: the server and the group are there, and it is neither quiet nor stopping."""
        return self.state == "working"

    @property
    def taken(self) -> int:
        """How many actions this run has started so far."""
        return 0 if self._engine is None else self._engine.flight.taken

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _live(self) -> None:
        if self._has_lived:
            self._open_stream()
        self._has_lived = True
        try:
            await self.initialize()
            await self._process_action_loop()
        finally:
            self._is_quiet = False
            await self._close()
            self._logger.info("worker_stopped")

    async def _ensure_consumer_group_exists(self) -> None:
        """Create stream and group if they are not there; waits for a server that is away."""
        await self._require_engine().patience.persist(self._stream.ensure_group)

    async def _process_action_loop(self) -> None:
        """Take and do actions until stopped (standard §2.2)."""
        engine = self._require_engine()
        standing = await engine.patience.persist(self._stream.standing)
        if standing.history:
            engine.remember(standing.last_delivered)
        self._introduce(standing)
        await engine.run()

    # ── putting together ──
    def _open_stream(self) -> None:
        """A name, a view of the stream and the loops: new for every run."""
        settings = self.app_settings
        self.consumer_name = self.queue_manager.get_consumer_name(self.service_name, self._suffix)
        self._stream = ActionStream(
            *(self._endpoint, self.queue_manager, self.service_name, self.consumer_name),
            answer_ttl_ms=int(settings.response_ttl_seconds * 1000),
            max_backlog=settings.stream_max_backlog,
        )
        self._logger = self._logger.bind(consumer=self.consumer_name)
        self._engine = None

    def _require_engine(self) -> Engine:
        if self._engine is None:
            settings = self.app_settings

            def find_way(message: Message, context: ActionContext) -> Awaitable[Any]:
                """Chosen when the first action comes: a service may set up its middleware in `startup`."""
                execution.handle = chain((*self._watching, *self.middleware), self._way_in())
                return execution.handle(message, context)

            execution = Execution(
                service_name=self.service_name,
                keys=self.queue_manager,
                handle=find_way,
                terms=NearestTerms(self.service, settings),
                reach=self.redis_client,
                clock=self._clock,
                max_deliveries=settings.worker_max_deliveries,
                max_payload_bytes=settings.max_payload_bytes,
                once_for=settings.idempotency_window_seconds,
                sole_stream=self.action_stream_name if settings.worker_concurrency == 1 else None,
            )
            names = self.service_name, self.consumer_name
            self._engine = Engine(
                stream=self._stream,
                execution=execution,
                clock=self._clock,
                teller=Teller(self.events, *names),
                settings=settings,
                registry=Registry(self._stream.work, self.queue_manager, *names, settings.worker_beat_seconds),
                routes=lambda: getattr(self.service, "routes", ()),
                obey=self._obey,
                is_quiet=self._is_quiet,
            )
        return self._engine

    def _obey(self, wish: str) -> None:
        """Do what somebody wants, who has left a wish in the registry. Safe with any text."""
        if wish in get_args(Wish):
            self._logger.info("worker_steered", wish=wish)
        if wish == "stop":
            self._life.ask_to_end()
        elif wish == "quiet":
            self._obeying = asyncio.create_task(self.quiet(), name="nooble-obeying")
        elif wish == "resume":
            self._obeying = asyncio.create_task(self.resume(), name="nooble-obeying")

    def _way_in(self) -> Call:
        """What is called for an action, inside the worker's middleware."""
        return lambda message, context: self._handle_action(shown(message, context))

    async def _close(self) -> None:
        """Let go of everything, whatever goes wrong with any of it."""
        async with AsyncExitStack() as last:
            last.push_async_callback(self.redis_client.close)
            last.push_async_callback(self._stream.close)
            if self._service_started:
                self._service_started = False
                last.push_async_callback(getattr(self.service, "shutdown_once", _nothing))

    def _tell_failure(self, error: BaseException) -> None:
        self._logger.error("worker_failed", exc_info=error)

    def _introduce(self, standing: Standing) -> None:
        """Say what was found, and what of it is left alone."""
        self._logger.info("worker_started", stream=self.action_stream_name, waiting=standing.entries)
        if standing.foreign:
            self._logger.warning(
                "pending_entries_of_other_programs",
                consumers=standing.foreign,
                message="not run again: they may be old failures; nooble.operations.adopt deals with them",
            )
        if standing.history:
            self._logger.warning(
                "stream_with_history",
                entries=standing.entries,
                message="acknowledged entries were never deleted: they do not run again; nooble.operations.adopt cleans up",
            )
        self._looking = asyncio.create_task(self._warn_of_risks(), name="nooble-looking")

    async def _warn_of_risks(self) -> None:
        """Say by which settings of the server actions can be lost. Beside the work: nothing waits for it."""
        if not self._stream.work.up:
            return
        try:
            facts = await read_facts(self._stream.work)
        except ServerFault:
            return  # a server that does not say is not asked again
        for risk in risks_of(facts):
            self._logger.warning("server_may_lose_actions", setting=risk.what, found=risk.found, mend=risk.mend)

    def __repr__(self) -> str:
        state = repr(self._engine) if self._life.going_on else "stopped"
        return f"<{type(self).__name__} {self.consumer_name} {state}>"


async def _nothing() -> None:
    """What a service does at start and end if it is no `BaseService`."""
