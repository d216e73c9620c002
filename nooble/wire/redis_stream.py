"""One stream as one consumer of one group sees it: every command that a worker sends is a typed verb here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from nooble.models.outcomes import Reply
from nooble.wire.channels import COMMAND_TIMEOUT
from nooble.wire.connection import Endpoint, Link, breathe
from nooble.wire.delivery import Delivery, deliveries_of, delivery_of
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.keys import QueueManager, lua_literal
from nooble.wire.scripts import ABANDONED, CLAIM, COMMIT, ENSURE_GROUP, FORGET, MOVE_RETRIES, RENEW, RESTAMP

OWN, POST, RETRY, EFFECT, ONCE = b"own", b"post", b"retry", b"effect", b"once"
_SPARE_ROWS = 16
_PAGE = 500
_DEAD_AFTER_MS = 24 * 3600 * 1000


class Write(msgspec.Struct, frozen=True, gc=False):
    """One essential write of a commit.

    Attributes:
        kind: `OWN` (an entry for a stream of the own service), `POST` (for the stream of another), `RETRY`, `EFFECT` (of
            the handler's own), or `ONCE` (the record of an idempotency key).
        key: where.
        arguments: field, value, … for an entry; milliseconds and member for a retry; the whole command for an effect;
            first id, milliseconds, answer, how it ended and action id for a record.
    """

    kind: bytes
    key: str
    arguments: Sequence[Any]


class Ending(msgspec.Struct, gc=False):
    """How one delivery ends: what is written when it leaves the pending list."""

    delivery: Delivery
    reply: Reply | None = None
    writes: tuple[Write, ...] = ()


class Committed(msgspec.Struct):
    """What the server says of a batch.

    Attributes:
        count: deliveries that have ended.
        refused: those that were not ours any more, each with `b"taken"` or `b"gone"`; for them nothing was written.
        held: deliveries that stay pending because a key of the own service cannot be written, each with the error.
        unwritten: keys that could not be written, each with the error, although the delivery has ended.
        spoilt: deliveries that stay pending because an effect of theirs cannot be made, each with the error.
        repeated: deliveries that stay pending because their idempotency key has been used up by another run, each with the
            answer of that run.
    """

    count: int = 0
    refused: list[tuple[Delivery, bytes]] = []
    held: list[tuple[Delivery, str]] = []
    unwritten: list[tuple[str, str]] = []
    spoilt: list[tuple[Delivery, str]] = []
    repeated: list[tuple[Delivery, bytes]] = []

    def __iadd__(self, other: Committed) -> Committed:
        """What came of a further part of the batch."""
        self.count += other.count
        self.refused += other.refused
        self.held += other.held
        self.unwritten += other.unwritten
        self.spoilt += other.spoilt
        self.repeated += other.repeated
        return self


class Standing(msgspec.Struct):
    """What a worker finds when it comes to a stream.

    Attributes:
        entries: length of the stream.
        pending: entries delivered and not ended, of all consumers.
        foreign: pending entries of consumers that are not this framework's, by name of the consumer.
        history: whether entries were acknowledged without being deleted.
        last_delivered: id up to which the group has read.
    """

    entries: int
    pending: int
    foreign: dict[str, int]
    history: bool
    last_delivered: bytes


class ActionStream:
    """The action stream of a service, through the eyes of one consumer.

    Two connections: one for reads that block, one for everything else. Every verb raises `ServerUnavailable` when
    waiting helps, `ServerRefused` when a person must mend something, and `GroupMissing` when the group is gone.

    Args:
        endpoint: where the server is.
        keys: names.
        service_name: whose stream.
        consumer: name of this consumer.
        answer_ttl_ms: lifetime of answers in milliseconds.
        max_backlog: how many actions may be in the stream, to be published for those who send; 0 for no bound.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        keys: QueueManager,
        service_name: str,
        consumer: str,
        answer_ttl_ms: int = 300_000,
        max_backlog: int = 0,
    ) -> None:
        self.stream = keys.get_service_action_stream(service_name)
        self.group = keys.get_consumer_group(service_name)
        self.consumer = consumer
        self.retry_set = keys.get_retry_set(service_name)
        self.dead_letters = keys.get_dead_letter_stream(service_name)
        self.reader = Link(endpoint)
        self.work = Link(endpoint)
        self._pattern = keys.get_consumer_pattern(service_name)
        self._answer_ttl_ms = answer_ttl_ms
        self._bound = keys.get_backlog_bound(service_name), max_backlog
        self._once_records = keys.get_once_record(service_name, "")
        self._order = 0

    # ── the group ──
    async def ensure_group(self, start: bytes = b"0") -> bool:
        """Create the stream and the group if they are not there, and publish how much may wait there.

        Returns:
            Whether the group is new.
        """
        return bool(await ENSURE_GROUP.run(self.work, self.stream, self.group, start, *self._bound))

    def once_record(self, context: str) -> str:
        """Key of the record of an idempotency key."""
        return self._once_records + context

    async def standing(self) -> Standing:
        """What is there: a bounded look, for the words of a starting worker and for `adopt`."""
        consumers, groups, length = await self.work.pipeline(
            [
                (b"XINFO", b"CONSUMERS", self.stream, self.group),
                (b"XINFO", b"GROUPS", self.stream),
                (b"XLEN", self.stream),
            ]
        )
        for reply in (consumers, groups, length):
            if isinstance(reply, ERROR_REPLIES):
                raise fault(reply)
        group = next(row for row in map(_mapping, groups) if row[b"name"] == self.group.encode())
        rows = [_mapping(row) for row in consumers]
        foreign = {
            row[b"name"].decode("utf-8", "replace"): row[b"pending"]
            for row in rows
            if row[b"pending"] and not self._is_ours(row[b"name"])
        }
        last, pending, lag = group[b"last-delivered-id"], group[b"pending"], group.get(b"lag")
        if lag is None:  # the server cannot always tell how many entries the group has not read
            lag = length - len(await self.work.execute(b"XRANGE", self.stream, b"-", last, b"COUNT", pending + 1))
        return Standing(length, pending, foreign, length - lag > pending, last)

    # ── taking ──
    async def read(self, count: int, block_ms: int) -> list[Delivery]:
        """Entries that nobody has been given yet, at most *count*; waits up to *block_ms* for the first."""
        since = time.monotonic()
        reply = await self.reader.execute(
            *(b"XREADGROUP", b"GROUP", self.group, self.consumer, b"COUNT", count, b"BLOCK", block_ms),
            *(b"STREAMS", self.stream, b">"),
            timeout=block_ms / 1000 + COMMAND_TIMEOUT,
        )
        if not reply:
            await breathe(since, block_ms / 1000)
            return []
        made = deliveries_of(reply[0][1], self._order)
        self._order += len(made)
        return made

    async def abandoned(self, lease_ms: int) -> int:
        """The server's clock in ms if another of this framework's consumers has entries that it has not renewed for
        *lease_ms*; 0 if none has."""
        return int(await ABANDONED.run(self.work, self.stream, self.group, self.consumer, self._pattern, lease_ms))

    async def claim(self, room: int, lease_ms: int, latest_ms: int = 0) -> tuple[list[Delivery], list[bytes]]:
        """Take over at most *room* entries of this framework's consumers that have not renewed them for *lease_ms*;
        none if the server's clock is beyond *latest_ms* (0: no bound), as it is after a jump.

        Returns:
            The deliveries, and the ids of entries that somebody has deleted while they were pending.
        """
        taken, gone = await CLAIM.run(
            *(self.work, self.stream, self.dead_letters, self.group, self.consumer, self._pattern),
            *(lease_ms, room, latest_ms),
        )
        return [delivery_of(entry_id, fields, count) for entry_id, count, fields in taken], gone

    async def unseen(self, known: Iterable[bytes]) -> list[Delivery]:
        """Entries that this consumer has by the pending list and does not know of: their read was cut off."""
        rows = await self.work.execute(b"XPENDING", self.stream, self.group, b"-", b"+", 10_000, self.consumer)
        seen = set(known)
        strays = [(row[0], row[3]) for row in rows if row[0] not in seen]
        if not strays:
            return []
        entries = await self.work.pipeline([(b"XRANGE", self.stream, entry_id, entry_id) for entry_id, _ in strays])
        found = []
        for (entry_id, count), entry in zip(strays, entries, strict=True):
            if isinstance(entry, ERROR_REPLIES):
                raise fault(entry)
            found.append(delivery_of(entry_id, entry[0][1] if entry else None, count))
        return found

    # ── ending ──
    async def commit(self, endings: Sequence[Ending], held: int) -> Committed:
        """End deliveries: for each that is still ours everything is written, or nothing.

        Repeating it after a lost reply is safe: what has ended is refused as gone.

        Args:
            endings: at most some hundred, those in order of reading before all others.
            held: how many entries this consumer may own; only a hint.
        """
        in_order = endings[0].delivery.order >= 0
        first, last = (endings[0].delivery.entry_id, endings[-1].delivery.entry_id) if in_order else (b"-", b"+")
        arguments: list[Any] = [self.stream, self.group, self.consumer, held + _SPARE_ROWS, len(endings), first, last]
        arguments += (self._answer_ttl_ms, self.dead_letters)
        tail: list[Any] = []
        for number, ending in enumerate(endings, 1):
            delivery, reply = ending.delivery, ending.reply
            if reply is None:
                arguments += (delivery.entry_id, delivery.token, b"", b"")
            else:
                arguments += (delivery.entry_id, delivery.token, reply.queue, reply.value)
            for write in ending.writes:
                tail += (number, write.kind, write.key, len(write.arguments), *write.arguments)
        count, refused, kept, unwritten, spoilt, repeated = await COMMIT.run(self.work, *arguments, *tail)

        def about(flat: list[Any]) -> list[tuple[Delivery, Any]]:
            return [(endings[i - 1].delivery, what) for i, what in zip(flat[::2], flat[1::2], strict=True)]

        return Committed(
            count,
            about(refused),
            [(delivery, _text(why)) for delivery, why in about(kept)],
            [(_text(key), _text(why)) for key, why in zip(unwritten[1::3], unwritten[2::3], strict=True)],
            [(delivery, _text(why)) for delivery, why in about(spoilt)],
            about(repeated),
        )

    # ── keeping ──
    async def renew(self, deliveries: Sequence[Delivery]) -> tuple[int, set[bytes]]:
        """Renew the lease of *deliveries*. Returns the server's clock in ms and the ids that are not ours any more."""
        arguments: list[Any] = []
        for delivery in deliveries:
            arguments += (delivery.entry_id, delivery.token)
        rows = len(deliveries) + _SPARE_ROWS
        clock, lost = await RENEW.run(self.work, self.stream, self.group, self.consumer, rows, *arguments)
        return clock, set(lost)

    async def restamp(self) -> int:
        """Set delivery times that lie in the future, as a clock that was set back leaves them, to now: what is pending
        with another of this framework's consumers ages again. Owners and counts stay. Returns how many there were."""
        restamped, here = 0, b"-"
        while here:
            changed, here = await RESTAMP.run(
                self.work, self.stream, self.group, self.consumer, self._pattern, here, _PAGE
            )
            restamped += changed
        return restamped

    async def move_retries(self, limit: int = 100, offset_ms: int = 0) -> tuple[int, float | None]:
        """Put retries that are due back into the stream.

        Args:
            limit: most that are moved in one call.
            offset_ms: added to the server's clock; for tests.

        Returns:
            How many were moved, and the seconds until the next is due (`None` if there is none).
        """
        moved, wait, error = await MOVE_RETRIES.run(self.work, self.retry_set, self.stream, limit, offset_ms)
        if error:
            raise fault(error)
        return moved, None if wait < 0 else wait / 1000

    async def trim_dead_letters(self, max_length: int, ttl_ms: int, clock_ms: int) -> int:
        """Drop dead letters beyond *max_length* and older than *ttl_ms* (0: no bound). Returns how many fell off."""
        dropped = 0
        if max_length:
            dropped += await self.work.execute(b"XTRIM", self.dead_letters, b"MAXLEN", max_length)
        if ttl_ms:
            dropped += await self.work.execute(b"XTRIM", self.dead_letters, b"MINID", max(0, clock_ms - ttl_ms))
        return dropped

    # ── leaving ──
    async def forget_dead(self) -> list[str]:
        """Delete this framework's consumers that own nothing and have been silent for a day."""
        return await self._forget(self._pattern, _DEAD_AFTER_MS)

    async def leave(self) -> bool:
        """Delete this consumer, if it owns nothing. Returns whether it did."""
        return bool(await self._forget(f"^{lua_literal(self.consumer)}$", 0))

    async def _forget(self, pattern: str, idle_ms: int) -> list[str]:
        names = await FORGET.run(self.work, self.stream, self.group, pattern, idle_ms)
        return [_text(name) for name in names]

    async def close(self) -> None:
        """Close both connections."""
        await self.reader.close()
        await self.work.close()

    def _is_ours(self, name: bytes) -> bool:
        prefix, _, nonce = name.rpartition(b"-nb")
        return len(nonce) == 10 and prefix.startswith(self.group.removesuffix("-group").encode() + b"-worker-")

    def __repr__(self) -> str:
        return f"<ActionStream {self.stream} as {self.consumer}>"


def retry_member(delivery: Delivery, attempts: int) -> bytes:
    """*delivery* as it waits in the retry set: one line that begins with its first id, and then the data."""
    _, data, _, first_id, *facts = delivery.onward(attempts=attempts)
    return b" ".join([first_id, *facts]) + b"\n" + data


def _mapping(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
