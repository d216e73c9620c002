"""How the stream of a service stands, seen from outside: nothing is made by looking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nooble.config import CommonAppSettings
from nooble.errors import GroupMissing, ServerFault
from nooble.wire.connection import Endpoint
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import ActionStream, Standing

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def read_standing(redis: Redis, settings: CommonAppSettings) -> Standing | None:
    """What is in the stream of the service with *settings*; `None` if no worker has ever served it.

    Raises:
        ServerUnavailable: the server cannot be reached.
        ServerRefused: it does not let us in, or the key is no stream.
    """
    keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
    stream = ActionStream(Endpoint(redis), keys, settings.service_name, "")
    try:
        return await stream.standing()
    except ServerFault as fault:
        if isinstance(fault, GroupMissing) or "no such key" in str(fault):
            return None
        raise
    finally:
        await stream.close()
