"""`embedded://` as a `redis_url`: it asks for the embedded server, which must be there before it has a real address."""

from __future__ import annotations

from urllib.parse import unquote

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault
from nooble.wire.embedded.server import EmbeddedServer

SCHEME = "embedded://"
PRODUCTION = {"production", "prod"}
"""Environments that an embedded server is refused in."""


def is_embedded(url: str) -> bool:
    """Whether *url* asks for an embedded server."""
    return url.startswith(SCHEME)


def resolve_url(settings: CommonAppSettings) -> str:
    """The address that `redis_url` stands for. `embedded://` starts or joins the server of `.nooble` below the working
    directory, `embedded:///path` the one of another directory; what is started ends with this process. Blocks.

    Raises:
        ConfigurationFault: an embedded server in production.
        EmbeddedServerFault: it cannot be started.
    """
    if not is_embedded(settings.redis_url):
        return settings.redis_url
    if settings.environment.lower() in PRODUCTION:
        raise ConfigurationFault(
            f"redis_url is {settings.redis_url}, and the environment is {settings.environment}: an embedded server ends "
            f"with the process that started it; name a server that outlives it, e.g. REDIS_URL=redis://host:6379/0"
        )
    return EmbeddedServer(unquote(settings.redis_url.removeprefix(SCHEME))).start().url
