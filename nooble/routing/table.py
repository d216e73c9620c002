"""Which actions a class has, by the rules of inheritance; every mistake in its declarations is found here.

A class has the actions that its attributes name, its own and inherited ones, and those of the routers of its whole line.
A method redefined in a subclass keeps its action: with `@action` it is declared anew, without it the route stays and the
behaviour changes. Two different handlers for one action are a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FunctionType, MappingProxyType
from typing import Any

from nooble.errors import DeclarationError
from nooble.routing.action import Action, Declared
from nooble.routing.origin import Origin
from nooble.routing.router import ActionRouter

Actions = Mapping[str, Declared[Any, Any]]
"""Action type → its handler, in the order of declaration, inherited ones first."""


def actions_of(cls: type) -> Actions:
    """The actions of *cls*.

    Raises:
        DeclarationError: a declaration cannot work.
    """
    return joined({}, [*_methods(cls), *_functions(cls)], cls)


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
    for name, value in vars(cls).items():
        _refuse_hidden(value, cls, name)
    for name, action in declared.items():
        yield action if current[name] is action else _redefined(cls, name, action, current[name])


def _redefined(cls: type, name: str, action: Action[Any, Any, Any], value: Any) -> Action[Any, Any, Any]:
    """An inherited action whose method was redefined without `@action`."""
    if not isinstance(value, FunctionType):
        raise action.origin.error(
            f"{cls.__qualname__}.{name} = {value!r} hides the action {action.action_type!r}",
            "give the attribute another name, or override the method by a method",
        )
    twin = action.overridden(value, cls, name)
    setattr(cls, name, twin)
    return twin
