"""Which terms hold for an action: the nearest of action, router, service and settings decides, each term for itself."""

from __future__ import annotations

from typing import Any

from nooble.config import CommonAppSettings
from nooble.retry import Retry
from nooble.workers.judgement import Terms


class NearestTerms(dict[str, Terms]):
    """The terms by type of action, looked up when they are first asked for.

    Args:
        service: what handles the actions; if it declares none, the settings hold for all.
        settings: what holds where nobody nearer says anything.
    """

    def __init__(self, service: Any, settings: CommonAppSettings) -> None:
        self._find_route = getattr(service, "find_route", None)
        retry = Retry(
            attempts=settings.retry_attempts,
            backoff=settings.retry_backoff_seconds,
            max_delay=settings.retry_max_delay_seconds,
        )
        timeout: float | None = getattr(service, "timeout", None)
        self._default = Terms(
            retry=getattr(service, "retry", None) or retry,
            timeout=settings.action_timeout_seconds if timeout is None else timeout,
        )

    def __missing__(self, action_type: str) -> Terms:
        route = None if self._find_route is None else self._find_route(action_type)
        if route is None:
            return self._default
        if route.action_type != action_type and route.action_type in self:  # many types may share the catch-all
            return self[route.action_type]
        terms = self[route.action_type] = Terms(
            retry=route.retry or self._default.retry,
            own_retry=route.retry,
            timeout=self._default.timeout if route.timeout is None else route.timeout,
            once_for=route.once_for,
        )
        return terms
