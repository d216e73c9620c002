"""What goes into a handler and what comes out of it, held against the declaration. What does not fit is told in full:
every failing field, in the words of `InvalidPayload` and `InvalidResponse`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nooble.errors import InvalidPayload, InvalidResponse
from nooble.models import DomainActionResponse
from nooble.routing.readers import MISFITS, Reader, misfits, reader_of
from nooble.routing.route import Route, name_of
from nooble.routing.shapes import accepts_none, classes_of, is_mapping

MOST_FIELDS = 1_000
"""Most failing fields that one error lists, for it travels in an answer; `details["error_count"]` counts all."""

MOST_TEXT = 500
"""Most characters of a path or message: both can repeat what came from outside."""

_FIRST_FIELDS = 3
"""How many of them the message names."""


def payload_check(route: Route) -> Reader:
    """From the data of an action to the payload of *route*.

    Raises:
        TypeError: nothing can be read into its model.
        InvalidPayload: (the reader) the data do not fit.
    """
    read = reader_of(route.model)

    def payload(data: Any) -> Any:
        try:
            return read(data)
        except MISFITS as error:
            fields = misfits(error, route.model, data, "$.data")
            _hide(fields, route.sensitive)
            problem = f"{route.action_type}: the payload is no {name_of(route.model)}"
            message, details = _told(problem, fields)
            raise InvalidPayload(message, details=details) from error

    return payload


def response_check(route: Route) -> tuple[tuple[type, ...], Reader] | None:
    """What the result of *route* must be: classes whose instances pass as they are, and a reader for all else.

    Returns:
        `None` if nothing is declared of the result.

    Raises:
        TypeError: nothing can be read into its type.
        InvalidResponse: (the reader) the result does not fit.
    """
    if route.response_model in (None, Any, object):
        return None
    return classes_of(route.response_model), _response_reader(route)


def answer_reader(route: Route) -> Reader:
    """From the data of an answer to the result of *route*, as the handler returned it.

    Raises:
        InvalidResponse: (the reader) the data do not fit.
    """
    if route.response_model in (None, Any, object):
        return lambda data: _unwrapped(data) if data else None
    read = _response_reader(route)
    unwrap: Callable[[Any], Any] = _as_it_is if is_mapping(route.response_model) else _unwrapped
    if accepts_none(route.response_model):
        return lambda data: read(unwrap(data)) if data else None
    return lambda data: read(unwrap(data or {}))


def _response_reader(route: Route) -> Reader:
    read = reader_of(route.response_model)

    def response(result: Any) -> Any:
        if isinstance(result, DomainActionResponse):
            return result
        try:
            return read(result)
        except MISFITS as error:
            problem = f"{route} gave a {name_of(type(result))} that is no {name_of(route.response_model)}"
            message, details = _told(problem, misfits(error, route.response_model, result, "$"))
            raise InvalidResponse(message, details=details) from error

    return response


def _as_it_is(data: Any) -> Any:
    return data


def _unwrapped(data: dict[str, Any]) -> Any:
    """A result that is no mapping travels as `{"result": …}`."""
    return data["result"] if data.keys() == {"result"} else data


def _hide(fields: list[dict[str, str]], sensitive: frozenset[str]) -> None:
    for field in fields:
        name = field["path"].removeprefix("$.data.").partition(".")[0].partition("[")[0]
        if name in sensitive:
            field["message"] = "is wrong (sensitive: its value is not shown)"


def _told(problem: str, fields: list[dict[str, str]]) -> tuple[str, dict[str, Any]]:
    shown = [{key: text[:MOST_TEXT] for key, text in field.items()} for field in fields[:MOST_FIELDS]]
    named = "; ".join(f"{field['path']}: {field['message']}" for field in shown[:_FIRST_FIELDS])
    more = f"; and {len(fields) - _FIRST_FIELDS} more" if len(fields) > _FIRST_FIELDS else ""
    return f"{problem}: {named}{more}", {"errors": shown, "error_count": len(fields)}
