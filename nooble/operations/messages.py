"""The messages of all services, wherever they are: looked through by bounded reads, found by any of their ids, followed as
they come. Nothing is changed by looking."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import msgspec

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerRefused
from nooble.operations.finding import Finder
from nooble.operations.following import follow, known_services
from nooble.operations.message import Message, read_entry, read_letter, read_retry
from nooble.operations.searching import CHUNK, CHUNK_BYTES, Part
from nooble.operations.which import checked_id
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

LOOK = Script("look", keys=1)
LOOK_RETRIES = Script("look_retries", keys=1)
IDS, TEXT = b"ids", b"text"
"""What is looked for: ids, which an action may also derive from that of its entry; or text, in upper or lower case."""
_MOST_BYTES = 128 * CHUNK_BYTES
"""Most bytes that a page or a search looks at in all."""


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what there is.

    Attributes:
        messages: those that were looked for.
        cursor: where the next page begins; `None` if there is none.
        scanned: how many were looked at.
        cut: whether it ends here because so many were looked at, not because so many were found.
    """

    messages: tuple[Message, ...]
    cursor: str | None = None
    scanned: int = 0
    cut: bool = False


class Messages:
    """The messages of a prefix and environment. To be closed, or used as an async context manager.

    Every method raises `ServerUnavailable` if the server cannot be reached, and `ServerRefused` if it does not let us or a
    key that was named holds something else.

    Args:
        redis: a connection to the server.
        settings: prefix and environment; the name of the service does not matter.
    """

    def __init__(self, redis: Redis, settings: CommonAppSettings) -> None:
        self._keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
        self._endpoint = Endpoint(redis)
        self._link = Link(self._endpoint)
        self._finder = Finder(self._keys)

    async def services(self) -> tuple[str, ...]:
        """Names of the services that have a stream, retries or dead letters; of a very full server not all of them."""
        return (await known_services(self._link, self._finder))[0]

    # ── one service ──
    async def page(
        self,
        service: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        newest_first: bool = True,
        action: str = "",
        text: str = "",
        with_payload: bool = False,
        scan: int = 10_000,
    ) -> MessagePage:
        """A page of the stream of a service: what waits, and what is at work and with whom.

        Args:
            service: whose stream.
            limit: most messages of a page.
            cursor: of the page before.
            newest_first: the other way round from the order in which they are done.
            action: only of this type; `*`, `?` and `[…]` stand for what they stand for in file names.
            text: only those in which this stands, in upper or lower case of a to z.
            with_payload: whether the envelope is wanted.
            scan: most messages that are looked at to find them.

        Raises:
            ConfigurationFault: *cursor* is none.
        """
        texts = _needles(text) if text else [action] if action and not set(action) & set("*?[") else []
        how = TEXT if text else b""
        begin = ("+" if newest_first else "-") if cursor is None else f"({checked_id(cursor)}"
        found: list[Message] = []
        scanned, size = 0, 0
        while begin and scanned < scan and size < _MOST_BYTES:
            some, begin, looked = await self._stream(
                service,
                texts,
                begin,
                limit - len(found),
                scan - scanned,
                newest_first,
                with_payload=with_payload,
                how=how,
            )
            scanned += looked
            size += CHUNK_BYTES if looked < CHUNK else 0
            found += [one for one in some if not action or fnmatch.fnmatchcase(one.action_type, action)]
            if len(found) >= limit:
                return MessagePage(messages=tuple(found), cursor=begin[1:] or None, scanned=scanned)
        return MessagePage(messages=tuple(found), cursor=begin[1:] or None, scanned=scanned, cut=bool(begin))

    async def retries(
        self, service: str, *, limit: int = 50, cursor: str | None = None, with_payload: bool = False
    ) -> MessagePage:
        """A page of what waits for its next attempt, in the order in which it is due.

        Raises:
            ConfigurationFault: *cursor* is none.
        """
        score, seen = _retry_cursor(cursor)
        found: list[Message] = []
        scanned = 0
        while len(found) < limit:
            rows, score, seen, looked = await self._retry_rows(service, (), score, seen, limit - len(found))
            found += [read_retry(service, *row, with_payload=with_payload) for row in rows]
            scanned += looked
            if not score:
                break
        return MessagePage(messages=tuple(found), cursor=f"{score}:{seen}" if score else None, scanned=scanned)

    # ── all of them ──
    async def find(self, identifier: str, services: Sequence[str] = ()) -> tuple[Message, ...]:
        """The messages that have an id, the newest first: see `search`."""
        return (await self.search([identifier], services)).messages

    async def conversation(self, message: Message) -> tuple[Message, ...]:
        """All that shares the trace or the correlation of *message*, itself included, in the order of time. What is done has
        left the server, so it is not among them."""
        page = await self.search([message.trace_id, message.correlation_id, message.action_id])
        found = {(one.service, one.place, one.entry_id): one for one in (*page.messages, message)}
        return tuple(sorted(found.values(), key=_when))

    async def search(
        self, identifiers: Iterable[str], services: Sequence[str] = (), *, scan: int = 100_000
    ) -> MessagePage:
        """The messages that have one of *identifiers*, the newest first, with their envelopes.

        Args:
            identifiers: ids of entries, dead letters, actions, correlations, traces or tasks.
            services: whose; all that are known if none is named.
            scan: most messages that are looked at, in all places together; the newest first, retries in the order in which
                they are due. Large ones count as several: it ends, too, when some 64 MB were looked at.
        """
        asked = [one.strip() for one in identifiers if one.strip()]
        if not asked:
            return MessagePage(messages=())
        wanted = {one.lower() for one in asked}
        texts = sorted({form for one in asked for form in (one, one.lower(), one.upper())})
        names, cut = (
            (tuple(dict.fromkeys(services)), False) if services else await known_services(self._link, self._finder)
        )
        found: dict[tuple[str, str, str], Message] = {}
        scanned, size = 0, 0
        places = [(name, place) for name in names for place in (self._in_stream, self._in_retries, self._in_letters)]
        share = max(CHUNK, scan // max(1, len(places)))
        for number, (service, place) in enumerate(places):
            part = Part(wanted, share, max(CHUNK_BYTES, (_MOST_BYTES - size) // (len(places) - number)))
            try:
                await place(service, texts, part)
            except ServerRefused:
                if services:
                    raise
                continue  # a key of the wrong type of somebody's must not hide the others
            scanned += part.scanned
            size += part.size
            cut = cut or part.cut
            found |= {(one.service, one.place, one.entry_id): one for one in part.found}
        newest_first = sorted(found.values(), key=_when, reverse=True)
        return MessagePage(messages=tuple(newest_first), scanned=scanned, cut=cut)

    async def tail(self, services: Sequence[str] = (), *, poll: float = 0.2) -> AsyncIterator[Message]:
        """Actions as they are written from now on, and what is buried. Does not end by itself.

        It reads beside the workers and takes nothing from them. What is done leaves the stream at once, so under load an
        action can be gone before it was seen here: this is for watching, not for counting.

        Args:
            services: whose; all that are known, and that come to be known, if none is named.
            poll: longest wait of one read in seconds.
        """
        async for message in follow(Link(self._endpoint), self._keys, services, poll):
            yield message

    async def close(self) -> None:
        """Close the connection; a later use opens it again."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── places ──
    async def _in_stream(self, service: str, texts: Sequence[str], part: Part) -> None:
        begin = "+"
        for entry in _ids(texts):  # wherever it is, not only within the budget
            part.add((await self._stream(service, (), entry, 1, 1, newest_first=True, end=entry))[0])
        while begin and part.goes_on:
            some, begin, looked = await self._stream(service, texts, begin, CHUNK, part.left, newest_first=True)
            part.add(some, looked, bool(begin))

    async def _in_letters(self, service: str, texts: Sequence[str], part: Part) -> None:
        key = self._keys.get_dead_letter_stream(service)
        begin = "+"
        for entry in _ids(texts):
            rows = (await LOOK.run(self._link, key, b"XRANGE", entry, entry, 1, 1, CHUNK_BYTES, b"", b""))[0]
            part.add([read_letter(service, row[0], row[1]) for row in rows], size=_size_of(rows))
        while begin and part.goes_on:
            rows, begin_next, looked, _, _ = await LOOK.run(
                *(self._link, key, b"XREVRANGE", begin, "-", CHUNK),
                *(min(CHUNK, part.left), CHUNK_BYTES, b"", IDS, *texts),
            )
            begin = begin_next.decode()
            letters = [read_letter(service, row[0], row[1]) for row in rows]
            part.add(letters, looked, bool(begin), size=_size_of(rows))

    async def _in_retries(self, service: str, texts: Sequence[str], part: Part) -> None:
        score, seen, more = "", 0, True
        while more and part.goes_on:
            rows, score, seen, looked = await self._retry_rows(service, texts, score, seen, CHUNK)
            more = bool(score)
            part.add([read_retry(service, *row) for row in rows], looked, more)

    # ── reading ──
    async def _stream(
        self,
        service: str,
        texts: Sequence[str],
        begin: str,
        count: int,
        most: int,
        newest_first: bool,
        *,
        end: str = "",
        with_payload: bool = True,
        how: bytes = IDS,
    ) -> tuple[list[Message], str, int]:
        """What is found, where to go on, and how many were looked at."""
        command = b"XREVRANGE" if newest_first else b"XRANGE"
        rows, begin_next, looked, last_given, _ = await LOOK.run(
            *(self._link, self._keys.get_service_action_stream(service), command, begin),
            *(end or ("-" if newest_first else "+"), count, min(CHUNK, most), CHUNK_BYTES),
            *(self._keys.get_consumer_group(service), how, *texts),
        )
        found = [read_entry(service, row, last_given, with_payload=with_payload) for row in rows]
        return found, begin_next.decode(), looked

    async def _retry_rows(
        self, service: str, texts: Sequence[str], score: str, seen: int, count: int
    ) -> tuple[list[list[bytes]], str, int, int]:
        key = self._keys.get_retry_set(service)
        rows, score_next, seen, looked, _ = await LOOK_RETRIES.run(
            self._link, key, score, seen, count, CHUNK, CHUNK_BYTES, IDS, *texts
        )
        return rows, score_next.decode(), seen, looked


def _needles(text: str) -> list[str]:
    """How *text* may stand in an action: as it is, or with the escapes of JSON."""
    low = text.lower()
    forms = (low, json.dumps(text, ensure_ascii=False)[1:-1].lower(), json.dumps(text)[1:-1].lower())
    return list(dict.fromkeys(forms))


def _size_of(rows: Iterable[Sequence[Sequence[bytes]]]) -> int:
    """Bytes of letters, whatever they say of themselves."""
    return sum(len(part) for row in rows for part in row[1])


def _ids(texts: Iterable[str]) -> Iterator[str]:
    """Those of *texts* that are ids of entries."""
    for text in texts:
        with suppress(ConfigurationFault):
            yield checked_id(text)


def _retry_cursor(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "", 0
    score, _, seen = cursor.rpartition(":")
    try:
        float(score)
        return score, int(seen)
    except ValueError:
        raise ConfigurationFault(f"{cursor[:100]!r} is no cursor of a page of retries") from None


def _when(message: Message) -> tuple[int, str]:
    moment = message.written_ms if message.written_ms is not None else message.buried_ms
    return (moment or 0, message.entry_id)


__all__ = ["Message", "MessagePage", "Messages"]
