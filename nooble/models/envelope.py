"""An action as it was read from the wire, and as little more as possible: the `DomainAction` that a person's code sees is
made of it when somebody first asks, which most handlers never do."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec

from nooble.models.actions import DomainAction


class Envelope(msgspec.Struct, gc=False):
    """A `DomainAction` as it is read. Ids of the business are text; what the sender left out is `None`."""

    action_type: str
    data: dict[str, Any]
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
    metadata: dict[str, Any] | None = None

    def as_action(self, raw: bytes) -> DomainAction:
        """The action; *raw* is what this was decoded from, for the fields that are not declared here."""
        return DomainAction.from_wire(msgspec.structs.asdict(self), raw)


Message = DomainAction | Envelope
"""An action in either form: both have the same attributes."""
