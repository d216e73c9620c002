"""Every event has a level that says how much it matters, and an error decides over the level of what went wrong by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import TypeAdapter, ValidationError

from nooble import events as e
from nooble.errors import (
    ActionExpired,
    ActionTimeout,
    CrashLoop,
    ExternalServiceError,
    InvalidPayload,
    InvalidResponse,
    MalformedAction,
    Reject,
    RetryLater,
    UnknownAction,
)
from nooble.observability.logging import level_of, log_events

FACTS: dict[str, Any] = {"service": "pedidos", "consumer": "c", "entry_id": "1-0"}


def wrong_data() -> ValidationError:
    """What pydantic raises."""
    try:
        TypeAdapter(int).validate_python("x")
    except ValidationError as error:
        return error
    raise AssertionError


def failed(kind: type[e.Failed], error: BaseException | None) -> e.Failed:
    """An event of *kind*."""
    more = {"delay": 1.0} if kind is e.Retried else {}
    return kind(**FACTS, code="X", message="x", error=error, **more)


LEVELS: dict[str, tuple[BaseException | None, str, str, str]] = {
    "refused by the business": (Reject("none left"), "info", "info", "warning"),
    "data that do not fit": (InvalidPayload("x"), "info", "info", "warning"),
    "data that do not fit, by hand": (wrong_data(), "info", "info", "warning"),
    "an action that nobody knows": (UnknownAction("x"), "info", "info", "warning"),
    "no action at all": (MalformedAction("x"), "info", "info", "warning"),
    "later, please": (RetryLater(), "info", "info", "warning"),
    "a handler that took too long": (ActionTimeout("x"), "warning", "warning", "error"),
    "another system that is away": (ExternalServiceError("x"), "warning", "warning", "error"),
    "a bug": (KeyError("stock"), "error", "warning", "error"),
    "an answer that does not fit": (InvalidResponse("x"), "error", "warning", "error"),
    "what kills workers": (CrashLoop("x"), "error", "warning", "error"),
    "nothing that is known": (None, "info", "warning", "error"),
}


@pytest.mark.parametrize(("error", "told", "again", "buried"), LEVELS.values(), ids=LEVELS)
def test_the_error_decides(error: BaseException | None, told: str, again: str, buried: str) -> None:
    found = [level_of(failed(kind, error)) for kind in (e.Failed, e.Retried, e.Buried)]
    assert found == [told, again, buried]


def test_an_action_that_came_too_late_is_no_error() -> None:
    assert level_of(failed(e.Expired, ActionExpired("x"))) == "info"


def test_success_is_for_debug() -> None:
    assert {level_of(kind(**FACTS)) for kind in (e.Started, e.Completed, e.Released)} == {"debug"}


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged. Afterwards nothing is configured, as before."""
    with structlog.testing.capture_logs() as captured:
        yield captured
    structlog.reset_defaults()


def test_a_traceback_is_there_for_what_nobody_expected_alone(lines: list[dict[str, Any]]) -> None:
    events = e.Events()
    log_events(events, structlog.get_logger(service="pedidos"))
    for error in (Reject("none left"), KeyError("stock")):
        events.emit(failed(e.Buried, error))
    assert [(line["log_level"], "exc_info" in line) for line in lines] == [("warning", False), ("error", True)]


def test_no_line_has_a_payload() -> None:
    known = {name for kind in e.Event.__subclasses__() for name in kind.__struct_fields__}
    assert not {"data", "payload", "raw"} & known
