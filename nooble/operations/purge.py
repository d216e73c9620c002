"""Deleting what waits in a service, for good and in bounded steps. What is at work stays: whoever holds it ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, GroupMissing, ServerFault
from nooble.operations.dead_letters import DeadLetters
from nooble.operations.which import EVERY
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

PURGE = Script("purge", keys=1)
PURGE_RETRIES = Script("purge_retries", keys=1)
_CHUNK, _CHUNK_BYTES = 100, 524_288
_SCANNED = 1_000
"""Keys of the server that one step looks at."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the stream of a service.

    Attributes:
        entries: its length.
        waiting: how many of them nobody has been given; `None` if the server cannot tell.
        at_work: how many somebody holds.
    """

    entries: int = 0
    waiting: int | None = 0
    at_work: int = 0


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted.

    Attributes:
        waiting: entries of the stream that nobody had been given.
        retries: actions that waited for their next attempt.
        dead: dead letters.
        answers: answer and callback queues of the service, as a client of others.
    """

    waiting: int = 0
    retries: int = 0
    dead: int = 0
    answers: int = 0


async def purge(
    redis: Redis,
    settings: CommonAppSettings,
    *,
    waiting: bool = True,
    retries: bool = False,
    dead: bool = False,
    answers: bool = False,
    progress: Callable[[Purged], None] | None = None,
) -> Purged:
    """Delete what is in the keys of a service and was there when this began.

    Nobody is told: callers of deleted actions wait until their time is over. The idempotency keys of deleted actions are
    free again. Answers that are deleted were on their way to this service; it waits for them until its time is over.

    Args:
        redis: a connection to the server.
        settings: whose: service, prefix and environment.
        waiting: the entries of its stream that nobody has been given. What is at work stays.
        retries: what waits for its next attempt: as many as there were when this began, those that are due first. One
            that comes meanwhile and is due before them takes the place of the last.
        dead: its dead letters.
        answers: its answer and callback queues. All keys of the server are looked at for them, in bounded steps.
        progress: called after every bounded step with what was done so far.

    Raises:
        ConfigurationFault: other consumer groups read the stream too, so what waits for one may be at work in another.
        ServerUnavailable: the server cannot be reached.
        ServerRefused: it does not let us, or a key holds something else; what was done before stays done.
    """
    keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
    service = settings.service_name
    link = Link(Endpoint(redis))
    done = Purged()

    def add(**more: int) -> None:
        nonlocal done
        done = msgspec.structs.replace(done, **{name: getattr(done, name) + count for name, count in more.items()})
        if progress is not None:
            progress(done)

    try:
        if waiting:
            await _purge_waiting(link, keys, service, lambda count: add(waiting=count))
        if retries:
            await _purge_retries(link, keys, service, lambda count: add(retries=count))
        if dead:
            await _purge_dead(redis, settings, lambda count: add(dead=count))
        if answers:
            await _purge_answers(link, keys, service, lambda count: add(answers=count))
    finally:
        await link.close()
    return done


async def count_waiting(redis: Redis, settings: CommonAppSettings) -> Waiting:
    """What is in the stream of the service with *settings*, whether workers have served it or not.

    Raises:
        ServerUnavailable: the server cannot be reached.
        ServerRefused: it does not let us, or the key is no stream.
    """
    keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
    stream, name = keys.get_service_action_stream(settings.service_name), keys.get_consumer_group(settings.service_name)
    link = Link(Endpoint(redis))
    try:
        entries = await link.execute(b"XLEN", stream)
        if not entries:
            return Waiting()
        groups = [_mapping(row) for row in await link.execute(b"XINFO", b"GROUPS", stream)]
    except ServerFault as error:
        if _is_missing(error):
            return Waiting()
        raise
    finally:
        await link.close()
    group = next((one for one in groups if one[b"name"] == name.encode()), None)
    if group is None:
        return Waiting(entries=entries, waiting=entries)
    lag = group.get(b"lag")
    return Waiting(entries=entries, waiting=None if lag is None else min(lag, entries), at_work=group[b"pending"])


def _mapping(row: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(row[::2], row[1::2], strict=True))


def _is_missing(error: ServerFault) -> bool:
    return isinstance(error, GroupMissing) or "no such key" in str(error)


async def _purge_waiting(link: Link, keys: QueueManager, service: str, add: Callable[[int], None]) -> None:
    stream, records = keys.get_service_action_stream(service), keys.get_once_record(service, "")
    try:
        about = await link.execute(b"XINFO", b"STREAM", stream)
        groups = await link.execute(b"XINFO", b"GROUPS", stream)
    except ServerFault as error:
        if _is_missing(error):
            return
        raise
    names = [_mapping(row)[b"name"].decode("utf-8", "replace") for row in groups]
    if others := [name for name in names if name != keys.get_consumer_group(service)]:
        raise ConfigurationFault(
            f"{stream} is read by other groups too ({', '.join(others)}): what waits for one may be at work in another, so "
            "nothing was deleted; let them read from streams of their own first"
        )
    last = _mapping(about)[b"last-generated-id"]
    more = b"1"
    while more:
        count, more = await PURGE.run(
            link, stream, keys.get_consumer_group(service), last, _CHUNK, _CHUNK_BYTES, records
        )
        add(count)


async def _purge_retries(link: Link, keys: QueueManager, service: str, add: Callable[[int], None]) -> None:
    retries, records = keys.get_retry_set(service), keys.get_once_record(service, "")
    left = await link.execute(b"ZCARD", retries)
    while left > 0:
        count = await PURGE_RETRIES.run(link, retries, min(_CHUNK, left), _CHUNK_BYTES, records)
        if not count:
            return
        left -= count
        add(count)


async def _purge_dead(redis: Redis, settings: CommonAppSettings, add: Callable[[int], None]) -> None:
    told = 0
    async with DeadLetters(redis, settings) as letters:

        def tell(so_far: int) -> None:
            nonlocal told
            add(so_far - told)
            told = so_far

        await letters.discard(EVERY, progress=lambda so_far: tell(so_far.discarded))


async def _purge_answers(link: Link, keys: QueueManager, service: str, add: Callable[[int], None]) -> None:
    for kind in ("responses", "callbacks"):
        pattern = f"{keys.prefix}:{keys.environment}:{service}:{kind}:*"
        cursor = b""
        while cursor != b"0":
            cursor, names = await link.execute(b"SCAN", cursor or b"0", b"MATCH", pattern, b"COUNT", _SCANNED)
            if names:
                add(await link.execute(b"UNLINK", *names))
