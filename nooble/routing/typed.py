"""How declarations look to a type checker: the payload, the result, and the call as it is written. Nothing here runs.

Checkers know a payload by its place: it is the first parameter unless that is an action, a context or a service. So to
them the payload of a direct call is positional, and not left out even where it has a default."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from nooble.models import ActionContext, DomainAction

if TYPE_CHECKING:
    from nooble.routing.action import Action, ActionFunction
    from nooble.routing.host import ActionHost

Self_ = TypeVar("Self_")
Payload = TypeVar("Payload")
Result = TypeVar("Result")
Rest = ParamSpec("Rest")
Given = TypeVar("Given", bound=ActionContext | DomainAction)
GivenToFunctions = TypeVar("GivenToFunctions", bound="ActionContext | DomainAction | ActionHost")


class MethodDecorator(Protocol):
    """What `@action(...)` is to a method."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is a result too: the first match is meant
        self, method: Callable[Concatenate[Self_, Given, Rest], Coroutine[Any, Any, Result]], /
    ) -> Action[None, Result, Callable[Concatenate[Given, Rest], Coroutine[Any, Any, Result]]]: ...
    @overload
    def __call__(
        self, method: Callable[Concatenate[Self_, Payload, Rest], Coroutine[Any, Any, Result]], /
    ) -> Action[Payload, Result, Callable[Concatenate[Payload, Rest], Coroutine[Any, Any, Result]]]: ...
    @overload
    def __call__(
        self, method: Callable[[Self_], Coroutine[Any, Any, Result]], /
    ) -> Action[None, Result, Callable[[], Coroutine[Any, Any, Result]]]: ...
    @overload
    def __call__(
        self, method: Callable[Concatenate[Self_, Given, Rest], Result], /
    ) -> Action[None, Result, Callable[Concatenate[Given, Rest], Result]]: ...
    @overload
    def __call__(
        self, method: Callable[Concatenate[Self_, Payload, Rest], Result], /
    ) -> Action[Payload, Result, Callable[Concatenate[Payload, Rest], Result]]: ...
    @overload
    def __call__(self, method: Callable[[Self_], Result], /) -> Action[None, Result, Callable[[], Result]]: ...


class FunctionDecorator(Protocol):
    """What `@router.action(...)` is to a function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is a result too: the first match is meant
        self, function: Callable[Concatenate[GivenToFunctions, Rest], Coroutine[Any, Any, Result]], /
    ) -> ActionFunction[None, Result, Concatenate[GivenToFunctions, Rest], Coroutine[Any, Any, Result]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Payload, Rest], Coroutine[Any, Any, Result]], /
    ) -> ActionFunction[Payload, Result, Concatenate[Payload, Rest], Coroutine[Any, Any, Result]]: ...
    @overload
    def __call__(
        self, function: Callable[[], Coroutine[Any, Any, Result]], /
    ) -> ActionFunction[None, Result, [], Coroutine[Any, Any, Result]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[GivenToFunctions, Rest], Result], /
    ) -> ActionFunction[None, Result, Concatenate[GivenToFunctions, Rest], Result]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Payload, Rest], Result], /
    ) -> ActionFunction[Payload, Result, Concatenate[Payload, Rest], Result]: ...
    @overload
    def __call__(self, function: Callable[[], Result], /) -> ActionFunction[None, Result, [], Result]: ...
