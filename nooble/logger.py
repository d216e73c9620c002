"""Loggers of nooble: structlog's, bound with who speaks. Nothing is configured here or on import; where nobody has
configured structlog, the level of the settings holds all the same."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog


def get_logger(level: str = "INFO", **facts: Any) -> Any:
    """A structlog logger that says *facts* on every line.

    Args:
        level: least level that is written as long as structlog is not configured; its own configuration wins.
        facts: who speaks: `service`, `worker`, …
    """
    if structlog.is_configured():
        return structlog.get_logger(**facts)
    filtering = structlog.make_filtering_bound_logger(logging.getLevelName(level))
    return structlog.wrap_logger(None, _processors(), filtering, **facts)


def _processors() -> list[Any]:
    """structlog's own, but for tracebacks: its own show local variables, which can hold secrets."""
    colors = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [*structlog.get_config()["processors"][:-1], _clean, renderer]


CLEANERS: list[Any] = []
"""Processors that take out of a line what must not be shown; whoever has them, puts them here."""


def _clean(logger: Any, method: str, line: Any) -> Any:
    for cleaner in CLEANERS:
        line = cleaner(logger, method, line)
    return line


def says_debug(logger: Any) -> bool:
    """Whether debug lines of *logger* are written. Asked once, so that a filtered line costs nothing per action."""
    try:
        return bool(logger.is_enabled_for(logging.DEBUG))
    except (AttributeError, TypeError):
        return True
