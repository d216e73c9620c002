"""What goes into a handler and what comes out of it, held against the declaration. What does not fit is an
`InvalidPayload` or an `InvalidResponse`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nooble.errors import InvalidPayload, InvalidResponse
from nooble.models import DomainActionResponse
from nooble.models.sensitive import sensitive_names
from nooble.routing.misfits import hide, misfits, told
from nooble.routing.readers import MISFITS, Reader, reader_of
from nooble.routing.route import Route, name_of
from nooble.routing.shapes import accepts_none, classes_of, fields_of, is_mapping


def payload_check(route: Route) -> Reader:
    """From the data of an action to the payload of *route*.

    Raises:
        Unreadable: nothing can be read into its model.
        InvalidPayload: (the reader) the data do not fit.
    """
    read = reader_of(route.model)
    known = {name for names in (fields_of(route.model) or {}).values() for name in names}

    def payload(data: Any) -> Any:
        try:
            return read(data)
        except MISFITS as error:
            fields = misfits(error, route.model, data, "$.data")
            if route.sensitive:
                hide(fields, route.sensitive, known, "$.data")
            message, details = told(f"{route.action_type}: the payload is no {name_of(route.model)}", fields)
            cause = None if route.sensitive else error  # a traceback would show by it what was sent
            raise InvalidPayload(message, details=details) from cause

    return payload


def response_check(route: Route) -> tuple[tuple[type, ...], Reader] | None:
    """What the result of *route* must be: classes whose instances pass as they are, and a reader for all else.

    Returns:
        `None` if nothing is declared of the result.

    Raises:
        Unreadable: nothing can be read into its type.
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
    sensitive = sensitive_names(route.response_model)
    known = {name for names in (fields_of(route.response_model) or {}).values() for name in names}

    def response(result: Any) -> Any:
        if isinstance(result, DomainActionResponse):
            return result
        try:
            return read(result)
        except MISFITS as error:
            problem = f"{route}: the result, of type {name_of(type(result))}, does not fit"
            fields = misfits(error, route.response_model, result, "$")
            if sensitive:
                hide(fields, sensitive, known, "$")
            message, details = told(problem, fields)
            raise InvalidResponse(message, details=details) from None if sensitive else error

    return response


def _as_it_is(data: Any) -> Any:
    return data


def _unwrapped(data: dict[str, Any]) -> Any:
    """A result that is no mapping travels as `{"result": …}`."""
    return data["result"] if data.keys() == {"result"} else data
