"""One action as it is looked at from outside, wherever it is. Pure: bytes in, a value out, and no bytes make it fail."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from nooble.errors import MalformedAction
from nooble.models import DomainAction
from nooble.wire.codec import codec_of, decode_action, salvage
from nooble.wire.dead_letters import DeadLetter, read_dead_letter
from nooble.wire.delivery import Delivery, read_fields

Place = Literal["waiting", "at_work", "retrying", "dead", "history"]

_HEAD = 4_000
_MOST_LINE = 700
"""Characters of facts before the data of a retry, as `move_retries.lua` reads them."""
_MOST_TEXT = 1_000
_FIRST_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
_LONGEST_TTL = 10**12
_TEXTS = ("tenant_id", "session_id", "task_id", "user_id", "agent_id", "origin_service")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An action, and where it is. Text that is missing is empty, a moment that is not known is `None`.

    Attributes:
        entry_id: id under which it is found where it is: of its entry, of its dead letter, or of its retry (the first id;
            the SHA-1 of a retry that has none).
        service: whose it is.
        place: `waiting` in the stream, `at_work` (a worker holds it), `retrying` (waits for its next attempt), `dead`, or
            `history`: acknowledged by another program that does not delete.
        action_type, action_id, correlation_id, trace_id: of the action; ids that its sender left out are those that workers
            derive.
        task_id, session_id, tenant_id, user_id, agent_id: ids of the business.
        origin_service: who sent it.
        callback_queue_name: where an answer or a callback is wanted.
        callback_action_type: the type of a callback; empty if an answer is wanted.
        first_id: id of the entry as which it was first written.
        buried_as: id of the entry as which a dead letter was buried.
        written_ms: moment at which it was first written.
        deadline_ms: moment after which it is not started any more.
        attempts: runs that have ended with an error so far; of a dead letter, all of them.
        deliveries: how often it was delivered, in all.
        consumer: who holds it, or who gave it up.
        idle_ms: time since it was delivered or its lease was renewed.
        due_ms: moment of its next attempt.
        buried_ms: moment at which it was buried.
        reason, error, traceback: why it is dead.
        once: last part of the name of the record of its idempotency key.
        size: bytes of the action.
        envelope: all of the action as plain data that JSON can say, the payload under `data`; `None` if it was not asked for
            or cannot be read.
        unreadable: why it is no action; empty if it is one.
        head: beginning of the bytes of what cannot be read, as text.
    """

    entry_id: str
    service: str
    place: Place
    action_type: str = ""
    action_id: str = ""
    correlation_id: str = ""
    trace_id: str = ""
    task_id: str = ""
    session_id: str = ""
    tenant_id: str = ""
    user_id: str = ""
    agent_id: str = ""
    origin_service: str = ""
    callback_queue_name: str = ""
    callback_action_type: str = ""
    first_id: str = ""
    buried_as: str = ""
    written_ms: int | None = None
    deadline_ms: int | None = None
    attempts: int = 0
    deliveries: int = 0
    consumer: str = ""
    idle_ms: int = 0
    due_ms: int | None = None
    buried_ms: int | None = None
    reason: str = ""
    error: str = ""
    traceback: str = ""
    once: str = ""
    size: int = 0
    envelope: Mapping[str, Any] | None = None
    unreadable: str = ""
    head: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """By what it can be found."""
        return (
            *(self.entry_id, self.first_id, self.buried_as),
            *(self.action_id, self.correlation_id, self.trace_id, self.task_id),
        )

    @property
    def is_awaited(self) -> bool:
        """Whether its sender waits for an answer, or has waited."""
        return bool(self.callback_queue_name) and not self.callback_action_type


# ── read ──
def read_entry(service: str, row: Sequence[Any], last_given: bytes, *, with_payload: bool = True) -> Message:
    """The message in an entry of an action stream, as `look.lua` tells it.

    Args:
        service: whose stream.
        row: id, fields, consumer, idle time, deliveries.
        last_given: last id that the group was given; empty if there is no group.
        with_payload: whether the envelope is wanted.
    """
    entry_id, fields, consumer, idle_ms, deliveries = row
    data, facts = read_fields(fields)
    delivery = Delivery(entry_id, data, max(1, deliveries), facts=facts)
    if consumer:
        place: Place = "at_work"
    else:
        place = "waiting" if not last_given or _order(entry_id) > _order(last_given) else "history"
    known = _of_delivery(service, delivery, with_payload)
    known |= {"deliveries": delivery.deliveries - (not consumer)}
    return Message(
        **known, entry_id=_text(entry_id), place=place, consumer=_text(consumer), idle_ms=idle_ms if consumer else 0
    )


def read_retry(service: str, member: bytes, score: bytes, *, with_payload: bool = True) -> Message:
    """The message in a member of a retry set."""
    delivery = delivery_of_retry(member)
    known = _of_delivery(service, delivery, with_payload)
    if not delivery.entry_id:
        known |= {"first_id": "", "written_ms": None}
    return Message(
        **known,
        entry_id=retry_id(member),
        place="retrying",
        deliveries=delivery.deliveries - 1,
        due_ms=_moment(score),
    )


def read_letter(service: str, letter_id: bytes, fields: list[bytes], *, with_payload: bool = True) -> Message:
    """The message in a dead letter."""
    letter = read_dead_letter(letter_id, fields)
    known = _of_data(service, letter.data, letter.identity, with_payload)
    known.pop("ttl", None)  # counts anew when it is replayed
    if letter.data is None:
        known |= {"action_type": letter.action_type, "action_id": letter.action_id, "unreadable": letter.obstacle or ""}
        known["head"] = _text(letter.head[:_HEAD])
    return Message(
        **known,
        entry_id=letter.id,
        place="dead",
        first_id=letter.first_id[:_MOST_TEXT],
        buried_as=letter.entry_id[:_MOST_TEXT],
        written_ms=_written(letter.first_id.encode("utf-8", "replace")),
        buried_ms=_written(letter_id),
        attempts=letter.attempts or 0,
        deliveries=letter.deliveries or 0,
        consumer=letter.worker[:_MOST_TEXT],
        reason=letter.reason[:_MOST_TEXT],
        error=letter.error,
        traceback=letter.traceback,
        once=_once(letter),
        size=letter.size or 0,
    )


def retry_id(member: bytes) -> str:
    """By what a retry is named: its first id, or the SHA-1 of all of it if it has none."""
    first = _first_word(member)
    return first.decode() if first else hashlib.sha1(member, usedforsecurity=False).hexdigest()


def delivery_of_retry(member: bytes) -> Delivery:
    """A member of a retry set as the delivery that it will be; without an id if it was not written by us."""
    line, newline, data = member.partition(b"\n")
    if not newline:
        line, data = b"", member
    words = line[:_MOST_LINE].split()
    pairs = words[1:] if len(words) % 2 else words[1:-1]
    _, facts = read_fields(pairs)
    first = _first_word(member)
    return Delivery(first or b"", data, 1, facts=facts)


def fits(message: Message, identifiers: set[str]) -> bool:
    """Whether one of *identifiers*, in lower case, is an id of *message*."""
    return any(one and one.lower() in identifiers for one in message.ids)


# ── parts ──
def _first_word(member: bytes) -> bytes | None:
    first = member[:_MOST_LINE].partition(b"\n")[0].split(b" ", 1)[0]
    return first if _FIRST_ID.fullmatch(first) and b"\n" in member else None


def _of_delivery(service: str, delivery: Delivery, with_payload: bool) -> dict[str, Any]:
    first_id = delivery.first_id
    known = _of_data(service, delivery.data, first_id or b"0-0", with_payload)
    written = _written(first_id)
    ttl = known.pop("ttl", None)
    return known | {
        "first_id": _text(first_id),
        "written_ms": written,
        "deadline_ms": None if ttl is None or written is None else written + ttl,
        "attempts": delivery.attempts,
        "once": delivery.once or "",
        "size": len(delivery.data or b""),
    }


def _of_data(service: str, data: bytes | None, first_id: bytes, with_payload: bool) -> dict[str, Any]:
    """What the bytes of an action say; *first_id* is what missing ids are derived from."""
    known: dict[str, Any] = {"service": service}
    if data is None:
        return known | {"unreadable": "the entry has no field 'data'"}
    action: DomainAction | None
    try:
        action = decode_action(data, first_id)
    except MalformedAction as error:
        known |= {"unreadable": str(error)[:_MOST_TEXT], "head": _text(data[:_HEAD])}
        action = salvage(data)
    if action is not None:
        known |= _named(action)
    if with_payload:
        known["envelope"] = _plain(data)
    return known


def _named(action: DomainAction) -> dict[str, Any]:
    known: dict[str, Any] = {"action_type": action.action_type[:_MOST_TEXT]}
    for name in ("action_id", "correlation_id", "trace_id"):
        value = getattr(action, name)
        known[name] = "" if value is None else str(value)
    for name in (*_TEXTS, "callback_queue_name", "callback_action_type"):
        known[name] = (getattr(action, name) or "")[:_MOST_TEXT]
    ttl = (action.metadata or {}).get("ttl_ms")
    if type(ttl) is int and 0 <= ttl <= _LONGEST_TTL:
        known["ttl"] = ttl
    return known


def _plain(data: bytes) -> Mapping[str, Any] | None:
    decoder = msgspec.msgpack if codec_of(data).name == "msgpack" else msgspec.json
    try:
        value = msgspec.to_builtins(decoder.decode(data), str_keys=True, enc_hook=repr)
    except Exception:  # hostile bytes
        return None
    return value if isinstance(value, dict) else None


def _once(letter: DeadLetter) -> str:
    return _text(letter.others.get("once", b""))[:_MOST_TEXT]


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _written(entry_id: bytes) -> int | None:
    return int(entry_id.partition(b"-")[0]) if _FIRST_ID.fullmatch(entry_id) else None


def _moment(score: bytes) -> int | None:
    try:
        return round(float(score))
    except (ValueError, OverflowError):
        return None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
