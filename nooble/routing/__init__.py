"""What an action means: `@action` and the route it leaves, routers, middleware, and the way from an action to its handler.
Floor 3; knows nothing of the wire."""

from nooble.routing.action import Action, ActionFunction, Declared, action
from nooble.routing.host import ActionHost
from nooble.routing.middleware import Middleware, Next, chain
from nooble.routing.options import Options
from nooble.routing.route import CATCH_ALL, Route
from nooble.routing.router import ActionRouter

__all__ = [
    "CATCH_ALL",
    "Action",
    "ActionFunction",
    "ActionHost",
    "ActionRouter",
    "Declared",
    "Middleware",
    "Next",
    "Options",
    "Route",
    "action",
    "chain",
]
