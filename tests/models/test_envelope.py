"""An action as it was read, and the action that is made of it: what the two have in common, and when the second is made."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from nooble import BaseService, action
from nooble.models import ActionContext, DomainAction
from nooble.models.context import shown
from nooble.models.envelope import Envelope
from nooble.observability.redaction import redact_line
from nooble.routing import ActionRouter
from nooble.wire.codec import JSON, MSGPACK, Codec, decode_envelope
from nooble.workers.isolation import begin
from tests.support.platform import envelope
from tests.support.settings import make_settings

SENT = envelope("shop.order.make", {"n": 1}) | {"priority": 3}
made: list[DomainAction] = []


@pytest.fixture(autouse=True)
def _count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note every action that is made of what was read."""
    made.clear()
    make = Envelope.as_action

    def as_action(self: Envelope, raw: bytes = b"{}") -> DomainAction:
        made.append(make(self, raw))
        return made[-1]

    monkeypatch.setattr(Envelope, "as_action", as_action)


def arrived() -> ActionContext:
    """What a worker makes of an action that has come in."""
    data = JSON.encode(SENT)
    return ActionContext(decode_envelope(data), raw=data)


def run(service: BaseService, context: ActionContext) -> Any:
    """Hand it to *service* as a worker does."""
    assert service.straight_call is not None
    return begin(service.straight_call, context.message, context)


# ── the same, in two forms ──


def test_both_have_the_same_fields() -> None:
    assert {field.name for field in msgspec.structs.fields(Envelope)} == set(DomainAction.model_fields)


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_both_say_the_same(codec: Codec) -> None:
    data = codec.encode(SENT)
    read = decode_envelope(data)
    whole = read.as_action(data)
    for name in DomainAction.model_fields:
        assert getattr(read, name) == getattr(whole, name)
    assert whole.extra == {"priority": 3}


def test_an_action_is_made_once_whoever_asks() -> None:
    context = arrived()
    assert isinstance(context.message, Envelope)
    first = context.action
    assert shown(context.message, context) is first is context.action
    assert made == [first]


def test_another_action_that_was_passed_on_is_shown_as_it_is() -> None:
    other = DomainAction(action_type="a.b", data={})
    assert shown(other, arrived()) is other
    assert made == []


def test_what_is_told_of_a_context_asks_for_no_action() -> None:
    context = arrived()
    assert "shop.order.make" in repr(context)
    assert context.idempotency_key == SENT["action_id"]
    assert made == []


def test_another_action_may_be_put_in_its_place() -> None:
    context, other = arrived(), DomainAction(action_type="a.b", data={})
    context.action = other
    assert context.message is context.action is other


@pytest.mark.parametrize("show", [repr, pretty_repr], ids=["repr", "rich"])
def test_nothing_sensitive_is_shown_of_it(show: Any) -> None:
    data = JSON.encode(SENT | {"data": {"password": "hunter2"}})
    context = ActionContext(decode_envelope(data), raw=data)
    assert "hunter2" not in show(context.message) + show(context)
    line = str(redact_line(None, "info", {"event": "x", "context": context}))
    assert "hunter2" not in line
    assert '"data"' not in line  # nor what it was read from, where only names tell what is sensitive
    assert "shop.order.make" in show(context.message)


def test_of_one_that_is_cut_off_the_ids_are_left() -> None:
    written = JSON.encode(Envelope.new("a.b", {"text": "x" * 5_000}))
    before, _, _ = written.partition(b'"data"')
    assert all(name in before for name in (b"action_type", b"action_id", b"trace_id", b"callback_queue_name"))


# ── who asks ──


class Shop(BaseService):
    """Handlers that ask for more and for less."""

    @action("shop.order.make")
    async def make(self, data: dict[str, Any]) -> Any:
        """Asks for the payload alone."""
        return data

    @action("shop.order.see")
    async def see(self, data: dict[str, Any], action: DomainAction) -> Any:
        """Asks for the action as well."""
        return action


def test_a_handler_that_asks_for_its_payload_gets_no_action_made() -> None:
    assert run(Shop(make_settings("shop")), arrived()) == {"n": 1}
    assert made == []


def test_a_handler_that_asks_for_its_action_gets_the_one_of_its_context() -> None:
    context = arrived()
    context.message.action_type = "shop.order.see"
    assert run(Shop(make_settings("shop")), context) is context.action
    assert made == [context.action]


def test_middleware_and_whoever_asks_later_see_the_same_action() -> None:
    seen: list[DomainAction] = []

    async def look(action: DomainAction, context: ActionContext, call_next: Any) -> Any:
        seen.extend((action, context.action))
        return await call_next(action, context)

    router = ActionRouter("shop", middleware=[look])

    @router.action("thing.see")
    async def see(data: dict[str, Any], action: DomainAction) -> Any:
        seen.append(action)

    class Watched(Shop):
        middleware = (look,)
        routers = (router,)

    context = arrived()
    context.message.action_type = "shop.thing.see"
    run(Watched(make_settings("shop")), context)
    assert len(seen) == 5
    assert {id(one) for one in seen} == {id(context.action)}
    assert len(made) == 1


def test_the_payload_of_an_action_that_a_middleware_passes_on_is_what_the_handler_gets() -> None:
    async def exchange(action: DomainAction, context: ActionContext, call_next: Any) -> Any:
        return await call_next(action.model_copy(update={"data": {"n": 2}}), context)

    class Exchanging(Shop):
        middleware = (exchange,)

    assert run(Exchanging(make_settings("shop")), arrived()) == {"n": 2}
