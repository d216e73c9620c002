"""The form of a dead letter, a stream entry: what is kept of an action that could not be done, how that is read again, and
what of it is sent when it runs again. Anybody may have written there: whatever cannot be read is text or is missing."""

from __future__ import annotations

import base64
import datetime
import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nooble.errors import MalformedAction, NoobleError, code_of
from nooble.models.action_types import MAX_ACTION_TYPE
from nooble.models.redaction import masked
from nooble.wire.codec import codec_of, decode_action
from nooble.wire.delivery import DATA, ONCE, Delivery
from nooble.wire.outermost import outermost

FOLLOW_UP = "UNWRITABLE_FOLLOW_UP"
"""The reason of a letter that was on its way to another stream; all others came out of the stream of their service."""

_MOST_TEXT = 4_000
_HEAD = 1_024
_LAST_MOMENT = 253_402_300_799_000
_FACTS = ("reason", "error", "traceback", "attempts", "deliveries", "first_id", "entry_id", "worker", "target")
_OF_DATA = frozenset({"data", "data_size", "data_sha256", "data_head"})
_NULLS = (b"null", b"\xc0")
_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


# ── written ──
def dead_letter(
    delivery: Delivery, error: BaseException, *, worker: str, attempts: int, max_payload_bytes: int
) -> list[str | bytes]:
    """The fields that keep *delivery*, which ended with *error*.

    Its bytes are kept as they came. Of one that is larger than *max_payload_bytes* only size, SHA-256 and the first
    kilobyte are kept.

    Args:
        delivery: what could not be done.
        error: why.
        worker: name of the consumer that gave up.
        attempts: how often its handler has run.
        max_payload_bytes: largest size that is kept whole.
    """
    fields: list[str | bytes] = [
        *("reason", code_of(error)),
        *("error", _cut(f"{type(error).__name__}: {error}")),
        *("traceback", _traceback(error)),
        *("attempts", str(attempts)),
        *("deliveries", str(delivery.deliveries)),
        *("first_id", delivery.first_id),
        *("entry_id", delivery.entry_id),
        *("worker", worker),
    ]
    if delivery.facts and ONCE in delivery.facts:
        fields += (ONCE, delivery.facts[ONCE])
    data = delivery.data
    if data is None:
        return fields
    if len(data) <= max_payload_bytes:
        return [*fields, DATA, data]
    return [
        *fields,
        *("data_size", str(len(data))),
        *("data_sha256", hashlib.sha256(data).hexdigest()),
        *("data_head", data[:_HEAD]),
    ]


def _traceback(error: BaseException) -> str:
    """Where a handler failed; errors that nooble itself raises about an action say all in their message."""
    if isinstance(error, NoobleError) and not error.retryable:
        return ""
    return _cut("".join(traceback.format_exception(error)), from_end=True)


def _cut(text: str, from_end: bool = False) -> str:
    near = text[-2 * _MOST_TEXT :] if from_end else text[: 2 * _MOST_TEXT]  # what the cut goes through is masked first
    safe = masked(near).encode("utf-8", "replace").decode()
    return safe[-_MOST_TEXT:] if from_end else safe[:_MOST_TEXT]


# ── read ──
@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What was kept of an action that could not be done. Text that is missing is empty, a number that is none is `None`.

    Attributes:
        id: its id in the dead letters; begins with the time at which it was buried.
        reason: stable code of the error, e.g. `HANDLER_ERROR`.
        error: what went wrong, in words.
        traceback: where in the code.
        attempts: how often its handler has run.
        deliveries: how often it was delivered.
        first_id: id of the entry as which the action was first written.
        entry_id: id of the entry as which it was buried.
        worker: name of the consumer that gave up.
        target: the stream that an action sent on (`UNWRITABLE_FOLLOW_UP`) could not be written to.
        action_type, action_id: of the action, as far as its bytes can be read.
        data: the action's own bytes; `None` if they were not kept.
        size: how many bytes the action has, or had; `None` if nobody knows.
        sha256, head: digest and first bytes of an action that was too large to be kept.
        others: further fields that somebody has written there.
    """

    id: str
    reason: str = ""
    error: str = ""
    traceback: str = ""
    attempts: int | None = None
    deliveries: int | None = None
    first_id: str = ""
    entry_id: str = ""
    worker: str = ""
    target: str = ""
    action_type: str = ""
    action_id: str = ""
    data: bytes | None = None
    size: int | None = None
    sha256: str = ""
    head: bytes = b""
    others: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def buried_at(self) -> datetime.datetime:
        """When it was buried, by the server's clock."""
        milliseconds = min(int(self.id.partition("-")[0]), _LAST_MOMENT)
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)

    @property
    def obstacle(self) -> str | None:
        """Why it can never run again; `None` if it can."""
        if self.data is not None:
            return None
        if self.reason == "DATA_LOST":
            return "its data were deleted from the stream before it was done; nothing is left that could run again"
        if self.sha256 or self.head:
            return (
                f"only the fingerprint of its {self.size} bytes was kept, because they are more than max_payload_bytes; "
                "its sender has to send it again"
            )
        return "it has no data, so there is nothing that could run again"

    @property
    def identity(self) -> bytes:
        """The id that whatever its sender left out is derived from; it stays the same however often it is replayed."""
        milliseconds, _, number = self.first_id.partition("-")
        whole = self.first_id.isascii() and milliseconds.isdigit() and number.isdigit() and len(self.first_id) <= 41
        return (self.first_id if whole else self.id).encode()

    def payload(self) -> Any:
        """The payload of the action as plain data.

        Raises:
            MalformedAction: the bytes of the action cannot be read, or there are none.
        """
        if self.data is None:
            raise MalformedAction(f"{self.id} has no payload: {self.obstacle}")
        members = _members(self.data)
        if "data" not in members:
            raise MalformedAction(f"the action of {self.id} has no field 'data'", details={"path": "$.data"})
        decoder = msgspec.msgpack if codec_of(self.data).name == "msgpack" else msgspec.json
        try:
            return decoder.decode(members["data"])
        except Exception as error:  # hostile bytes
            raise MalformedAction(f"not a readable action: $.data: {error}", details={"path": "$.data"}) from None

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON. Bytes that are no UTF-8 text are under their name with `_base64` at its end."""
        told: dict[str, Any] = {"id": self.id, "buried_at": self.buried_at.isoformat(timespec="milliseconds")}
        told |= {name: getattr(self, name) for name in _FACTS}
        told |= {"action_type": self.action_type, "action_id": self.action_id, "size": self.size}
        if self.data is not None:
            told |= _as_text("data", self.data)
        if self.sha256 or self.head:
            told |= {"sha256": self.sha256, **_as_text("head", self.head)}
        if self.others:
            told["others"] = {n: v for name, value in self.others.items() for n, v in _as_text(name, value).items()}
        return told


def read_dead_letter(letter_id: bytes, fields: list[bytes]) -> DeadLetter:
    """The dead letter in an entry of a dead-letter stream. Never fails.

    Of a field that stands there twice the first counts, because nooble writes its own first and a stranger's after them;
    of `data` the last, as for workers.
    """
    pairs: dict[str, bytes] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if name == DATA:
            pairs["data"] = value
        else:
            pairs.setdefault(_text(name), value)
    data, head = pairs.get("data"), pairs.get("data_head", b"")
    action_type, action_id = _named(head if data is None else data)
    reason = _text(pairs.get("reason", b""))
    return DeadLetter(
        id=_text(letter_id),
        reason=reason,
        error=_text(pairs.get("error", b"")),
        traceback=_text(pairs.get("traceback", b"")),
        attempts=_number(pairs.get("attempts", b"")),
        deliveries=_number(pairs.get("deliveries", b"")),
        first_id=_text(pairs.get("first_id", b"")),
        entry_id=_text(pairs.get("entry_id", b"")),
        worker=_text(pairs.get("worker", b"")),
        target=_text(pairs.get("target", b"")) if reason == FOLLOW_UP else "",
        action_type=action_type,
        action_id=action_id,
        data=data,
        size=_number(pairs.get("data_size", b"")) if data is None else len(data),
        sha256=_text(pairs.get("data_sha256", b"")) if data is None else "",
        head=head if data is None else b"",
        others={name: value for name, value in pairs.items() if name not in _FACTS and name not in _OF_DATA},
    )


class _Named(msgspec.Struct):
    """What names an action, whatever kind of thing stands there; the rest is passed over."""

    action_type: Any = None
    action_id: Any = None


_named_in_json = msgspec.json.Decoder(_Named).decode
_named_in_msgpack = msgspec.msgpack.Decoder(_Named).decode


def _named(data: bytes) -> tuple[str, str]:
    try:
        found = (_named_in_msgpack if data[:1] >= b"\x80" else _named_in_json)(data)
        values = (found.action_type, found.action_id)
    except Exception:  # hostile, nested too deeply, or only the beginning of an action
        try:
            members = outermost(data)
        except Exception:
            return "", ""
        values = (members.get("action_type"), members.get("action_id"))
    action_type, action_id = ("" if value is None else str(value)[:MAX_ACTION_TYPE] for value in values)
    return action_type, action_id


def _number(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 15 else None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _as_text(name: str, value: bytes) -> dict[str, str]:
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


# ── sent again ──
def revived(letter: DeadLetter, payload: Any = None) -> bytes:
    """What is sent when *letter* runs again.

    The bytes are those that came, but for three things. What the sender had left out (`action_id`, `trace_id`,
    `timestamp`) and workers have derived from the first id is written down: a replay has a first id of its own, and must
    be the same action all the same. Nobody waits for an answer any more, so the name of an answer queue is left out: a
    failure is then retried and buried, and not told to nobody. And the payload can be another one. An action that cannot
    be read is sent as it is.

    Args:
        letter: a letter with data.
        payload: takes the place of the action's `data`; `None` leaves them as they are.

    Raises:
        MalformedAction: with *payload* it is still no action, or *payload* cannot be encoded.
    """
    assert letter.data is not None
    codec = codec_of(letter.data)
    try:
        members = _members(letter.data)
        edited = payload is not None
        if edited:
            members["data"] = msgspec.Raw(codec.encode(payload))
        action = decode_action(codec.encode(members), letter.identity)
    except MalformedAction:
        if payload is None:
            return letter.data
        raise
    except _UNENCODABLE as error:
        raise MalformedAction(f"the new payload cannot be encoded: {error}") from error
    missing = [name for name in ("action_id", "trace_id", "timestamp") if bytes(members.get(name, b"null")) in _NULLS]
    for name in missing:
        members[name] = msgspec.Raw(codec.encode(getattr(action, name)))
    answered = action.callback_queue_name is not None and action.callback_action_type is None
    if answered:
        del members["callback_queue_name"]
    return codec.encode(members) if edited or missing or answered else letter.data


def _members(data: bytes) -> dict[str, msgspec.Raw]:
    """The outermost members of an action, each as it was written."""
    try:
        if data[:1] >= b"\x80":
            return msgspec.msgpack.decode(data, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except Exception as error:  # hostile bytes
        raise MalformedAction(f"not a readable action: {error}", details={"path": "$"}) from None
