"""What runs around a handler. Services, routers and workers take the same middleware, in the same one signature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from nooble.models import ActionContext, DomainAction
from nooble.models.context import shown
from nooble.models.envelope import Message

Next = Callable[[DomainAction, ActionContext], Awaitable[Any]]
"""What a middleware calls to go on: the next middleware, at last the handler."""

Call = Callable[[Message, ActionContext], Awaitable[Any]]
"""A `Next` that also takes an `Envelope`."""

Middleware = Callable[[DomainAction, ActionContext, Next], Awaitable[Any]]
"""`async def middleware(action, context, call_next)`: does what it wants before and after
`await call_next(action, context)`, and returns the result. It may pass on another action, not call on, or raise."""


def chain(middleware: Iterable[Middleware], endpoint: Call) -> Call:
    """One call that goes through *middleware*, the first outermost, to *endpoint*. Without any it is *endpoint* itself."""
    for one in reversed(tuple(middleware)):
        endpoint = _linked(one, endpoint)
    return endpoint


def _linked(middleware: Middleware, call_next: Next) -> Call:
    def call(message: Message, context: ActionContext) -> Awaitable[Any]:
        return middleware(shown(message, context), context, call_next)

    return call
