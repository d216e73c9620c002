"""From a declaration to a call: what can be decided before an action comes is decided here, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import MethodType
from typing import Any, Protocol

from nooble.models import ActionContext, DomainAction
from nooble.routing.checks import payload_check, response_check
from nooble.routing.readers import Reader
from nooble.routing.route import Route
from nooble.routing.signature import Gift, Parameter, Signature

Call = Callable[[DomainAction, ActionContext | None], Awaitable[Any]]
"""A bound handler: action and context in, result out. Without a context one is made for a handler that asks."""

Fill = Callable[[DomainAction, ActionContext | None], Any]
"""Makes what one parameter is given."""


class Host(Protocol):
    """What a call needs of the service it belongs to."""

    def local_context(self, action: DomainAction) -> ActionContext:
        """A context for *action* where no worker has made one."""


class Binding:
    """A handler that knows what to make of an action.

    Args:
        function: the handler.
        signature: what it asks for.
        route: what was declared of it.
        is_method: whether its first parameter is the instance.

    Raises:
        TypeError: nothing can be read into a declared type.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature, route: Route, *, is_method: bool) -> None:
        self.route = route
        self.signature = signature
        self._function = function
        self._is_method = is_method
        self._payload = None if route.model is None else payload_check(route)
        self._response = response_check(route)

    def bind(self, service: Host) -> Call:
        """The call for one service."""
        handler = MethodType(self._function, service) if self._is_method else self._function
        run = handler if self.signature.is_async else partial(asyncio.to_thread, _in_thread, handler)
        fills = [(one, self._fill(one.gift, service)) for one in self.signature.parameters]
        call = _call(run, fills)
        return call if self._response is None else _checked(call, *self._response)

    def _fill(self, gift: Gift, service: Host) -> Fill:
        if gift == "action":
            return lambda action, context: action
        if gift == "context":
            return lambda action, context: context or service.local_context(action)
        if gift == "service":
            return lambda action, context: service
        read = self._payload
        assert read is not None
        return lambda action, context: read(action.data)


def _call(run: Callable[..., Awaitable[Any]], fills: list[tuple[Parameter, Fill]]) -> Call:
    in_order = [fill for parameter, fill in fills if not parameter.by_keyword]
    by_name = [(parameter.name, fill) for parameter, fill in fills if parameter.by_keyword]
    if not by_name:
        return lambda action, context: run(*[fill(action, context) for fill in in_order])
    return lambda action, context: run(
        *[fill(action, context) for fill in in_order], **{name: fill(action, context) for name, fill in by_name}
    )


def _in_thread(handler: Callable[..., Any], *gifts: Any, **named: Any) -> Any:
    """Python 3.11 cannot carry a `StopIteration` out of a thread: whoever waits would wait for ever."""
    try:
        return handler(*gifts, **named)
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error


def _checked(call: Call, passing: tuple[type, ...], read: Reader) -> Call:
    async def checked(action: DomainAction, context: ActionContext | None) -> Any:
        result = await call(action, context)
        return result if isinstance(result, passing) else read(result)

    return checked
