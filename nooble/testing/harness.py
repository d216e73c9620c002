"""Services at work inside of a test: router, codec, worker, scripts and client are the real ones, in the test's own loop."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from nooble.clients.service_client import ServiceClient
from nooble.errors import CallTimeout, NoobleError
from nooble.models.actions import DomainAction
from nooble.models.outcomes import Effect
from nooble.models.sending import CallOptions, SendOptions
from nooble.routing import Declared
from nooble.testing.clients import Ear, called, gathering_ids
from nooble.testing.contracts import write_contract
from nooble.testing.crew import Crew
from nooble.testing.looking import WaitingRetry, told
from nooble.testing.mistakes import HarnessMistake, StillBusy
from nooble.testing.stubs import NOTHING, Stub, payload_reader, type_of
from nooble.wire.dead_letters import DeadLetter
from nooble.workers import ServiceWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from nooble.clients import BaseRedisClient
    from nooble.testing.clock import Clock

Payload = TypeVar("Payload")
Result = TypeVar("Result")

CALL_TIMEOUT = 5.0
"""Seconds that a call of a test waits when the test does not say otherwise."""
_LOOK = 0.02
_PAUSE = 0.001


class ServiceHarness:
    """Runs services for a test.

        async with ServiceHarness(PedidosService) as t:
            pedido = await t.call(PedidosService.crear, CrearPedido(...))

    Args:
        services: services, or their classes, which are made as in production: with `app_settings`,
            `service_redis_client` and `direct_redis_conn`, if they ask for them.
        server: `"fake"`, a server of Python objects; `"embedded"`, a real one for all tests of this process; the address of
            one; or a client of redis.asyncio.
        raise_errors: whether what a handler raises is raised in the test, itself and with its own traceback: by `call`, and
            by `run_until_idle` and at the end for what nobody was told of. Otherwise the test sees what callers see in
            production.
        strict: whether a stub that nobody needed is an error at the end.
        caller: in whose name the test itself sends.
        worker: makes the workers, as `ServiceWorker` does.
        settings: settings that win over those of the services and over the defaults.

    Attributes:
        client: the client of the test; for what `call` and `send` do not do.
        redis: a client of the server, to look at it.
        clock: moves time.
        dead_letters: the dead letters of all services, as of the last `call`, `run_until_idle` or `refresh`.
        retries: what waited for its next run then.
        effects: writes inside Redis that commits have made for handlers.

    Raises:
        HarnessMistake: on entering, if something of it cannot work; the message names the mend.
    """

    client: BaseRedisClient
    redis: Redis
    clock: Clock

    def __init__(
        self,
        *services: Any,
        server: Any = "fake",
        raise_errors: bool = True,
        strict: bool = False,
        caller: str = "test",
        worker: Callable[..., Any] = ServiceWorker,
        **settings: Any,
    ) -> None:
        self.raise_errors = raise_errors
        self.strict = strict
        self.dead_letters: list[DeadLetter] = []
        self.retries: list[WaitingRetry] = []
        self._caller = caller
        self._server = server
        self._crew = Crew(services, worker, settings, environment=f"test-{secrets.token_hex(5)}")
        self._stack: AsyncExitStack | None = None
        self._used = False
        self._at_end: list[Callable[[], None]] = []

    # ── life ──
    async def __aenter__(self) -> Self:
        if self._used:
            raise HarnessMistake("a ServiceHarness runs once; make a new one for each test")
        self._used = True
        async with AsyncExitStack() as stack:
            await self._crew.open(self._server, self._caller, stack)
            self._stack = stack.pop_all()
        self.client, self.redis, self.clock = self._crew.client, self._crew.redis, self._crew.clock
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        stack, self._stack = self._stack, None
        assert stack is not None
        await stack.aclose()
        if kind is None:
            for step in self._at_end:
                step()
            self._surface()
            if self.strict:
                self._crew.outside.refuse_unused()

    # ── sending ──
    @overload
    async def call(self, action: Declared[None, Result], /, **options: Unpack[CallOptions]) -> Result: ...
    @overload
    async def call(
        self,
        action: Declared[Payload, Result],
        payload: Payload | Mapping[str, Any],
        /,
        **options: Unpack[CallOptions],
    ) -> Result: ...
    @overload
    async def call(self, action: str | DomainAction, payload: Any = None, /, **options: Unpack[CallOptions]) -> Any: ...
    async def call(self, action: Any, payload: Any = None, /, **options: Any) -> Any:
        """Call an action and wait for its result. If a retry is what it waits for, time is moved on to it.

        Args:
            action: an action by its handler on the class, or its type.
            payload: what its handler takes; a mapping is sent as it is.
            options: see `CallOptions`; `timeout` is 5 seconds.

        Returns:
            What its handler declares to return; for an action that is named by its type, the data of the answer.

        Raises:
            BaseException: what the handler raised, itself; with `raise_errors=False` what callers get in production.
            CallTimeout: no answer in time.
            Unstubbed: its service is not in the harness, and no stub answers it.
        """
        __tracebackhide__ = True
        self._require_open()
        ear = Ear(self.client)
        with gathering_ids() as ids:
            calling = asyncio.ensure_future(called(ear, action, payload, {"timeout": CALL_TIMEOUT, **options}))
        own: BaseException | None = None
        try:
            quiet = 0
            while not (await asyncio.wait({calling}, timeout=_LOOK))[0]:
                quiet = await self._crew.nudge(quiet)
            result = calling.result()
        except CallTimeout as late:
            late.add_note(told(self._crew.everybody) or "no handler is at work")
            raise
        except NoobleError as error:
            if self.raise_errors and ear.answer is not None and not ear.answer.success:
                own = await self._crew.traffic.error_of(ids[0], error)
            if own is None:
                raise
        finally:
            calling.cancel()
            await asyncio.wait({calling})
            if self._stack is not None:
                await self.refresh()
        if own is not None:  # outside of the handling of the other, which would become its context
            raise self._crew.traffic.seen(own)
        return result

    @overload
    async def send(self, action: Declared[None, Any], /, **options: Unpack[SendOptions]) -> uuid.UUID: ...
    @overload
    async def send(
        self, action: Declared[Payload, Any], payload: Payload | Mapping[str, Any], /, **options: Unpack[SendOptions]
    ) -> uuid.UUID: ...
    @overload
    async def send(
        self, action: str | DomainAction, payload: Any = None, /, **options: Unpack[SendOptions]
    ) -> uuid.UUID: ...
    async def send(self, action: Any, payload: Any = None, /, **options: Any) -> uuid.UUID:
        """Send an action that nobody waits for. `run_until_idle` waits until it is done.

        Args:
            action, payload: as for `call`.
            options: see `SendOptions`.

        Returns:
            The id of the action.
        """
        self._require_open()
        if isinstance(action, str | DomainAction):
            return await self.client.send(action, payload, **options)
        return await ServiceClient(self.client).send(action, payload, **options)

    async def run_until_idle(self, *, skip_retries: bool = False, timeout: float = 10.0) -> None:
        """Wait until nothing is ready, running or due. What waits for a later time stays where it is: see `retries`.

        Args:
            skip_retries: move time on to each retry, until there are no more.
            timeout: seconds after which the test fails.

        Raises:
            BaseException: what a handler raised of which nobody was told, itself; not with `raise_errors=False`. An error
                whose retry the service has declared is raised when it is given up, any other at its first time.
            StillBusy: it did not come to that in time.
        """
        __tracebackhide__ = True
        self._require_open()
        until, quiet, next_look = time.monotonic() + timeout, 0, 0.0
        await self._crew.meet_strangers()
        while not await self._crew.is_idle(skip_retries):
            if time.monotonic() > until:
                what = await self._crew.told()
                silent = self._crew.traffic.silent_error()
                raise StillBusy(f"the services are not idle after {timeout:g} s: {what}") from silent
            if time.monotonic() > next_look:
                quiet, next_look = await self._crew.nudge(quiet), time.monotonic() + _LOOK
            await asyncio.sleep(_PAUSE)
        await self.refresh()
        self._surface()

    # ── others ──
    def stub(
        self,
        action: Declared[Any, Any] | str,
        function: Callable[..., Any] | None = None,
        *,
        reply: Any = NOTHING,
        error: BaseException | type[BaseException] | None = None,
    ) -> Stub:
        """Answer an action of a service that is not in the harness; a second stub takes the place of the first.

        Args:
            action, function, reply, error: see `Stub`.

        Raises:
            HarnessMistake: its service is in the harness, or nothing was given to answer with.
        """
        self._require_open()
        self._crew.require_outside(type_of(action), "stub")
        stub = Stub(action, function, reply=reply, error=error)
        self._crew.outside.stubs[stub.action_type] = stub
        return stub

    def sent(self, action: Declared[Any, Any] | str, model: Any = None) -> list[Any]:
        """The payloads of actions that were sent to services outside of the harness, in order.

        Args:
            action: an action by its handler on the class, or its type.
            model: what the payloads are read as; by default what the handler takes, and plain data for a type.

        Raises:
            HarnessMistake: its service is in the harness.
            InvalidPayload: what was sent does not fit.
        """
        read = payload_reader(action, model)
        return [read(one.data) for one in self.sent_actions(action)]

    def sent_actions(self, action: Declared[Any, Any] | str) -> list[DomainAction]:
        """As `sent`, but the actions themselves: ids, metadata, and who sent them."""
        action_type = type_of(action)
        self._crew.require_outside(action_type, "sent")
        return [one for one in self._crew.outside.actions if one.action_type == action_type]

    async def crash(self, name: str) -> None:
        """End the worker of the service *name* as if its process had died, and let a new one begin. What it held stays with
        the dead one for a lease: `clock.advance` moves time beyond it.

        Its handlers are cancelled, as no test can leave them half done; nothing that they do then is written.
        """
        self.service(name)
        await self._crew.crash(name)

    # ── looking ──
    @property
    def effects(self) -> list[Effect]:
        """Writes inside Redis that commits have made for handlers, in order."""
        return self._crew.traffic.effects

    @property
    def is_open(self) -> bool:
        """Whether it is running."""
        return self._stack is not None

    @property
    def place(self) -> str:
        """How the names of all keys of this harness begin: prefix and environment."""
        return self._crew.place

    def service(self, name: str) -> Any:
        """The service called *name*: for a class, the instance that was made of it."""
        self._require_open()
        if name not in self._crew.inside:
            raise HarnessMistake(f"no service {name!r} in the harness; it has {', '.join(sorted(self._crew.inside))}")
        return self._crew.inside[name].service

    async def refresh(self) -> None:
        """Look again at `dead_letters` and `retries`."""
        await self._crew.outside_settled()
        self.dead_letters, self.retries = await self._crew.look()

    def record(self, path: str | Path, *, exact: tuple[str, ...] = (), with_test: bool = False) -> None:
        """Write what the services say to each other as a contract, when the test has ended well.

        Args:
            path: the file; made anew.
            exact: paths into answers whose values matter, not only their types, such as `"$.estado"`.
            with_test: whether what the test itself sends is part of it, in the name of `caller`.
        """

        def write() -> None:
            senders = {*self._crew.inside, *({self._caller} if with_test else ())}
            write_contract(path, self._crew.traffic.handled.values(), senders=senders, exact=exact)

        self._at_end.append(write)

    # ── inside ──
    def _surface(self) -> None:
        __tracebackhide__ = True
        error = self._crew.traffic.silent_error()
        if error is not None and self.raise_errors:
            raise error

    def _require_open(self) -> None:
        if self._stack is None:
            raise HarnessMistake("the harness is not running: use it inside of `async with ServiceHarness(…) as t:`")

    def __repr__(self) -> str:
        return f"<ServiceHarness {', '.join(sorted(self._crew.inside)) or 'not running'}>"
