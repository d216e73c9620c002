"""Logs: events as log lines, and structlog configured for those who ask. Nothing is configured on import. Whatever is
logged, no line shows what is sensitive, and none does anything to the terminal that shows it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog
from pydantic import ValidationError

from nooble import events as e
from nooble.errors import (
    ActionExpired,
    AppValidationError,
    ForbiddenCallback,
    InvalidActionError,
    MalformedAction,
    NoobleError,
    PayloadTooLarge,
    Reject,
    RetryLater,
)
from nooble.logger import CLEANERS, says_debug
from nooble.models.context import find_context
from nooble.models.redaction import NAMES
from nooble.observability.redaction import printable_line, redact_line, redact_names, unmistakable

_LEVELS: dict[type[e.Event], str] = {
    e.Completed: "debug",
    e.Started: "debug",
    e.Released: "debug",
    e.Failed: "info",
    e.Expired: "info",
    e.Reclaimed: "info",
    e.ServerBack: "info",
    e.Retried: "warning",
    e.LeaseLost: "warning",
    e.CommitRefused: "warning",
    e.Unwritten: "warning",
    e.LoopBlocked: "warning",
    e.ClockJumped: "warning",
    e.ServerLost: "warning",
    e.Buried: "error",
    e.Held: "error",
    e.DataLost: "error",
    e.DeadLettersTrimmed: "warning",
}
_NAMES: dict[type[e.Event], str] = {
    e.Completed: "action_completed",
    e.Started: "action_started",
    e.Released: "action_released",
    e.Failed: "action_failed",
    e.Expired: "action_expired",
    e.Reclaimed: "action_reclaimed",
    e.Retried: "action_retried",
    e.LeaseLost: "lease_lost",
    e.CommitRefused: "commit_refused",
    e.Unwritten: "output_unwritten",
    e.LoopBlocked: "event_loop_blocked",
    e.ClockJumped: "server_clock_jumped",
    e.ServerLost: "server_lost",
    e.ServerBack: "server_back",
    e.Buried: "action_buried",
    e.Held: "action_held",
    e.DataLost: "data_lost",
    e.DeadLettersTrimmed: "dead_letters_trimmed",
}
_EXPECTED = (
    *(Reject, RetryLater, ActionExpired, AppValidationError, InvalidActionError, ValidationError),
    *(MalformedAction, PayloadTooLarge, ForbiddenCallback),
)
"""Errors of the business, and of what others have sent: the service has done what it should."""


def level_of(event: e.Event) -> str:
    """The level at which *event* is logged. For what went wrong, the error decides as well:

    | | expected: refused, wrong data, asks for later | may pass: timeouts, other systems | any other |
    |---|---|---|---|
    | the caller was told | info | warning | error |
    | it is tried again | info | warning | warning |
    | it is buried | warning | error | error |
    """
    kind = type(event)
    level = _LEVELS[kind]
    if kind not in _BY_ERROR or not isinstance(error := getattr(event, "error", None), BaseException):
        return level
    if isinstance(error, _EXPECTED):
        return _BY_ERROR[kind][0]
    return _BY_ERROR[kind][1 if isinstance(error, NoobleError) and error.retryable else 2]


_BY_ERROR: dict[type[e.Event], tuple[str, str, str]] = {
    e.Failed: ("info", "warning", "error"),
    e.Retried: ("info", "warning", "warning"),
    e.Buried: ("warning", "error", "error"),
}


def log_events(events: e.Events, logger: Any) -> Callable[[], None]:
    """Write every event as a line of *logger*. Debug events are not even made if debug lines are not written.

    Returns:
        A function that ends it.
    """
    debug = says_debug(logger)
    kinds = [kind for kind, level in _LEVELS.items() if debug or level != "debug"]

    def listener(event: e.Event) -> None:
        facts = {name: value for name, value in msgspec.structs.asdict(event).items() if value not in ("", None)}
        del facts["service"]  # the logger says it
        error = facts.pop("error", None)
        if isinstance(error, BaseException) and _is_an_incident(error):
            facts["exc_info"] = error
        getattr(logger, level_of(event))(_NAMES[type(event)], **facts)

    return events.subscribe(listener, kinds)


def _is_an_incident(error: BaseException) -> bool:
    """Expected errors say all in their message; a traceback is for what nobody expected."""
    return not (isinstance(error, NoobleError) and not error.retryable)


def init_logging(
    log_level: str = "INFO",
    service_name: str | None = None,
    log_format: str = "auto",
    redact: Iterable[str] = NAMES,
) -> None:
    """Configure structlog, and bring the lines of other libraries' loggers into the same form. On standard error.

    Args:
        log_level: least level that is written.
        service_name: said on every line, if given.
        log_format: `console` for people, `json` for machines, `auto`: console on a terminal.
        redact: names of fields whose values are hidden, beside those that are declared sensitive.
    """
    redact_names(redact)
    level = logging.getLevelName(log_level.upper())
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_action,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
    ]
    structlog.configure(
        processors=[*common, *(_for_people() if console else _for_machines(_as_bytes))],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr)  # a line in one piece, beside those of others
        if console
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    if service_name:
        structlog.contextvars.bind_contextvars(service=service_name)
    _bridge(level, common, _for_people() if console else _for_machines(_as_text))


def say_on_every_line(**facts: Any) -> None:
    """From now on every line of this thread, and of the tasks that it starts, says *facts*."""
    structlog.contextvars.bind_contextvars(**facts)


def add_action(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor that says on a line which action is at work, for configurations of one's own too.

    It looks when a line is written, so that an action which logs nothing pays nothing.
    """
    context = find_context()
    if context is not None:
        for name, value in context.action.get_log_extra().items():
            line.setdefault(name, value)
        line.setdefault("attempt", context.attempt)
    return line


def _bridge(level: int, common: list[Any], rendering: list[Any]) -> None:
    """Let the standard library's loggers, and its warnings, speak like ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("asyncio").setLevel(max(level, logging.INFO))  # at debug it tells of itself
    logging.captureWarnings(True)


def _for_people() -> list[Any]:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    plain = structlog.dev.plain_traceback
    return [
        _readable,
        *_CLEAN,
        structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, exception_formatter=plain),
    ]


_CLEAN = (structlog.processors.ExceptionRenderer(), redact_line, printable_line)
CLEANERS[:] = _CLEAN  # for lines that are written before anybody has configured anything


def _readable(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """*line* without what only machines read: names of consumers, and digits nobody can use."""
    line.pop("consumer", None)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()}


def _for_machines(serializer: Callable[..., Any]) -> list[Any]:
    as_data = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # local variables can hold secrets
    return [
        structlog.processors.ExceptionRenderer(as_data),
        redact_line,
        structlog.processors.JSONRenderer(serializer=serializer),
    ]


_encode = msgspec.json.Encoder(enc_hook=repr).encode
_FIRST = ("timestamp", "level", "event")


def _as_bytes(line: Any, **_: Any) -> bytes:
    """*line* as JSON, beginning with what a reader looks for first. Whatever is logged, logging it does not raise."""
    ordered = {**{name: line.pop(name, None) for name in _FIRST}, **line}
    try:
        return unmistakable(_encode(ordered))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return unmistakable(_encode({str(name): ascii(value) for name, value in ordered.items()}))


def _as_text(line: Any, **_: Any) -> str:
    return _as_bytes(line).decode()
