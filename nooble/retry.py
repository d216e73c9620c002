"""When a failed action runs again. Pure: an attempt and an error go in, a pause in seconds or "never" comes out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from nooble.errors import RetryLater

ErrorTypes = tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A retry policy.

    The pause after attempt *n* (1, 2, …) is `backoff * factor ** (n - 1)` seconds, at most `max_delay`, lengthened at
    random by up to the share `jitter`, so that what failed together does not come back together.

    Args:
        attempts: how often the handler may run in all; 1 means never again.
        backoff: seconds after the first failure.
        factor: what each further pause is multiplied by, at least 1.
        max_delay: longest pause in seconds, before jitter.
        jitter: share of the pause that chance may add, 0 to 1.
        on: error types that are retried.
        never: error types that are not retried, even if named by *on*.

    Raises:
        ValueError: a number is out of its range; the message names it.
    """

    attempts: int = 3
    backoff: float = 1.0
    factor: float = 2.0
    max_delay: float = 300.0
    jitter: float = 0.1
    on: ErrorTypes | type[BaseException] = (Exception,)
    never: ErrorTypes | type[BaseException] = ()

    def __post_init__(self) -> None:
        for name, least in (("attempts", 1), ("backoff", 0), ("factor", 1), ("max_delay", 0), ("jitter", 0)):
            value = getattr(self, name)
            if not value >= least:
                raise ValueError(f"Retry({name}={value!r}): must be at least {least}")
        if self.jitter > 1:
            raise ValueError(f"Retry(jitter={self.jitter!r}): is a share of the pause, at most 1")

    def delay(self, attempt: int, error: BaseException, draw: Callable[[], float] = random.random) -> float | None:
        """Seconds until the next run after *attempt* (counted from 1) ended with *error*; `None` if there is none.

        Args:
            attempt: which run has just failed.
            error: what it failed with; a `RetryLater` brings its own pause.
            draw: a number from 0 up to 1, for the jitter.
        """
        if attempt >= self.attempts or not getattr(error, "retryable", True):
            return None
        if isinstance(error, RetryLater):
            if error.after is not None:
                return max(0.0, error.after)
        elif not self.wants(error):
            return None
        return self.pause(attempt) * (1 + self.jitter * draw())

    def wants(self, error: BaseException) -> bool:
        """Whether errors of this kind are retried at all. What is not implemented or not valid stays so."""
        if isinstance(error, NotImplementedError | ValidationError):
            return False
        return isinstance(error, self.on) and not isinstance(error, self.never)

    def pause(self, attempt: int) -> float:
        """Seconds after *attempt* without jitter."""
        try:
            return min(self.max_delay, self.backoff * self.factor ** (attempt - 1))
        except OverflowError:
            return self.max_delay if self.backoff else 0.0


NEVER = Retry(attempts=1)
"""The policy that never runs anything twice."""
