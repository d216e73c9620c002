"""For every policy and every attempt: pauses are finite, never negative, never shrink, and keep their bounds."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from nooble.errors import RetryLater
from nooble.retry import Retry

numbers = st.floats(0, 1e6)
shares = st.floats(0, 1)
attempts = st.integers(1, 10_000)
policies = st.builds(
    Retry, attempts=attempts, backoff=numbers, factor=st.floats(1, 1e6), max_delay=numbers, jitter=shares
)


@given(policies, attempts)
def test_a_pause_is_a_number_of_seconds_that_never_passes_the_longest(policy: Retry, attempt: int) -> None:
    assert 0.0 <= policy.pause(attempt) <= policy.max_delay


@given(policies, attempts, attempts)
def test_pauses_never_shrink(policy: Retry, one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    assert policy.pause(earlier) <= policy.pause(later)


@given(policies)
def test_the_first_pause_is_the_backoff(policy: Retry) -> None:
    assert policy.pause(1) == min(policy.backoff, policy.max_delay)


@given(st.floats(1, 1e6), attempts)
def test_no_backoff_means_no_pause_however_many_attempts(factor: float, attempt: int) -> None:
    assert Retry(backoff=0.0, factor=factor).pause(attempt) == 0.0


@given(policies, attempts, shares)
def test_jitter_stays_within_its_share(policy: Retry, attempt: int, drawn: float) -> None:
    delay, pause = policy.delay(attempt, ValueError(), lambda: drawn), policy.pause(attempt)
    if attempt >= policy.attempts:
        assert delay is None
    else:
        assert pause <= delay <= pause * (1 + policy.jitter)


@given(policies, attempts, st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_retry_that_a_handler_asks_for_is_never_in_the_past(policy: Retry, attempt: int, after: float | None) -> None:
    delay = policy.delay(attempt, RetryLater(after=after))
    assert (delay is None) == (attempt >= policy.attempts)
    assert delay is None or (delay >= 0.0 and math.isfinite(delay))


@given(policies, st.sampled_from([ValueError(), RetryLater(), RetryLater(after=1.0)]))
def test_every_action_comes_to_an_end(policy: Retry, error: Exception) -> None:
    assert policy.delay(policy.attempts, error) is None
