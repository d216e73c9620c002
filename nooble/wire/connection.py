"""Where the server is, and connections to it that are opened when they are needed.

The Redis library connects, authenticates and negotiates; what goes over the connection then is the matter of `channels`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from nooble.errors import ConfigurationFault, ServerFault, ServerUnavailable
from nooble.wire.channels import COMMAND_TIMEOUT, Connection, DirectConnection, PlainConnection
from nooble.wire.faults import ERROR_REPLIES, FOREIGN_ERRORS, fault

Command = Sequence[Any]
_BREATH = 0.01


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

    @property
    def standing(self) -> Connection | None:
        """The connection, if one stands."""
        held = self._connection
        return held if held is not None and held.closed is None else None

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
        while self._opening is not None and not self._opening.done():
            self._opening.cancel()  # again and again: what it awaits can swallow a cancellation
            await asyncio.wait({self._opening}, timeout=0.05)
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def __repr__(self) -> str:
        return f"<Link {self.endpoint.address} {'up' if self.up else 'down'} opened={self.opened}>"


async def breathe(since: float, seconds: float) -> None:
    """After a command that was to wait for *seconds* has brought nothing: a server that does not wait, as fake ones do not,
    is asked again only after a breath.

    Args:
        since: moment at which the command was sent, of `time.monotonic`.
        seconds: how long it could have waited.
    """
    if time.monotonic() - since < seconds / 2:
        await asyncio.sleep(min(_BREATH, seconds))
