"""Logs: nothing is configured on import; then every line has one form, says which action it is about, and never raises."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from nooble.logger import get_logger
from nooble.models import ActionContext, DomainAction
from nooble.models.context import set_current
from nooble.observability.logging import add_action, init_logging

ROOT = Path(__file__).parents[2]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    """Whatever a test configures holds for that test alone."""
    root = logging.getLogger()
    handlers, level, showwarning = list(root.handlers), root.level, warnings.showwarning
    asyncio_level = logging.getLogger("asyncio").level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    logging.getLogger("asyncio").setLevel(asyncio_level)
    root.handlers[:], root.level, warnings.showwarning = handlers, level, showwarning


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    """The lines on standard error, as a machine reads them."""
    return lambda: [json.loads(line) for line in capfd.readouterr().err.splitlines()]


@pytest.fixture
def at_work() -> Iterator[DomainAction]:
    """An action whose handler is running."""
    action = DomainAction(action_type="shop.order.create", data={}, tenant_id="acme", correlation_id=None)
    set_current(ActionContext(action, attempt=2))
    yield action
    set_current(None)


def test_importing_configures_nothing() -> None:
    program = (
        "import logging, nooble, nooble.workers, nooble.observability.logging, structlog\n"
        "assert not structlog.is_configured() and not logging.getLogger().handlers"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


# ── form ──


def test_machines_get_one_object_a_line_that_begins_with_what_matters(lines: Lines) -> None:
    init_logging(log_format="json", service_name="shop")
    get_logger(worker=1).info("started", n=3)
    (line,) = lines()
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert (line["level"], line["event"], line["service"], line["worker"], line["n"]) == (
        "info",
        "started",
        "shop",
        1,
        3,
    )


def test_without_a_terminal_auto_is_for_machines(lines: Lines) -> None:
    init_logging()
    get_logger().info("started")
    assert lines()[0]["event"] == "started"


def test_people_get_text_with_less_in_it(capfd: pytest.CaptureFixture[str]) -> None:
    init_logging(log_format="console")
    get_logger().info("started", consumer="x-worker-y-nb0123456789", seconds=0.123456789)
    text = capfd.readouterr().err
    assert "started" in text
    assert "seconds=0.1235" in text
    assert "consumer" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_has_a_traceback_without_local_variables(capfd: pytest.CaptureFixture[str], form: str) -> None:
    init_logging(log_format=form)
    password = "s3cret"
    try:
        raise ValueError(len(password))
    except ValueError as error:
        get_logger().error("failed", exc_info=error)
    text = capfd.readouterr().err
    assert "ValueError" in text
    assert "test_logging.py" in text
    assert "s3cret" not in text


ODD = {
    "an object": object(),
    "a number that is too large": 10**30,
    "half a character": "\ud800",
    "keys of any kind": {(1, 2): 3},
    "bytes": b"\xff",
    "no number": float("nan"),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_whatever_is_logged_logging_it_does_not_raise(lines: Lines, value: object) -> None:
    init_logging(log_format="json")
    get_logger().info("odd", value=value)
    (line,) = lines()
    assert "odd" in line["event"]


# ── level ──


def test_the_level_holds_for_everybody(lines: Lines) -> None:
    init_logging("warning", log_format="json")
    for logger in (get_logger("DEBUG"), logging.getLogger("library")):
        logger.info("quiet")
        logger.warning("loud")
    assert [line["event"] for line in lines()] == ["loud", "loud"]


def test_at_debug_the_event_loop_does_not_tell_of_itself(lines: Lines) -> None:
    init_logging("debug", log_format="json")
    asyncio.run(asyncio.sleep(0), debug=True)
    get_logger().debug("mine")
    assert [line["event"] for line in lines()] == ["mine"]


# ── which action ──


def test_a_line_of_a_handler_says_which_action_it_is_about(lines: Lines, at_work: DomainAction) -> None:
    init_logging(log_format="json")
    get_logger().info("working")
    logging.getLogger("library").warning("slow")
    for line in lines():
        assert line["action_type"] == "shop.order.create"
        assert line["action_id"] == str(at_work.action_id)
        assert line["trace_id"] == str(at_work.trace_id)
        assert (line["tenant_id"], line["attempt"]) == ("acme", 2)
        assert "correlation_id" not in line


async def test_what_a_handler_runs_beside_itself_says_it_too(lines: Lines, at_work: DomainAction) -> None:
    init_logging(log_format="json")
    log = get_logger()

    async def beside() -> None:
        log.info("task")

    await asyncio.create_task(beside())
    await asyncio.to_thread(log.info, "thread")
    assert {line["action_id"] for line in lines()} == {str(at_work.action_id)}


def test_what_a_line_says_itself_stays(lines: Lines, at_work: DomainAction) -> None:
    init_logging(log_format="json")
    get_logger().info("another", action_id="its own")
    assert lines()[0]["action_id"] == "its own"


def test_a_configuration_of_ones_own_can_have_it(at_work: DomainAction) -> None:
    assert add_action(None, "info", {"event": "x"})["tenant_id"] == "acme"


# ── others ──


def test_other_libraries_speak_the_same(lines: Lines) -> None:
    init_logging(log_format="json")
    logging.getLogger("library").warning("hello %s", "you", extra={"n": 2})
    with warnings.catch_warnings(action="always"):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    said, warned = lines()
    assert (said["event"], said["logger"], said["n"], said["level"]) == ("hello you", "library", 2, "warning")
    assert "DeprecationWarning: old" in warned["event"]
