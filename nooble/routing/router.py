"""Actions in modules of their own: a router collects functions, a service includes the router."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Unpack

from nooble.models.action_types import is_action_type
from nooble.retry import Retry
from nooble.routing.action import ActionFunction, Declared, two_handlers
from nooble.routing.middleware import Middleware
from nooble.routing.options import Options, checked, expect
from nooble.routing.origin import Origin, plain_name
from nooble.routing.route import Route
from nooble.routing.typed import FunctionDecorator


class ActionRouter:
    """Collects functions that are actions, for a service to include.

    A function has no self. Like a method it takes its payload first; the service instance comes, like action and
    context, to a parameter annotated with its class.

    Args:
        prefix: beginning of every action type, e.g. `"pedidos.consulta"`; written once instead of on each action.
        retry: the policy of actions that have none of their own.
        timeout: seconds for actions that do not say, 0 for no limit.
        tags: given to every action.
        middleware: runs around every action of this router, inside that of the service.

    Raises:
        DeclarationError: an argument cannot be meant.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        retry: Retry | None = None,
        timeout: float | None = None,
        tags: Sequence[str] = (),
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self.origin = Origin.here(f"ActionRouter({prefix!r})")
        if not isinstance(prefix, str) or (prefix and not is_action_type(f"{prefix}.x")):
            raise self.origin.error(
                f"{prefix!r} cannot begin an action type", "write segments of a-z, 0-9, '_' and '-' joined by dots"
            )
        self.prefix = prefix
        self._defaults: dict[str, Any] = {"retry": retry, "timeout": timeout, "tags": tags}
        for option, value in {**self._defaults, "middleware": middleware}.items():
            expect(option, value, self.origin)
        self._middleware = tuple(middleware)
        self._actions: dict[str, ActionFunction[Any, Any, Any, Any]] = {}
        self._included_in: type | None = None

    def action(self, name: str, **options: Unpack[Options]) -> FunctionDecorator:
        """Declare a function as the handler of an action.

        Args:
            name: the action type after the prefix: with the prefix `"pedidos.pedido"` the name `"crear"` is the action
                `pedidos.pedido.crear`. `"*"`, in a router without prefix, takes every action that no other handler is
                declared for.
            options: see `Options`; they win over those of the router.

        Raises:
            DeclarationError: at once or when a service includes the router, if the declaration cannot work.
        """
        if callable(name):
            raise Origin.of(name).error("@router.action without parentheses", 'write @router.action("verb")')

        def declare(function: Callable[..., Any]) -> ActionFunction[Any, Any, Any, Any]:
            own = checked(options, Origin.of(function))
            return self._add(ActionFunction(function, self._full(name), self._nearest(own), self._middleware))

        return declare

    def include_in(self, service: type) -> Iterable[Declared[Any, Any]]:
        """The actions, for *service*. From now on the router is complete: what was added later would be lost.

        Args:
            service: the class that includes the router.
        """
        self._included_in = self._included_in or service
        return self._actions.values()

    @property
    def routes(self) -> tuple[Route, ...]:
        """What was declared, in order.

        Raises:
            DeclarationError: a declaration cannot work.
        """
        return tuple(declared.route for declared in self._actions.values())

    def _full(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix and isinstance(name, str) else name

    def _nearest(self, own: dict[str, Any]) -> dict[str, Any]:
        """The options of an action, completed by those of the router where they are silent."""
        spoken = {name: value for name, value in own.items() if name not in self._defaults or value is not None}
        return self._defaults | spoken | {"tags": [*self._defaults["tags"], *own.get("tags", ())]}

    def _add(self, declared: ActionFunction[Any, Any, Any, Any]) -> ActionFunction[Any, Any, Any, Any]:
        if self._included_in is not None:
            raise declared.origin.error(
                f"is added to a router that {plain_name(self._included_in)} has already included",
                "import this module before the class that includes its router",
            )
        earlier = self._actions.setdefault(declared.action_type, declared)
        if earlier is not declared:
            raise two_handlers(declared, earlier)
        return declared

    def __repr__(self) -> str:
        return f"<ActionRouter {self.prefix or '(no prefix)'}: {len(self._actions)} actions>"
