"""From parts to what will run: each with its settings, and with what its constructor is given. Nothing is connected here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nooble.cli.failures import Failure, Misuse
from nooble.cli.servers import Wish, located
from nooble.cli.settings import WrongSettings, make_settings
from nooble.cli.targets import Part, annotation_of
from nooble.config import CommonAppSettings
from nooble.routing.origin import did_you_mean
from nooble.wire.embedded import Choice

SERVICE_GIFTS = ("app_settings", "service_redis_client", "direct_redis_conn")
"""What the constructor of a service can ask for (standard §3)."""
WORKER_GIFTS = ("app_settings", "async_redis_conn", "service_instance")
"""What the constructor of a worker can ask for (standard §2.1)."""
FACTORY_GIFTS = (*SERVICE_GIFTS, "async_redis_conn")
"""What a function that makes a service, or its worker, can ask for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A part, the settings that it will run with, and why they name the server that they name."""

    part: Part
    settings: CommonAppSettings
    server: Choice

    @property
    def service_name(self) -> str:
        """The name of its service on the wire."""
        return self.settings.service_name


def plans_for(
    parts: Iterable[Part],
    selected: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    wish: Wish | None = None,
) -> list[Plan]:
    """The parts that were selected, with their settings.

    Args:
        parts: what the targets name.
        selected: names of services, on the wire or in the code; none selects all.
        options: settings that were given on the command line; they win over all others.
        wish: the server that was asked for.

    Raises:
        Misuse: a selected service is not among them.
        Failure: settings are missing or wrong, a constructor asks for what is not there, two services have one name.
        EmbeddedServerFault: the settings ask for an embedded server, which cannot be started.
    """
    plans = []
    for part in chosen(list(parts), list(selected)):
        refuse_unknown_gifts(part)
        plans.append(Plan(part, *located(partial(settings_of, part), dict(options or {}), wish)))
    _refuse_two_of_one_name(plans)
    return plans


# ── settings ──
def settings_class_of(part: Part) -> type[CommonAppSettings]:
    """The annotation of the parameter `app_settings`, of the service or of the worker, whichever says more."""
    found = CommonAppSettings
    for declared in (annotation_of(part.worker, "app_settings"), annotation_of(part.make, "app_settings")):
        if isinstance(declared, type) and issubclass(declared, found):
            found = declared
    return found


def settings_of(part: Part, options: Mapping[str, Any]) -> CommonAppSettings:
    """The settings of *part*, from *options*, the environment, `.env` and their defaults. Without a `service_name` it is
    called by the first segment that its actions share.

    Raises:
        WrongSettings: something is missing or wrong.
    """
    kind = settings_class_of(part)
    segments = sorted({route.action_type.partition(".")[0] for route in part.routes if not route.is_catch_all})
    try:
        return make_settings(kind, options, part.name)
    except WrongSettings as error:
        if not error.nameless:
            raise
        if len(segments) != 1:
            why = f"begin with different words ({', '.join(segments)})" if segments else "are not declared by @action"
            raise WrongSettings(f"{error}\nIts actions {why}, so that they cannot name the service.") from error
    return make_settings(kind, {"service_name": segments[0], **options}, part.name)


# ── selection ──
def chosen(parts: list[Part], wanted: list[str]) -> list[Part]:
    """Those of *parts* that are *wanted*, by their names in the code or on the wire; all of them if none is.

    Raises:
        Misuse: there is no such service.
    """
    if not wanted:
        return parts
    names = {part: {part.name, name_on_the_wire(part)} for part in parts}
    known = sorted(name for every in names.values() for name in every)
    for name in wanted:
        if name not in known:
            raise Misuse(
                f"no service {name!r} in the target; {did_you_mean(name, known, 'it has ' + ', '.join(known))}"
            )
    return [part for part in parts if names[part].intersection(wanted)]


def name_on_the_wire(part: Part) -> str:
    """What the service of *part* is called by others; its name in the code, if its settings cannot be made here."""
    try:
        return settings_of(part, {}).service_name
    except WrongSettings:
        return part.name


def _refuse_two_of_one_name(plans: list[Plan]) -> None:
    by_name: dict[str, Plan] = {}
    for plan in plans:
        other = by_name.setdefault(plan.service_name, plan)
        if other is not plan:
            raise Failure(
                f"{other.part.name} and {plan.part.name} are both called {plan.service_name!r} and would take each other's "
                "actions; if SERVICE_NAME is set, unset it, or run one of them with --service"
            )


# ── what constructors are given ──
def refuse_unknown_gifts(part: Part) -> None:
    """Find out before anything is made whether it can be made.

    Raises:
        Failure: a parameter without a default asks for what nooble does not have; says how to make it by hand.
    """
    if part.make is None or isinstance(part.make, type):
        gifts_for(part.worker, part)
    if part.make is None or "app_settings" in gifts_for(part.make, part) or isinstance(part.make, type):
        return
    raise Failure(
        f"{part.target} takes no app_settings, so that no setting could reach its service; "
        f"write def {part.name}(app_settings: …)"
    )


def gifts_for(function: Callable[..., Any], part: Part) -> list[str]:
    """What *function*, which makes the service or the worker of *part*, asks for by name.

    Raises:
        Failure: it asks for something else, too.
    """
    known = WORKER_GIFTS if function is part.worker else SERVICE_GIFTS if isinstance(function, type) else FACTORY_GIFTS
    parameters = inspect.signature(function).parameters.values()
    missing = [one.name for one in parameters if _is_required(one) and one.name not in known]
    if missing:
        raise Failure(_missing(function, missing, known, part))
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    return [name for name in known if takes_all or any(one.name == name for one in parameters)]


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def _missing(function: Callable[..., Any], missing: list[str], known: Sequence[str], part: Part) -> str:
    asked = ", ".join(missing)
    told = f"{part.target} asks for {asked}, which nooble does not have; it gives {', '.join(known)}"
    if not isinstance(function, type):
        return told
    module, name = part.target.partition(":")[0], function.__name__
    given = "app_settings, async_redis_conn" if function is part.worker else "app_settings"
    return (
        f"{told}. Make it in a function, and name that: {module}:make\n"
        f"    def make({given.replace('app_settings', f'app_settings: {settings_class_of(part).__name__}')}) -> {name}:\n"
        f"        return {name}({given}, {', '.join(f'{one}=…' for one in missing)})"
    )
