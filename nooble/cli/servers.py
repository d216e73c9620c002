"""Which server a command talks to, and why: what is said on the command line, in the environment, in `.env`, in the project
file or by the code of the service; then the embedded server of this directory; then localhost."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nooble.cli.failures import Failure, Misuse

if TYPE_CHECKING:
    from nooble.config import CommonAppSettings
    from nooble.wire.embedded import Choice


@dataclass(frozen=True, slots=True)
class Wish:
    """A server that was asked for by `--redis-url`, or by what stands for it.

    Attributes:
        url: its address.
        source: where that was said: `COMMANDLINE`, `ENVIRONMENT` (`NOOBLE_REDIS_URL`), `DEFAULT_MAP` (`[tool.nooble]`), or
            `DEFAULT`, by the command itself, for when nobody says anything.
    """

    url: str
    source: str = "COMMANDLINE"


def located(
    make: Callable[[dict[str, Any]], CommonAppSettings], options: dict[str, Any], wish: Wish | None = None
) -> tuple[CommonAppSettings, Choice]:
    """Settings that lead to the right server, and why it is that one. An embedded one is started or joined.

    Args:
        make: makes settings, given those that were said on the command line.
        options: those, but for the server.
        wish: the server that was asked for.

    Raises:
        Failure: the settings are wrong.
        Misuse: what was asked for is no address.
        ConfigurationFault: an embedded server in production.
        EmbeddedServerFault: it cannot be started.
    """
    from nooble.wire.embedded import find, is_embedded, resolve_url

    settings = make(options)
    choice = choose(settings, wish)
    try:
        settings = make({**options, "redis_url": choice.url})
    except Failure as error:  # of all that is in them, only this is new
        raise Misuse(f"{choice.reason} does not name a server: {error}") from error
    embedded = resolve_url(settings) if is_embedded(choice.url) else None
    if embedded is None and settings.redis_password is not None and (live := find()) and live.url == choice.url:
        embedded = live.url
    if embedded is not None:  # a password is another server's: this one has none, and would refuse it
        settings = settings.model_copy(update={"redis_url": embedded, "redis_password": None})
    return settings, choice


def choose(settings: CommonAppSettings, wish: Wish | None = None) -> Choice:
    """The server for a service with *settings*, which were made without *wish*."""
    from nooble.config import CommonAppSettings
    from nooble.wire.embedded import Choice, choose_server, find
    from nooble.wire.embedded.url import PRODUCTION

    said = {wish.source: wish.url} if wish else {}
    if "ENVIRONMENT" in said:
        return Choice(said["ENVIRONMENT"], "the environment variable NOOBLE_REDIS_URL")
    own = settings.redis_url if "redis_url" in settings.model_fields_set else None
    exported = f"{settings.model_config.get('env_prefix') or ''}redis_url".upper() in map(str.upper, os.environ)
    option, project = said.get("COMMANDLINE"), said.get("DEFAULT_MAP")
    if option or own or project:
        variable, dotenv = (own, None) if exported else (None, own)
        return choose_server(option=option, variable=variable, dotenv=dotenv, project=project)
    if "DEFAULT" in said:
        return Choice(said["DEFAULT"], "an embedded server of this directory")
    if settings.redis_url != CommonAppSettings.model_fields["redis_url"].default:
        return Choice(settings.redis_url, f"the default of {type(settings).__name__}")
    return choose_server(live=None if settings.environment.lower() in PRODUCTION else find())
