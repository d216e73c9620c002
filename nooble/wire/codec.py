"""Bytes to envelopes and back. One decode an envelope: msgspec checks the fields and leaves `data` a plain dict, which
is what validators are fastest on. The first byte tells JSON from MessagePack."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nooble.errors import InvalidResponse, MalformedAction
from nooble.models.action_types import MAX_ACTION_TYPE, is_action_type
from nooble.models.actions import DomainAction, DomainActionResponse, ErrorDetail
from nooble.models.envelope import Envelope, Message
from nooble.models.ids import new_answer_id, new_id
from nooble.models.payloads import as_result, plain
from nooble.wire.outermost import outermost


class Answer(msgspec.Struct, gc=False):
    """A `DomainActionResponse` as it travels. Only what finds its caller is checked here; the caller hears of the rest."""

    success: Any
    action_id: Any = None
    correlation_id: uuid.UUID | None = None
    trace_id: Any = None
    task_id: Any = None
    tenant_id: Any = None
    session_id: Any = None
    timestamp: Any = None
    data: Any = None
    error: Any = None


class FittingAnswer(Answer, kw_only=True, gc=False):
    """An `Answer` in which every field is what it should be."""

    success: bool
    action_id: uuid.UUID
    timestamp: datetime.datetime
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = None
    task_id: str | None = None
    tenant_id: str | None = None
    session_id: str | None = None
    data: dict[str, Any] | None = None
    error: None = None


class Codec(msgspec.Struct, frozen=True):
    """One way to write messages.

    Attributes:
        name: as in the setting `codec`.
        encode: any plain data, envelopes, answers and payload models to bytes.
        decode_fitting: decodes what most answers are; `decode_answer` decodes what else there is.
    """

    name: str
    encode: Callable[[Any], bytes]
    decode_envelope: Callable[[bytes], Envelope]
    decode_answer: Callable[[bytes], Answer]
    decode_fitting: Callable[[bytes], FittingAnswer]


JSON = Codec(
    "json",
    msgspec.json.Encoder(enc_hook=plain).encode,
    msgspec.json.Decoder(Envelope).decode,
    msgspec.json.Decoder(Answer).decode,
    msgspec.json.Decoder(FittingAnswer).decode,
)
MSGPACK = Codec(
    "msgpack",
    msgspec.msgpack.Encoder(enc_hook=plain).encode,
    msgspec.msgpack.Decoder(Envelope).decode,
    msgspec.msgpack.Decoder(Answer).decode,
    msgspec.msgpack.Decoder(FittingAnswer).decode,
)
CODECS = {codec.name: codec for codec in (JSON, MSGPACK)}

_fields_of = msgspec.structs.asdict
_UTC = datetime.UTC
_now = datetime.datetime.now
_WHERE = re.compile(r" - at `(\$[^`]*)`$")
_OPTIONAL = {
    field.name: field.type for field in msgspec.structs.fields(Envelope) if field.name not in {"action_type", "data"}
}
_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_OF_THE_TRACE = frozenset({"traceparent", "tracestate", "baggage"})
_known_types: set[str] = set()


def codec_of(data: bytes) -> Codec:
    """The codec that *data* was written with."""
    return MSGPACK if data[:1] >= b"\x80" else JSON


def decode_envelope(data: bytes, entry_id: bytes = b"0-0") -> Envelope:
    """The action that *data* holds, as it is read.

    Args:
        data: the field `data` of an entry.
        entry_id: first id of the entry; what the sender left out (`action_id`, `trace_id`, `timestamp`) is derived from
            it, so that it stays the same through every repetition.

    Raises:
        MalformedAction: it is none; the message says where.
    """
    try:
        envelope = (MSGPACK if data[:1] >= b"\x80" else JSON).decode_envelope(data)
    except Exception as error:  # hostile bytes: too deep, too long numbers, bad UTF-8, wrong types
        raise _malformed(error) from None
    if envelope.action_type not in _known_types:
        _learn(envelope.action_type)
    if envelope.metadata is None:
        envelope.metadata = {}
    if envelope.action_id is None or envelope.trace_id is None or envelope.timestamp is None:
        _complete(envelope, entry_id)
    return envelope


def decode_action(data: bytes, entry_id: bytes = b"0-0") -> DomainAction:
    """As `decode_envelope`, as the object that people see."""
    return decode_envelope(data, entry_id).as_action(data)


def salvage(data: bytes | None) -> DomainAction | None:
    """What can still be read of a malformed action, so that whoever waits for it can be told; `None` if nothing can."""
    if not data:
        return None
    try:
        values = _members(data)
        readable = {name: _convert(values.get(name), kind) for name, kind in _OPTIONAL.items()}
    except Exception:  # hostile bytes
        return None
    action_type = values.get("action_type")
    envelope = Envelope(action_type[:MAX_ACTION_TYPE] if isinstance(action_type, str) else "", data={}, **readable)
    envelope.metadata = envelope.metadata or {}
    return envelope.as_action(data)


def _members(data: bytes) -> Any:
    if data[:1] >= b"\x80":
        return msgspec.msgpack.decode(data)
    try:
        return msgspec.json.decode(data)
    except (RecursionError, msgspec.DecodeError, UnicodeDecodeError):
        members = outermost(data)
        if "callback_queue_name" not in members:
            raise
        return members


def encode_action(action: Message, codec: Codec) -> bytes:
    """*action* as bytes, undeclared fields included.

    Raises:
        MalformedAction: something in its data cannot be encoded.
    """
    try:
        if isinstance(action, Envelope):
            return codec.encode(action)
        extra = action.extra
        return codec.encode({**action.__dict__, **extra} if extra else action.__dict__)
    except _UNENCODABLE as error:
        raise MalformedAction(f"action {action.action_type} cannot be encoded: {error}") from error


def encode_success(action: Message, result: Any, codec: Codec) -> bytes:
    """The answer that *action* was done with *result*; a returned `DomainActionResponse` is the answer as it is.

    Raises:
        InvalidResponse: *result* cannot be encoded.
    """
    try:
        if type(result) is not dict:
            if isinstance(result, DomainActionResponse):
                return _encode_as_returned(action, result, codec)
            result = as_result(result)
        return codec.encode(_answer(action, True, result if codec is JSON else _named(result)))
    except _UNENCODABLE as error:
        raise InvalidResponse(f"the result of {action.action_type} cannot be encoded: {error}") from error


def encode_failure(action: Message, detail: ErrorDetail, codec: Codec) -> bytes:
    """The answer that *action* could not be done; details that cannot be encoded are left out, the answer is not."""
    try:
        return codec.encode(_answer(action, False, None, detail.__dict__))
    except _UNENCODABLE:
        told = {**detail.__dict__, "details": {}, "message": detail.message.encode("utf-8", "replace").decode()}
        return codec.encode(_answer(action, False, None, told))


def encode_callback(action: Message, result: Any, origin_service: str, codec: Codec) -> bytes:
    """The callback to *action*: a new action with its result, carrying on the ids of the first.

    Raises:
        InvalidResponse: *result* cannot be encoded.
    """
    if isinstance(result, DomainActionResponse):
        result = result.data or {}
    try:
        return codec.encode(
            Envelope(
                action_type=action.callback_action_type or "",
                data=as_result(result) if codec is JSON else _named(as_result(result)),
                action_id=new_id(),
                timestamp=_now(_UTC),
                tenant_id=action.tenant_id,
                session_id=action.session_id,
                task_id=action.task_id,
                user_id=action.user_id,
                agent_id=action.agent_id,
                origin_service=origin_service,
                correlation_id=action.correlation_id or action.action_id,
                trace_id=action.trace_id,
                metadata={name: fact for name, fact in (action.metadata or {}).items() if name in _OF_THE_TRACE},
            )
        )
    except _UNENCODABLE as error:
        raise InvalidResponse(f"the result of {action.action_type} cannot be encoded: {error}") from error


def decode_answer(data: bytes) -> Answer:
    """The answer that *data* holds, not yet a model: who awaits it is looked up first.

    Raises:
        MalformedAction: it is none.
    """
    codec = codec_of(data)
    try:
        return codec.decode_fitting(data)
    except Exception:  # something does not fit: is it at least readable?
        try:
            return codec.decode_answer(data)
        except Exception as error:
            raise _malformed(error, "answer") from None


def answer_for(action: Message, data: bytes, codec: Codec) -> bytes:
    """The answer *data*, which was given to another action of the same idempotency key, as the answer to *action*.

    Raises:
        MalformedAction: it is none.
    """
    answer = decode_answer(data)
    answer.correlation_id = action.correlation_id or action.action_id
    return codec.encode(answer)


def response_of(answer: Answer) -> DomainActionResponse:
    """*answer* as the model that callers see.

    Raises:
        MalformedAction: it breaks the law of answers, e.g. failure without an error.
    """
    if type(answer) is FittingAnswer and answer.success:
        return DomainActionResponse.from_wire(_fields_of(answer))
    try:
        return DomainActionResponse(**{name: value for name, value in _fields_of(answer).items() if value is not None})
    except ValueError as error:
        raise MalformedAction(f"the answer is not a DomainActionResponse: {error}") from error


def _answer(action: Message, success: bool, data: Any = None, error: Any = None) -> Answer:
    return Answer(
        success,
        new_answer_id(),
        action.correlation_id or action.action_id,
        action.trace_id,
        action.task_id,
        action.tenant_id,
        action.session_id,
        _now(_UTC),
        data,
        error,
    )


def _named(data: Any) -> Any:
    """*data* with keys that are text. JSON has no others; MessagePack would keep them, and no model could read them."""
    if not isinstance(data, Mapping) or all(type(key) is str for key in data):
        return data
    return msgspec.to_builtins(data, enc_hook=plain, str_keys=True)


def _encode_as_returned(action: Message, response: DomainActionResponse, codec: Codec) -> bytes:
    error = response.error.model_dump(mode="json") if response.error is not None else None
    answer = _fields_of(_answer(action, response.success, response.data, error))
    return codec.encode({**(response.model_extra or {}), **answer})


def _learn(action_type: str) -> None:
    """Types come from outside: checked once, remembered within a bound."""
    if not is_action_type(action_type):
        shown = action_type[:MAX_ACTION_TYPE]
        raise MalformedAction(
            f"not a readable action: $.action_type: {shown!r} is not dotted text of two segments or more, "
            "of a-z, 0-9, '_' and '-'",
            details={"path": "$.action_type"},
        )
    if len(_known_types) >= 10_000:
        _known_types.clear()
    _known_types.add(action_type)


def _complete(envelope: Envelope, entry_id: bytes) -> None:
    derived = uuid.uuid5(uuid.NAMESPACE_OID, f"{envelope.action_type} {entry_id.decode()}")
    envelope.action_id = envelope.action_id or derived
    envelope.trace_id = envelope.trace_id or derived
    if envelope.timestamp is None:
        milliseconds = int(entry_id.partition(b"-")[0]) % 253_402_300_799_000  # the last moment that a datetime can say
        envelope.timestamp = datetime.datetime.fromtimestamp(milliseconds / 1000, _UTC)


def _convert(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except msgspec.ValidationError:
        return None


def _malformed(error: Exception, what: str = "action") -> MalformedAction:
    text = str(error) or type(error).__name__
    found = _WHERE.search(text)
    path = found.group(1) if found else "$"
    reason = text[: found.start()] if found else text
    return MalformedAction(f"not a readable {what}: {path}: {reason}", details={"path": path, "reason": reason})
