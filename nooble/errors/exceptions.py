"""The platform's exception names, importable as its services import them, with the codes that they always had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nooble.errors.base import NoobleError


class BaseError(NoobleError):
    """Root of the platform's exceptions.

    Args:
        message: what happened.
        original_exception: the exception that this one stands for.
        details: facts for programs, sent along to a waiting caller.
    """

    def __init__(
        self,
        message: str = "",
        original_exception: BaseException | None = None,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.original_exception = original_exception


class AppError(BaseError):
    """An error of an application.

    Args:
        message: what happened.
        status_code: the HTTP status that fits, for services behind a web server.
        error_code: stable name of the kind of error.
        original_exception: the exception that this one stands for.
        details: facts for programs, sent along to a waiting caller.
    """

    def __init__(
        self,
        message: str = "",
        status_code: int = 500,
        error_code: str = "INTERNAL_ERROR",
        original_exception: BaseException | None = None,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, original_exception, details=details)
        self.status_code = status_code
        self.error_code = error_code


class AppValidationError(AppError):
    """The data of an action are wrong. Never retried: the same data stay wrong."""

    retryable = False

    def __init__(self, message: str = "validation error", *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, status_code=400, error_code="VALIDATION_ERROR", details=details)


class InvalidActionError(AppError):
    """The action itself is wrong or not supported. Never retried."""

    retryable = False

    def __init__(
        self, message: str = "invalid or unsupported action", *, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, status_code=400, error_code="INVALID_ACTION", details=details)


class ConfigurationError(AppError):
    """The service or one of its parts is configured wrongly."""

    def __init__(self, message: str = "configuration error", *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, status_code=500, error_code="CONFIGURATION_ERROR", details=details)


class ExternalServiceError(AppError):
    """Another system that the handler needs has failed. Retried: it may be back."""

    def __init__(
        self,
        message: str = "error in an external service",
        status_code: int = 502,
        error_code: str = "EXTERNAL_SERVICE_ERROR",
        *,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, error_code=error_code, details=details)


class MessageProcessingError(AppError):
    """An action could not be processed."""

    def __init__(
        self, message: str = "error while processing the message", *, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, status_code=500, error_code="MESSAGE_PROCESSING_ERROR", details=details)


class WorkerError(AppError):
    """A worker's own logic has failed."""

    def __init__(self, message: str = "error in the worker", *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, status_code=500, error_code="WORKER_ERROR", details=details)


class RedisClientError(BaseError):
    """The client could not do what it was asked."""


class QueueManagerError(BaseError):
    """A key name cannot be built."""
