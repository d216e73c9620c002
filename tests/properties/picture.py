"""What is to be seen of a service from outside: its entries, retries, dead letters, answers and follow-ups, read as
`docs/wire.md` describes them, and where in them every action is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import redis as redis_library

from nooble.wire.delivery import DATA, read_fields
from nooble.wire.redis_stream import ActionStream

HOUR = 3_600_000


class Entry(NamedTuple):
    """An action as it stands in the stream or waits in the retry set: what may be seen of it from outside."""

    first_id: bytes
    data: bytes
    version: bytes | None = None
    attempts: int = 0
    deliveries: int = 0


class Letter(NamedTuple):
    """A dead letter; `what` is the data of the action, or the mark of a follow-up that could not be sent."""

    reason: bytes
    first_id: bytes
    what: bytes | None


class Picture(msgspec.Struct):
    """What there is to be seen, in a server or in a model.

    Attributes:
        group: id up to which the group has read; `None` if there is no group.
        stream: entries by id.
        pending: owner and delivery count by id.
        retries: each with the hours it waits, the next one first.
        letters: oldest first.
        answers: by queue, oldest first.
        posts: the follow-ups, oldest first.
    """

    group: bytes | None
    stream: dict[bytes, Entry]
    pending: dict[bytes, tuple[str, int]]
    retries: list[tuple[Entry, int]]
    letters: list[Letter]
    answers: dict[str, list[bytes]]
    posts: list[bytes]


# ── looking ──
def look(
    redis: redis_library.Redis, wire: ActionStream, posts_key: str, queues: Sequence[str], answer_ttl_ms: int
) -> Picture:
    """What is in the server in one moment. There are no other keys, and answers have a lifetime."""
    stream, group, retry_set, letters = wire.stream, wire.group, wire.retry_set, wire.dead_letters
    with redis.pipeline(transaction=True) as pipe:
        pipe.time().keys("*").xinfo_groups(stream).xrange(stream)
        pipe.xpending_range(stream, group, "-", "+", 1_000)
        pipe.zrange(retry_set, 0, -1, withscores=True).xrange(letters).xrange(posts_key)
        for queue in queues:
            pipe.lrange(queue, 0, -1).pttl(queue)
        found = pipe.execute(raise_on_error=False)
    (seconds, micros), names = found[:2]
    groups, entries, rows, retries, buried, posts, *answers = [
        [] if isinstance(reply, redis_library.ResponseError) else reply for reply in found[2:]
    ]
    assert {name.decode() for name in names} <= {stream, retry_set, letters, posts_key, *queues}
    assert all(said == [] or 0 < left <= answer_ttl_ms for said, left in zip(answers[::2], answers[1::2], strict=True))
    now = seconds * 1_000 + micros // 1_000
    return Picture(
        groups[0]["last-delivered-id"] if groups else None,
        {entry_id: entry_of(entry_id, fields) for entry_id, fields in entries},
        {row["message_id"]: (row["consumer"].decode(), row["times_delivered"]) for row in rows},
        [(waiting(member), round((score - now) / HOUR)) for member, score in retries],
        [Letter(one[b"reason"], one.get(b"first_id", b""), one.get(DATA)) for _, one in buried],
        {queue: said[::-1] for queue, said in zip(queues, answers[::2], strict=True)},
        [fields[DATA] for _, fields in posts],
    )


def entry_of(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    data, facts = read_fields([part for pair in fields.items() for part in pair])
    known = facts or {}
    counts = (int(known.get(name, 0)) for name in (b"attempt", b"deliveries"))
    return Entry(known.get(b"first_id", entry_id), data or b"", known.get(b"v"), *counts)


def waiting(member: bytes) -> Entry:
    """A member of the retry set, read as `docs/wire.md` describes it."""
    line, _, data = member.partition(b"\n")
    first_id, *words = line.split(b" ")
    return entry_of(first_id, {b"data": data, **dict(zip(words[::2], words[1::2], strict=True))})


# ── counting ──
def place(entry_id: bytes) -> tuple[int, int]:
    """*entry_id* as something that can be compared."""
    first, _, second = entry_id.partition(b"-")
    return int(first), int(second)


def whereabouts(picture: Picture, origins: dict[bytes, bytes]) -> Counter[bytes]:
    """In how many places every action is, by the id under which it was sent. An action that has ended is where its run has
    left its mark.

    Needs no model: a service must never show more or less than one place for an action, whatever has happened.
    """
    waiting = [entry.first_id for entry in picture.stream.values()] + [entry.first_id for entry, _ in picture.retries]
    ghosts = [entry_id for entry_id in picture.pending if entry_id not in picture.stream]
    buried = [letter.first_id for letter in picture.letters if letter.first_id]
    said = [answer for answers in picture.answers.values() for answer in answers]
    results = [answer.removeprefix(b"result ") for answer in said if answer.startswith(b"result ")]
    ended = [mark.partition(b" ")[0] for mark in {*results, *_follow_ups(picture)}]
    return Counter(origins[entry_id] for entry_id in waiting + ghosts + buried + ended)


def doubled(picture: Picture) -> set[bytes]:
    """Answers and follow-ups that are there more than once."""
    said = Counter(answer for answers in picture.answers.values() for answer in answers)
    return {what for what, count in (said + Counter(_follow_ups(picture))).items() if count > 1}


def _follow_ups(picture: Picture) -> list[bytes]:
    """Those that were sent, and those that could not be sent and were kept."""
    return picture.posts + [letter.what or b"" for letter in picture.letters if not letter.first_id]
