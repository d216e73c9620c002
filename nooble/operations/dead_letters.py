"""The dead letters of a service: looked through by bounded reads, sent again or deleted by atomic, repeatable steps.

A letter that is sent again leaves the dead letters in the same step in which it enters a stream; doing that twice, or by two
people at once, finds it gone and does nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, PayloadTooLarge, QueueManagerError
from nooble.operations.which import EVERY, Which, beginning_of, checked_id, unique_ids
from nooble.wire.connection import Endpoint, Link
from nooble.wire.dead_letters import FOLLOW_UP, DeadLetter, read_dead_letter, revived
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

PAGE = Script("dead_page", keys=1)
REPLAY = Script("replay_dead", keys=1)
_CHUNK, _CHUNK_BYTES = 200, 1_048_576
_LONGEST_REASON = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the dead letters.

    Attributes:
        letters: those that were looked for.
        cursor: where the next page begins; `None` if there is none.
        scanned: how many letters were looked at.
        cut: whether it ends here because so many were looked at, not because so many were found.
    """

    letters: tuple[DeadLetter, ...]
    cursor: str | None
    scanned: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """How many there are.

    Attributes:
        total: all dead letters of the service.
        by_reason: those that were meant, by their reason, the most frequent first.
        cut: whether there are more that were not looked at.
    """

    total: int
    by_reason: Mapping[str, int]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was done.

    Attributes:
        replayed: letters that are on their way again.
        gone: letters that were not there any more: sent or deleted before.
        kept: letters that stay, by their id, each with the reason.
    """

    replayed: int = 0
    gone: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Discarded:
    """What was deleted, and how many letters were gone before."""

    discarded: int = 0
    gone: int = 0


class DeadLetters:
    """The dead letters of one service. To be closed, or used as an async context manager.

    Every method raises `ServerUnavailable` if the server cannot be reached, and `ServerRefused` if it does not let us or the
    key holds something else; what was done before stays done, and doing it again goes on from there.

    Args:
        redis: a connection to the server.
        settings: whose: service, prefix and environment.
    """

    def __init__(self, redis: Redis, settings: CommonAppSettings) -> None:
        self._keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
        self._stream = self._keys.get_service_action_stream(settings.service_name)
        self._most_bytes = settings.max_payload_bytes
        self._link = Link(Endpoint(redis))
        self.key = self._keys.get_dead_letter_stream(settings.service_name)

    # ── looking ──
    async def list(
        self,
        which: Which = EVERY,
        *,
        limit: int = 50,
        oldest_first: bool = False,
        cursor: str | None = None,
        scan: int = 10_000,
    ) -> Page:
        """A page of letters, the newest first.

        Args:
            which: which letters.
            limit: most letters of a page.
            oldest_first: the other way round.
            cursor: of the page before.
            scan: most letters that are looked at to find them.

        Raises:
            ConfigurationFault: *cursor* is none.
        """
        first, last = await self._bounds(which)
        command, begin, end = (b"XRANGE", first, last) if oldest_first else (b"XREVRANGE", last, first)
        if cursor is not None:
            begin = f"({checked_id(cursor)}"
        letters: list[DeadLetter] = []
        scanned = 0
        while scanned < scan:
            page, begin = await self._page(command, begin, end, min(_CHUNK, scan - scanned))
            for letter in page:
                scanned += 1
                if which.fits(letter):
                    letters.append(letter)
                    if len(letters) == limit:
                        more = begin or letter is not page[-1]
                        return Page(tuple(letters), letter.id if more else None, scanned)
            if not begin:
                return Page(tuple(letters), None, scanned)
        return Page(tuple(letters), begin[1:], scanned, cut=True)

    async def show(self, letter_id: str) -> DeadLetter | None:
        """The letter *letter_id*; `None` if it is not there any more.

        Raises:
            ConfigurationFault: that is no id.
        """
        letter_id = checked_id(letter_id)
        page, _ = await self._page(b"XRANGE", letter_id, letter_id, 1)
        return page[0] if page else None

    async def count(self, which: Which = EVERY, *, scan: int = 100_000) -> Counted:
        """How many letters there are, by reason.

        Args:
            which: which letters.
            scan: most letters that are looked at, from the newest on.
        """
        total = await self._link.execute(b"XLEN", self.key)
        first, begin = await self._bounds(which)
        reasons: Counter[str] = Counter()
        scanned = 0
        while begin and scanned < scan:
            page, begin = await self._page(b"XREVRANGE", begin, first, min(_CHUNK, scan - scanned), which.fields)
            scanned += len(page)
            reasons.update(letter.reason[:_LONGEST_REASON] for letter in page if which.fits(letter))
        return Counted(total, dict(reasons.most_common()), cut=bool(begin) and scanned < total)

    async def export(self, which: Which = EVERY) -> AsyncIterator[str]:
        """The letters that there are now, the oldest first, each as one line of JSON without its line end."""
        async for page in self._all(which):
            for letter in page:
                yield json.dumps(letter.as_dict(), ensure_ascii=False)

    # ── doing ──
    async def replay(
        self,
        which: str | Iterable[str] | Which,
        *,
        data: Mapping[str, Any] | None = None,
        progress: Callable[[Replayed], None] | None = None,
    ) -> Replayed:
        """Send letters on their way again, to the end of the stream that they came from; an action that could not be sent on
        goes where it was to go. See `nooble.wire.dead_letters.revived` for what is sent. It begins anew: no attempts, no
        deliveries, and its time to live counts from now.

        Args:
            which: the id of a letter, ids, or those that are meant, as far as they are there now.
            data: the payload that the one letter is sent with, instead of its own.
            progress: called after every bounded step with what was done so far.

        Returns:
            What was done. A letter that cannot be sent stays, and is named with the reason.

        Raises:
            ConfigurationFault: something is no id, or *data* are for more than one letter.
            MalformedAction: with *data* it is no action.
            PayloadTooLarge: with *data* it is larger than `max_payload_bytes`.
        """
        if data is not None and not isinstance(which, str):
            raise ConfigurationFault("data are for one letter: name it by its id")
        replayed = gone = 0
        kept: dict[str, str] = {}
        async for letters, missing in self._meant(which):
            gone += missing
            for chunk in self._sendable(letters, data, kept):
                told = await REPLAY.run(self._link, self.key, *chunk)
                for letter_id, state, why in zip(chunk[::3], told[::2], told[1::2], strict=True):
                    replayed += state == b"sent"
                    gone += state == b"gone"
                    if state == b"kept":
                        kept[letter_id] = _text(why)
            if progress is not None:
                progress(Replayed(replayed, gone, kept))
        return Replayed(replayed, gone, kept)

    async def discard(
        self, which: str | Iterable[str] | Which, *, progress: Callable[[Discarded], None] | None = None
    ) -> Discarded:
        """Delete letters for good.

        Args:
            which: the id of a letter, ids, or those that are meant, as far as they are there now.
            progress: called after every bounded step with what was done so far.

        Raises:
            ConfigurationFault: something is no id.
        """
        done = Discarded()
        async for ids in self._ids(which):
            count = await self._link.execute(b"XDEL", self.key, *ids) if ids else 0
            done = Discarded(done.discarded + count, done.gone + len(ids) - count)
            if progress is not None:
                progress(done)
        return done

    async def close(self) -> None:
        """Close the connection; a later use opens it again."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── reading ──
    async def _page(
        self, command: bytes, begin: str, end: str, count: int, fields: Iterable[str] = ()
    ) -> tuple[Sequence[DeadLetter], str]:
        rows, begin_next = await PAGE.run(self._link, self.key, command, begin, end, count, _CHUNK_BYTES, *fields)
        return [read_dead_letter(letter_id, found) for letter_id, found in rows], _text(begin_next)

    async def _bounds(self, which: Which) -> tuple[str, str]:
        """The ids between which letters are that were buried at the right time."""
        now = 0.0
        if isinstance(which.since, timedelta) or isinstance(which.until, timedelta):
            seconds, micros = await self._link.execute(b"TIME")
            now = int(seconds) + int(micros) / 1e6
        first, last = (beginning_of(moment, now) for moment in (which.since, which.until))
        return first or "-", last or "+"

    async def _all(self, which: Which, fields: Iterable[str] = ()) -> AsyncIterator[Sequence[DeadLetter]]:
        """Those that are there now, page by page; not what is buried meanwhile, such as a replay that failed."""
        begin, last = await self._bounds(which)
        newest, _ = await self._page(b"XREVRANGE", last, begin, 1, ("reason",))
        while newest and begin:
            page, begin = await self._page(b"XRANGE", begin, newest[0].id, _CHUNK, fields)
            yield [letter for letter in page if which.fits(letter)]

    async def _meant(self, which: str | Iterable[str] | Which) -> AsyncIterator[tuple[Sequence[DeadLetter], int]]:
        """The letters that are meant, part by part, and how many of each part are gone."""
        if isinstance(which, Which):
            async for page in self._all(which):
                yield page, 0
            return
        for letter_id in unique_ids(which):
            letter = await self.show(letter_id)
            yield ([letter], 0) if letter else ([], 1)

    async def _ids(self, which: str | Iterable[str] | Which) -> AsyncIterator[Sequence[str]]:
        if isinstance(which, Which):
            async for page in self._all(which, which.fields):
                yield [letter.id for letter in page]
            return
        ids = unique_ids(which)
        for begin in range(0, len(ids), _CHUNK):
            yield ids[begin : begin + _CHUNK]

    # ── sending ──
    def _sendable(
        self, letters: Iterable[DeadLetter], data: Mapping[str, Any] | None, kept: dict[str, str]
    ) -> Iterable[Sequence[Any]]:
        """The arguments that send *letters*, in parts that one call can do; what cannot be sent is put to *kept*."""
        chunk: list[Any] = []
        size = 0
        for letter in letters:
            target, why = self._target(letter)
            sent = b"" if why else revived(letter, data)
            if len(sent) > self._most_bytes:
                why = self._too_large(letter, sent, edited=data is not None)
            if why is not None:
                kept[letter.id] = why
                continue
            if chunk and size + len(sent) > _CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
            chunk += (letter.id, target, b"" if sent == letter.data else sent)
            size += len(sent)
        if chunk:
            yield chunk

    def _too_large(self, letter: DeadLetter, sent: bytes, *, edited: bool) -> str:
        """Why *sent* must not be: a worker would bury it again, and keep no more than its fingerprint."""
        size, limit = len(sent), self._most_bytes
        if edited:
            raise PayloadTooLarge(
                f"with its new payload {letter.id} has {size} bytes, more than max_payload_bytes={limit}; nothing was sent",
                details={"size": size, "limit": limit},
            )
        return f"it has {size} bytes, more than max_payload_bytes={limit}, so its service would refuse it; raise that first"

    def _target(self, letter: DeadLetter) -> tuple[str, str | None]:
        """The stream that *letter* goes to, or why it cannot go."""
        if letter.obstacle is not None:
            return "", letter.obstacle
        if letter.reason != FOLLOW_UP:
            return self._stream, None
        place = f"{self._keys.prefix}:{self._keys.environment}"
        service = letter.target.removeprefix(f"{place}:").removesuffix(":streams:main")
        try:
            if self._keys.get_service_action_stream(service) == letter.target:
                return letter.target, None
        except QueueManagerError:
            pass
        return (
            "",
            f"it was to go to {letter.target[:200]!r}, which is no action stream of {place}; nothing was written there",
        )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
