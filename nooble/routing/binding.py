"""From a declaration to a call: what can be decided before an action comes is decided here, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, partial
from types import MethodType
from typing import Any, Protocol

from nooble.models import ActionContext, DomainAction
from nooble.routing.checks import answer_reader, payload_check, response_check
from nooble.routing.origin import Origin
from nooble.routing.route import Route
from nooble.routing.shapes import Reader
from nooble.routing.signature import Gift, Parameter, Signature, read_signature

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
        run = handler if self.signature.is_async else partial(asyncio.to_thread, handler)
        fills = [(one, self._fill(one.gift, service)) for one in self.signature.parameters]
        call = _call(run, fills)
        return call if self._response is None else _checked(call, *self._response)

    @cached_property
    def read_answer(self) -> Reader:
        """From the data of an answer to the declared result; raises `InvalidResponse` if they do not fit."""
        return answer_reader(self.route)

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


def _checked(call: Call, passing: tuple[type, ...], read: Reader) -> Call:
    async def checked(action: DomainAction, context: ActionContext | None) -> Any:
        result = await call(action, context)
        return result if isinstance(result, passing) else read(result)

    return checked


# ── from options and signature ──
def decide(
    function: Callable[..., Any],
    origin: Origin,
    action_type: str,
    options: Mapping[str, Any],
    *,
    is_method: bool,
    owner: type | None,
) -> Binding:
    """The binding of a handler as it was declared.

    Args:
        function: the handler.
        origin: where mistakes are told to be.
        action_type: the type of action that it handles.
        options: as checked by `options.checked`.
        is_method: whether its first parameter is the instance.
        owner: the class that it belongs to, if there is one.

    Raises:
        DeclarationError: it cannot work.
    """
    signature = read_signature(function, origin, is_method=is_method, owner=owner, model=options.get("model"))
    route = Route(
        action_type=action_type,
        handler=origin.name,
        source=origin.place,
        model=_model(signature, options.get("model"), origin),
        response_model=options.get("response_model", signature.returns),
        retry=options.get("retry"),
        timeout=options.get("timeout"),
        **_described(function, options),
    )
    _check_sensitive(route, origin)
    try:
        return Binding(function, signature, route, is_method=is_method)
    except TypeError as error:
        raise origin.error(
            f"declares a type that nothing can be read into: {error}",
            "declare a pydantic model, a Struct, a dataclass, a TypedDict or plain types; "
            "response_model=None leaves the result unchecked",
        ) from error


def _model(signature: Signature, option: Any, origin: Origin) -> Any:
    declared = signature.declared("payload")
    if option is None:
        return declared
    if declared is None:
        raise origin.error(
            f"model={name_of(option)}, but no parameter takes the payload", "add one, before all other parameters"
        )
    if isinstance(option, type) and isinstance(declared, type) and not issubclass(option, declared):
        raise origin.error(
            f"model={name_of(option)}, but the payload is annotated {name_of(declared)}", "say it once: drop model=…"
        )
    return option


def _described(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    description = options.get("description", inspect.cleandoc(function.__doc__ or ""))
    return {
        "title": options.get("title", description.partition("\n")[0].rstrip(".")),
        "description": description,
        "tags": tuple(options.get("tags", ())),
        "deprecated": options.get("deprecated", False),
        "version": options.get("version"),
        "sensitive": frozenset(options.get("sensitive", ())),
    }


def _check_sensitive(route: Route, origin: Origin) -> None:
    known = fields_of(route.model)
    for name in sorted(route.sensitive):
        if known is not None and name not in known:
            raise origin.error(
                f"sensitive field {name!r} is no field of {name_of(route.model)}",
                did_you_mean(name, known, f"its fields are {', '.join(sorted(known))}"),
            )
