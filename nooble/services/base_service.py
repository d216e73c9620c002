"""The base of every service: what it is given, what it declares, how it starts and ends. Business logic lives in its
subclasses, and nowhere else."""

from __future__ import annotations

import inspect
from functools import cached_property
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from nooble.config import CommonAppSettings
from nooble.logger import get_logger
from nooble.models import ActionContext, DomainAction
from nooble.routing import ActionHost
from nooble.routing.origin import Origin
from nooble.services.lifespan import Lifespan

if TYPE_CHECKING:
    from redis.asyncio import Redis


class BaseService(ActionHost):
    """A service (standard §3): a class whose methods handle actions.

    Methods are declared by `@action`; or `process_action` is overridden by hand; or both.

    Args:
        app_settings: the settings of the service.
        service_redis_client: a client for other services, if it needs one.
        direct_redis_conn: a connection to Redis, if it needs one.

    Attributes:
        service_name: the name in the settings.

    Raises:
        DeclarationError: when a subclass is made, if something in it cannot work.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("startup", "shutdown"):
            method = vars(cls).get(name)
            if isinstance(method, FunctionType) and not inspect.iscoroutinefunction(inspect.unwrap(method)):
                raise Origin.of(method).error("is a plain def, which only actions may be", f"write async def {name}")

    def __init__(
        self,
        app_settings: CommonAppSettings,
        service_redis_client: Any | None = None,
        direct_redis_conn: Redis | None = None,
    ) -> None:
        self.app_settings = app_settings
        self.service_name = app_settings.service_name
        self.service_redis_client = service_redis_client
        self.direct_redis_conn = direct_redis_conn
        self._logger = get_logger(app_settings.log_level, service=self.service_name, component=type(self).__name__)

    async def startup(self) -> None:
        """Override to prepare what actions need: pools, models, caches. Runs before the first action."""

    async def shutdown(self) -> None:
        """Override to release what `startup` has prepared. Runs after the last action."""

    async def start_once(self) -> None:
        """Run `startup` if nobody in this event loop has yet. For workers, several of which may share a service."""
        await self._lifespan.enter()

    async def shutdown_once(self) -> None:
        """Run `shutdown` if nobody in this event loop uses the service any more; once for each `start_once`."""
        await self._lifespan.leave()

    async def __aenter__(self) -> Self:
        await self.start_once()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown_once()

    def local_context(self, action: DomainAction) -> ActionContext:
        """A context for *action* outside of a worker; it reaches others through `service_redis_client`, at once."""
        return ActionContext(action, getattr(self, "service_redis_client", None))  # __init__ may have been overridden

    @cached_property
    def _lifespan(self) -> Lifespan:
        return Lifespan(self.startup, self.shutdown)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service_name}: {len(self.routes)} actions>"
