"""From an error to an outcome: the one table. Pure: values in, a value out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nooble.errors import ActionExpired, CrashLoop, ForbiddenCallback, MalformedAction, PayloadTooLarge, RetryLater
from nooble.models.outcomes import Answered, Buried, Expired, Failed, Reply, Retried
from nooble.retry import NEVER, Retry

UNREADABLE = (MalformedAction, PayloadTooLarge, ForbiddenCallback, CrashLoop)
"""Errors that somebody must look into even when a caller was told: they are kept in the dead letters as well."""


class Terms(msgspec.Struct, frozen=True):
    """What holds for one type of action; the nearest of action, service and settings has decided.

    Attributes:
        retry: when it runs again if nobody waits for it.
        own_retry: its own policy, which holds even if somebody waits; without one a waiting caller hears of the first
            failure.
        timeout: seconds that its handler may run; 0 sets no limit.
        once_for: seconds for which its idempotency key is remembered; 0 remembers none but those that the sender asked for.
    """

    retry: Retry = NEVER
    own_retry: Retry | None = None
    timeout: float = 0.0
    once_for: float = 0.0


NO_TERMS = Terms()
"""What holds for a delivery that could not be read: it is not run again."""


def judge(
    error: BaseException,
    *,
    attempt: int,
    terms: Terms,
    waits: bool = False,
    time_left: float | None = None,
    tell: Callable[[], Reply | None] = lambda: None,
) -> Failed:
    """What becomes of a delivery that ended with *error*.

    | error | somebody waits | nobody waits |
    |---|---|---|
    | expired | `Expired`, answered | `Expired`, recorded |
    | unreadable, forbidden, crash loop | `Buried`, answered if possible | `Buried` |
    | to be retried, before the deadline | `Retried` by the action's own policy | `Retried` by the nearest policy |
    | any other | `Answered` | `Buried` |

    Args:
        error: what went wrong.
        attempt: which run this was, from 1; 0 if the handler was not started.
        terms: what holds for this type of action.
        waits: whether a caller waits for the answer.
        time_left: seconds until the deadline, if there is one.
        tell: makes the answer that tells the caller of *error*; `None` if nothing may be written there.
    """
    if isinstance(error, ActionExpired):
        return Expired(error, tell() if waits else None)
    if isinstance(error, UNREADABLE):
        return Buried(error, attempt, tell() if waits else None)
    policy = terms.own_retry or (_asked_for(error, terms) if waits else terms.retry)
    delay = policy.delay(attempt, error)
    if delay is not None and (time_left is None or delay < time_left):
        return Retried(error, delay, attempt)
    if waits and (reply := tell()) is not None:
        return Answered(error, reply)
    return Buried(error, attempt)


def _asked_for(error: BaseException, terms: Terms) -> Retry:
    """A handler that raises `RetryLater` asks for it itself, so its caller waits on."""
    return terms.retry if isinstance(error, RetryLater) else NEVER
