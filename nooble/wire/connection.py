"""One connection to the server: commands go out in order, replies come back in order, and a batch is one write.

The Redis library connects, authenticates and negotiates; then its transport is taken over, because its per-command path
costs more than a whole action. Where there is no transport to take over, as with a fake server, the library's own path
is used. Both behave the same."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import hiredis
import msgspec
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from nooble.errors import ConfigurationFault, ReplyLost, ServerFault, ServerUnavailable
from nooble.wire.faults import ERROR_REPLIES, FOREIGN_ERRORS, fault

Command = Sequence[Any]
COMMAND_TIMEOUT = 5.0
"""Seconds after which a command without a reply means that the link is dead."""

_NEED_MORE = object()


class Slot(msgspec.Struct, eq=False):
    """Replies that somebody awaits: one write of `count` commands."""

    future: asyncio.Future[list[Any]]
    count: int
    due: float
    replies: list[Any] = []


class Endpoint:
    """How to reach the server: the parameters of a client that a user has handed over, made safe for this framework.

    Its pool is never used: its connections may decode replies, repeat commands by themselves, give up a blocking read.

    Args:
        client: any `redis.asyncio.Redis`, a fake one included.

    Raises:
        ConfigurationFault: it is a cluster client or no Redis client at all.
    """

    def __init__(self, client: Redis) -> None:
        pool: ConnectionPool | None = getattr(client, "connection_pool", None)
        if pool is None or not hasattr(pool, "connection_kwargs"):
            raise ConfigurationFault(
                f"expected a redis.asyncio.Redis, got {type(client).__name__}; cluster clients are not supported yet"
            )
        self._class = pool.connection_class
        self._options = {
            **{k: v for k, v in pool.connection_kwargs.items() if not k.startswith(("maint_", "oss_cluster_"))},
            "decode_responses": False,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "retry_on_timeout": False,
            "health_check_interval": 0,
            "socket_timeout": COMMAND_TIMEOUT,
            "socket_connect_timeout": pool.connection_kwargs.get("socket_connect_timeout") or COMMAND_TIMEOUT,
        }

    @property
    def address(self) -> str:
        """Where the server is, without credentials."""
        options = self._options
        return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")

    async def connect(self) -> Connection:
        """A new connection.

        Raises:
            ServerUnavailable: the server cannot be reached or is not ready.
            ServerRefused: it refuses the credentials.
        """
        link: Any = self._class(**self._options)
        try:
            await link.connect()
        except FOREIGN_ERRORS as error:
            raise fault(error, self.address) from error
        transport: Any = getattr(getattr(link, "_writer", None), "transport", None)
        if hasattr(transport, "set_protocol"):
            return DirectConnection(link, transport, self.address)
        return PlainConnection(link, self.address)


class Connection(Protocol):
    """What both kinds of connection do."""

    closed: BaseException | None

    def submit(self, packed: bytes, count: int, timeout: float = COMMAND_TIMEOUT) -> asyncio.Future[list[Any]]:
        """Queue *packed*, which holds *count* commands. What is submitted in one turn of the loop leaves in one write.

        Returns:
            A future of the replies in order; error replies are values in it. Cancelling it does not disturb others.

        Raises:
            ServerUnavailable: the connection is closed; nothing was sent.
        """

    async def drained(self) -> None:
        """Returns when the connection takes more without piling it up in memory."""

    async def close(self) -> None:
        """Close it. What is still awaited ends with `ReplyLost`."""


class _Base:
    def __init__(self, link: Any, address: str) -> None:
        self.closed: BaseException | None = None
        self._link = link  # kept: its stream writer closes the socket when it is collected
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._slots: deque[Slot] = deque()
        self._heard = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    def _slot(self, count: int, timeout: float) -> Slot:
        if self.closed is not None:
            raise ServerUnavailable(f"the connection to {self._address} is closed: {self.closed}")
        slot = Slot(self._loop.create_future(), count, self._loop.time() + timeout, [])
        self._slots.append(slot)
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(min(timeout, COMMAND_TIMEOUT), self._watch)
        return slot

    def _watch(self) -> None:
        """One timer for all commands: looks at the oldest unanswered one. A reply that is still arriving is not late."""
        self._watchdog = None
        if self.closed is not None or not self._slots:
            return
        left = max(self._slots[0].due, self._heard + COMMAND_TIMEOUT) - self._loop.time()
        if left <= 0:
            self._lost(TimeoutError("no reply in time, the link seems dead"))
        else:
            self._watchdog = self._loop.call_later(left, self._watch)

    def _lost(self, reason: BaseException) -> None:
        if self.closed is not None:
            return
        self.closed = reason
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._hang_up()
        while self._slots:
            future = self._slots.popleft().future
            if not future.done():
                future.set_exception(ReplyLost(f"the connection to {self._address} broke: {reason}"))
                future.exception()  # whoever awaits it hears of it; nobody else needs to

    def _hang_up(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self._lost(ConnectionError("closed"))

    def __repr__(self) -> str:
        state = "open" if self.closed is None else f"closed: {self.closed}"
        return f"<{type(self).__name__} {self._address} awaiting={len(self._slots)} {state}>"


class DirectConnection(_Base, asyncio.Protocol):
    """The library's transport, with hiredis alone between it and the futures."""

    def __init__(self, link: Any, transport: asyncio.Transport, address: str) -> None:
        super().__init__(link, address)
        self._reader = hiredis.Reader(notEnoughData=_NEED_MORE)
        self._transport = transport
        self._outgoing: list[bytes] = []
        self._room: asyncio.Future[None] | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    def submit(self, packed: bytes, count: int, timeout: float = COMMAND_TIMEOUT) -> asyncio.Future[list[Any]]:
        slot = self._slot(count, timeout)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(packed)
        return slot.future

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self.closed is None:
            self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

    async def drained(self) -> None:
        if self._room is not None:
            await asyncio.shield(self._room)

    def _hang_up(self) -> None:
        self.resume_writing()
        self._transport.abort()
        self._link._close()  # the library must not complain that what we have closed is open

    # asyncio.Protocol
    def data_received(self, data: bytes) -> None:
        reader, slots = self._reader, self._slots
        self._heard = self._loop.time()
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _NEED_MORE:
                slot = slots[0]
                slot.replies.append(reply)
                if len(slot.replies) == slot.count:
                    slots.popleft()
                    if not slot.future.done():
                        slot.future.set_result(slot.replies)
        except (hiredis.HiredisError, IndexError) as error:
            self._lost(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost(exc or ConnectionError("the server closed the connection"))

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None


class PlainConnection(_Base):
    """The library's own path, for connections without a transport. A task of its own writes and reads, so that
    cancelling somebody who waits never loses the place in the order of replies."""

    def __init__(self, link: Any, address: str) -> None:
        super().__init__(link, address)
        link.socket_timeout = None  # the watchdog's part: the library would give up a read that blocks for longer
        self._queue: asyncio.Queue[tuple[bytes, Slot]] = asyncio.Queue()
        self._pump = self._loop.create_task(self._work())

    def submit(self, packed: bytes, count: int, timeout: float = COMMAND_TIMEOUT) -> asyncio.Future[list[Any]]:
        slot = self._slot(count, timeout)
        self._queue.put_nowait((packed, slot))
        return slot.future

    async def drained(self) -> None:
        return None

    async def _work(self) -> None:
        try:
            while True:
                packed, slot = await self._queue.get()
                await self._link.send_packed_command([packed], check_health=False)
                while len(slot.replies) < slot.count:
                    slot.replies.append(await self._read())
                self._slots.popleft()
                if not slot.future.done():
                    slot.future.set_result(slot.replies)
        except Exception as error:  # of the library; whatever it is, nothing can be read in order any more
            self._lost(error)
        finally:
            await self._link.disconnect(nowait=True)

    async def _read(self) -> Any:
        try:
            return await self._link.read_response(disable_decoding=True, timeout=None)
        except ERROR_REPLIES as error:
            return error

    def _hang_up(self) -> None:
        if asyncio.current_task() is not self._pump:
            self._pump.cancel()

    async def close(self) -> None:
        await super().close()
        await asyncio.wait({self._pump})


class Link:
    """A connection that is opened when first needed and again after it broke. One role each: readers that block have
    their own.

    Args:
        endpoint: where to connect.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.opened = 0
        self.bare_scripts = False
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection | ServerFault] | None = None

    @property
    def up(self) -> bool:
        """Whether a connection stands."""
        return self._connection is not None and self._connection.closed is None

    async def connection(self) -> Connection:
        """The standing connection, or a new one. All who wait for a new one wait for the same attempt.

        Raises:
            ServerUnavailable, ServerRefused: there is none to be had.
        """
        held = self._connection
        if held is not None and held.closed is None:
            return held
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), name="nooble-connecting")
        opening = self._opening
        await asyncio.wait({opening})
        if opening.cancelled():
            raise ServerUnavailable(f"the link to {self.endpoint.address} was closed while it was being opened")
        made = opening.result()
        if isinstance(made, ServerFault):
            raise type(made)(made.message) from made  # each who waits gets an error of its own
        return made

    async def _open(self) -> Connection | ServerFault:
        try:
            self._connection = await self.endpoint.connect()
        except ServerFault as fault:
            return fault
        self.opened += 1
        return self._connection

    async def execute(self, *command: Any, timeout: float = COMMAND_TIMEOUT) -> Any:
        """Send one command and await its reply.

        Raises:
            ServerFault: of the kind that fits the server's error reply or the broken connection.
        """
        connection = await self.connection()
        reply = (await connection.submit(hiredis.pack_command(command), 1, timeout))[0]
        if isinstance(reply, ERROR_REPLIES):
            raise fault(reply)
        return reply

    async def pipeline(self, commands: Iterable[Command], timeout: float = COMMAND_TIMEOUT) -> list[Any]:
        """Send several commands in one write. Error replies come back as values: see `faults.fault`."""
        packed = [hiredis.pack_command(tuple(command)) for command in commands]
        connection = await self.connection()
        return await connection.submit(b"".join(packed), len(packed), timeout)

    async def close(self) -> None:
        """Close what stands; a later use opens it again."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def __repr__(self) -> str:
        return f"<Link {self.endpoint.address} {'up' if self.up else 'down'} opened={self.opened}>"
