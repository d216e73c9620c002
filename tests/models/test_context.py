"""What a handler sends carries on the facts of its action; in a worker it joins the commit, elsewhere it leaves at once."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import types
import uuid
from typing import Any

import pytest

from nooble.errors import ContextClosed
from nooble.models import ActionContext, DomainAction, DomainActionResponse, current_context
from nooble.models import context as context_module
from nooble.models.context import DEFAULT_CALL_TIMEOUT, TTL, find_context, set_current
from nooble.models.envelope import Message, whole
from nooble.models.outcomes import Post

NOW = 1_000.0
CAUSE = DomainAction(
    action_type="orders.order.create",
    data={"order": 7},
    tenant_id="acme",
    session_id="s1",
    task_id="t1",
    user_id="u1",
    agent_id="a1",
    correlation_id=uuid.uuid4(),
    metadata={"private": "to this message"},
)


@dataclasses.dataclass
class Recorded:
    """A client that sends nothing and tells what it was asked."""

    sent: list[tuple[DomainAction, str | None]] = dataclasses.field(default_factory=list)
    called: list[tuple[DomainAction, float, str | None]] = dataclasses.field(default_factory=list)

    def post(self, action: Message, *, service: str | None = None) -> Post:
        return Post(
            f"stream of {service or action.action_type.partition('.')[0]}", whole(action).model_dump_json().encode()
        )

    async def send(self, action: DomainAction, *, service: str | None = None) -> uuid.UUID:
        self.sent.append((action, service))
        return action.action_id

    async def call(
        self, action: DomainAction, *, timeout: float = DEFAULT_CALL_TIMEOUT, service: str | None = None
    ) -> DomainActionResponse:
        self.called.append((action, timeout, service))
        return DomainActionResponse(success=True, data={"answer": 42})

    def callback_queue(self, action_type: str) -> str:
        return f"where {action_type} arrives"


@pytest.fixture
def client() -> Recorded:
    return Recorded()


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "time", types.SimpleNamespace(monotonic=lambda: NOW))


def posted(context: ActionContext) -> list[DomainAction]:
    return [DomainAction.model_validate_json(post.data) for post in context.outbox or ()]


def the_ids_of(action: DomainAction) -> dict[str, Any]:
    names = ("tenant_id", "session_id", "task_id", "user_id", "agent_id", "trace_id", "correlation_id")
    return {name: getattr(action, name) for name in names}


# ── what is carried on ──


async def test_a_sent_action_carries_on_the_ids_of_its_cause(client: Recorded) -> None:
    sent_id = await ActionContext(CAUSE, client).send("mail.message.send", {"to": "you"})
    [(action, service)] = client.sent
    assert the_ids_of(action) == the_ids_of(CAUSE)
    assert (action.action_type, action.data, service) == ("mail.message.send", {"to": "you"}, None)
    assert action.action_id == sent_id != CAUSE.action_id
    assert action.metadata == {}


async def test_a_call_carries_them_on_but_has_an_answer_of_its_own(client: Recorded) -> None:
    response = await ActionContext(CAUSE, client).call("stock.item.reserve", {"item": 1})
    [(action, timeout, service)] = client.called
    assert the_ids_of(action) == the_ids_of(CAUSE) | {"correlation_id": None}
    assert (timeout, service, response.data) == (DEFAULT_CALL_TIMEOUT, None, {"answer": 42})


async def test_a_callback_is_asked_for_where_this_service_reads(client: Recorded) -> None:
    await ActionContext(CAUSE, client).call_back("mail.message.send", callback_action_type="orders.mail.sent")
    [(action, _)] = client.sent
    assert action.callback_action_type == "orders.mail.sent"
    assert action.callback_queue_name == "where orders.mail.sent arrives"
    assert the_ids_of(action) == the_ids_of(CAUSE)


async def test_the_sender_may_name_the_service_and_add_facts(client: Recorded) -> None:
    context = ActionContext(CAUSE, client)
    await context.send("mail.message.send", service="mail_service", metadata={"priority": "low"})
    await context.call("mail.message.send", service="mail_service", metadata={"priority": "low"})
    [(sent, service), (called, _, called_service)] = client.sent + client.called
    assert sent.metadata == called.metadata == {"priority": "low"}
    assert service == called_service == "mail_service"


async def test_a_payload_of_the_wrong_kind_is_refused_before_anything_is_sent(client: Recorded) -> None:
    with pytest.raises(TypeError, match="a payload is a mapping or a model"):
        await ActionContext(CAUSE, client).send("mail.message.send", [1, 2])
    assert client.sent == []


# ── deadlines ──


def test_without_a_deadline_there_is_no_time_limit() -> None:
    assert ActionContext(CAUSE).time_left is None


def test_the_time_left_ends_at_zero() -> None:
    assert ActionContext(CAUSE, deadline=NOW + 2.5).time_left == 2.5
    assert ActionContext(CAUSE, deadline=NOW - 1).time_left == 0.0


async def test_what_is_sent_inherits_what_is_left_of_the_deadline(client: Recorded) -> None:
    context = ActionContext(CAUSE, client, deadline=NOW + 2.5)
    await context.send("mail.message.send")
    await context.call("stock.item.reserve")
    assert [action.metadata for action in (client.sent[0][0], client.called[0][0])] == [{TTL: 2500}, {TTL: 2500}]


@pytest.mark.parametrize(
    ("wanted", "left", "waited"),
    [
        (None, 2.5, 2.5),
        (None, 99.0, DEFAULT_CALL_TIMEOUT),
        (1.0, 2.5, 1.0),
        (9.0, 2.5, 2.5),
        (9.0, None, 9.0),
        (5.0, -1, 0.0),
    ],
)
async def test_a_call_never_waits_longer_than_its_own_caller(
    client: Recorded, wanted: float | None, left: float | None, waited: float
) -> None:
    context = ActionContext(CAUSE, client, deadline=None if left is None else NOW + left)
    await context.call("stock.item.reserve", timeout=wanted)
    assert client.called[0][1] == waited


async def test_a_message_may_live_shorter_than_its_cause(client: Recorded) -> None:
    await ActionContext(CAUSE, client, deadline=NOW + 2.5).send("mail.message.send", metadata={TTL: 10})
    assert client.sent[0][0].metadata == {TTL: 10}


# ── with the commit, or at once ──


async def test_inside_a_worker_what_is_sent_waits_for_the_commit(client: Recorded) -> None:
    context = ActionContext(CAUSE, client, joins_commit=True)
    first = await context.send("mail.message.send", {"to": "you"})
    second = await context.call_back("mail.message.send", service="post", callback_action_type="orders.mail.sent")
    assert client.sent == []
    assert [action.action_id for action in posted(context)] == [first, second]
    assert [post.stream for post in context.outbox] == ["stream of mail", "stream of post"]


async def test_without_a_worker_it_leaves_at_once_and_the_outbox_stays_empty(client: Recorded) -> None:
    context = ActionContext(CAUSE, client)
    await context.send("mail.message.send")
    assert len(client.sent) == 1
    assert context.outbox is None


async def test_a_call_leaves_at_once_inside_a_worker_too(client: Recorded) -> None:
    context = ActionContext(CAUSE, client, joins_commit=True)
    await context.call("stock.item.reserve")
    assert len(client.called) == 1
    assert context.outbox is None


@pytest.mark.parametrize("joins_commit", [True, False])
async def test_a_context_whose_handler_has_ended_sends_nothing(client: Recorded, joins_commit: bool) -> None:
    context = ActionContext(CAUSE, client, joins_commit=joins_commit)
    context.close()
    for late in (
        context.send("mail.message.send"),
        context.call("mail.message.send"),
        context.call_back("mail.message.send", callback_action_type="orders.mail.sent"),
    ):
        with pytest.raises(ContextClosed, match=r"orders\.order\.create was used after its handler had ended"):
            await late
    assert (client.sent, client.called, context.outbox) == ([], [], None)


async def test_a_context_without_a_client_reaches_nobody_and_says_how_to_mend_it() -> None:
    with pytest.raises(ContextClosed, match="give it one as service_redis_client"):
        await ActionContext(CAUSE).send("mail.message.send")


# ── facts about the run ──


def test_the_idempotency_key_is_the_id_of_the_action_unless_the_sender_named_one() -> None:
    named = CAUSE.model_copy(update={"metadata": {"idempotency_key": "order-7"}})
    bare = CAUSE.model_copy(update={"metadata": None})
    assert ActionContext(CAUSE, attempt=1).idempotency_key == str(CAUSE.action_id)
    assert ActionContext(CAUSE, attempt=2).idempotency_key == str(CAUSE.action_id)
    assert ActionContext(named).idempotency_key == "order-7"
    assert ActionContext(bare).idempotency_key == str(CAUSE.action_id)


def test_a_context_tells_what_it_is_and_whether_it_is_open() -> None:
    context = ActionContext(CAUSE, attempt=2)
    assert repr(context) == f"<ActionContext orders.order.create {CAUSE.action_id} attempt=2 open>"
    context.close()
    assert repr(context).endswith(" closed>")


# ── the current one ──


def test_outside_of_an_action_there_is_no_current_context() -> None:
    assert find_context() is None
    with pytest.raises(LookupError, match="no action is at work here"):
        current_context()


async def test_each_task_sees_the_context_of_its_own_action() -> None:
    async def handler(context: ActionContext) -> bool:
        set_current(context)
        await asyncio.sleep(0)
        return current_context() is context

    contexts = [ActionContext(CAUSE) for _ in range(3)]
    assert await asyncio.gather(*map(handler, contexts)) == [True, True, True]
    assert find_context() is None


def test_a_function_run_in_the_context_of_an_action_sees_it() -> None:
    context, surroundings = ActionContext(CAUSE), contextvars.copy_context()
    surroundings.run(set_current, context)
    assert surroundings.run(current_context) is context
