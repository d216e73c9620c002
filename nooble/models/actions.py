"""The messages that services exchange. They are pydantic models for those who use them; the wire builds them from what
it has already decoded and checked, without validating twice."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_serializer, model_validator

from nooble.errors import MalformedAction, NoobleError, code_of
from nooble.models.ids import new_id
from nooble.models.redaction import masked, redacted
from nooble.models.sensitive import names_of


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


BusinessId = Annotated[str, BeforeValidator(_as_text)]
"""An id whose meaning is the business's: text, in the object and on the wire. A UUID is accepted and becomes text."""


class ErrorDetail(BaseModel):
    """What went wrong, for the caller.

    Attributes:
        error_type: name of the kind of error, readable by people; the class of the exception where there was one.
        error_code: stable code for programs, e.g. `INVALID_PAYLOAD`; the table is in `docs/errors.md`.
        message: what happened, where, and what to do about it.
        details: facts for programs, such as the failing fields.
    """

    error_type: str
    error_code: str | None = None
    message: str
    details: dict[str, Any] | None = Field(default_factory=dict)

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The detail that tells of *error*."""
        name, code = type(error).__name__, code_of(error)
        if isinstance(error, NoobleError):
            message = masked(error.message, _MOST_TOLD)
            return cls(error_type=name, error_code=code, message=message or name, details=error.details)
        details = {"errors": failing_fields(error)} if isinstance(error, ValidationError) else {}
        return cls(error_type=name, error_code=code, message=masked(str(error), _MOST_TOLD) or name, details=details)


def failing_fields(error: ValidationError, at: str = "$.data") -> list[dict[str, str]]:
    """Every field that *error* complains of: its `path`, a `message` for people, and the `type` of the mistake."""
    return [
        {
            "path": at + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"]),
            "message": one["msg"],
            "type": one["type"],
        }
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


class DomainAction(BaseModel):
    """An action: something that a service is asked to do, or is told has happened.

    Attributes:
        action_id: id of this action; stays the same through retries and redeliveries.
        action_type: dotted text whose first segment names the service, e.g. `pedidos.pedido.crear`.
        timestamp: when it was made, UTC.
        tenant_id, session_id, task_id, user_id, agent_id: ids of the business, carried along to answers and callbacks.
        origin_service: who sent it.
        correlation_id: joins it to its answer, or to the action it follows from.
        trace_id: joins everything that one request has caused.
        callback_queue_name: where an answer or a callback is wanted.
        callback_action_type: if set, the answer arrives as an action of this type.
        data: the payload, a mapping.
        metadata: facts about the message, not about the business.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True, validate_assignment=True)

    action_id: uuid.UUID = Field(default_factory=new_id)
    action_type: str
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    tenant_id: BusinessId | None = None
    session_id: BusinessId | None = None
    task_id: BusinessId | None = None
    user_id: BusinessId | None = None
    agent_id: BusinessId | None = None
    origin_service: str | None = None
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = Field(default_factory=new_id)
    callback_queue_name: str | None = None
    callback_action_type: str | None = None
    data: dict[str, Any]
    metadata: dict[str, Any] | None = Field(default_factory=dict)

    @classmethod
    def from_wire(cls, values: dict[str, Any], raw: bytes) -> DomainAction:
        """An action of *values* that the wire has decoded and checked. Nothing is validated again.

        Args:
            values: every field by name; becomes the object's own.
            raw: the bytes it was decoded from; fields that are not declared here are looked up in them when asked for.
        """
        action = _blank(cls)
        _set_dict(action, values)
        _set_fields_set(action, _ALL_FIELDS)
        extra = _Undecoded()
        extra.raw = raw
        _set_extra(action, extra)
        _set_private(action, None)
        return action

    def put(self, **known: Any) -> None:
        """Set attributes to values that are known to fit. Nothing is validated."""
        self.__dict__.update(known)
        if self.__pydantic_fields_set__ is not _ALL_FIELDS:
            self.__pydantic_fields_set__.update(known)

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of other senders that are not declared here, by name; decoded when first asked for."""
        extra = self.__pydantic_extra__
        if type(extra) is _Undecoded:
            extra = extra.decode()
            _set_extra(self, extra)
        return extra if extra is not None else {}

    def get_log_extra(self) -> dict[str, str]:
        """The ids worth having in a log line, as text; what is not set is left out."""
        names = (
            "action_id",
            "action_type",
            "correlation_id",
            "trace_id",
            "tenant_id",
            "session_id",
            "task_id",
            "user_id",
        )
        return {name: str(value) for name in (*names, "agent_id") if (value := getattr(self, name)) is not None}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            extra = self.extra
            if name in extra:
                return extra[name]
        return super().__getattr__(name)  # type: ignore[misc]

    @model_serializer(mode="wrap")
    def _with_undeclared_fields(self, serialize):  # type: ignore[no-untyped-def]  # an annotation would replace the schema
        _ = self.extra
        return serialize(self)

    @property
    def model_extra(self) -> dict[str, Any]:
        """As pydantic's: what `extra` says."""
        return self.extra

    def __repr_args__(self) -> Any:
        _ = self.extra
        return _without_secrets(super().__repr_args__(), names_of(self.__dict__.get("action_type", "")))

    def model_copy(self, **options: Any) -> Self:
        """As pydantic's; undeclared fields are included."""
        _ = self.extra
        return super().model_copy(**options)

    def __setattr__(self, name: str, value: Any) -> None:
        _ = self.extra
        if (
            self.__pydantic_fields_set__ is _ALL_FIELDS
        ):  # shared by all that came from the wire: copied on the first write
            _set_fields_set(self, set(_ALL_FIELDS))
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DomainAction):
            _ = self.extra, other.extra
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]


class DomainActionResponse(BaseModel):
    """The answer to an action.

    Attributes:
        action_id: id of this answer, not of the action.
        correlation_id: the correlation id of the action, or its action id where it had none.
        trace_id, task_id, tenant_id, session_id: as in the action.
        success: whether the action was done.
        timestamp: when the answer was made, UTC.
        data: the result, if *success*.
        error: what went wrong, if not.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    action_id: uuid.UUID = Field(default_factory=new_id)
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = None
    task_id: BusinessId | None = None
    tenant_id: BusinessId | None = None
    session_id: BusinessId | None = None
    success: bool
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    data: dict[str, Any] | None = None
    error: ErrorDetail | None = None

    @classmethod
    def from_wire(cls, values: dict[str, Any]) -> DomainActionResponse:
        """An answer of *values* that the wire has decoded and checked: every field by name. Nothing is validated again."""
        answer = _blank_answer(cls)
        _set_dict(answer, values)
        _set_fields_set(answer, set(values))
        _set_extra(answer, {})
        _set_private(answer, None)
        return answer

    def __repr_args__(self) -> Any:
        return _without_secrets(super().__repr_args__(), frozenset())

    @model_validator(mode="after")
    def _success_or_error(self) -> Self:
        if self.success and self.error is not None:
            raise ValueError("an answer with success=True has no error")
        if not self.success and self.error is None:
            raise ValueError("an answer with success=False says what went wrong in error")
        return self


class _Undecoded(dict[str, Any]):
    """Stands for the undeclared fields until somebody asks; empty to everyone who does not know it."""

    __slots__ = ("raw",)

    raw: bytes

    def decode(self) -> dict[str, Any]:
        decoder = msgspec.msgpack if self.raw[:1] >= b"\x80" else msgspec.json
        try:
            values = decoder.decode(self.raw)
        except Exception as error:  # hostile bytes, in a field that nobody had asked for before
            raise MalformedAction(f"an undeclared field is not readable: {error}", details={"path": "$"}) from error
        return {name: value for name, value in values.items() if name not in _ALL_FIELDS}


def _without_secrets(arguments: Any, names: frozenset[str]) -> Any:
    """*arguments* of a `repr`, as they may be shown."""
    for name, value in arguments:
        yield name, redacted({name: value}, names)[name] if type(value) in (dict, str, list) else value


_MOST_TOLD = 50_000
_ALL_FIELDS = set(DomainAction.model_fields)
_blank, _blank_answer = DomainAction.__new__, DomainActionResponse.__new__
_set_dict = BaseModel.__dict__["__dict__"].__set__
_set_fields_set, _set_extra, _set_private = (
    getattr(BaseModel, f"__pydantic_{slot}__").__set__ for slot in ("fields_set", "extra", "private")
)
