"""Whatever a `QueueManager` builds, it accepts; whatever it did not build, no other one's name included, it refuses."""

from __future__ import annotations

import contextlib

from hypothesis import assume, example, given
from hypothesis import strategies as st

from nooble.errors import ForbiddenCallback
from nooble.models.action_types import MAX_ACTION_TYPE, is_action_type
from nooble.wire.keys import QueueManager

parts = st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True)
segments = st.from_regex(r"[a-z0-9_-]{1,40}", fullmatch=True)
action_types = st.lists(segments, min_size=2, max_size=5).map(".".join).filter(is_action_type)
ids = st.uuids(version=4).map(str)
managers = st.builds(QueueManager, parts, parts)

LONGEST = "x" * 100
LONGEST_TYPE = "a." + "b" * (MAX_ACTION_TYPE - 2)
AN_ID = "3f2b8c1e-5d4a-4f6b-9a7c-0e1d2c3b4a59"


@given(managers, parts, action_types, ids)
@example(QueueManager(LONGEST, LONGEST), LONGEST, LONGEST_TYPE, AN_ID)
def test_every_queue_that_is_built_is_accepted(keys: QueueManager, service: str, action_type: str, one: str) -> None:
    response = keys.get_response_queue(service, action_type, one)
    callback = keys.get_callback_queue(service, action_type, one)
    inbox = keys.get_answer_inbox(service, one)
    assert [keys.accept_callback(queue, None) for queue in (response, callback, inbox)] == [
        "responses",
        "callbacks",
        "responses",
    ]
    assert keys.accept_callback(callback, action_type) == "callbacks"


@given(managers, action_types)
@example(QueueManager(LONGEST, LONGEST), LONGEST_TYPE)
def test_every_stream_that_is_built_takes_callbacks_for_its_own_service(keys: QueueManager, action_type: str) -> None:
    assert keys.accept_callback(keys.target_stream(action_type), action_type) == "streams"


@given(managers, parts, action_types)
def test_no_stream_takes_callbacks_for_another_service(keys: QueueManager, service: str, action_type: str) -> None:
    assume(service != keys.target_service(action_type))
    assert not _accepted(keys, keys.get_service_action_stream(service), action_type)


@given(managers, managers, parts, action_types, ids)
def test_nothing_of_another_prefix_or_environment_is_accepted(
    keys: QueueManager, others: QueueManager, service: str, action_type: str, one: str
) -> None:
    assume((keys.prefix, keys.environment) != (others.prefix, others.environment))
    for queue in (
        others.get_response_queue(service, action_type, one),
        others.get_callback_queue(service, action_type, one),
        others.get_answer_inbox(service, one),
        others.target_stream(action_type),
    ):
        assert not _accepted(keys, queue, None)
        assert not _accepted(keys, queue, action_type)


@given(managers, parts, action_types)
def test_no_key_of_the_service_that_is_not_a_queue_is_accepted(
    keys: QueueManager, service: str, action_type: str
) -> None:
    for key in (keys.get_retry_set(service), keys.get_dead_letter_stream(service)):
        assert not _accepted(keys, key, None)
        assert not _accepted(keys, key, action_type)


@given(managers, parts, action_types, st.text(), st.data())
def test_a_name_with_a_strange_character_anywhere_is_refused(
    keys: QueueManager, service: str, action_type: str, strange: str, data: st.DataObject
) -> None:
    assume(any(not (character.isascii() and (character.isalnum() or character in "_.:@-")) for character in strange))
    queue = keys.get_response_queue(service, action_type, AN_ID)
    place = data.draw(st.integers(0, len(queue)))
    assert not _accepted(keys, queue[:place] + strange + queue[place:], None)


@given(st.text(), st.none() | action_types)
def test_random_text_is_refused(text: str, action_type: str | None) -> None:
    assert not _accepted(QueueManager(), text, action_type)


@given(managers, parts, parts, action_types, ids)
def test_different_services_never_share_a_key(
    keys: QueueManager, service: str, other: str, action_type: str, one: str
) -> None:
    assume(service != other)
    assert not _keys_of(keys, service, action_type, one) & _keys_of(keys, other, action_type, one)


@given(managers, parts, action_types, ids)
def test_the_keys_of_one_service_are_all_different(
    keys: QueueManager, service: str, action_type: str, one: str
) -> None:
    assert len(_keys_of(keys, service, action_type, one)) == 6


def _keys_of(keys: QueueManager, service: str, action_type: str, one: str) -> set[str]:
    return {
        keys.get_service_action_stream(service),
        keys.get_response_queue(service, action_type, one),
        keys.get_callback_queue(service, action_type, one),
        keys.get_answer_inbox(service, one),
        keys.get_retry_set(service),
        keys.get_dead_letter_stream(service),
    }


def _accepted(keys: QueueManager, queue: str, action_type: str | None) -> bool:
    with contextlib.suppress(ForbiddenCallback):
        return bool(keys.accept_callback(queue, action_type))
    return False
