"""From a function and its options to a binding: what was said is completed by what can be inferred, and held against it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nooble.routing.binding import Binding
from nooble.routing.origin import Origin, did_you_mean
from nooble.routing.route import Route, name_of
from nooble.routing.shapes import fields_of
from nooble.routing.signature import Signature, read_signature


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
        sensitive=_sensitive(options.get("sensitive", ()), model, origin),
        retry=options.get("retry"),
        timeout=options.get("timeout"),
        **_described(function, options),
    )
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
