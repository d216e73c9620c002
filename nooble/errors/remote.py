"""From the code in an answer back to an exception: the one table. A caller catches what the other service raised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nooble.errors.actions import (
    ActionExpired,
    ActionTimeout,
    CrashLoop,
    EffectRefused,
    ForbiddenCallback,
    HandlerCancelled,
    InvalidPayload,
    InvalidResponse,
    MalformedAction,
    PayloadTooLarge,
    Reject,
    UnknownAction,
)
from nooble.errors.base import NoobleError
from nooble.errors.calls import RemoteError
from nooble.errors.exceptions import (
    AppValidationError,
    ExternalServiceError,
    InvalidActionError,
    MessageProcessingError,
)

BY_CODE: Mapping[str, Callable[..., NoobleError]] = {
    "UNKNOWN_ACTION": UnknownAction,
    "INVALID_PAYLOAD": InvalidPayload,
    "INVALID_RESPONSE": InvalidResponse,
    "MALFORMED_ACTION": MalformedAction,
    "PAYLOAD_TOO_LARGE": PayloadTooLarge,
    "FORBIDDEN_CALLBACK": ForbiddenCallback,
    "EXPIRED": ActionExpired,
    "TIMEOUT": ActionTimeout,
    "CRASH_LOOP": CrashLoop,
    "EFFECT_REFUSED": EffectRefused,
    "HANDLER_CANCELLED": HandlerCancelled,
    "REJECTED": Reject,
    "INVALID_ACTION": InvalidActionError,
    "VALIDATION_ERROR": AppValidationError,
    "EXTERNAL_SERVICE_ERROR": ExternalServiceError,
    "MESSAGE_PROCESSING_ERROR": MessageProcessingError,
}
"""Code of an `ErrorDetail` → what is raised at the caller; every other code raises `RemoteError`."""


def raised_again(
    action_type: str, *, error_type: str, error_code: str | None, message: str, details: Mapping[str, Any] | None
) -> NoobleError:
    """The exception that stands for an error of another service.

    Args:
        action_type: the action that was answered with it.
        error_type, error_code, message, details: as in the `ErrorDetail` of the answer.

    Returns:
        An exception of the class that the code names, or a `RemoteError`. A `Reject` keeps its code of the business.
    """
    kind = BY_CODE.get(error_code or "")
    error: NoobleError
    if kind is not None:
        error = kind(message, details=details)
    elif error_type == Reject.__name__:
        error = Reject(message, error_code=error_code, details=details)
    else:
        error = RemoteError(
            message, action_type=action_type, error_type=error_type, error_code=error_code, details=details
        )
    error.add_note(f"{action_type} answered {error_code or 'an error without a code'} ({error_type})")
    return error
