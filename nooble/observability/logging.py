"""Logs: events as log lines, and structlog configured for those who ask. Nothing is configured on import."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from nooble import events as e
from nooble.errors import NoobleError
from nooble.logger import says_debug

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
    e.ServerLost: "server_lost",
    e.ServerBack: "server_back",
    e.Buried: "action_buried",
    e.Held: "action_held",
    e.DataLost: "data_lost",
    e.DeadLettersTrimmed: "dead_letters_trimmed",
}


def log_events(events: e.Events, logger: Any) -> Callable[[], None]:
    """Write every event as a line of *logger*. Debug events are not even made if debug lines are not written.

    Returns:
        A function that ends it.
    """
    debug = says_debug(logger)
    kinds = [kind for kind, level in _LEVELS.items() if debug or level != "debug"]
    write = {kind: getattr(logger, _LEVELS[kind]) for kind in kinds}

    def listener(event: e.Event) -> None:
        facts = {name: value for name, value in msgspec.structs.asdict(event).items() if value not in ("", None)}
        del facts["service"]  # the logger says it
        error = facts.pop("error", None)
        if isinstance(error, BaseException) and _is_an_incident(error):
            facts["exc_info"] = error
        kind = type(event)
        write[kind](_NAMES[kind], **facts)

    return events.subscribe(listener, kinds)


def _is_an_incident(error: BaseException) -> bool:
    """Expected errors say all in their message; a traceback is for what nobody expected."""
    return not (isinstance(error, NoobleError) and not error.retryable)


def init_logging(log_level: str = "INFO", service_name: str | None = None, log_format: str = "auto") -> None:
    """Configure structlog, and bring the lines of other libraries' loggers into the same form.

    Args:
        log_level: least level that is written.
        service_name: said on every line, if given.
        log_format: `console` for people, `json` for machines, `auto`: console on a terminal.
    """
    level = logging.getLevelName(log_level.upper())
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(serializer=_as_json)]
    )
    factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    if not console:
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    if service_name:
        structlog.contextvars.bind_contextvars(service=service_name)
    handler = logging.StreamHandler(sys.stderr)
    bridge = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last[:-1]]
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(serializer=_as_text)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name], processors=[*bridge, renderer]
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _as_json(line: Any, **_: Any) -> bytes:
    return _encode(line)


def _as_text(line: Any, **_: Any) -> str:
    return _encode(line).decode()
