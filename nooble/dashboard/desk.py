"""What pages and deeds work with: the connection, the shared reader, and the operations on a running system, each made when
it is first needed, so that a server that is away at the start is no reason to fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from nooble.clients import BaseRedisClient, RedisManager
from nooble.config import CommonAppSettings
from nooble.dashboard.access import Access
from nooble.dashboard.audit import Audit, Deed
from nooble.dashboard.notes import Notes
from nooble.dashboard.redaction import Redact, Redactor
from nooble.dashboard.watch import EVERY, Watch
from nooble.errors import NoobleError
from nooble.logger import get_logger
from nooble.models.redaction import is_secret
from nooble.operations.dead_letters import DeadLetters
from nooble.operations.messages import Messages
from nooble.operations.reading import Reading, Route
from nooble.operations.retries import RetrySet
from nooble.operations.sensitive import sensitive_fields
from nooble.operations.system import System

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

OWN_NAME = "nooble-dashboard"
_ROUTES_SECONDS = 5.0
_MOST_ROUTES = 200
MOST_AT_ONCE = 20
"""Most calls that wait for an answer at a time."""


class Desk:
    """Everything behind the pages.

    Args:
        redis: a connection, or what makes one.
        settings: prefix, environment and limits.
        access: who may do what.
        redact: what is shown of a payload, after what is hidden by name.
        every: seconds between two readings.
    """

    def __init__(
        self,
        redis: Redis | RedisManager,
        settings: CommonAppSettings,
        access: Access,
        redact: Redact | None = None,
        every: float = EVERY,
    ) -> None:
        self.settings = settings
        self.access = access
        self.notes = Notes()
        self.watch = Watch(self._read, every)
        self.calls = asyncio.Semaphore(MOST_AT_ONCE)
        self._source = redis
        self._redact = redact
        self._made: dict[str, Any] = {}
        self._routes: dict[str, tuple[float, Sequence[Route]]] = {}
        self._log = get_logger(settings.log_level)

    async def redis(self) -> Redis:
        """The connection.

        Raises:
            ServerUnavailable, ServerRefused: there is none to be had.
        """
        source = self._source
        return await source.get_redis_connection() if isinstance(source, RedisManager) else source

    async def system(self) -> System:
        """What reads the system."""
        return self._one("system", lambda redis: System(redis, self.settings), await self.redis())

    async def messages(self) -> Messages:
        """What looks through messages."""
        return self._one("messages", lambda redis: Messages(redis, self.settings), await self.redis())

    async def audit(self) -> Audit:
        """The stream of deeds."""
        return self._one("audit", lambda redis: Audit(redis, self.settings), await self.redis())

    async def client(self) -> BaseRedisClient:
        """What sends and calls."""
        own = self.settings.model_copy(update={"service_name": OWN_NAME})
        return self._one("client", lambda redis: BaseRedisClient(OWN_NAME, redis, own), await self.redis())

    async def dead(self, service: str) -> DeadLetters:
        """The dead letters of a service; to be closed."""
        return DeadLetters(await self.redis(), self.settings_of(service))

    async def retries(self, service: str) -> RetrySet:
        """What waits for its next attempt in a service; to be closed."""
        return RetrySet(await self.redis(), self.settings_of(service))

    def settings_of(self, service: str) -> CommonAppSettings:
        """The settings for another service."""
        return self.settings.model_copy(update={"service_name": service})

    async def routes(self, service: str) -> Sequence[Route]:
        """What a service has declared, as of some seconds ago."""
        now = time.monotonic()
        read_at, routes = self._routes.get(service, (-1e9, ()))
        if now - read_at > _ROUTES_SECONDS:
            routes = await (await self.system()).routes(service)
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[service] = (now, routes)
        return routes

    async def route(self, service: str, action_type: str) -> Route | None:
        """What a service has declared of one action."""
        return next((one for one in await self.routes(service) if one.action_type == action_type), None)

    async def redactor(self, service: str) -> Redactor:
        """What hides what must not be seen: given the type of an action and its payload, what is shown of it."""
        try:
            declared = {one.action_type: _sensitive(one) for one in await self.routes(service)}
        except NoobleError as error:
            return Redactor(unread=str(error))
        return Redactor(declared=declared, own=self._redact)

    def is_secret(self, route: Route) -> Callable[[str], bool]:
        """Whether a field of *route* of that name is hidden."""
        names = _sensitive(route)
        return lambda name: name in names or is_secret(name)

    async def record(self, deed: Deed) -> None:
        """Add to the audit. What was done stays done if that fails, and the log says that it did."""
        facts = {
            "what": deed.what,
            "who": deed.who,
            "service": deed.service,
            "on": deed.on[:200],
            "outcome": deed.outcome,
        }
        try:
            await (await self.audit()).write(deed)
        except NoobleError as error:
            self._log.error("audit_failed", error=str(error), **facts)
        else:
            self._log.info("dashboard_deed", **facts)

    async def close(self) -> None:
        """Let everybody go, and close what was opened."""
        await self.watch.close()
        made, self._made = list(self._made.values()), {}
        for one in made:
            await one.close()

    async def _read(self) -> Reading:
        return await (await self.system()).read()

    def _one(self, name: str, make: Callable[[Redis], T], redis: Redis) -> T:
        if name not in self._made:
            self._made[name] = make(redis)
        made: T = self._made[name]
        return made


def _sensitive(route: Route) -> frozenset[str]:
    return sensitive_fields(route.payload, route.options.get("sensitive", ""))
