"""What can become wrong with one action. The class decides the code that travels and whether a retry makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nooble.errors.base import NoobleError
from nooble.errors.exceptions import AppValidationError, InvalidActionError


class MalformedAction(NoobleError, ValueError):
    """The entry is not an action: unreadable, or a field is missing or wrong. `details["path"]` says where."""

    error_code = "MALFORMED_ACTION"
    retryable = False


class PayloadTooLarge(NoobleError, ValueError):
    """The action is larger than `max_payload_bytes`; `details` has `size` and `limit` in bytes."""

    error_code = "PAYLOAD_TOO_LARGE"
    retryable = False


class ForbiddenCallback(NoobleError, ValueError):
    """The action asks for an answer in a place where this service must not write."""

    error_code = "FORBIDDEN_CALLBACK"
    retryable = False


class UnknownAction(InvalidActionError, NotImplementedError):
    """No handler is declared for this action type."""

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details=details)
        self.error_code = "UNKNOWN_ACTION"


class InvalidPayload(AppValidationError, ValueError):
    """The data do not fit the declared model; `details["errors"]` lists every failing field by its path."""

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details=details)
        self.error_code = "INVALID_PAYLOAD"


class InvalidResponse(NoobleError, TypeError):
    """The handler returned what its declaration does not allow, or what cannot be encoded."""

    error_code = "INVALID_RESPONSE"
    retryable = False


class ActionExpired(NoobleError):
    """The caller's deadline had passed before the handler could start; the handler did not run."""

    error_code = "EXPIRED"
    retryable = False


class ActionTimeout(NoobleError, TimeoutError):
    """The handler ran longer than the timeout that applies to it and was cancelled."""

    error_code = "TIMEOUT"


class CrashLoop(NoobleError):
    """The action was delivered too often without an end: it probably kills its worker."""

    error_code = "CRASH_LOOP"
    retryable = False


class DataLost(NoobleError):
    """The entry vanished from the stream while it was pending; somebody deleted or trimmed it."""

    error_code = "DATA_LOST"
    retryable = False


class UnwritableFollowUp(NoobleError):
    """An action sent through the context could not be written to its stream; it is kept in the dead letters."""

    error_code = "UNWRITABLE_FOLLOW_UP"
    retryable = False


class EffectRefused(NoobleError):
    """An effect that the handler asked for does not fit what its key holds, or is not permitted: nothing of it was made."""

    error_code = "EFFECT_REFUSED"
    retryable = False


class HandlerCancelled(NoobleError):
    """The handler ended by a cancellation that nobody asked for."""

    error_code = "HANDLER_CANCELLED"


class Reject(NoobleError):
    """Raised by a handler: this action is refused for a reason of the business. Never retried, not an incident.

    Args:
        message: the reason, for the caller.
        error_code: a code of the business, e.g. `"OUT_OF_STOCK"`.
        details: facts for the caller's program.
    """

    error_code = "REJECTED"
    retryable = False

    def __init__(
        self, message: str = "rejected", *, error_code: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, details=details)
        if error_code is not None:
            self.error_code = error_code


class RetryLater(NoobleError):
    """Raised by a handler: try again, not before *after* seconds from now. Counts as an attempt.

    Args:
        after: seconds to wait; `None` leaves the pause to the retry policy.
        message: the reason, for logs and dead letters.
    """

    error_code = "RETRY_LATER"

    def __init__(self, message: str = "try again later", *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
