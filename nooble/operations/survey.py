"""From the server's replies to the reading of one service. Pure: others may have written any name, number or card there, and
whatever cannot be read is text or is missing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from nooble.operations.reading import Consumer, Dead, Pending, Retries, Service, Stream, Worker

MOST_GROUPS, MOST_CONSUMERS, MOST_PENDING, MOST_WORKERS = 100, 1_000, 50, 200
"""How many of each are looked at in one service."""
RECENT_MS = 10 * 60_000
"""Milliseconds for which something has happened of late."""
_SHOWN_PENDING, _SHOWN_CONSUMERS = 20, 200
_LONGEST = 300
_LAST_MS = 2**62
_WORDS = Worker.__struct_fields__
_decode_worker = msgspec.json.Decoder(Worker).decode


class Survey(NamedTuple):
    """A reply of `survey.lua`."""

    stream: Sequence[Any]
    consumers: Sequence[Any]
    pending: Sequence[Any]
    retries: Sequence[Any]
    dead: Sequence[Any]
    workers: Sequence[Any]
    bound: bytes
    words: Sequence[bytes]

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the service is there."""
        return not (self.stream or self.retries or self.dead or self.workers or self.words)

    @property
    def seen(self) -> Mapping[bytes, int]:
        """The workers that have given signs of life, each with the moment of its last one."""
        return {name: _moment(score) or 0 for name, score in _rows(self.workers, 2)}

    @property
    def complaints(self) -> list[tuple[str, str]]:
        """Why a part could not be read: code and words."""
        return [(text_of(code), text_of(words)) for code, words in _rows(self.words, 2)]


Reasons = Sequence[tuple[int, str]]
"""The newest dead letters: moment and reason of each."""


def service_of(
    name: bytes,
    stream: bytes,
    survey: Survey,
    *,
    cards: Mapping[bytes, bytes],
    reasons: Reasons,
    at_ms: int,
    lease_ms: int,
) -> Service:
    """The reading of a service, not judged yet.

    Args:
        name: its name.
        stream: key of its stream.
        survey: how it stands.
        cards: the cards of those of its workers that have one.
        reasons: of its newest dead letters.
        at_ms: the server's clock.
        lease_ms: the lease of a worker that has no card.
    """
    seen = survey.seen
    workers = [worker_of(name, consumer, card, seen.get(consumer, 0)) for consumer, card in cards.items()]
    vanished = [consumer for consumer, beat in seen.items() if consumer not in cards and at_ms - beat < RECENT_MS]
    return Service(
        name=text_of(name),
        stream=_stream_of(name, stream, survey, {worker.consumer for worker in workers}, at_ms, lease_ms),
        retries=Retries(
            count=survey.retries[0] if survey.retries else 0,
            next_due_ms=_moment(survey.retries[1]) if survey.retries else None,
        ),
        dead=_dead_of(survey, reasons, at_ms),
        workers=tuple(sorted(workers, key=lambda worker: (worker.started_ms, worker.consumer))),
        vanished=tuple(map(text_of, vanished)),
        unread="; ".join(words for _, words in survey.complaints),
    )


def worker_of(service: bytes, consumer: bytes, card: bytes, beat_ms: int) -> Worker:
    """A worker as its card says; as its key says, where the two differ, or where the card cannot be read."""
    named = Worker(service=text_of(service), consumer=text_of(consumer), beat_ms=beat_ms, state="unknown")
    try:
        worker = _decode_worker(card)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return named
    words = {name: value[:_LONGEST] for name in _WORDS if isinstance(value := getattr(worker, name), str)}
    words |= {"service": named.service, "consumer": named.consumer}
    return msgspec.structs.replace(worker, **words, beat_ms=beat_ms, at_work=worker.at_work[:_SHOWN_PENDING])


def _stream_of(name: bytes, key: bytes, survey: Survey, living: set[str], at_ms: int, lease_ms: int) -> Stream:
    bound = int(survey.bound) if survey.bound.isdigit() else 0
    if not survey.stream:
        return Stream(key=text_of(key), bound=bound, has_group=False)
    length, added, has_group, pending, read, lag, waiting = survey.stream
    rows = [
        Pending(entry_id=text_of(entry_id), consumer=text_of(consumer), idle_ms=idle, deliveries=deliveries)
        for entry_id, consumer, idle, deliveries in _rows(survey.pending, 4)
    ]
    ours = re.compile(re.escape(name) + rb"-worker-.*-nb[0-9a-fA-F]{10}", re.DOTALL)
    consumers = [
        Consumer(
            name=text_of(consumer),
            ours=ours.fullmatch(consumer) is not None,
            alive=text_of(consumer) in living or idle < lease_ms,
            pending=held,
            idle_ms=idle,
        )
        for consumer, held, idle in _rows(survey.consumers, 3)
    ]
    if not has_group:
        lag = length
    elif not waiting:
        lag = 0
    return Stream(
        key=text_of(key),
        length=length,
        lag=_count(lag),
        pending=pending,
        oldest_waiting_ms=_age(waiting, at_ms),
        oldest_pending_ms=_age(survey.pending[0], at_ms) if rows else None,
        longest_idle_ms=max((row.idle_ms for row in rows), default=0),
        most_deliveries=max((row.deliveries for row in rows), default=0),
        pendings=tuple(rows[:_SHOWN_PENDING]),
        consumers=tuple(sorted(consumers, key=lambda one: (-one.pending, one.name))[:_SHOWN_CONSUMERS]),
        added=_count(added),
        delivered=_count(read),
        bound=bound,
        has_group=bool(has_group),
    )


def _dead_of(survey: Survey, reasons: Reasons, at_ms: int) -> Dead:
    if not survey.dead:
        return Dead()
    count, added, newest = survey.dead
    return Dead(
        count=count,
        by_reason=dict(Counter(reason for _, reason in reasons).most_common()),
        newest_ms=milliseconds_in(newest),
        buried=_count(added),
        recent=sum(at_ms - buried < RECENT_MS for buried, _ in reasons),
    )


def reasons_in(reply: Sequence[bytes]) -> Reasons:
    """A reply of `dead_reasons.lua`."""
    return [(milliseconds_in(letter_id) or 0, text_of(reason)) for letter_id, reason in _rows(reply, 2)]


def _rows(flat: Sequence[Any], width: int) -> Iterable[tuple[Any, ...]]:
    return zip(*[iter(flat)] * width, strict=False)


def text_of(value: bytes) -> str:
    """Bytes that others have chosen, as text; what is no UTF-8 is escaped."""
    return value.decode("utf-8", "backslashreplace")


def milliseconds_in(entry_id: bytes) -> int | None:
    """The moment in which an entry was made; `None` for no id."""
    head = entry_id.partition(b"-")[0]
    return min(int(head), _LAST_MS) if head.isdigit() else None


def _age(entry_id: bytes, at_ms: int) -> int | None:
    made = milliseconds_in(entry_id)
    return None if made is None else max(0, at_ms - made)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _moment(score: bytes) -> int | None:
    """A score of a sorted set, which others may have set to anything."""
    try:
        value = float(score)
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and abs(value) < _LAST_MS else None
