"""Pruning deletes what was acknowledged, and never what somebody is still at work on."""

from __future__ import annotations

import pytest

from nooble.operations.adopt import PRUNE
from nooble.wire.redis_stream import ActionStream
from tests.support.streams import Raw, take

pytestmark = pytest.mark.every_server


async def prune(stream: ActionStream, count: int) -> int:
    """Prune the whole stream, *count* entries at a time. Returns how many were deleted."""
    deleted, cursor = 0, b"-"
    while cursor:
        number, cursor = await PRUNE.run(stream.work, stream.stream, stream.group, cursor, count)
        deleted += number
    return deleted


@pytest.mark.parametrize("count", [1, 2, 3, 100])
async def test_what_was_acknowledged_is_deleted_and_what_is_pending_or_unread_stays(
    stream: ActionStream, raw: Raw, count: int
) -> None:
    ids = await raw.add(10)
    await take(stream, 8)
    await raw.redis.xack(raw.key, raw.group, *ids[1:7:2])
    assert await prune(stream, count) == 3
    assert [entry_id for entry_id, _ in await raw.redis.xrange(raw.key)] == [*ids[0:8:2], *ids[7:]]


async def test_pending_entries_that_were_deleted_hide_none_that_were_not(stream: ActionStream, raw: Raw) -> None:
    """They are in the pending list and not in the stream, so a look at as many rows as entries shows too few."""
    ids = await raw.add(6)
    await take(stream)
    await raw.redis.xdel(raw.key, *ids[1:4])
    assert await prune(stream, 3) == 0
    assert [entry_id for entry_id, _ in await raw.redis.xrange(raw.key)] == [ids[0], *ids[4:]]
