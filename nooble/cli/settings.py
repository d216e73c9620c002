"""Settings for a command: those of a service, or those of the command itself. What is missing or wrong is told by the name
of the setting, and of the variable that sets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from nooble.cli.failures import Failure
from nooble.cli.servers import Wish, located
from nooble.config import CommonAppSettings
from nooble.wire.embedded import Choice

Settings = TypeVar("Settings", bound=CommonAppSettings)

OWN_NAME = "nooble-cli"
"""The service that the command line calls others as."""


class WrongSettings(Failure):
    """Settings cannot be made.

    Attributes:
        nameless: whether the name of the service is among what is missing.
    """

    def __init__(self, message: str, *, nameless: bool = False) -> None:
        super().__init__(message)
        self.nameless = nameless


def make_settings(kind: type[Settings], values: Mapping[str, Any], owner: str) -> Settings:
    """Settings from *values*, the environment, `.env` and their defaults.

    Args:
        kind: their class.
        values: what was said on the command line; wins over all others.
        owner: what they are for, in the message.

    Raises:
        WrongSettings: something is missing or wrong.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        lines = [f"the settings of {owner} ({kind.__name__}) cannot be used:", *_problems(kind, error)]
        nameless = any(one["type"] == "missing" and one["loc"] == ("service_name",) for one in error.errors())
        raise WrongSettings("\n".join(lines), nameless=nameless) from error
    except ValueError as error:  # of the environment or of `.env`: not even to be read
        raise WrongSettings(f"the settings of {owner} cannot be read: {error}") from error


def own_settings(wish: Wish | None) -> tuple[CommonAppSettings, Choice]:
    """The settings of the command line itself, which lead to the server that it talks to, and why it is that one.

    Raises:
        WrongSettings: something in the environment or in `.env` is wrong.
    """
    return located(
        lambda said: make_settings(CommonAppSettings, {"service_name": OWN_NAME, **said}, "this command"), {}, wish
    )


def _problems(kind: type[CommonAppSettings], error: ValidationError) -> list[str]:
    prefix = kind.model_config.get("env_prefix") or ""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        setting = ".".join(map(str, problem["loc"])) or "together"
        if problem["type"] == "missing":
            lines.append(f"  {setting} is missing: set {prefix.upper()}{setting.upper()}, or give it a default")
        else:
            lines.append(f"  {setting}: {problem['msg'].removeprefix('Value error, ')}")
    return lines
