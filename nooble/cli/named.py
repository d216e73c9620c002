"""One service by one name: what the commands mean that look at a service from outside, or change what is in its keys."""

from __future__ import annotations

from pathlib import Path

from nooble.cli.failures import Misuse
from nooble.cli.importing import is_module_name
from nooble.cli.planning import plans_for
from nooble.cli.servers import Wish, located
from nooble.cli.settings import make_settings
from nooble.cli.targets import parts_of
from nooble.config import CommonAppSettings


def settings_named(name: str, wish: Wish | None) -> CommonAppSettings:
    """The settings of the service *name*, or of the one service of a target.

    Raises:
        Misuse: the target has several services.
    """
    if ":" in name or _is_module_here(name):
        plans = plans_for(parts_of([name]), wish=wish)
        if len(plans) > 1:
            raise Misuse(f"{name} has several services: {', '.join(plan.service_name for plan in plans)}; name one")
        return plans[0].settings
    return located(lambda said: make_settings(CommonAppSettings, {"service_name": name, **said}, name), {}, wish)[0]


def _is_module_here(name: str) -> bool:
    path = Path(*name.split("."))
    return is_module_name(name) and (path.with_suffix(".py").exists() or (path / "__init__.py").exists())
