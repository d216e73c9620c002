"""Which actions a class has, by the rules of inheritance; every mistake in its declarations is found here.

A class has the actions that its attributes name, its own and inherited ones, and those of the routers of its whole line.
A method redefined in a subclass keeps its action: with `@action` it is declared anew, without it the route stays and the
behaviour changes. Two different handlers for one action are a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import FunctionType, MappingProxyType
from typing import Any

from nooble.errors import DeclarationError
from nooble.routing.action import WRITTEN_HERE, Action, Declared, two_handlers
from nooble.routing.options import expect
from nooble.routing.origin import Origin, plain_name
from nooble.routing.route import name_of
from nooble.routing.router import ActionRouter

_FRAMEWORK = f"{__name__.partition('.')[0]}."

Actions = Mapping[str, Declared[Any, Any]]
"""Action type → its handler, in the order of declaration, inherited ones first."""


def actions_of(cls: type) -> Actions:
    """The actions of *cls*.

    Raises:
        DeclarationError: a declaration cannot work.
    """
    actions = joined({}, [*_methods(cls), *_functions(cls)], cls)
    for name in ("retry", "timeout", "middleware"):
        value = vars(cls).get(name)
        if value is not None and not isinstance(value, property):
            expect(name, value, Origin.of_class(cls))
    return actions


def joined(actions: Actions, more: Iterable[Declared[Any, Any]], cls: type) -> Actions:
    """*actions* and *more*, all of them decided as actions of *cls*.

    Raises:
        DeclarationError: two handle the same action, or a declaration cannot work.
    """
    every = dict(actions)
    for declared in more:
        earlier = every.setdefault(declared.action_type, declared)
        if earlier is not declared:
            raise two_handlers(declared, earlier, cls)
        _check_service(declared, cls)
    return MappingProxyType(every)


# ── methods ──
def _methods(cls: type) -> Iterator[Action[Any, Any, Any]]:
    current: dict[str, Any] = {}
    declared: dict[str, Action[Any, Any, Any]] = {}
    for one in reversed(cls.__mro__):
        current.update(vars(one))
        declared.update({name: value for name, value in vars(one).items() if isinstance(value, Action)})
        _refuse_lost(one)
    for name, action in declared.items():
        _refuse_reserved(cls, name, action)
        yield action if current[name] is action else _redefined(cls, name, action, current[name])


def _refuse_reserved(cls: type, name: str, action: Action[Any, Any, Any]) -> None:
    """A service called `retry` or `startup` by one of its actions would lose its own."""
    for base in cls.__mro__:
        if base.__module__.startswith(_FRAMEWORK) and name in vars(base):
            raise action.origin.error(f"its name hides {base.__qualname__}.{name}", "give the method another name")


def _redefined(cls: type, name: str, action: Action[Any, Any, Any], value: Any) -> Action[Any, Any, Any]:
    """An inherited action whose method was redefined without `@action`."""
    if not isinstance(value, FunctionType):
        raise Origin.of_class(cls, name).error(
            f"is a {type(value).__name__}, and hides the action {action.action_type!r} of {action.origin.name} "
            f"({action.origin.place})",
            "give it another name, or override the method by a method",
        )
    twin = action.overridden(value, cls, name)
    setattr(cls, name, twin)
    return twin


def _refuse_lost(cls: type) -> None:
    """An action that the body of a class made and did not keep was never told whose it is."""
    for action in vars(cls).get(WRITTEN_HERE, ()):
        if action.owner is None:
            name = action.function.__name__
            origin = replace(action.origin, name=f"{plain_name(cls)}.{name}")
            raise _lost(action, origin, vars(cls).get(name))


def _lost(action: Action[Any, Any, Any], origin: Origin, kept: Any) -> DeclarationError:
    inner = kept.function if isinstance(kept, Action) else kept
    if isinstance(inner, FunctionType) and inner.__code__.co_qualname == action.function.__qualname__:
        return origin.error(
            f"the action {action.action_type!r} is lost: a method of the same name replaces it ({Origin.of(inner).place})",
            "give one of the two another name",
        )
    return origin.error(f"a decorator above @action({action.action_type!r}) hides the action", "put @action on top")


# ── functions ──
def _functions(cls: type) -> Iterator[Declared[Any, Any]]:
    routers = [router for one in reversed(cls.__mro__) for router in _routers(one)]
    for router in dict.fromkeys(routers):
        yield from router.include_in(cls)


def _routers(cls: type) -> Iterable[ActionRouter]:
    routers = vars(cls).get("routers", ())
    if not isinstance(routers, list | tuple) or not all(isinstance(one, ActionRouter) for one in routers):
        raise Origin.of_class(cls).error(f"routers={routers!r} cannot be meant", "give it a list of ActionRouters")
    return routers


def _check_service(declared: Declared[Any, Any], cls: type) -> None:
    wanted = declared.binding(cls).signature.declared("service")
    if wanted is not None and not issubclass(cls, wanted):
        raise declared.origin.error(
            f"asks for {name_of(wanted)}, but {plain_name(cls)} includes it",
            f"include its router in {name_of(wanted)}",
        )
