"""What a handler raises on purpose: a refusal with a code of the business, or the wish to try again later."""

from __future__ import annotations

from nooble.errors import InvalidPayload, Reject, RetryLater, UnknownAction


def test_a_refusal_brings_a_code_of_the_business() -> None:
    error = Reject("none left", error_code="OUT_OF_STOCK", details={"left": 0})
    assert (error.error_code, str(error), error.details) == ("OUT_OF_STOCK", "none left", {"left": 0})


def test_a_refusal_without_words_is_rejected() -> None:
    assert (Reject().error_code, str(Reject())) == ("REJECTED", "rejected")


def test_the_code_of_one_refusal_is_not_that_of_the_next() -> None:
    Reject(error_code="OUT_OF_STOCK")
    assert Reject().error_code == "REJECTED"


def test_trying_later_brings_its_pause_or_leaves_it_to_the_policy() -> None:
    assert RetryLater("busy", after=2.5).after == 2.5
    assert RetryLater().after is None


def test_an_unknown_action_and_an_invalid_payload_keep_the_platforms_families_under_codes_of_their_own() -> None:
    from nooble.errors.exceptions import AppValidationError, InvalidActionError

    unknown, invalid = UnknownAction("no such action"), InvalidPayload("no such field")
    assert isinstance(unknown, InvalidActionError)
    assert isinstance(invalid, AppValidationError)
    assert (unknown.error_code, unknown.status_code) == ("UNKNOWN_ACTION", 400)
    assert (invalid.error_code, invalid.status_code) == ("INVALID_PAYLOAD", 400)
