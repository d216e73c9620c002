"""`nooble dead`: what can be typed about dead letters. `dead_letters` does it; nothing slow is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from nooble.cli import options as o
from nooble.cli.reporting import commands_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
command = commands_of(app)


Service = Annotated[str, o.argument(metavar="SERVICE|TARGET", help="Name of the service, or its code.")]
Id = Annotated[str, o.argument(metavar="ID", help="Id of the letter, as `list` shows it.")]
Ids = Annotated[list[str] | None, o.argument(metavar="ID", help="Ids of letters, as `list` shows them.")]
All = Annotated[bool, o.flag("--all", help="All letters that there are now, or those that the other options mean.")]
Reasons = Annotated[
    list[str] | None, o.option("--reason", metavar="CODE", help="Only letters with this reason; can be repeated.")
]
Action = Annotated[
    str | None, o.option("--action", metavar="TYPE", help="Only actions of this type; * stands for anything.")
]
Since = Annotated[
    str | None,
    o.option(
        "--since", metavar="WHEN", help="Only those buried since 90s, 15m, 2h or 7d ago, or since a date and time."
    ),
]
Until = Annotated[str | None, o.option("--until", metavar="WHEN", help="Only those buried until then.")]
Text = Annotated[str | None, o.option("--text", metavar="TEXT", help="Only those whose error contains this.")]
Yes = Annotated[bool, o.flag("--yes", help="Do not ask for confirmation.")]


@command("list")
def show_many(
    service: Service,
    reason: Reasons = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    limit: Annotated[int, o.option("--limit", min=1, metavar="N", help="Most letters that are shown.")] = 50,
    oldest: Annotated[bool, o.flag("--oldest", help="The oldest first, not the newest.")] = False,
    cursor: Annotated[
        str | None, o.option("--cursor", metavar="ID", help="Go on after this letter, the last that was looked at.")
    ] = None,
    count: Annotated[bool, o.flag("--count", help="Show how many there are of each reason instead.")] = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> None:
    """Show what could not be done: when, what, and why."""
    from nooble.cli import dead_letters as doing
    from nooble.cli.named import settings_named

    settings, which = settings_named(service, redis_url), doing.which(reason, action, since, until, text)
    if count:
        doing.show_counts(settings, which, json)
    else:
        doing.show_many(settings, which, limit, oldest, cursor, json)


@command("show")
def show_one(service: Service, letter: Id, redis_url: o.RedisUrl = None, json: o.Json = False) -> None:
    """Show all that is known of one letter: its payload and the traceback too."""
    from nooble.cli import dead_letters as doing
    from nooble.cli.named import settings_named

    doing.show_one(settings_named(service, redis_url), letter, json)


@command("replay")
def replay(
    service: Service,
    letters: Ids = None,
    all: All = False,
    reason: Reasons = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    yes: Yes = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Send letters on their way again: they leave the dead letters and run like new actions.

    Doing it twice does it once. A letter that cannot be sent stays, and the reason is told.
    """
    from nooble.cli import dead_letters as doing
    from nooble.cli.named import settings_named

    wanted = doing.wanted(letters, all, doing.which(reason, action, since, until, text))
    return doing.replay(settings_named(service, redis_url), wanted, yes, json)


@command("edit")
def edit(
    service: Service,
    letter: Id,
    data: Annotated[
        str | None,
        o.option("--data", metavar="JSON", help="The new payload: JSON, @FILE, or - for standard input."),
    ] = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Send a letter on its way again with another payload, by default one that you write in your $EDITOR.

    All else of the action stays as it is. If the payload is left as it was, nothing is sent.
    """
    from nooble.cli import dead_letters as doing
    from nooble.cli.named import settings_named

    return doing.edit(settings_named(service, redis_url), letter, data, json)


@command("discard")
def discard(
    service: Service,
    letters: Ids = None,
    all: All = False,
    reason: Reasons = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    yes: Yes = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> None:
    """Delete letters for good."""
    from nooble.cli import dead_letters as doing
    from nooble.cli.named import settings_named

    wanted = doing.wanted(letters, all, doing.which(reason, action, since, until, text))
    doing.discard(settings_named(service, redis_url), wanted, yes, json)


@command("export")
def export(
    service: Service,
    reason: Reasons = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    output: Annotated[
        str, o.option("--output", "-o", metavar="FILE", help="Where to write them; - is standard output.")
    ] = "-",
    redis_url: o.RedisUrl = None,
) -> None:
    """Write letters as JSON Lines, the oldest first. They stay where they are.

    Bytes that are no text are in a field with _base64 at the end of its name.
    """
    from nooble.cli import dead_letters as doing
    from nooble.cli.named import settings_named

    doing.export(settings_named(service, redis_url), doing.which(reason, action, since, until, text), output)
