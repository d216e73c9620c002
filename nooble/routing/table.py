"""Which actions a class has, by the rules of inheritance; every mistake in its declarations is found here.

A class has the actions that its attributes name, its own and inherited ones, and those of the routers of its whole line.
A method redefined in a subclass keeps its action: with `@action` it is declared anew, without it the route stays and the
behaviour changes. Two different handlers for one action are a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import CellType, FunctionType, MappingProxyType, ModuleType
from typing import Any

from nooble.routing.action import Action, Declared, two_handlers
from nooble.routing.options import expect
from nooble.routing.origin import Origin
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
    for name, value in vars(cls).items():
        _refuse_hidden(value, cls, name)
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
        raise action.origin.error(
            f"{cls.__qualname__}.{name} = {value!r} hides the action {action.action_type!r}",
            "give the attribute another name, or override the method by a method",
        )
    twin = action.overridden(value, cls, name)
    setattr(cls, name, twin)
    return twin


def _refuse_hidden(value: Any, cls: type, name: str) -> None:
    hidden = _hidden_in(value)
    if hidden is not None:
        raise Origin(hidden.origin.file, hidden.origin.line, f"{cls.__qualname__}.{name}").error(
            f"a decorator above @action({hidden.action_type!r}) hides the action", "put @action on top"
        )


def _hidden_in(value: Any, depth: int = 3) -> Action[Any, Any, Any] | None:
    """The action that a wrapper holds instead of the class: an action of a class was told its name there."""
    if isinstance(value, Action):
        return value if value.owner is None else None
    if isinstance(value, type | ModuleType) or depth == 0:
        return None
    inside = [*getattr(value, "__dict__", {}).values(), getattr(value, "__func__", None), getattr(value, "fget", None)]
    inside += [cell.cell_contents for cell in getattr(value, "__closure__", None) or () if _is_filled(cell)]
    return next(filter(None, (_hidden_in(one, depth - 1) for one in inside)), None)


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


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
            f"asks for {name_of(wanted)}, but {cls.__qualname__} includes it",
            f"include its router in {name_of(wanted)}",
        )
