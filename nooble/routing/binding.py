"""From a declaration to a call: what can be decided before an action comes is decided here, once.

`decide` completes what was said by what can be inferred, and holds the one against the other; the `Binding` it gives makes
the call for each service."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from types import MethodType
from typing import Any

from nooble.models import ActionContext
from nooble.models.context import shown
from nooble.models.envelope import Message
from nooble.models.sensitive import remember, sensitive_names
from nooble.routing.checks import payload_check, response_check
from nooble.routing.middleware import Call
from nooble.routing.origin import Origin, did_you_mean
from nooble.routing.readers import Reader, Unreadable
from nooble.routing.route import Route, name_of
from nooble.routing.shapes import fields_of, is_mapping
from nooble.routing.signature import Gift, Parameter, Signature, read_signature

Fill = Callable[[Message, ActionContext], Any]
"""Makes what one parameter is given."""


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
    model = _model(signature, options.get("model"), origin)
    route = Route(
        action_type=action_type,
        handler=origin.name,
        source=origin.place,
        model=model,
        response_model=options.get("response_model", signature.returns),
        sensitive=_sensitive(options.get("sensitive", ()), model, origin) | sensitive_names(model),
        retry=options.get("retry"),
        timeout=options.get("timeout"),
        once_for=float(options.get("once_for", 0)),
        **_described(function, options),
    )
    remember(action_type, route.sensitive)
    try:
        payload = None if model is None else payload_check(route)
    except Unreadable as error:
        raise origin.error(f"the payload is declared {name_of(model)}, but {error}", error.mend) from error
    try:
        response = response_check(route)
    except Unreadable as error:
        problem = f"the result is declared {name_of(route.response_model)}, but {error}"
        raise origin.error(problem, f"{error.mend}; response_model=None leaves it unchecked") from error
    return Binding(function, signature, route, payload, response, is_method=is_method)


def _model(signature: Signature, option: Any, origin: Origin) -> Any:
    declared = signature.declared("payload")
    if option is None:
        return declared
    if declared is None:
        raise origin.error(
            f"model={name_of(option)}, but no parameter takes the payload", "add one, before all other parameters"
        )
    if option is not Any and not is_mapping(option):
        raise origin.error(
            f"model={name_of(option)} is no mapping",
            "an action carries one: give a pydantic model, a Struct, a dataclass, a TypedDict or dict",
        )
    contradicts = isinstance(option, type) and isinstance(declared, type) and not issubclass(option, declared)
    if contradicts and declared is not Any:
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
    }


def _sensitive(names: Iterable[str], model: Any, origin: Origin) -> frozenset[str]:
    """All the names that the sensitive fields may have on the wire."""
    known = fields_of(model)
    if known is None:
        return frozenset(names)
    for name in names:
        if name not in known:
            raise origin.error(
                f"sensitive field {name!r} is no field of {name_of(model)}",
                did_you_mean(name, known, f"its fields are {', '.join(known)}"),
            )
    return frozenset(alias for name in names for alias in known[name])


class Binding:
    """A handler that knows what to make of an action.

    Args:
        function: the handler.
        signature: what it asks for.
        route: what was declared of it.
        payload: the reader of its payload, if it takes one.
        response: what its result must be, if anything is declared of it; as `response_check` gives it.
        is_method: whether its first parameter is the instance.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Signature,
        route: Route,
        payload: Reader | None,
        response: tuple[tuple[type, ...], Reader] | None,
        *,
        is_method: bool,
    ) -> None:
        self.route = route
        self.signature = signature
        self._function = function
        self._payload = payload
        self._response = response
        self._is_method = is_method

    def bind(self, service: object) -> Call:
        """The call for one service: action and context in, result out."""
        handler = MethodType(self._function, service) if self._is_method else self._function
        run = handler if self.signature.is_async else partial(asyncio.to_thread, _in_thread, handler)
        call = self._call(run, service)
        return call if self._response is None else _checked(call, *self._response)

    def _call(self, run: Callable[..., Awaitable[Any]], service: object) -> Call:
        parameters, read = self.signature.parameters, self._payload
        if read is not None and len(parameters) == 1 and not parameters[0].by_keyword:  # what most handlers ask for
            return lambda action, context: run(read(action.data))
        return _call(run, [(one, self._fill(one.gift, service)) for one in parameters])

    def _fill(self, gift: Gift, service: object) -> Fill:
        if gift == "action":
            return shown
        if gift == "context":
            return lambda action, context: context
        if gift == "service":
            return lambda action, context: service
        read = self._payload
        assert read is not None
        return lambda action, context: read(action.data)


def _call(run: Callable[..., Awaitable[Any]], fills: list[tuple[Parameter, Fill]]) -> Call:
    in_order = [fill for parameter, fill in fills if not parameter.by_keyword]
    by_name = [(parameter.name, fill) for parameter, fill in fills if parameter.by_keyword]
    if not by_name and len(in_order) == 2:
        first, second = in_order
        return lambda action, context: run(first(action, context), second(action, context))
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
    async def checked(action: Message, context: ActionContext) -> Any:
        result = await call(action, context)
        return result if isinstance(result, passing) else read(result)

    return checked
