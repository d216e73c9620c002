"""A class with actions: it gathers them when it is made, and runs the one that an action asks for."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import closing
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from nooble.errors import UnknownAction
from nooble.models import ActionContext, DomainAction
from nooble.models.action_types import MAX_ACTION_TYPE
from nooble.models.context import at_work, find_context
from nooble.models.envelope import Message
from nooble.retry import Retry
from nooble.routing.action import Action
from nooble.routing.middleware import Call, Middleware, chain
from nooble.routing.origin import Origin, did_you_mean, plain_name
from nooble.routing.route import CATCH_ALL, Route
from nooble.routing.router import ActionRouter
from nooble.routing.table import Actions, actions_of, joined


class _Routes:
    """`routes` of a class and of an instance."""

    def __get__(self, instance: ActionHost | None, owner: type[ActionHost]) -> tuple[Route, ...]:
        return tuple(declared.route for declared in (instance or owner)._declared.values())


class ActionHost:
    """Base of classes whose methods are actions.

    Attributes:
        routers: routers whose functions belong to the class, besides those of its base classes.
        middleware: runs around every action, the first outermost.
        retry: the policy of actions whose route has none; `None` leaves it to the settings.
        timeout: seconds for actions whose route has none, 0 for no limit; `None` leaves it to the settings.
        routes: every declared action, inherited ones first; on the class and on an instance.

    Raises:
        DeclarationError: when a subclass is made, if a declaration in it cannot work.
    """

    routers: ClassVar[Sequence[ActionRouter]] = ()
    middleware: Sequence[Middleware] = ()
    retry: Retry | None = None
    timeout: float | None = None
    routes = _Routes()

    _declared: Actions = MappingProxyType({})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._declared = actions_of(cls)

    @classmethod
    def find_action(cls, name: str) -> Action[Any, Any, Any]:
        """The action that the class names *name*.

        Raises:
            AttributeError: there is none; the message lists what there is.
        """
        found = inspect.getattr_static(cls, name, None)
        if isinstance(found, Action):
            return found
        names = cls.action_names()
        hint = did_you_mean(name, names, f"its actions: {', '.join(names) or 'none'}")
        raise AttributeError(f"{name!r} is no action of {plain_name(cls)}; {hint}")

    @classmethod
    def action_names(cls) -> list[str]:
        """The names of the methods that are actions."""
        return [name for name in dir(cls) if isinstance(inspect.getattr_static(cls, name), Action)]

    def include(self, router: ActionRouter) -> None:
        """Add the functions of *router* to this instance.

        Raises:
            DeclarationError: one of them cannot work here, or handles an action that another handler has.
        """
        if not isinstance(router, ActionRouter):
            here = Origin.here(plain_name(type(self)))  # type: ignore[unreachable]  # not by who checks types
            raise here.error(f"include({router!r}) cannot be meant", "give it an ActionRouter")
        self._declared = joined(self._declared, router.include_in(type(self)), type(self))

    def find_route(self, action_type: str) -> Route | None:
        """The route of the handler that gets actions of *action_type*: its own, or the catch-all's."""
        declared = self._declared.get(action_type) or self._declared.get(CATCH_ALL)
        return None if declared is None else declared.route

    async def process_action(self, action: DomainAction) -> Any:
        """Run the handler that is declared for *action*.

        Subclasses may override it and call this one for what they do not handle themselves. A handler may call it to run
        another action as a part of its own: what both send joins one commit.

        Returns:
            The result of the handler.

        Raises:
            UnknownAction: no handler is declared for its type, and there is no catch-all.
            InvalidPayload: its data do not fit the declared model.
            InvalidResponse: the handler returned what it does not declare.
        """
        context = find_context()
        if context is None or not context.is_open:
            context = self.local_context(action)
            with at_work(context):
                return await self._dispatch(action, context)
        if context.action is action or context.action.action_id == action.action_id:
            return await self._dispatch(action, context)
        with closing(context.nested(action)) as part:
            return await self._dispatch(action, part)

    @property
    def straight_call(self) -> Call | None:
        """What `process_action` comes to for an action whose context is known; `None` if a class or an instance has a
        `process_action` of its own."""
        is_ours = type(self).process_action is ActionHost.process_action and "process_action" not in vars(self)
        return self._dispatch if is_ours else None

    def local_context(self, action: DomainAction) -> ActionContext:
        """A context for *action* where no worker has made one."""
        return ActionContext(action)

    @cached_property
    def _dispatch(self) -> Call:
        calls = _Calls(self)

        def dispatch(action: Message, context: ActionContext) -> Awaitable[Any]:
            return calls[action.action_type](action, context)

        return chain(self.middleware, dispatch)


class _Calls(dict[str, Call]):
    """The calls of one instance by action type, each bound when it is first needed."""

    def __init__(self, service: ActionHost) -> None:
        self._service = service

    def __missing__(self, action_type: str) -> Call:
        declared = self._service._declared
        if action_type in declared:
            call = self[action_type] = declared[action_type].bind(self._service)
            return call
        if CATCH_ALL in declared:
            return self[CATCH_ALL]
        raise _unknown(action_type, self._service)


def _unknown(action_type: str, service: ActionHost) -> UnknownAction:
    shown = action_type[:MAX_ACTION_TYPE]
    close = difflib.get_close_matches(shown, _candidates(shown, service._declared), cutoff=0.8)
    hint = (
        f"did you mean {' or '.join(close)}?" if close else f"none of its {len(service._declared)} actions is like it"
    )
    return UnknownAction(
        f"{plain_name(type(service))} has no action {shown!r}; {hint}",
        details={"action_type": shown, "close_matches": close},
    )


def _candidates(action_type: str, known: Iterable[str]) -> list[str]:
    """The action types worth comparing. Comparing is slow and the name comes from outside, so there are few."""
    entity, _, verb = action_type.rpartition(".")
    every = list(known)
    if len(every) > _MOST_CANDIDATES:
        every = [one for one in every if one.startswith(f"{entity}.") or one.endswith(f".{verb}")]
    return every[:_MOST_CANDIDATES]


_MOST_CANDIDATES = 50
