"""Workers as the command line makes them: each is given what its constructor, or what makes it, asks for by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from nooble.cli.failures import Failure
from nooble.cli.planning import gifts_for
from nooble.cli.targets import Part
from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.services import BaseService
from nooble.workers import BaseWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def make_worker(
    part: Part, settings: CommonAppSettings, connection: Redis, client: BaseRedisClient
) -> BaseWorker:
    """The worker of *part*, not started.

    Args:
        part: what it is made of.
        settings, connection, client: what may be asked for.

    Raises:
        Failure: the function that makes it gave something else.
    """
    gifts: dict[str, Any] = {
        "app_settings": settings,
        "service_redis_client": client,
        "direct_redis_conn": connection,
        "async_redis_conn": connection,
        "service_instance": None,
    }
    if part.make is not None:
        made = part.make(**{name: gifts[name] for name in gifts_for(part.make, part)})
        made = await made if inspect.isawaitable(made) else made
        if isinstance(made, BaseWorker):
            return made
        if not isinstance(made, BaseService):
            raise Failure(f"{part.target} gave {made!r}; it is to return a service, or a worker")
        gifts["service_instance"] = made
    return part.worker(**{name: gifts[name] for name in gifts_for(part.worker, part)})
