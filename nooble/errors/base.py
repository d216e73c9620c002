"""The root of every exception of nooble. An error has a stable code, a message for people and details for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


class NoobleError(Exception):
    """What every exception of the package is.

    Args:
        message: what happened, where, and what to do about it.
        details: facts for programs; travels as `ErrorDetail.details`, so it must be encodable as JSON.
    """

    error_code: str = "INTERNAL_ERROR"
    """Stable name of the kind of error; travels as `ErrorDetail.error_code`."""

    retryable: bool = True
    """Whether running the same action again could end otherwise. False is never retried, whatever the policy."""

    def __init__(self, message: str = "", *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class ConfigurationFault(NoobleError):
    """Something that was set or passed cannot work; the message names the mend. Raised before any work begins."""

    error_code = "CONFIGURATION_ERROR"
    retryable = False


def code_of(error: BaseException) -> str:
    """The stable code of *error*; what is not an error of nooble has one by its kind."""
    if isinstance(error, NoobleError):
        return error.error_code or NoobleError.error_code
    if isinstance(error, ValidationError):  # of a service that validates by hand, as the standard shows
        return "INVALID_PAYLOAD"
    return "UNKNOWN_ACTION" if isinstance(error, NotImplementedError) else "HANDLER_ERROR"
