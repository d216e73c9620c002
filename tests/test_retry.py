"""When a failed action runs again: attempts, the pause, which errors, and who overrules whom."""

from __future__ import annotations

import asyncio

import pytest

from nooble.errors import AppValidationError, ExternalServiceError, InvalidPayload, Reject, RetryLater
from nooble.retry import NEVER, Retry


def never_jittered() -> float:
    return 0.0


def test_the_pause_grows_by_the_factor_up_to_the_longest() -> None:
    policy = Retry(attempts=6, backoff=1.0, factor=3.0, max_delay=10.0)
    pauses = [policy.delay(attempt, ValueError(), never_jittered) for attempt in range(1, 7)]
    assert pauses == [1.0, 3.0, 9.0, 10.0, 10.0, None]


def test_the_last_attempt_is_the_last() -> None:
    policy = Retry(attempts=2)
    assert policy.delay(1, ValueError()) is not None
    assert policy.delay(2, ValueError()) is None
    assert policy.delay(3, ValueError()) is None


def test_never_is_never() -> None:
    assert NEVER.delay(1, ValueError()) is None
    assert NEVER.delay(1, RetryLater(after=1.0)) is None


def test_jitter_only_lengthens_the_pause() -> None:
    policy = Retry(backoff=10.0, jitter=0.5)
    assert policy.delay(1, ValueError(), lambda: 0.0) == 10.0
    assert policy.delay(1, ValueError(), lambda: 1.0) == 15.0


def test_chance_draws_a_new_pause_each_time() -> None:
    policy = Retry(backoff=10.0, jitter=1.0)
    assert len({policy.delay(1, ValueError()) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "error", [Reject("no"), AppValidationError("bad"), InvalidPayload("bad"), NotImplementedError(), SystemExit()]
)
def test_what_cannot_end_otherwise_is_not_run_again(error: BaseException) -> None:
    assert Retry().delay(1, error) is None


def test_what_cannot_end_otherwise_is_not_run_again_even_if_the_policy_names_it() -> None:
    policy = Retry(on=(Reject, NotImplementedError))
    assert policy.delay(1, Reject("no")) is None
    assert policy.delay(1, NotImplementedError()) is None


def test_a_cancelled_handler_is_no_error_to_retry() -> None:
    assert Retry().delay(1, asyncio.CancelledError()) is None


def test_only_the_named_errors_are_run_again() -> None:
    policy = Retry(on=(ConnectionError, ExternalServiceError))
    assert policy.delay(1, ConnectionResetError()) is not None
    assert policy.delay(1, ExternalServiceError()) is not None
    assert policy.delay(1, ValueError()) is None


def test_one_error_type_needs_no_tuple() -> None:
    policy = Retry(on=OSError, never=FileNotFoundError)
    assert policy.delay(1, ConnectionError()) is not None
    assert policy.delay(1, FileNotFoundError()) is None


def test_an_excluded_error_is_not_run_again_even_if_it_is_named() -> None:
    assert Retry(on=Exception, never=KeyError).delay(1, KeyError()) is None


def test_a_handler_can_say_when_to_try_again() -> None:
    policy = Retry(attempts=2, max_delay=1.0)
    assert policy.delay(1, RetryLater(after=90.0)) == 90.0
    assert policy.delay(1, RetryLater(after=-1.0)) == 0.0
    assert policy.delay(2, RetryLater(after=90.0)) is None


def test_a_handler_can_leave_the_pause_to_the_policy_whatever_errors_the_policy_names() -> None:
    assert Retry(backoff=4.0, on=KeyError).delay(1, RetryLater(), never_jittered) == 4.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"attempts": 0}, r"Retry\(attempts=0\): must be at least 1"),
        ({"backoff": -0.1}, r"Retry\(backoff=-0.1\): must be at least 0"),
        ({"factor": 0.5}, r"Retry\(factor=0.5\): must be at least 1"),
        ({"max_delay": -1}, r"Retry\(max_delay=-1\): must be at least 0"),
        ({"max_delay": float("nan")}, r"Retry\(max_delay=nan\): must be at least 0"),
        ({"jitter": -0.1}, r"Retry\(jitter=-0.1\): must be at least 0"),
        ({"jitter": 1.1}, r"Retry\(jitter=1.1\): is a share of the pause, at most 1"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_by_name(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Retry(**values)


def test_a_policy_is_a_value() -> None:
    assert Retry(attempts=5) == Retry(attempts=5)
    assert hash(Retry(attempts=5)) == hash(Retry(attempts=5))
    with pytest.raises(AttributeError):
        Retry().attempts = 9
