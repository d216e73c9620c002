"""What a handler asks for. Its payload is its first parameter; the action, its context and the service come by annotation;
parameters with defaults may stand beside them and keep their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nooble.models import ActionContext, DomainAction
from nooble.routing.annotations import resolve
from nooble.routing.origin import Origin
from nooble.routing.route import name_of
from nooble.routing.shapes import is_mapping, is_union, without_none

Gift = Literal["payload", "action", "context", "service"]
"""What a parameter can be given."""

_NOTHING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a handler that is given something.

    Attributes:
        name: its name.
        gift: what it is given.
        declared: the type it is annotated with.
        by_keyword: whether it must be given by name.
    """

    name: str
    gift: Gift
    declared: Any
    by_keyword: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler asks for and gives.

    Attributes:
        parameters: what is to be given, in order.
        returns: type of the result, `NoneType` if it has none; `None` if nothing is declared of it.
        is_async: whether calling it gives something to await.
    """

    parameters: tuple[Parameter, ...]
    returns: Any
    is_async: bool

    def declared(self, gift: Gift) -> Any:
        """The type of the parameter that is given *gift*; `None` if there is none."""
        return next((one.declared for one in self.parameters if one.gift == gift), None)


def read_signature(
    function: Callable[..., Any], origin: Origin, *, is_method: bool, owner: type | None, model: Any = None
) -> Signature:
    """The signature of a handler.

    Args:
        function: the handler as it was decorated.
        origin: where mistakes are told to be.
        is_method: whether its first parameter is the instance.
        owner: the class it belongs to.
        model: type of the payload, if it was declared by option.

    Raises:
        DeclarationError: something in it cannot be filled or resolved.
    """
    return _Reading(function, origin, owner, model).signature(is_method)


def read_result(function: Callable[..., Any], origin: Origin, owner: type | None) -> Any:
    """The type that a handler declares to return, as in `Signature.returns`; nothing else of it is looked at."""
    return _Reading(function, origin, owner, None).result()


class _Reading:
    """One signature being read."""

    def __init__(self, function: Callable[..., Any], origin: Origin, owner: type | None, model: Any) -> None:
        self.function = function
        self.origin = origin
        self.owner = owner
        self.model = model

    def signature(self, is_method: bool) -> Signature:
        inner = inspect.unwrap(self.function)
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            raise self.origin.error("is a generator, which has no one result", "return a list instead of yielding")
        parameters = list(inspect.signature(self.function).parameters.values())
        if is_method:
            self._drop_self(parameters)
        is_async = any(map(inspect.iscoroutinefunction, (self.function, inner)))
        return Signature(tuple(self._gifts(parameters)), self.result(), is_async)

    def result(self) -> Any:
        annotation = inspect.signature(self.function).return_annotation
        return None if annotation is _NOTHING else self._resolve(annotation, "the return annotation")

    def _drop_self(self, parameters: list[inspect.Parameter]) -> None:
        if parameters and parameters[0].kind in _VARIADIC:
            self._refuse_hidden()
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise self.origin.error("takes no self", "write self as its first parameter, or use an ActionRouter")
        del parameters[0]

    def _gifts(self, parameters: list[inspect.Parameter]) -> Iterator[Parameter]:
        left_out = False
        for position, parameter in enumerate(parameters):
            if parameter.kind in _VARIADIC:
                self._refuse_hidden()
            declared = self._declared(parameter, position)
            gift = self._gift(declared, position)
            by_keyword = left_out or parameter.kind is inspect.Parameter.KEYWORD_ONLY
            if gift is None:
                self._may_be_left_out(parameter, declared, position)
                left_out = True
            elif by_keyword and parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise self.origin.error(
                    f"parameter {parameter.name!r} ({name_of(declared)}) cannot be filled: one before it is left out",
                    "let it be given by name, or put it first",
                )
            else:
                kept = declared if gift == "payload" else without_none(declared)
                yield Parameter(parameter.name, gift, kept, by_keyword)

    def _declared(self, parameter: inspect.Parameter, position: int) -> Any:
        if parameter.annotation is not _NOTHING:
            return self._resolve(parameter.annotation, f"the annotation of {parameter.name!r}")
        if position == 0 and self.model is not None:
            return Any
        if parameter.default is not _NOTHING:
            return _NOTHING
        mend = "annotate it with DomainAction or ActionContext"
        if position == 0:
            mend = "annotate it with its model, DomainAction or ActionContext, or give model=… to the decorator"
        if parameter.name == "self":
            mend = "a router takes functions: declare methods with @action, or take the service by its annotated class"
        raise self.origin.error(f"parameter {parameter.name!r} has no annotation", mend)

    def _gift(self, declared: Any, position: int) -> Gift | None:
        plain = without_none(declared)
        if plain is DomainAction:
            return "action"
        if plain is ActionContext:
            return "context"
        if isinstance(plain, type) and hasattr(plain, "process_action"):
            return "service"
        is_payload = self.model is not None or declared is Any or is_mapping(declared)
        return "payload" if position == 0 and is_payload and not _is_like_a_gift(plain) else None

    def _may_be_left_out(self, parameter: inspect.Parameter, declared: Any, position: int) -> None:
        if parameter.default is not _NOTHING:
            return
        problem = f"parameter {parameter.name!r} ({name_of(declared)}) cannot be filled"
        if _is_like_a_gift(without_none(declared)):
            raise self.origin.error(problem, "annotate it with DomainAction or ActionContext itself, and nothing else")
        if position == 0:
            raise self.origin.error(
                problem,
                "a payload is a mapping: annotate it with a pydantic model, a Struct, a dataclass, a TypedDict or dict",
            )
        if declared is Any or is_mapping(declared):
            raise self.origin.error(problem, "an action has one payload and it comes first: join both in one model")
        raise self.origin.error(
            problem, "beside the payload there are DomainAction and ActionContext; give anything else a default"
        )

    def _resolve(self, annotation: Any, told: str) -> Any:
        try:
            return resolve(annotation, self.function, self.owner)
        except Exception as error:
            raise self.origin.error(
                f"{told}, {annotation!r}, cannot be resolved ({type(error).__name__}: {error})",
                "import or define the type, at run time and not only for type checkers, before the class",
            ) from error

    def _refuse_hidden(self) -> None:
        raise self.origin.error(
            "takes *args or **kwargs, so that its payload cannot be known",
            "write out its parameters; if a decorator below this one hides them, give its wrapper "
            "@functools.wraps(function)",
        )


def _is_like_a_gift(declared: Any) -> bool:
    """Whether *declared* is a subclass of what is given, or a union with it: its values could never come."""
    arms = get_args(declared) if is_union(declared) else (declared,)
    return any(isinstance(arm, type) and issubclass(arm, DomainAction | ActionContext) for arm in arms)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
