"""What can be typed to look at a running system, and to change it. Nothing slow is imported here."""

from __future__ import annotations

from typing import Annotated

from nooble.cli import options as o

Services = Annotated[
    list[str] | None,
    o.argument(metavar="SERVICE|TARGET", help="Names of services, or their code; all that are known if none is given."),
]
Service = Annotated[str, o.argument(metavar="SERVICE|TARGET", help="Name of the service, or its code.")]
OnlyIn = Annotated[
    list[str] | None,
    o.option("--service", metavar="NAME", help="Look in this service only, and further; can be repeated."),
]

Reveal = Annotated[
    bool,
    o.flag(
        "--reveal", help="Show secrets, too: fields that are declared as sensitive, or called password and the like."
    ),
]


def status(service: Services = None, redis_url: o.RedisUrl = None, json: o.Json = False) -> int:
    """Show how services stand: what waits, is at work, is retried or dead, who works, and what needs somebody.

    Named services are shown with their workers, what they have held longest, and why their letters are dead.
    """
    from nooble.cli.status import status as body

    return body(service or [], redis_url, json)


def top(
    service: Services = None,
    interval: Annotated[
        float, o.option("--interval", "-i", min=0.1, metavar="SECONDS", help="Time between two readings.")
    ] = 2.0,
    count: Annotated[
        int | None, o.option("--count", "-n", min=1, metavar="N", help="End after so many readings.")
    ] = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Watch services: the same as status, again and again, with how fast they are.

    On a terminal q or Ctrl-C ends it. Elsewhere every reading is a table of its own, with --json a line.
    """
    from nooble.cli.top import top as body

    return body(service or [], redis_url, interval=interval, count=count, json=json)


def tail(
    service: Services = None,
    action: Annotated[
        str, o.option("--action", metavar="TYPE", help="Only actions of this type; * stands for anything.")
    ] = "",
    payload: Annotated[bool, o.flag("--payload", help="Show what they carry, too.")] = False,
    reveal: Reveal = False,
    limit: Annotated[
        int | None, o.option("--limit", "-n", min=1, metavar="N", help="End after so many actions.")
    ] = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Show actions as they are written, and what is buried, until Ctrl-C.

    It takes nothing from workers. What is done leaves the server at once, so under load some are gone before they are seen.
    """
    from nooble.cli.messages import tail as body

    return body(service or [], redis_url, action=action, payload=payload, reveal=reveal, limit=limit, json=json)


def inspect(
    identifier: Annotated[
        str,
        o.argument(metavar="ID", help="Id of an entry, a dead letter, an action, a correlation, a trace or a task."),
    ],
    service: OnlyIn = None,
    full: Annotated[bool, o.flag("--full", help="Show a long payload whole.")] = False,
    reveal: Reveal = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Show an action: where it is, who holds it, how often it was tried, what it carries, and its conversation."""
    from nooble.cli.messages import inspect as body

    return body(identifier, service or [], redis_url, json=json, full=full, reveal=reveal)


def purge(
    service: Service,
    waiting: Annotated[
        bool, o.flag("--waiting/--no-waiting", help="Delete what waits in the stream, or leave it.")
    ] = True,
    retries: Annotated[bool, o.flag("--retries", help="Delete what waits for its next attempt, too.")] = False,
    dead: Annotated[bool, o.flag("--dead", help="Delete its dead letters, too.")] = False,
    answers: Annotated[bool, o.flag("--answers", help="Delete answers that are on their way to it, too.")] = False,
    yes: Annotated[bool, o.flag("--yes", help="Do not ask for confirmation.")] = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Delete what waits in a service, for good. What is at work stays.

    Nobody is told: callers wait until their time is over.
    """
    from nooble.cli.named import settings_named
    from nooble.cli.purging import purge_service

    settings = settings_named(service, redis_url)
    return purge_service(
        settings, waiting=waiting, retries=retries, dead=dead, answers=answers, confirmed=yes, json=json
    )


def health(
    service: Services = None,
    timeout: Annotated[
        float, o.option("--timeout", min=0.1, metavar="SECONDS", help="How long the server may take.")
    ] = 5.0,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Tell probes whether the server can be reached and every named service has a worker that takes actions.

    Code 0 if so, 1 if not, 69 if the server cannot be reached.
    """
    from nooble.cli.health import health as body

    return body(service or [], redis_url, timeout, json)


COMMANDS = (status, top, tail, inspect, purge, health)
