"""From what is typed, `module`, `module:Class` or `module:factory`, to the services and workers that are meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from nooble.cli.failures import Failure, Misuse
from nooble.cli.importing import import_module, modules_below
from nooble.routing import Route
from nooble.routing.annotations import resolve
from nooble.routing.origin import did_you_mean
from nooble.services import BaseService
from nooble.workers import BaseWorker, ServiceWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What runs as one: a service in a worker, or a worker that brings its own service.

    Attributes:
        target: as one would type it: `pedidos:PedidosService`.
        make: the class of the service, or a function that makes it (or its worker); `None` if the worker brings its own.
        worker: the class of the worker.
    """

    target: str
    make: Callable[..., Any] | None = None
    worker: type[BaseWorker] = ServiceWorker

    @property
    def name(self) -> str:
        """What it is called in the code."""
        return getattr(self.make or self.worker, "__name__", self.target)

    @property
    def service_class(self) -> type[BaseService] | None:
        """The class of its service, as far as it is known before it is made."""
        made = self.make if isinstance(self.make, type) else annotation_of(self.make, "return")
        return made if isinstance(made, type) and issubclass(made, BaseService) else None

    @property
    def routes(self) -> tuple[Route, ...]:
        """What is declared of its actions, as far as it is known before it is made."""
        return self.service_class.routes if self.service_class else ()

    @property
    def is_open(self) -> bool:
        """Whether it may handle actions that are not declared: it has a catch-all, or a `process_action` of its own."""
        kind = self.service_class
        by_hand = kind is None or kind.process_action is not BaseService.process_action
        return by_hand or any(route.is_catch_all for route in self.routes)


def parts_of(targets: Iterable[str]) -> list[Part]:
    """The services and workers that *targets* name, each once.

    Raises:
        Misuse: a target names nothing.
        Failure: a module cannot be imported, or has nothing that could run.
    """
    found: dict[Any, Part] = {}
    for target in targets:
        for part in _parts(target):
            found.setdefault(part.make or part.worker, part)
    return list(found.values())


def annotation_of(function: Callable[..., Any] | None, name: str) -> Any:
    """The type that *function*, or the constructor of a class, annotates a parameter (or `return`) with; `None` if it
    has none, or one that only type checkers can see."""
    code: Any = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    annotation = getattr(code, "__annotations__", {}).get(name)
    try:
        return None if annotation is None else resolve(annotation, code)
    except Exception:
        return None


def _parts(target: str) -> list[Part]:
    name, colon, attribute = target.partition(":")
    module = import_module(name)
    return [_part_named(module, attribute, target)] if colon else _parts_in(module)


def _parts_in(module: ModuleType) -> list[Part]:
    """Every service and every worker that *module* defines; a service that has a worker there runs in it."""
    services, workers = defined_in(module, BaseService), defined_in(module, BaseWorker)
    parts = [
        Part(target=f"{module.__name__}:{worker.__name__}", make=_service_of(worker, services), worker=worker)
        for worker in workers
    ]
    worked = [part.make for part in parts]
    parts += [Part(target=f"{module.__name__}:{one.__name__}", make=one) for one in services if one not in worked]
    if not parts:
        raise Failure(f"{module.__name__} defines no service and no worker; {_where_they_are(module)}")
    return parts


def _part_named(module: ModuleType, attribute: str, target: str) -> Part:
    named = _attribute(module, attribute)
    if _is_class(named, BaseWorker):
        return Part(target=target, make=_service_of(named, defined_in(module, BaseService)), worker=named)
    if _is_class(named, BaseService):
        workers = (one for one in defined_in(module, BaseWorker) if _service_of(one, [named]) is named)
        return Part(target=target, make=named, worker=next(workers, ServiceWorker))
    if callable(named) and not isinstance(named, type):
        return Part(target=target, make=named)
    what = f"the class {named.__name__}" if isinstance(named, type) else f"of type {type(named).__name__}"
    raise Misuse(f"{target} is {what}; name a service, a worker, or a function that makes one")


def defined_in(module: ModuleType, base: type[Any]) -> list[type[Any]]:
    """The subclasses of *base* that *module*, or a module below it, defines: not those that it imports from elsewhere,
    nor those that serve the others as a base."""
    own = dict.fromkeys(
        value
        for name, value in vars(module).items()
        if _is_class(value, base) and not name.startswith("_") and not inspect.isabstract(value)
        if f"{value.__module__}.".startswith(f"{module.__name__}.")
    )
    return [one for one in own if not any(other is not one and issubclass(other, one) for other in own)]


def _service_of(worker: type[BaseWorker], services: list[type[BaseService]]) -> type[BaseService] | None:
    """The service that *worker* is for: the one that its constructor names, or the only one of its module."""
    named = annotation_of(worker, "service_instance")
    if _is_class(named, BaseService) and named is not BaseService:
        chosen: type[BaseService] = named
        return chosen
    asks = "service_instance" in inspect.signature(worker).parameters
    return services[0] if asks and len(services) == 1 else None


def _attribute(module: ModuleType, path: str) -> Any:
    value: Any = module
    try:
        for name in path.split("."):
            value = getattr(value, name)
    except AttributeError:
        defined = [one.__name__ for base in (BaseService, BaseWorker) for one in defined_in(module, base)]
        functions = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        known = f"it defines {', '.join(defined)}" if defined else "it defines no service and no worker"
        raise Misuse(
            f"{module.__name__} has no {path!r}; {did_you_mean(path, [*defined, *functions], known)}"
        ) from None
    return value


def _where_they_are(module: ModuleType) -> str:
    for name, value in vars(module).items():
        if (_is_class(value, BaseService) or _is_class(value, BaseWorker)) and not value.__module__.startswith(
            "nooble."
        ):
            return f"it imports {name}: name {value.__module__}:{name}"
    below = [name for name, path in modules_below(module) if "BaseService" in path.read_text(errors="replace")]
    if below:
        return f"name what does: {', '.join(below[:5])}"
    return "a service is a class that inherits from BaseService"


def _is_class(value: Any, base: type[Any]) -> bool:
    return isinstance(value, type) and issubclass(value, base)
