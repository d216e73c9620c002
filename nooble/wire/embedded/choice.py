"""Which server, and why: the nearest word wins. It decides among what it is handed; it reads and asks nothing."""

from __future__ import annotations

from typing import NamedTuple

from nooble.config import CommonAppSettings
from nooble.wire.embedded.live import LiveServer


class Choice(NamedTuple):
    """An address, and what it was chosen for; both for people to read."""

    url: str
    reason: str


def choose_server(
    *,
    option: str | None = None,
    variable: str | None = None,
    dotenv: str | None = None,
    project: str | None = None,
    live: LiveServer | None = None,
) -> Choice:
    """The server to use, of those that are named. An empty name counts as none.

    Args:
        option: `--redis-url` of the command line.
        variable: the environment variable `REDIS_URL`.
        dotenv: `REDIS_URL` in the file `.env`, which the settings read too.
        project: `redis_url` in `[tool.nooble]` of `pyproject.toml`.
        live: the embedded server of this directory, as `find()` returns it; not to be handed in for production.
    """
    named = (
        (option, "the option --redis-url"),
        (variable, "the environment variable REDIS_URL"),
        (dotenv, "REDIS_URL in the file .env"),
        (project, "redis_url in [tool.nooble] of pyproject.toml"),
        (live and live.url, f"the embedded server of this directory ({live})"),
    )
    by_default = (
        CommonAppSettings.model_fields["redis_url"].default,
        "the default: nothing names a server, and no embedded server runs in this directory",
    )
    return next((Choice(url, reason) for url, reason in named if url), Choice(*by_default))
