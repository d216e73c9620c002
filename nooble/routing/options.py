"""What can be said of an action besides its type, and what is accepted for it. Every decorator takes the same options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from nooble.retry import Retry
from nooble.routing.origin import Origin, did_you_mean


class Options(TypedDict, total=False):
    """Options of `@action`.

    Attributes:
        model: type of the payload; by default the annotation of the payload parameter.
        response_model: type of the result; by default the return annotation. `None` switches the check off.
        retry: when the action runs again after an error; by default that of the router, the service, the settings.
        timeout: seconds that the handler may run, 0 for no limit; by default as for *retry*.
        once_for: seconds for which the idempotency key of an action (by default its `action_id`) is remembered once it was
            done: if it is sent again in that time, by whomever, nothing more is written for it, and its answer is the
            first one. 0 remembers nothing.
        title: a few words for people; by default the first line of the docstring.
        description: by default the docstring.
        tags: groups for the documentation.
        deprecated: whether callers should look for another action.
        version: version of the action.
        sensitive: fields of the payload that are never shown, neither in logs nor in errors.
    """

    model: Any
    response_model: Any
    retry: Retry | None
    timeout: float | None
    once_for: float
    title: str
    description: str
    tags: Sequence[str]
    deprecated: bool
    version: str | None
    sensitive: Sequence[str]


def checked(options: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """*options* as a dict of their own.

    Raises:
        DeclarationError: one is not known, or has a value that cannot be meant.
    """
    for name, value in options.items():
        if name not in Options.__annotations__:
            known = ", ".join(Options.__annotations__)
            raise origin.error(
                f"unknown option {name!r}", did_you_mean(name, Options.__annotations__, f"known: {known}")
            )
        expect(name, value, origin)
    return dict(options)


def expect(name: str, value: Any, origin: Origin) -> None:
    """Hold *value* against what is accepted for *name*.

    Raises:
        DeclarationError: it cannot be meant.
    """
    accepts, expected = _EXPECTED.get(name, _ANYTHING)
    if not accepts(value):
        raise origin.error(f"{name}={value!r} cannot be meant", f"give it {expected}")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_set_of_names(value: Any) -> bool:
    return _is_names(list(value)) if isinstance(value, set | frozenset) else _is_names(value)


def _is_middleware(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(callable, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_Expectation = tuple[Callable[[Any], bool], str]
_ANYTHING: _Expectation = (lambda value: True, "")
_EXPECTED: Mapping[str, _Expectation] = {
    "retry": (lambda value: value is None or isinstance(value, Retry), "a policy such as Retry(attempts=5)"),
    "timeout": (lambda value: value is None or _is_seconds(value), "seconds, 0 for no limit"),
    "once_for": (_is_seconds, "seconds, 0 for not at all"),
    "title": (_is_text, "text"),
    "description": (_is_text, "text"),
    "tags": (_is_names, "a list of names"),
    "deprecated": (lambda value: isinstance(value, bool), "True or False"),
    "version": (lambda value: value is None or _is_text(value), "text"),
    "middleware": (_is_middleware, "a list of functions async def (action, context, call_next)"),
    "sensitive": (_is_set_of_names, "a list of field names"),
}
