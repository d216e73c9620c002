"""An answer tells of success or of an error, never of both; an error tells what a caller's program needs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from nooble.errors import InvalidPayload, NoobleError, Reject
from nooble.models import DomainActionResponse, ErrorDetail

WRONG = ErrorDetail(error_type="ValueError", message="what happened")


def test_a_success_has_data_and_no_error() -> None:
    response = DomainActionResponse(success=True, data={"order": 7})
    assert (response.data, response.error) == ({"order": 7}, None)


def test_a_failure_has_an_error() -> None:
    assert DomainActionResponse(success=False, error=WRONG).error == WRONG


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"success": True, "error": WRONG}, "success=True has no error"),
        ({"success": False}, "success=False says what went wrong"),
        ({"success": False, "data": {}}, "success=False says what went wrong"),
        ({}, "success\n  Field required"),
    ],
)
def test_anything_between_success_and_failure_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        DomainActionResponse(**values)


def test_each_answer_has_an_id_of_its_own() -> None:
    one, other = (DomainActionResponse(success=True) for _ in range(2))
    assert one.action_id != other.action_id


@pytest.mark.parametrize("name", ["task_id", "tenant_id", "session_id"])
def test_an_id_of_the_business_accepts_a_uuid_and_becomes_text(name: str) -> None:
    given = uuid.uuid4()
    assert getattr(DomainActionResponse(success=True, **{name: given}), name) == str(given)


def test_an_answer_travels_through_json_with_what_others_added() -> None:
    response = DomainActionResponse(success=False, error=WRONG, execution_time=7)
    assert DomainActionResponse.model_validate_json(response.model_dump_json()) == response
    assert response.execution_time == 7


# ── the detail of an error ──


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("what happened"), "HANDLER_ERROR", "what happened"),
        (ValueError(), "HANDLER_ERROR", "ValueError"),
        (NotImplementedError("no such action"), "UNKNOWN_ACTION", "no such action"),
        (InvalidPayload("no such field"), "INVALID_PAYLOAD", "no such field"),
        (Reject("none left", error_code="OUT_OF_STOCK"), "OUT_OF_STOCK", "none left"),
        (NoobleError(), "INTERNAL_ERROR", "NoobleError"),
    ],
)
def test_the_detail_names_the_class_the_code_and_what_happened(error: Exception, code: str, message: str) -> None:
    detail = ErrorDetail.of(error)
    assert (detail.error_type, detail.error_code, detail.message) == (type(error).__name__, code, message)


def test_the_detail_carries_the_facts_of_the_error() -> None:
    assert ErrorDetail.of(Reject(details={"left": 0})).details == {"left": 0}
    assert ErrorDetail.of(ValueError()).details == {}


def test_a_model_that_a_handler_validates_by_hand_tells_every_failing_field() -> None:
    class Line(BaseModel):
        amount: int

    class Order(BaseModel):
        lines: list[Line]
        customer: str

    with pytest.raises(ValidationError) as caught:
        Order.model_validate({"lines": [{"amount": 1}, {"amount": "many"}]})
    detail = ErrorDetail.of(caught.value)
    assert detail.error_code == "INVALID_PAYLOAD"
    assert [error["path"] for error in detail.details["errors"]] == ["$.data.lines[1].amount", "$.data.customer"]
    assert [error["type"] for error in detail.details["errors"]] == ["int_parsing", "missing"]
    assert all(error["message"] for error in detail.details["errors"])
