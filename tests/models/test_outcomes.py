"""An outcome is a value: it can be compared and printed, and it cannot be changed."""

from __future__ import annotations

import pytest

from nooble.models import outcomes
from nooble.models.outcomes import (
    Answered,
    Buried,
    Completed,
    Expired,
    Outcome,
    Post,
    Released,
    Reply,
    Retried,
    error_of,
)

ERROR = ValueError("what happened")
REPLY = Reply("nooble4:test:caller:responses:a_b:1", b"{}")
ALL = [
    Completed(REPLY, (Post("stream", b"{}"),)),
    Answered(ERROR, REPLY),
    Retried(ERROR, 1.0, 2),
    Buried(ERROR, 3, REPLY),
    Expired(ERROR, REPLY),
    Released(),
]
names = [type(outcome).__name__ for outcome in ALL]


def test_this_file_knows_every_outcome() -> None:
    kinds = {kind for kind in vars(outcomes).values() if isinstance(kind, type) and issubclass(kind, Outcome)}
    assert kinds - {Outcome, outcomes.Failed} == set(map(type, ALL))


@pytest.mark.parametrize("outcome", ALL, ids=names)
def test_an_outcome_is_a_value(outcome: Outcome) -> None:
    assert outcome == outcome.__copy__()
    assert repr(outcome).startswith(f"{type(outcome).__name__}(")
    with pytest.raises(AttributeError):
        outcome.reply = None


@pytest.mark.parametrize("outcome", ALL, ids=names)
def test_an_outcome_tells_its_error_if_it_has_one(outcome: Outcome) -> None:
    assert error_of(outcome) is (None if isinstance(outcome, Completed | Released) else ERROR)


def test_nothing_is_said_and_nothing_sent_unless_told() -> None:
    assert (Completed().reply, Completed().posts) == (None, ())
    assert (Buried(ERROR).reply, Buried(ERROR).attempt) == (None, 0)
