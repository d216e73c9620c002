"""A look at a stream from outside, in words for a person whose call was not answered."""

from __future__ import annotations

import asyncio
from typing import Any

from nooble.errors import GroupMissing, ServerFault
from nooble.wire.connection import Link
from nooble.wire.faults import ERROR_REPLIES, fault

_PATIENCE = 0.3


async def describe_stream(link: Link, stream: str, group: str) -> str:
    """Whether anybody serves *stream*: one round trip of a third of a second at most, and never an error."""
    try:
        async with asyncio.timeout(_PATIENCE):
            length, consumers = await link.pipeline([(b"XLEN", stream), (b"XINFO", b"CONSUMERS", stream, group)])
    except (ServerFault, TimeoutError) as error:
        return _unknown(str(error) or f"no reply within {_PATIENCE:g} s")
    if isinstance(length, ERROR_REPLIES):
        return _unknown(str(length))
    waiting = f"{length} in the stream {stream}"
    if isinstance(consumers, ERROR_REPLIES):
        if not isinstance(fault(consumers), GroupMissing):
            return _unknown(str(consumers))
        return f"nobody has ever served it ({waiting}); is a worker running, on this server and in this environment?"
    rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in consumers]
    if not rows:
        return f"no worker serves it now ({waiting}); is one running?"
    idle = min(int(row[b"idle"]) for row in rows) / 1000
    busy = sum(int(row[b"pending"]) for row in rows)
    return f"{_count(len(rows), 'worker')} known, last heard of {idle:.1f} s ago, {busy} at work ({waiting})"


def _unknown(why: str) -> str:
    return f"the server could not be asked why ({why})"


def _count(number: int, noun: Any) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
