"""Taking over a stream that the platform's code has used before: its old failures are ended and its history is deleted, by
one explicit step that can be repeated, and never by accident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, GroupMissing, ServerFault
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

ADOPT = Script("adopt", keys=2)
PRUNE = Script("prune", keys=1)
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was done.

    Attributes:
        ended: pending entries of other programs that were buried or sent to run again.
        gone: pending entries whose data somebody had deleted already.
        deleted: acknowledged entries that were deleted from the stream.
    """

    ended: int = 0
    gone: int = 0
    deleted: int = 0


async def adopt(
    redis: Redis,
    settings: CommonAppSettings,
    *,
    pending: Literal["bury", "replay", "leave"] = "bury",
    idle_seconds: float = 3600.0,
    progress: Callable[[Adoption], None] | None = None,
) -> Adoption:
    """Clean up the stream of a service: after it, what is in the stream is what is waiting or at work.

    Args:
        redis: a connection to the server.
        settings: whose stream: service, prefix and environment.
        pending: what becomes of entries that consumers of other programs have left pending: kept in the dead letters,
            sent to the end of the stream to run again, or left.
        idle_seconds: entries that their consumer has touched within this time are left alone: it may be at work on them.
        progress: called after every bounded step with what was done so far.

    Returns:
        What was done; a second run finds nothing to do.

    Raises:
        ConfigurationFault: other consumer groups read the stream too, so what one has acknowledged must not be deleted.
        ServerFault: the server could not do it; what was done before stays done.
    """
    keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
    link = Link(Endpoint(redis))
    try:
        return await _adopt(link, keys, settings.service_name, pending, idle_seconds, progress or (lambda _: None))
    finally:
        await link.close()


async def _adopt(
    link: Link,
    keys: QueueManager,
    service: str,
    pending: Literal["bury", "replay", "leave"],
    idle_seconds: float,
    progress: Callable[[Adoption], None],
) -> Adoption:
    stream, group = keys.get_service_action_stream(service), keys.get_consumer_group(service)
    if not await _sole_group(link, stream, group):
        return Adoption()
    ended = gone = deleted = 0
    while pending != "leave":
        step = await ADOPT.run(
            *(link, stream, keys.get_dead_letter_stream(service), group, keys.get_consumer_pattern(service)),
            *(pending, int(idle_seconds * 1000), _CHUNK, "adopt"),
        )
        ended, gone = ended + step[0], gone + step[1]
        progress(Adoption(ended, gone, deleted))
        if not any(step):
            break
    cursor = b"-"
    while cursor:
        count, cursor = await PRUNE.run(link, stream, group, cursor, _CHUNK)
        deleted += count
        progress(Adoption(ended, gone, deleted))
    return Adoption(ended, gone, deleted)


async def _sole_group(link: Link, stream: str, group: str) -> bool:
    """Whether the stream has this group; it must be the only one."""
    try:
        rows = await link.execute(b"XINFO", b"GROUPS", stream)
    except ServerFault as error:
        if isinstance(error, GroupMissing) or "no such key" in str(error):
            return False
        raise
    names = [dict(zip(row[::2], row[1::2], strict=True))[b"name"].decode() for row in rows]
    others = [name for name in names if name != group]
    if others:
        raise ConfigurationFault(
            f"{stream} is read by other groups too ({', '.join(others)}): what {group} has acknowledged may be new to them, "
            "so nothing was deleted; let them read from streams of their own first"
        )
    return group in names
