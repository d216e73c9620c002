"""The platform's exceptions keep their import path, their arguments and their codes."""

from __future__ import annotations

import pytest

from nooble.errors import exceptions as platform

CODES = {
    "AppError": (500, "INTERNAL_ERROR"),
    "AppValidationError": (400, "VALIDATION_ERROR"),
    "InvalidActionError": (400, "INVALID_ACTION"),
    "ConfigurationError": (500, "CONFIGURATION_ERROR"),
    "ExternalServiceError": (502, "EXTERNAL_SERVICE_ERROR"),
    "MessageProcessingError": (500, "MESSAGE_PROCESSING_ERROR"),
    "WorkerError": (500, "WORKER_ERROR"),
}


@pytest.mark.parametrize(("name", "expected"), CODES.items(), ids=CODES)
def test_an_exception_has_the_status_and_the_code_it_always_had(name: str, expected: tuple[int, str]) -> None:
    error = getattr(platform, name)("what happened")
    assert (error.status_code, error.error_code) == expected


@pytest.mark.parametrize("name", CODES)
def test_an_exception_can_be_raised_without_words(name: str) -> None:
    with pytest.raises(platform.AppError):
        raise getattr(platform, name)()


def test_an_application_names_its_own_status_and_code() -> None:
    cause = KeyError("x")
    error = platform.AppError("gone", 404, "NOT_FOUND", cause)
    assert (error.status_code, error.error_code, error.original_exception) == (404, "NOT_FOUND", cause)


def test_a_failed_external_service_names_its_own_status_and_code() -> None:
    error = platform.ExternalServiceError("no vectors", status_code=503, error_code="OPENAI_ERROR")
    assert (str(error), error.status_code, error.error_code) == ("no vectors", 503, "OPENAI_ERROR")


@pytest.mark.parametrize("name", ["RedisClientError", "QueueManagerError"])
def test_an_error_of_client_and_queues_tells_what_it_stands_for(name: str) -> None:
    cause = ConnectionError("lost")
    error = getattr(platform, name)("cannot send", original_exception=cause)
    assert error.original_exception is cause
    assert isinstance(error, platform.BaseError)
