"""What an action means: `@action` and the route it leaves, routers, middleware, and the way from an action to its handler.
Floor 3; knows nothing of the wire.

Where to look, in the order in which things happen:

| when | module | what |
|---|---|---|
| a function is decorated | `action`, `router` | takes it down, changes nothing; `typed` is what type checkers see of that |
| | `options`, `origin` | what may be said to a decorator; how mistakes are told: place, problem, mend |
| its class is made | `host`, `table` | the class with actions; which ones it has, by the rules of inheritance |
| | `binding` | decides all that can be decided before an action comes, and leaves a `route` |
| | `signature`, `annotations` | what a handler asks for; from an annotation to a type |
| | `checks`, `readers`, `shapes` | payload and result held against their types; from data to values; kinds of types |
| an action comes | `host`, `middleware`, `binding` | lookup, the layers, the call with what the handler asks for |
| it does not fit | `misfits` | every failing field by its path, and nothing that is sensitive |
"""

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
