"""Which services there are, and their actions as they are written: read beside the workers, in no group, taking nothing from
them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from nooble.config.common_app_settings import NAME
from nooble.operations.finding import Finder
from nooble.operations.message import Message, read_entry, read_letter
from nooble.wire.channels import COMMAND_TIMEOUT
from nooble.wire.connection import Link, breathe
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.keys import QueueManager

_COUNT = 20
_LOOK_SECONDS = 1.0
"""Seconds between two looks for services that are new."""


async def known_services(link: Link, finder: Finder) -> tuple[tuple[str, ...], bool]:
    """Services that have something in the server, and whether there may be others: the server may hold too many keys."""
    told = (await link.pipeline([finder.question]))[0]
    names = [name.decode("utf-8", "replace") for name in await finder.find(link, told)]
    return tuple(name for name in names if NAME.fullmatch(name)), finder.cut or bool(finder.why)


async def follow(link: Link, keys: QueueManager, services: Sequence[str], poll: float) -> AsyncIterator[Message]:
    """What is written from now on: see `Messages.tail`. Closes *link* at its end.

    Args:
        link: a connection of its own, because its reads wait.
        keys: names.
        services: whose; all that are known, and that come to be known, if none is named.
        poll: longest wait of one read in seconds.
    """
    finder = Finder(keys)
    places: dict[str, _Place] = {}
    look_at: float | None = None
    try:
        while True:
            if look_at is None or (not services and time.monotonic() >= look_at):
                names = services or (await known_services(link, finder))[0]
                await _add(link, keys, places, names, from_start=look_at is not None, are_named=bool(services))
                look_at = time.monotonic() + _LOOK_SECONDS
            if not places:
                await asyncio.sleep(poll)
                continue
            for message in await _news(link, places, poll):
                yield message
    finally:
        await link.close()


class _Place(msgspec.Struct):
    """A stream that is followed, and how far it was read."""

    service: str
    is_dead: bool
    last: bytes


async def _add(
    link: Link,
    keys: QueueManager,
    places: dict[str, _Place],
    services: Sequence[str],
    *,
    from_start: bool,
    are_named: bool,
) -> None:
    """Follow the streams of *services* too: from now on, or *from_start* if they are new since we began. What cannot be
    followed is left out, unless *are_named* says that somebody asked for just these."""
    new = {
        key: (service, is_dead)
        for service in services
        for is_dead, key in (
            (False, keys.get_service_action_stream(service)),
            (True, keys.get_dead_letter_stream(service)),
        )
        if key not in places
    }
    replies = await link.pipeline([(b"XINFO", b"STREAM", key) for key in new]) if new else []
    for (key, (service, is_dead)), reply in zip(new.items(), replies, strict=True):
        if not isinstance(reply, ERROR_REPLIES):
            about = dict(zip(reply[::2], reply[1::2], strict=True))
            places[key] = _Place(service, is_dead, b"0-0" if from_start else about[b"last-generated-id"])
        elif "no such key" in str(reply):  # nothing was ever written there
            places[key] = _Place(service, is_dead, b"0-0")
        elif are_named:
            raise fault(reply)


async def _news(link: Link, places: dict[str, _Place], poll: float) -> list[Message]:
    since = time.monotonic()
    ids = [place.last for place in places.values()]
    reply = await link.execute(
        *(b"XREAD", b"COUNT", _COUNT, b"BLOCK", max(1, round(poll * 1000)), b"STREAMS", *places, *ids),
        timeout=poll + COMMAND_TIMEOUT,
    )
    if not reply:
        await breathe(since, poll)
        return []
    news: list[Message] = []
    for key, entries in reply:
        place = places[key.decode()]
        for entry_id, fields in entries:
            if place.is_dead:
                news.append(read_letter(place.service, entry_id, fields))
            else:
                news.append(read_entry(place.service, (entry_id, fields, b"", 0, 0), b""))
            place.last = entry_id
    return news
