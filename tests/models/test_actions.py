"""An action is one object, whether a user made it or the wire did; what others added to it is never lost."""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from nooble.errors import MalformedAction
from nooble.models import DomainAction

TENANT = uuid.UUID("11111111-2222-4333-8444-555555555555")
SENT: dict[str, Any] = {
    "action_type": "orders.order.create",
    "tenant_id": "acme",
    "data": {"order": 7},
    "rag_config": {"top_k": 5},
    "priority": 3,
}
BUSINESS_IDS = ("tenant_id", "session_id", "task_id", "user_id", "agent_id")


def from_wire(encode: Callable[[Any], bytes] = msgspec.json.encode) -> DomainAction:
    """What the wire makes of `SENT`: declared fields decoded and checked, the others left in the bytes."""
    declared = DomainAction(**{name: value for name, value in SENT.items() if name in DomainAction.model_fields})
    return DomainAction.from_wire(declared.__dict__, encode(SENT))


# ── made by a user ──


def test_a_new_action_has_ids_a_time_and_nothing_else_it_was_not_given() -> None:
    before = datetime.now(UTC)
    action = DomainAction(action_type="orders.order.create", data={"order": 7})
    assert (action.action_id.version, action.trace_id.version) == (4, 4)
    assert before <= action.timestamp <= before + timedelta(seconds=5)
    assert action.metadata == {}
    unset = {*BUSINESS_IDS, "origin_service", "correlation_id", "callback_queue_name", "callback_action_type"}
    assert {name for name, value in action if value is None} == unset


def test_no_two_actions_share_an_id_or_their_metadata() -> None:
    one, other = (DomainAction(action_type="a.b", data={}) for _ in range(2))
    assert len({one.action_id, other.action_id, one.trace_id, other.trace_id}) == 4
    assert one.metadata is not other.metadata


@pytest.mark.parametrize("name", BUSINESS_IDS)
def test_an_id_of_the_business_accepts_a_uuid_and_becomes_text(name: str) -> None:
    action = DomainAction(action_type="a.b", data={}, **{name: TENANT})
    assert getattr(action, name) == str(TENANT)
    setattr(action, name, uuid.UUID(int=7))
    assert getattr(action, name) == str(uuid.UUID(int=7))


@pytest.mark.parametrize("name", BUSINESS_IDS)
def test_an_id_of_the_business_need_not_be_a_uuid_but_must_be_text(name: str) -> None:
    assert getattr(DomainAction(action_type="a.b", data={}, **{name: "acme"}), name) == "acme"
    with pytest.raises(ValidationError):
        DomainAction(action_type="a.b", data={}, **{name: 7})


@pytest.mark.parametrize("name", ["action_id", "correlation_id", "trace_id"])
def test_an_id_of_the_message_is_a_uuid_also_when_given_as_text(name: str) -> None:
    assert getattr(DomainAction(action_type="a.b", data={}, **{name: str(TENANT)}), name) == TENANT
    with pytest.raises(ValidationError):
        DomainAction(action_type="a.b", data={}, **{name: "acme"})


@pytest.mark.parametrize("values", [{"data": {}}, {"action_type": "a.b"}, {"action_type": "a.b", "data": [1]}])
def test_an_action_needs_a_type_and_a_mapping_of_data(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DomainAction(**values)


def test_fields_that_nobody_declared_are_kept() -> None:
    action = DomainAction(**SENT)
    assert action.extra == {"rag_config": {"top_k": 5}, "priority": 3}
    assert action.rag_config == {"top_k": 5}


def test_an_action_travels_through_json_unchanged() -> None:
    action = DomainAction(**SENT, session_id=TENANT)
    assert DomainAction.model_validate_json(action.model_dump_json()) == action


def test_the_facts_for_a_log_line_are_the_ids_that_are_set_as_text() -> None:
    action = DomainAction(action_type="a.b", data={}, tenant_id="acme", agent_id=TENANT)
    assert action.get_log_extra() == {
        "action_id": str(action.action_id),
        "action_type": "a.b",
        "trace_id": str(action.trace_id),
        "tenant_id": "acme",
        "agent_id": str(TENANT),
    }


# ── made by the wire ──

made_by_the_wire = pytest.mark.parametrize(
    "encode", [msgspec.json.encode, msgspec.msgpack.encode], ids=["json", "msgpack"]
)


@made_by_the_wire
def test_fields_that_nobody_declared_are_decoded_when_asked_for(encode: Callable[[Any], bytes]) -> None:
    assert from_wire(encode).extra == {"rag_config": {"top_k": 5}, "priority": 3}
    assert from_wire(encode).priority == 3


def test_they_are_not_decoded_before() -> None:
    declared = DomainAction(action_type="a.b", data={})
    action = DomainAction.from_wire(declared.__dict__, b"{unreadable")
    assert action.action_type == "a.b"
    assert action.data == {}
    with pytest.raises(MalformedAction):
        _ = action.extra


def test_they_are_decoded_once() -> None:
    action = from_wire()
    assert action.extra is action.extra


def test_a_name_that_is_nowhere_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nowhere"):
        _ = from_wire().nowhere
    assert not hasattr(from_wire(), "nowhere")


def test_an_action_of_the_wire_equals_the_same_action_made_by_a_user() -> None:
    action = from_wire()
    assert action == DomainAction(**{**SENT, **{name: getattr(action, name) for name in DomainAction.model_fields}})
    assert action != DomainAction(**SENT)


def test_two_actions_that_differ_in_an_undeclared_field_differ() -> None:
    declared = DomainAction(action_type="a.b", data={})
    one, other = (DomainAction.from_wire(dict(declared.__dict__), raw) for raw in (b'{"x": 1}', b'{"x": 2}'))
    assert one != other


def the_same(action: DomainAction) -> DomainAction:
    return action


def dumped(action: DomainAction) -> DomainAction:
    return DomainAction(**action.model_dump())


def dumped_as_json(action: DomainAction) -> DomainAction:
    return DomainAction.model_validate_json(action.model_dump_json())


def copied(action: DomainAction) -> DomainAction:
    return action.model_copy()


def copied_deeply(action: DomainAction) -> DomainAction:
    return action.model_copy(deep=True)


def copied_with_a_change(action: DomainAction) -> DomainAction:
    return action.model_copy(update={"task_id": "t1"})


def copied_by_python(action: DomainAction) -> DomainAction:
    return copy.copy(action)


def copied_deeply_by_python(action: DomainAction) -> DomainAction:
    return copy.deepcopy(action)


def pickled(action: DomainAction) -> DomainAction:
    return pickle.loads(pickle.dumps(action))


def assigned_to(action: DomainAction) -> DomainAction:
    action.task_id = "t1"
    return action


def read_before(action: DomainAction) -> DomainAction:
    assert action.extra
    return pickled(copied(action))


WAYS = [
    the_same,
    dumped,
    dumped_as_json,
    copied,
    copied_deeply,
    copied_with_a_change,
    copied_by_python,
    copied_deeply_by_python,
    pickled,
    assigned_to,
    read_before,
]


@made_by_the_wire
@pytest.mark.parametrize("way", WAYS)
def test_undeclared_fields_survive(way: Callable[[DomainAction], DomainAction], encode: Callable[[Any], bytes]) -> None:
    action = from_wire(encode)
    arrived = way(action)
    assert arrived.extra == {"rag_config": {"top_k": 5}, "priority": 3}
    assert (arrived.action_id, arrived.data, arrived.tenant_id) == (action.action_id, {"order": 7}, "acme")


def test_an_assignment_is_checked() -> None:
    action = from_wire()
    with pytest.raises(ValidationError):
        action.data = "no mapping"
    assert action.data == {"order": 7}


def test_an_assignment_to_one_action_does_not_reach_another() -> None:
    one, other = from_wire(), from_wire()
    one.tenant_id = "other"
    one.brand_new = 1
    assert (one.tenant_id, one.brand_new) == ("other", 1)
    assert other.tenant_id == "acme"
    assert "brand_new" not in other.extra
    assert "brand_new" not in other.model_fields_set


def test_an_undeclared_field_can_be_changed() -> None:
    action = from_wire()
    action.priority = 9
    assert action.extra == {"rag_config": {"top_k": 5}, "priority": 9}
    assert action.model_dump()["priority"] == 9


def test_an_undeclared_field_can_be_added_to_a_copy() -> None:
    copied = from_wire().model_copy(update={"colour": "red"})
    assert copied.extra == {"rag_config": {"top_k": 5}, "priority": 3, "colour": "red"}


def test_an_undeclared_field_never_hides_a_method() -> None:
    action = DomainAction.from_wire(DomainAction(action_type="a.b", data={}).__dict__, b'{"model_dump": 1, "extra": 2}')
    assert callable(action.model_dump)
    assert action.extra == {"model_dump": 1, "extra": 2}
