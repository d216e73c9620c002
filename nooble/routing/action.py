"""`@action`: a method or function becomes an action, and stays what it was for those who call it directly.

The decorator only looks at what it is given; annotations are resolved when the class is made, or on first use."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from types import MethodType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, Unpack, overload

from nooble.errors import DeclarationError
from nooble.models.action_types import is_action_type
from nooble.models.sending import CallOptions
from nooble.routing.binding import Binding, decide
from nooble.routing.checks import answer_reader
from nooble.routing.middleware import Call, Middleware, chain
from nooble.routing.options import Options, checked
from nooble.routing.origin import Origin, plain_name
from nooble.routing.readers import Reader
from nooble.routing.route import CATCH_ALL, Route
from nooble.routing.signature import read_result
from nooble.routing.typed import MethodDecorator

Payload = TypeVar("Payload", contravariant=True)
Result = TypeVar("Result", covariant=True)
Direct = TypeVar("Direct", covariant=True)
Params = ParamSpec("Params")
Returned = TypeVar("Returned", covariant=True)
Given = TypeVar("Given")
Awaited = TypeVar("Awaited")


class Declared(Generic[Payload, Result]):
    """A handler and what was declared of it. Clients take it as the typed name of the action.

    Attributes:
        action_type: the type of action it handles.
        function: the handler as it was written.
        origin: where it stands.
        owner: the class it was written in, if it is a method.
    """

    is_method: ClassVar[bool]

    def __init__(
        self,
        function: Callable[..., Any],
        action_type: str,
        options: Mapping[str, Any],
        middleware: tuple[Middleware, ...] = (),
    ) -> None:
        origin = Origin.of(function)
        if not inspect.isfunction(function):
            raise origin.error(
                "is not a function", "put @action directly above def or async def, under no other decorator of a method"
            )
        if action_type != CATCH_ALL and not (isinstance(action_type, str) and is_action_type(action_type)):
            raise origin.error(
                f"{action_type!r} is no action type",
                "write two segments or more of a-z, 0-9, '_' and '-', such as 'pedidos.pedido.crear'",
            )
        functools.update_wrapper(self, function)  # type: ignore[arg-type]
        self.function = function
        self.action_type = action_type
        self.origin = origin
        self.owner: type | None = None
        self._options = checked(options, origin)
        self._middleware = middleware
        self._binding: Binding | None = None

    @property
    def route(self) -> Route:
        """What was declared.

        Raises:
            DeclarationError: it cannot work.
        """
        return self.binding().route

    def binding(self, owner: type | None = None) -> Binding:
        """The decided declaration; decided when first asked for, as a method of *owner* or for the service *owner*."""
        if self._binding is None:
            self._binding = decide(
                self.function,
                self.origin,
                self.action_type,
                self._options,
                is_method=self.is_method,
                owner=self.owner or owner,
            )
        return self._binding

    def bind(self, service: object) -> Call:
        """The call for one service, through the middleware of its router."""
        return chain(self._middleware, self.binding(type(service)).bind(service))

    @functools.cached_property
    def response_model(self) -> Any:
        """Type of the result, as in `Route`; resolved alone, as a caller need not know what else a handler asks for."""
        if "response_model" in self._options:
            return self._options["response_model"]
        return read_result(self.function, self.origin, self.owner)

    @functools.cached_property
    def read_answer(self) -> Reader:
        """From the data of an answer to the result; raises `InvalidResponse` if they do not fit."""
        return answer_reader(
            Route(action_type=self.action_type, handler=self.origin.name, response_model=self.response_model)
        )

    def __repr__(self) -> str:
        return f"<action {self.action_type} {self.origin.name}>"


class Action(Declared[Payload, Result], Generic[Payload, Result, Direct]):
    """A method that is an action. On an instance it is the method; on the class it is the name of the action.

    `client.call(PedidosService.crear, payload)` and `client.of(PedidosService).crear(payload)` take the latter.
    """

    is_method = True

    def __set_name__(self, owner: type, name: str) -> None:
        if self.owner is None:
            self.owner = owner
            self.origin = replace(self.origin, name=f"{plain_name(owner)}.{name}")

    @overload
    def __get__(self, instance: None, owner: type) -> Action[Payload, Result, Direct]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Direct: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else MethodType(self.function, instance)

    @overload
    def __call__(
        self: Action[None, Awaited, Any], /, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, Awaited]: ...
    @overload
    def __call__(
        self: Action[Given, Awaited, Any], payload: Given, /, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, Awaited]: ...
    def __call__(self, *_: Any, **__: Any) -> Any:
        """How it is called through `client.of(Service)`; on the class itself there is nobody to call.

        Raises:
            TypeError: always.
        """
        if self.owner is None:
            raise TypeError(
                f"{self.origin.name} is declared by @action, which is for methods of a service; "
                "functions are declared by @router.action(...) of an ActionRouter"
            )
        service, _dot, method = self.origin.name.rpartition(".")
        raise TypeError(
            f"{self.origin.name} is the name of an action: run it with {method}(...) on an instance, "
            f"or call it from afar with client.of({service}).{method}(...)"
        )

    def overridden(self, function: Callable[..., Any], owner: type, name: str) -> Action[Any, Any, Any]:
        """This action with the behaviour of *function*, a method of that *name* in a subclass: the route stays."""
        route = self.route
        kept = {"model": route.model, "response_model": route.response_model, "description": route.description}
        options = self._options | {name: value for name, value in kept.items() if value is not None}
        twin: Action[Any, Any, Any] = Action(function, self.action_type, options)
        twin.__set_name__(owner, name)
        return twin


class ActionFunction(Declared[Payload, Result], Generic[Payload, Result, Params, Returned]):
    """A function that is an action, collected by a router. Called directly it is the function."""

    is_method = False

    def __call__(self, *args: Params.args, **kwargs: Params.kwargs) -> Returned:
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]


def action(action_type: str, **options: Unpack[Options]) -> MethodDecorator:
    """Declare a method of a service as the handler of an action.

    Its first parameter takes the payload, of the type it is annotated with; further ones take the `DomainAction` and the
    `ActionContext` by annotation. Plain `def` runs in a thread. The method stays callable as it was written.

    Args:
        action_type: dotted text whose first segment names the service, e.g. `"pedidos.pedido.crear"`; `"*"` takes
            every action that no other handler is declared for.
        options: see `Options`.

    Raises:
        DeclarationError: at once or when the class is made, if the declaration cannot work.
    """
    if callable(action_type):
        raise Origin.of(action_type).error("@action without parentheses", 'write @action("service.entity.verb")')

    def declare(method: Callable[..., Any]) -> Action[Any, Any, Any]:
        declared: Action[Any, Any, Any] = Action(method, action_type, options)
        around = sys._getframe(1)
        if around.f_code.co_name == "<module>":
            raise declared.origin.error(
                "@action outside of a class, where no service finds it",
                "make it a method of a service, or a function of an ActionRouter: @router.action(...)",
            )
        if "__qualname__" in around.f_locals:
            around.f_locals.setdefault(WRITTEN_HERE, []).append(declared)
        return declared

    return declare


WRITTEN_HERE = "__actions__"
"""Attribute of a class: every action that is written in its body, to notice when one of them gets lost there."""


def two_handlers(
    declared: Declared[Any, Any], earlier: Declared[Any, Any], cls: type | None = None
) -> DeclarationError:
    """The error of two handlers for one action, both of *cls* or of one router."""
    of = "" if cls is None else f" of {plain_name(cls)}"
    return declared.origin.error(
        f"a second handler{of} for the action {declared.action_type!r}, "
        f"which {earlier.origin.name} handles ({earlier.origin.place})",
        "give one of the two another action type, or remove it; to override a method, give it the same name",
    )
