"""`nooble retry`: what can be typed about actions that wait for their next attempt. `retry_set` does it; nothing slow is
imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from nooble.cli import options as o
from nooble.cli.reporting import commands_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
command = commands_of(app)


Service = Annotated[str, o.argument(metavar="SERVICE|TARGET", help="Name of the service, or its code.")]
Ids = Annotated[list[str] | None, o.argument(metavar="ID", help="Ids of retries, as `list` shows them.")]
All = Annotated[bool, o.flag("--all", help="All that there are now.")]
Yes = Annotated[bool, o.flag("--yes", help="Do not ask for confirmation.")]


@command("list")
def show_many(
    service: Service,
    limit: Annotated[int, o.option("--limit", min=1, metavar="N", help="Most retries that are shown.")] = 50,
    cursor: Annotated[
        str | None, o.option("--cursor", metavar="CURSOR", help="Go on where the page before has ended.")
    ] = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> None:
    """Show what waits for its next attempt: when it is due, what, and how often it has failed."""
    from nooble.cli import retry_set as doing
    from nooble.cli.named import settings_named

    doing.show_many(settings_named(service, redis_url), limit, cursor, json)


@command("now")
def run_now(
    service: Service,
    retries: Ids = None,
    all: All = False,
    yes: Yes = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Let them run at once, not when they are due. They keep their attempts and their deadline."""
    from nooble.cli import retry_set as doing
    from nooble.cli.named import settings_named

    return doing.run_now(settings_named(service, redis_url), doing.wanted(retries, all), yes, json)


@command("cancel")
def cancel(
    service: Service,
    retries: Ids = None,
    all: All = False,
    reason: Annotated[
        str, o.option("--reason", metavar="TEXT", help="Why; who waits for an answer is told, and the letter says it.")
    ] = "",
    yes: Yes = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Give them up: they become dead letters with the reason CANCELLED, and can be replayed.

    A caller that waits for an answer is told.
    """
    from nooble.cli import retry_set as doing
    from nooble.cli.named import settings_named

    return doing.cancel(settings_named(service, redis_url), doing.wanted(retries, all), reason, yes, json)
