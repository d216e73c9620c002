"""An action as it travels, and as little more as possible: the `DomainAction` that a person's code sees is made of it when
somebody first asks, which most handlers and most senders never do."""

from __future__ import annotations

import datetime
import uuid
from typing import Any, Self

import msgspec

from nooble.models.actions import DomainAction
from nooble.models.ids import new_id


class _Content(msgspec.Struct, gc=False, kw_only=True):
    """What is written last: of an action that is too large its beginning is kept, and that has the ids."""

    data: dict[str, Any]
    metadata: dict[str, Any] | None = None


class Envelope(_Content, gc=False):
    """A `DomainAction` as it travels. Ids of the business are text; what a sender left out is `None`."""

    action_type: str
    action_id: uuid.UUID | None = None
    timestamp: datetime.datetime | None = None
    tenant_id: str | None = None
    session_id: str | None = None
    task_id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    origin_service: str | None = None
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = None
    callback_queue_name: str | None = None
    callback_action_type: str | None = None

    @classmethod
    def new(cls, action_type: str, data: dict[str, Any], origin_service: str | None = None) -> Self:
        """A new action of values that are known to fit."""
        made = cls(action_type, new_id(), _now(_UTC), data=data)
        made.origin_service, made.trace_id, made.metadata = origin_service, new_id(), {}
        return made

    def put(self, **known: Any) -> None:
        """Set attributes to values that are known to fit."""
        for name, value in known.items():
            setattr(self, name, value)

    def as_action(self, raw: bytes = b"{}") -> DomainAction:
        """The action; *raw* is what this was decoded from, for the fields that are not declared here."""
        return DomainAction.from_wire(_fields_of(self), raw)

    def __repr__(self) -> str:
        return repr(self.as_action())  # which shows nothing sensitive

    def __rich_repr__(self) -> Any:
        return self.as_action().__repr_args__()


_fields_of = msgspec.structs.asdict
_UTC = datetime.UTC
_now = datetime.datetime.now

Message = DomainAction | Envelope
"""An action in either form: both have the same attributes."""


def whole(message: Message) -> DomainAction:
    """*message*, which was made here, as a person's code sees it."""
    return message.as_action() if isinstance(message, Envelope) else message
