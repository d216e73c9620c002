"""Middleware runs around every action, the first outermost, and may change what goes in and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from nooble.errors import InvalidPayload, Reject, UnknownAction
from nooble.models import ActionContext, DomainAction
from nooble.models.context import set_current
from nooble.routing import Middleware, Next, action, chain
from nooble.services import BaseService
from tests.support.settings import make_settings


def asked(action_type: str = "echo.thing.say", **data: Any) -> DomainAction:
    return DomainAction(action_type=action_type, data=data)


def service_with(*middleware: Middleware) -> BaseService:
    class Echo(BaseService):
        @action("echo.thing.say")
        async def say(self, data: dict[str, Any], context: ActionContext) -> dict[str, Any]:
            return {"data": data, "context": context}

    Echo.middleware = middleware
    return Echo(make_settings("echo"))


def marking(name: str, marks: list[str]) -> Middleware:
    async def mark(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        marks.append(f"{name} in")
        try:
            return await call_next(action, context)
        finally:
            marks.append(f"{name} out")

    return mark


async def test_the_first_middleware_is_the_outermost() -> None:
    marks: list[str] = []
    await service_with(marking("a", marks), marking("b", marks)).process_action(asked())
    assert marks == ["a in", "b in", "b out", "a out"]


def test_without_middleware_the_chain_is_its_end() -> None:
    async def end(action: DomainAction, context: ActionContext) -> None: ...

    assert chain([], end) is end


async def test_a_middleware_may_pass_on_another_action_and_another_context() -> None:
    other = asked(number=2)
    mine = ActionContext(other)

    async def change(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        return await call_next(other, mine)

    given = await service_with(change).process_action(asked(number=1))
    assert given == {"data": {"number": 2}, "context": mine}


async def test_a_middleware_may_answer_itself() -> None:
    async def answer(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        return {"cached": True}

    assert await service_with(answer).process_action(asked()) == {"cached": True}


async def test_a_middleware_may_refuse_and_sees_what_others_raise() -> None:
    seen: list[Exception] = []

    async def watch(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        try:
            return await call_next(action, context)
        except Exception as error:
            seen.append(error)
            raise

    async def refuse(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        raise Reject("closed")

    with pytest.raises(Reject):
        await service_with(watch, refuse).process_action(asked())
    with pytest.raises(UnknownAction):
        await service_with(watch).process_action(asked("echo.thing.sing"))
    assert [type(error) for error in seen] == [Reject, UnknownAction]


async def test_an_invalid_payload_passes_through_middleware() -> None:
    seen: list[Exception] = []

    class Typed(BaseService):
        @action("typed.thing.take")
        async def take(self, counts: dict[str, int]) -> None: ...

        @property
        def middleware(self) -> list[Middleware]:  # type: ignore[override]
            return [self.watch]

        async def watch(self, action: DomainAction, context: ActionContext, call_next: Next) -> Any:
            try:
                return await call_next(action, context)
            except InvalidPayload as error:
                seen.append(error)
                return None

    assert await Typed(make_settings()).process_action(asked("typed.thing.take", a="x")) is None
    assert len(seen) == 1


async def test_middleware_sees_the_context_of_the_worker_or_one_of_its_own() -> None:
    contexts: list[ActionContext] = []

    async def keep(action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        contexts.append(context)
        return await call_next(action, context)

    service, action = service_with(keep), asked()
    given = await service.process_action(action)
    assert given["context"] is contexts[0]
    assert contexts[0].action is action
    worker_made = ActionContext(action, attempt=2)
    set_current(worker_made)
    await service.process_action(action)
    assert contexts[1] is worker_made
