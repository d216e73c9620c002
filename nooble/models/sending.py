"""What can be said of a message besides its payload: the keywords of everything that sends."""

from __future__ import annotations

import uuid
from typing import Any, TypedDict


class SendOptions(TypedDict, total=False):
    """What can be said of a message besides its payload.

    Attributes:
        service: the service that is meant, if it is not the first segment of the action type.
        metadata: further facts about the message.
        tenant_id, session_id, task_id, user_id, agent_id: ids of the business.
        trace_id, correlation_id: what it belongs to.
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


class CallOptions(SendOptions, total=False):
    """`SendOptions`, and how long a call waits.

    Attributes:
        timeout: seconds to wait for the answer.
    """

    timeout: float
