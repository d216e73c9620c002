"""`nooble workers`: what can be typed about those who are at work. `crew` does it; nothing slow is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from nooble.cli import options as o
from nooble.cli.reporting import commands_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
command = commands_of(app)


Services = Annotated[
    list[str] | None,
    o.argument(metavar="SERVICE|TARGET", help="Names of services, or their code; all that are known if none is given."),
]
Service = Annotated[str, o.argument(metavar="SERVICE|TARGET", help="Name of the service, or its code.")]
Names = Annotated[
    list[str] | None,
    o.argument(metavar="WORKER", help="Names of workers, or a part that no other has, as `list` shows them."),
]
All = Annotated[bool, o.flag("--all", help="All workers of the service.")]
Yes = Annotated[bool, o.flag("--yes", help="Do not ask for confirmation.")]


@command("list")
def show_many(service: Services = None, redis_url: o.RedisUrl = None, json: o.Json = False) -> None:
    """Show who is at work: where, since when, at what, and when they last gave a sign of life."""
    from nooble.cli import crew as doing

    doing.show_many(service or [], redis_url, json)


@command("quiet")
def quiet(
    service: Service,
    worker: Names = None,
    all: All = False,
    yes: Yes = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Ask workers to take nothing new; what they have begun they finish. They stay, and `resume` lets them go on."""
    from nooble.cli import crew as doing

    return doing.steer(service, redis_url, "quiet", worker, all, yes, json)


@command("resume")
def resume(
    service: Service,
    worker: Names = None,
    all: All = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Ask quiet workers to take actions again."""
    from nooble.cli import crew as doing

    return doing.steer(service, redis_url, "resume", worker, all, True, json)


@command("stop")
def stop(
    service: Service,
    worker: Names = None,
    all: All = False,
    yes: Yes = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Ask workers to end, as SIGTERM does: they finish within their grace and hand back the rest.

    What has started them may start them again.
    """
    from nooble.cli import crew as doing

    return doing.steer(service, redis_url, "stop", worker, all, yes, json)
