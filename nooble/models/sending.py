"""What can be said of a message besides its payload: the keywords of everything that sends."""

from __future__ import annotations

import uuid
from typing import Any, Literal, TypeAlias, TypedDict

Durability: TypeAlias = Literal["server", "fsync", "replicated"]
"""What a send waits for: that the server has it, that it is on the server's disk, or that replicas have it."""


class SendOptions(TypedDict, total=False):
    """What can be said of a message besides its payload.

    Attributes:
        service: the service that is meant, if it is not the first segment of the action type.
        metadata: further facts about the message.
        tenant_id, session_id, task_id, user_id, agent_id: ids of the business.
        trace_id, correlation_id: what it belongs to.
        idempotency_key: names what is to be done once: sent again with the same key and type within
            `idempotency_window_seconds`, it is the same action, and a repeated call has the same answer.
        durability: what the send waits for, instead of the setting of this name.
        room_timeout: seconds to wait for room in a stream that is full; 0 raises `QueueFull` at once.
    """

    service: str | None
    metadata: dict[str, Any] | None
    tenant_id: str | uuid.UUID | None
    session_id: str | uuid.UUID | None
    task_id: str | uuid.UUID | None
    user_id: str | uuid.UUID | None
    agent_id: str | uuid.UUID | None
    trace_id: uuid.UUID | None
    correlation_id: uuid.UUID | None
    idempotency_key: str
    durability: Durability
    room_timeout: float


class CallOptions(SendOptions, total=False):
    """`SendOptions`, and how long a call waits.

    Attributes:
        timeout: seconds to wait for the answer.
    """

    timeout: float
