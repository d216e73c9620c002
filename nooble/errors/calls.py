"""What a caller of another service can meet."""

from __future__ import annotations

from nooble.errors.base import NoobleError


class CallTimeout(NoobleError, TimeoutError):
    """No answer came in time. The message names the action, the service, and whether anybody serves its stream."""

    error_code = "CALL_TIMEOUT"


class ContextClosed(NoobleError, RuntimeError):
    """An action context was used after its handler had ended; what is sent then could not join the commit any more."""

    error_code = "CONTEXT_CLOSED"


class SelfCall(NoobleError, RuntimeError):
    """A handler called its own service at concurrency 1: the call would wait for the handler that is waiting for it."""

    error_code = "SELF_CALL"
    retryable = False
