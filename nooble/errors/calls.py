"""What a caller of another service can meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nooble.errors.base import NoobleError


class CallTimeout(NoobleError, TimeoutError):
    """No answer came in time. The message names the action, the service, and whether anybody serves its stream."""

    error_code = "CALL_TIMEOUT"


class QueueFull(NoobleError):
    """The stream holds as many actions as its service allows; nothing was sent. `details` has `length` and `limit`."""

    error_code = "QUEUE_FULL"


class NotDurable(NoobleError):
    """The action was sent, but not as safely as was asked for: it may be lost with the server. `details["sent"]` says how
    many of those that were given are in the stream. Repeating it is safe with an idempotency key."""

    error_code = "NOT_DURABLE"


class ContextClosed(NoobleError, RuntimeError):
    """An action context was used after its handler had ended; what is sent then could not join the commit any more."""

    error_code = "CONTEXT_CLOSED"


class SelfCall(NoobleError, RuntimeError):
    """A handler called its own service at concurrency 1: the call would wait for the handler that is waiting for it."""

    error_code = "SELF_CALL"
    retryable = False


class RemoteError(NoobleError):
    """Another service answered with an error that has no class of its own here.

    Args:
        message: what the other service says.
        action_type: the action that was answered with it.
        error_type: name of the kind of error over there, often that of an exception.
        error_code: its stable code, for programs.
        details: its facts, for programs.
    """

    error_code = "REMOTE_ERROR"

    def __init__(
        self,
        message: str = "",
        *,
        action_type: str = "",
        error_type: str = "",
        error_code: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.action_type = action_type
        self.error_type = error_type
        if error_code is not None:
            self.error_code = error_code
