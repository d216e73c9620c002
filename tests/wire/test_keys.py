"""Every name of the platform is kept to the letter, and no name from outside leads where it must not."""

from __future__ import annotations

import re

import fakeredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nooble.errors import ForbiddenCallback, QueueManagerError
from nooble.models.action_types import MAX_ACTION_TYPE, is_action_type
from nooble.wire.keys import MAX_QUEUE_NAME, QueueManager, lua_literal

ID = "3f2b8c1e-5d4a-4f6b-9a7c-0e1d2c3b4a59"


@pytest.fixture
def keys() -> QueueManager:
    return QueueManager(environment="test", aliases={"query": "query_service"})


# ── names ──


def test_the_names_of_the_platform_are_kept_to_the_letter(keys: QueueManager) -> None:
    action_type = "embedding.document.process"
    assert keys.get_service_action_stream("embedding") == "nooble4:test:embedding:streams:main"
    assert keys.get_response_queue("orders", action_type, ID) == (
        f"nooble4:test:orders:responses:embedding_document_process:{ID}"
    )
    assert keys.get_callback_queue("orders", action_type, ID) == (
        f"nooble4:test:orders:callbacks:embedding_document_process:{ID}"
    )
    assert keys.get_consumer_group("embedding") == "embedding-group"


def test_the_other_keys_of_a_service_follow_the_same_pattern(keys: QueueManager) -> None:
    assert keys.get_answer_inbox("orders", "n1") == "nooble4:test:orders:responses:inbox:n1"
    assert keys.get_retry_set("orders") == "nooble4:test:orders:retries:main"
    assert keys.get_dead_letter_stream("orders") == "nooble4:test:orders:dead_letters:main"
    assert keys.get_backlog_bound("orders") == "nooble4:test:orders:limits:backlog"
    assert keys.get_once_record("orders", "a.b:k") == "nooble4:test:orders:once:a.b:k"


@pytest.mark.parametrize("service", ["orders", "mi-servicio.v2", "a_b"])
async def test_a_consumer_gets_a_new_name_at_every_start_and_is_told_from_the_platforms(
    keys: QueueManager, service: str, fake_redis: fakeredis.FakeAsyncRedis
) -> None:
    async def ours(name: str) -> bool:
        script = "return string.find(ARGV[1], ARGV[2]) and 1 or 0"
        return bool(await fake_redis.eval(script, 0, name, keys.get_consumer_pattern(service)))

    one, other = (keys.get_consumer_name(service, "instance1") for _ in range(2))
    assert one.startswith(f"{service}-worker-instance1-")
    assert one != other
    assert await ours(one)
    assert not await ours(f"{service}-worker-instance1")
    assert not await ours(one.replace(service, "another"))
    assert not await ours(f"x{one}")
    assert not await ours(f"{one}0")


def test_prefix_and_environment_are_those_of_the_settings() -> None:
    keys = QueueManager("other", "production")
    assert keys.get_service_action_stream("orders") == "other:production:orders:streams:main"
    assert repr(keys) == "QueueManager(prefix='other', environment='production')"


def test_without_settings_the_environment_is_the_variable_or_development(monkeypatch: pytest.MonkeyPatch) -> None:
    assert QueueManager().environment == "development"
    monkeypatch.setenv("ENVIRONMENT", "staging")
    assert QueueManager().environment == "staging"
    assert QueueManager(environment="test").environment == "test"


@pytest.mark.parametrize("bad", ["", "two:parts", "line\n", "with space", "{tag}", "ñ", "\0", "x" * 101])
def test_a_part_that_would_split_a_name_is_refused_by_name(keys: QueueManager, bad: str) -> None:
    with pytest.raises(QueueManagerError, match=r"^prefix .* cannot be part of a key"):
        QueueManager(bad)
    with pytest.raises(QueueManagerError, match=r"^service .* cannot be part of a key"):
        keys.get_service_action_stream(bad)
    if bad:
        with pytest.raises(QueueManagerError, match=r"^environment .* cannot be part of a key"):
            QueueManager(environment=bad)


# ── who is meant ──


def test_the_first_segment_of_the_type_names_the_service_unless_an_alias_or_the_sender_does(keys: QueueManager) -> None:
    assert keys.target_stream("orders.order.create") == "nooble4:test:orders:streams:main"
    assert keys.target_stream("query.generate") == "nooble4:test:query_service:streams:main"
    assert keys.target_stream("query.generate", "other") == "nooble4:test:other:streams:main"


def test_a_service_that_the_sender_names_once_is_not_remembered_for_the_next_time(keys: QueueManager) -> None:
    keys.target_stream("orders.order.create", "other")
    assert keys.target_stream("orders.order.create") == "nooble4:test:orders:streams:main"
    assert keys.target_stream("orders.order.create", "other") == "nooble4:test:other:streams:main"


@pytest.mark.parametrize(
    "text",
    ["a.b", "orders.order.create", "a-b.c_d", "1.2", "a." + "b" * (MAX_ACTION_TYPE - 2)],
    ids=lambda text: text[:20],
)
def test_dotted_text_in_lower_case_is_an_action_type(text: str) -> None:
    assert is_action_type(text)


NO_TYPES = [
    "",
    "orders",
    ".",
    "orders.",
    ".create",
    "a..b",
    "Orders.create",
    "a b.c",
    "a.b\n",
    "a:b.c",
    "{a}.b",
    "a.ñ",
    "a.b\0",
]


@pytest.mark.parametrize("text", [*NO_TYPES, "a." + "b" * (MAX_ACTION_TYPE - 1)], ids=lambda text: repr(text[:20]))
def test_anything_else_is_no_action_type_and_is_told_so(keys: QueueManager, text: str) -> None:
    assert not is_action_type(text)
    with pytest.raises(QueueManagerError, match="is no action type: dotted text of two segments or more"):
        keys.target_stream(text)
    with pytest.raises(QueueManagerError, match="is no action type"):
        keys.target_stream(text, "orders")


# ── names from outside ──


def test_an_answer_goes_to_an_answer_queue_or_a_callback_queue(keys: QueueManager) -> None:
    assert keys.accept_callback(keys.get_response_queue("orders", "a.b", ID), None) == "responses"
    assert keys.accept_callback(keys.get_answer_inbox("orders", "n1"), None) == "responses"
    assert keys.accept_callback(keys.get_callback_queue("orders", "a.b", ID), None) == "callbacks"


def test_a_callback_goes_there_too_and_to_the_stream_of_the_service_it_is_for(keys: QueueManager) -> None:
    stream = keys.get_service_action_stream("orders")
    assert keys.accept_callback(keys.get_callback_queue("orders", "a.b", ID), "orders.mail.sent") == "callbacks"
    assert keys.accept_callback(stream, "orders.mail.sent") == "streams"
    assert keys.accept_callback(keys.get_service_action_stream("query_service"), "query.done") == "streams"
    assert keys.accept_callback(keys.get_service_action_stream("query"), "query.done") == "streams"


def test_an_answer_never_goes_to_a_stream_of_actions(keys: QueueManager) -> None:
    stream = keys.get_service_action_stream("orders")
    keys.accept_callback(stream, "orders.mail.sent")
    with pytest.raises(ForbiddenCallback, match="an answer cannot go to an action stream"):
        keys.accept_callback(stream, None)


def test_a_callback_never_goes_to_the_stream_of_another_service(keys: QueueManager) -> None:
    with pytest.raises(ForbiddenCallback, match=r"orders\.mail\.sent cannot go to the stream of billing"):
        keys.accept_callback(keys.get_service_action_stream("billing"), "orders.mail.sent")


@pytest.mark.parametrize("bad", ["", "orders", "Orders.mail", "orders.\n", "x." + "y" * MAX_ACTION_TYPE])
def test_a_callback_needs_a_type_that_is_one(keys: QueueManager, bad: str) -> None:
    for queue in (keys.get_callback_queue("orders", "a.b", ID), keys.get_service_action_stream("orders")):
        with pytest.raises(ForbiddenCallback, match="is no action type"):
            keys.accept_callback(queue, bad)


HOSTILE = {
    "nothing": "",
    "another word": "foo",
    "another prefix": f"nooble5:test:orders:responses:a_b:{ID}",
    "another environment": f"nooble4:production:orders:responses:a_b:{ID}",
    "another environment of the same length": f"nooble4:prod:orders:responses:a_b:{ID}",
    "a prefix that only begins alike": f"nooble4x:test:orders:responses:a_b:{ID}",
    "an environment that only begins alike": f"nooble4:test2:orders:responses:a_b:{ID}",
    "no service": f"nooble4:test::responses:a_b:{ID}",
    "no context": "nooble4:test:orders:responses:",
    "no kind": "nooble4:test:orders",
    "another kind": f"nooble4:test:orders:sessions:a_b:{ID}",
    "the retry set": "nooble4:test:orders:retries:main",
    "the dead letters": "nooble4:test:orders:dead_letters:main",
    "another stream of the service": "nooble4:test:orders:streams:other",
    "a stream below the stream": "nooble4:test:orders:streams:main:x",
    "a newline at the end": f"nooble4:test:orders:responses:a_b:{ID}\n",
    "a newline inside": "nooble4:test:orders:responses:a\nb",
    "a newline after the stream": "nooble4:test:orders:streams:main\n",
    "a NUL": f"nooble4:test:orders:responses:a_b\0:{ID}",
    "a NUL in the service": f"nooble4:test:ord\0ers:responses:a_b:{ID}",
    "braces that move the slot": f"nooble4:test:{{orders}}:responses:a_b:{ID}",
    "braces in the context": "nooble4:test:orders:responses:{x}",
    "a space": "nooble4:test:orders:responses:a b",
    "a letter that looks alike": "nooble4:test:оrders:responses:a_b",
    "a wildcard": "nooble4:test:orders:responses:*",
    "a name too long": "nooble4:test:orders:responses:" + "x" * MAX_QUEUE_NAME,
    "a context too long": "nooble4:test:orders:responses:" + "x" * 301,
    "a service too long": "nooble4:test:" + "x" * 101 + ":responses:a_b",
    "capitals in the prefix": f"NOOBLE4:test:orders:responses:a_b:{ID}",
    "a space before": f" nooble4:test:orders:responses:a_b:{ID}",
}


@pytest.mark.parametrize("callback_action_type", [None, "orders.mail.sent"], ids=["answer", "callback"])
@pytest.mark.parametrize("queue", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_refused(keys: QueueManager, queue: str, callback_action_type: str | None) -> None:
    with pytest.raises(ForbiddenCallback, match="nothing was run and nothing was written there") as caught:
        keys.accept_callback(queue, callback_action_type)
    assert len(str(caught.value)) < 1_000
    assert queue.startswith(caught.value.details["callback_queue_name"])


def test_a_name_once_accepted_does_not_open_the_door_for_the_next(keys: QueueManager) -> None:
    accepted = keys.get_response_queue("orders", "a.b", ID)
    assert keys.accept_callback(accepted, None) == keys.accept_callback(accepted, None) == "responses"
    with pytest.raises(ForbiddenCallback):
        keys.accept_callback(accepted + "\n", None)


def test_a_queue_once_accepted_for_an_answer_still_needs_a_proper_type_for_a_callback(keys: QueueManager) -> None:
    queue = keys.get_callback_queue("orders", "a.b", ID)
    keys.accept_callback(queue, None)
    with pytest.raises(ForbiddenCallback, match="is no action type"):
        keys.accept_callback(queue, "no type")


def test_what_is_remembered_of_names_from_outside_is_bounded(keys: QueueManager) -> None:
    for number in range(25_000):
        keys.accept_callback(f"nooble4:test:orders:responses:{number}", None)
        keys.target_stream(f"a.b{number}")
    assert len(keys._accepted) <= 10_000
    assert len(keys._streams) <= 10_000


def test_in_a_pattern_letters_stand_for_themselves_and_all_else_is_escaped() -> None:
    """An escaped letter would be a class of letters."""
    assert lua_literal("Az09_") == "Az09_"
    assert lua_literal("a-b.c%") == "a%-b%.c%%"


keys_of_senders = st.text(st.characters(exclude_categories=[]), max_size=200)


def test_a_key_that_can_be_part_of_a_name_is_seen_in_it(keys: QueueManager) -> None:
    assert keys.get_once_context("orders.order.create", "k-1@x.y") == "orders.order.create:k-1@x.y"
    assert keys.get_once_context("orders.order.create", "k-1", "acme") == "orders.order.create:acme:k-1"


@given(keys_of_senders, st.none() | keys_of_senders)
@example("half a \ud800 pair", "\ud800")
def test_any_other_stands_there_as_its_digest(key: str, tenant: str | None) -> None:
    keys = QueueManager("nooble4", "test")
    context = keys.get_once_context("orders.order.create", key, tenant)
    named = context.split(":")
    assert named[0] == "orders.order.create"
    assert len(named) == (2 if tenant is None else 3)
    assert all(re.fullmatch(r"[A-Za-z0-9_.@-]{1,80}", part) for part in named[1:])
    assert context == keys.get_once_context("orders.order.create", key, tenant)


def test_keys_of_two_tenants_and_of_two_actions_are_two(keys: QueueManager) -> None:
    asked = [
        ("a.b", "k", None),
        ("a.b", "k", "t"),
        ("a.b", "k", "u"),
        ("a.c", "k", None),
        ("a.b", "ñ", None),
        ("a.b", "n!", None),
    ]
    assert len({keys.get_once_context(*one) for one in asked}) == len(asked)
    assert re.fullmatch(r"a\.b:h-[0-9a-f]{32}", keys.get_once_context("a.b", "x" * 81))
    assert keys.get_once_context("a.b", "x" * 80) == "a.b:" + "x" * 80


def test_what_was_accepted_once_is_the_same_the_next_time(keys: QueueManager) -> None:
    for queue, kind in (
        ("nooble4:test:shop:responses:a:1", "responses"),
        ("nooble4:test:shop:callbacks:a:1", "callbacks"),
    ):
        assert [keys.accept_callback(queue, None) for _ in range(2)] == [kind, kind]
        assert keys.accept_callback(queue, "shop.order.created") == kind


def test_a_callback_may_go_to_the_stream_that_its_first_segment_names_though_an_alias_leads_elsewhere(
    keys: QueueManager,
) -> None:
    for service in ("query", "query_service"):
        assert keys.accept_callback(keys.get_service_action_stream(service), "query.answer.given") == "streams"
