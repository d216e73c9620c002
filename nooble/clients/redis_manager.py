"""The connection that a service shares with its workers and clients (standard §3, step 3)."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from nooble.config import CommonAppSettings
from nooble.config.common_app_settings import masked_url
from nooble.errors import ConfigurationFault
from nooble.logger import get_logger
from nooble.wire.faults import FOREIGN_ERRORS, fault


class RedisManager:
    """Makes one `redis.asyncio.Redis` from the settings, hands it out, and closes it.

    Args:
        settings: where the server is and how to connect.
    """

    def __init__(self, settings: CommonAppSettings) -> None:
        self._settings = settings
        self._client: Redis | None = None
        self._connecting = asyncio.Lock()
        self._logger = get_logger(settings.log_level, service=settings.service_name)

    async def initialize(self) -> None:
        """Connect, and ask the server for a sign of life. Doing it again does nothing.

        Raises:
            ConfigurationFault: `redis_url` cannot be understood.
            ServerUnavailable: nobody answers at `redis_url`.
            ServerRefused: the server refuses the credentials.
            EmbeddedServerFault: `redis_url` is `embedded://`, and that server cannot be started.
            ConfigurationFault: it is, in production.
        """
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()

    async def get_redis_connection(self) -> Redis:
        """The connection; connects first if that has not been done.

        Raises:
            ServerUnavailable, ServerRefused: as `initialize`.
        """
        await self.initialize()
        assert self._client is not None
        return self._client

    async def get_client(self) -> Redis:
        """The platform's name for `get_redis_connection`."""
        return await self.get_redis_connection()

    async def close(self) -> None:
        """Close the connection. Safe at any time."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def __aenter__(self) -> RedisManager:
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _connect(self) -> Redis:
        url = await self._address()
        client = self._make(url)
        try:
            await client.ping()
        except BaseException as error:
            await client.aclose()
            if isinstance(error, FOREIGN_ERRORS):
                raise fault(error, masked_url(url)) from error
            raise
        self._logger.debug("redis_connected", url=masked_url(url))
        return client

    async def _address(self) -> str:
        """Where the server is; an embedded one is there from now on."""
        if not self._settings.redis_url.startswith("embedded://"):
            return self._settings.redis_url
        from nooble.wire.embedded import resolve_url  # only where it is asked for: it starts processes, on POSIX

        return await asyncio.to_thread(resolve_url, self._settings)

    def _make(self, url: str) -> Redis:
        settings = self._settings
        options: dict[str, Any] = {
            "decode_responses": settings.redis_decode_responses,
            "socket_connect_timeout": settings.redis_socket_connect_timeout,
            "max_connections": settings.redis_max_connections,
            "health_check_interval": settings.redis_health_check_interval,
        }
        if not url.startswith("unix://"):
            options["socket_keepalive"] = settings.redis_socket_keepalive
            if settings.redis_socket_keepalive_options:
                options["socket_keepalive_options"] = settings.redis_socket_keepalive_options
        if settings.redis_password is not None and url == settings.redis_url:  # an embedded server has none
            options["password"] = settings.redis_password.get_secret_value()
        try:
            return Redis.from_url(url, **options)
        except ValueError:  # its text can hold a part of the password
            raise ConfigurationFault(
                f"redis_url={masked_url(url)!r} cannot be understood; in a password '#', '/', '?', '@' and '%' are written "
                "%23, %2F, %3F, %40 and %25"
            ) from None

    def __repr__(self) -> str:
        state = "closed" if self._client is None else "connected"
        return f"<RedisManager {masked_url(self._settings.redis_url)} {state}>"
