"""From error to outcome: the table, row by row, and what holds in every row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from nooble.errors import (
    ActionExpired,
    ActionTimeout,
    CrashLoop,
    ExternalServiceError,
    ForbiddenCallback,
    InvalidPayload,
    InvalidResponse,
    MalformedAction,
    PayloadTooLarge,
    Reject,
    RetryLater,
    UnknownAction,
)
from nooble.models.outcomes import Answered, Buried, Expired, Outcome, Reply, Retried
from nooble.retry import NEVER, Retry
from nooble.workers.judgement import UNREADABLE, Terms, judge

THRICE = Retry(attempts=3, backoff=1.0, jitter=0.0)
REPLY = Reply("queue", b"answer")
LATER = RetryLater(after=5)


def invalid() -> ValidationError:
    """What a service raises that validates by hand."""

    class Model(BaseModel):
        number: int

    with pytest.raises(ValidationError) as caught:
        Model(number="seven")
    return caught.value


NEVER_RETRIED = (
    *(Reject("no"), UnknownAction("?"), InvalidPayload("?"), InvalidResponse("?")),
    *(NotImplementedError("?"), invalid(), SystemExit(1)),
)
RETRIED = (OSError("no"), ExternalServiceError("no"), ActionTimeout("late"), RetryLater())
UNREADABLES = (MalformedAction("?"), PayloadTooLarge("?"), ForbiddenCallback("?"), CrashLoop("?"))
ERRORS = (*NEVER_RETRIED, *RETRIED, *UNREADABLES, ActionExpired("late"), LATER)


def named(error: BaseException) -> str:
    return type(error).__name__


# ── the table ──


@pytest.mark.parametrize("error", RETRIED, ids=named)
def test_what_may_pass_is_retried_when_nobody_waits(error: BaseException) -> None:
    assert judge(error, attempt=1, terms=Terms(THRICE)) == Retried(error, 1.0, 1)


@pytest.mark.parametrize("error", RETRIED, ids=named)
def test_what_has_been_tried_often_enough_is_buried(error: BaseException) -> None:
    assert judge(error, attempt=3, terms=Terms(THRICE)) == Buried(error, 3)


@pytest.mark.parametrize("error", NEVER_RETRIED, ids=named)
def test_what_stays_as_it_is_is_buried_at_once(error: BaseException) -> None:
    assert judge(error, attempt=1, terms=Terms(THRICE)) == Buried(error, 1)


@pytest.mark.parametrize("error", [*NEVER_RETRIED, OSError("no"), ActionTimeout("late")], ids=named)
def test_who_waits_is_answered_at_the_first_failure(error: BaseException) -> None:
    outcome = judge(error, attempt=1, terms=Terms(THRICE), waits=True, tell=lambda: REPLY)
    assert outcome == Answered(error, REPLY)


def test_the_actions_own_policy_holds_even_if_somebody_waits() -> None:
    error = OSError("no")
    terms = Terms(THRICE, own_retry=THRICE)
    assert judge(error, attempt=1, terms=terms, waits=True, tell=lambda: REPLY) == Retried(error, 1.0, 1)
    assert judge(error, attempt=3, terms=terms, waits=True, tell=lambda: REPLY) == Answered(error, REPLY)


def test_a_handler_that_asks_for_later_gets_it_though_somebody_waits() -> None:
    assert judge(LATER, attempt=1, terms=Terms(THRICE), waits=True, tell=lambda: REPLY) == Retried(LATER, 5.0, 1)


def test_asking_for_later_counts_as_an_attempt() -> None:
    assert judge(LATER, attempt=3, terms=Terms(THRICE), waits=True, tell=lambda: REPLY) == Answered(LATER, REPLY)


@pytest.mark.parametrize("error", UNREADABLES, ids=named)
def test_what_cannot_be_read_is_buried_and_who_waits_is_told(error: BaseException) -> None:
    assert judge(error, attempt=0, terms=Terms(THRICE)) == Buried(error, 0)
    assert judge(error, attempt=0, terms=Terms(THRICE), waits=True, tell=lambda: REPLY) == Buried(error, 0, REPLY)


def test_what_is_too_late_has_expired_whoever_waits() -> None:
    error = ActionExpired("late")
    assert judge(error, attempt=0, terms=Terms(THRICE)) == Expired(error)
    assert judge(error, attempt=0, terms=Terms(THRICE), waits=True, tell=lambda: REPLY) == Expired(error, REPLY)


def test_where_nothing_may_be_written_a_failure_is_buried_instead() -> None:
    """Somebody waits in a place that is none of ours."""
    error = OSError("no")
    assert judge(error, attempt=1, terms=Terms(NEVER), waits=True, tell=lambda: None) == Buried(error, 1)


@pytest.mark.parametrize(("left", "outcome"), [(0.99, Buried), (1.0, Buried), (1.01, Retried), (None, Retried)])
def test_no_retry_starts_after_the_deadline(left: float | None, outcome: type[Outcome]) -> None:
    assert type(judge(OSError("no"), attempt=1, terms=Terms(THRICE), time_left=left)) is outcome


# ── what holds in every row ──

errors = st.sampled_from(ERRORS)
attempts = st.integers(min_value=0, max_value=20)
policies = st.builds(
    Retry,
    attempts=st.integers(min_value=1, max_value=10),
    backoff=st.floats(min_value=0, max_value=100),
    max_delay=st.floats(min_value=0, max_value=1000),
)
terms = st.builds(Terms, retry=policies, own_retry=st.none() | policies)
replies = st.sampled_from([REPLY, None])
deadlines = st.none() | st.floats(min_value=0, max_value=1000)


@given(errors, attempts, terms, st.booleans(), deadlines, replies)
def test_every_failure_has_an_outcome_that_keeps_its_error(
    error: BaseException, attempt: int, terms: Terms, waits: bool, left: float | None, reply: Reply | None
) -> None:
    outcome = judge(error, attempt=attempt, terms=terms, waits=waits, time_left=left, tell=lambda: reply)
    assert outcome.error is error


@given(errors, attempts, terms, deadlines)
def test_a_waiting_caller_is_answered_or_tried_for_again(
    error: BaseException, attempt: int, terms: Terms, left: float | None
) -> None:
    outcome = judge(error, attempt=attempt, terms=terms, waits=True, time_left=left, tell=lambda: REPLY)
    assert isinstance(outcome, Retried) or getattr(outcome, "reply", None) is REPLY


@given(errors, attempts, terms, deadlines)
def test_nobody_is_answered_who_does_not_wait(
    error: BaseException, attempt: int, terms: Terms, left: float | None
) -> None:
    outcome = judge(error, attempt=attempt, terms=terms, time_left=left, tell=lambda: REPLY)
    assert getattr(outcome, "reply", None) is None


@given(errors, attempts, terms, st.booleans(), deadlines)
def test_a_retry_is_due_before_the_deadline_and_within_the_policy(
    error: BaseException, attempt: int, terms: Terms, waits: bool, left: float | None
) -> None:
    outcome = judge(error, attempt=attempt, terms=terms, waits=waits, time_left=left, tell=lambda: REPLY)
    if isinstance(outcome, Retried):
        policy = terms.own_retry or terms.retry
        assert attempt < policy.attempts
        assert outcome.delay >= 0
        assert left is None or outcome.delay < left
        assert not isinstance(error, (*UNREADABLE, ActionExpired))
