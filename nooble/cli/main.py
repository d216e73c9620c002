"""The command `nooble`: what can be typed, and where it is done. Nothing slow is imported here: help is there at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import typer

from nooble._version import __version__
from nooble.cli import dashboard as dashboard_command
from nooble.cli import dead, fuzz_command, operate, retry, workers
from nooble.cli import options as o
from nooble.cli.failures import OK, Misuse, complain
from nooble.cli.reporting import reporting

Body = TypeVar("Body", bound=Callable[..., int | None])

app = typer.Typer(
    name="nooble",
    help="Typed actions on Redis Streams: run services, talk to them, look at them.",
    epilog="Every option can be set by a variable, --grace of run by NOOBLE_RUN_GRACE, or in \\[tool.nooble.run] of "
    "pyproject.toml; target, server and logs for all commands at once, by NOOBLE_REDIS_URL, or in \\[tool.nooble].\n\n"
    "Exit codes: 0 all is well, 1 it failed, 2 it was typed wrongly, 69 the server cannot be reached.",
    context_settings={"auto_envvar_prefix": "NOOBLE"},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


Workers = Annotated[int, o.option("--workers", "-w", min=1, metavar="N", help="How many processes share the actions.")]
ProbePort = Annotated[
    int | None,
    o.option(
        "--probe-port", min=0, max=65535, metavar="PORT", help="Answer /livez, /readyz and /metrics here; 0 takes any."
    ),
]


def command(panel: str) -> Callable[[Body], Body]:
    """Register a function as a command of its name, in a *panel* of the help."""

    def register(body: Body) -> Body:
        app.command(rich_help_panel=panel)(reporting(body))
        return body

    return register


def main() -> None:
    """The entry point."""
    app(prog_name="nooble")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nooble {__version__}")
        raise typer.Exit


@app.callback()
def _before_every_command(
    ctx: typer.Context,
    version: Annotated[bool, o.flag("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    from nooble.cli.project import Known, project_defaults

    commands: dict[str, Any] = ctx.command.commands  # type: ignore[attr-defined]
    try:
        defaults = project_defaults(
            {
                name: {
                    one.name: Known(several=one.nargs == -1 or getattr(one, "multiple", False), shared=bool(one.envvar))
                    for part in (command, *getattr(command, "commands", {}).values())
                    for one in part.params
                }
                for name, command in commands.items()
            }
        )
    except Misuse as error:
        complain(str(error))
        raise typer.Exit(error.exit_code) from None
    ctx.default_map = {
        name: dict.fromkeys(commands[name].commands, values) if hasattr(commands[name], "commands") else values
        for name, values in defaults.items()
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@command("Run")
def run(
    ctx: typer.Context,
    target: o.Targets,
    service: o.Services = None,
    concurrency: o.Concurrency = None,
    redis_url: o.RedisUrl = None,
    log_level: o.LogLevel = None,
    log_format: o.LogFormat = None,
    grace: o.Grace = None,
    workers: Workers = 1,
    probe_port: ProbePort = None,
    max_actions: Annotated[
        int | None,
        o.option("--max-actions", min=1, metavar="N", help="Replace a worker after about N actions."),
    ] = None,
    max_memory: Annotated[
        int | None,
        o.option("--max-memory", min=1, metavar="MB", help="Replace a worker that has more memory than this."),
    ] = None,
) -> int:
    """Run services until SIGTERM or Ctrl-C.

    They stop reading, finish what runs within the grace and hand back the rest; a second signal ends them at once.
    A server that is away is waited for.
    """
    given = _given(
        worker_concurrency=concurrency,
        worker_grace_seconds=grace,
        log_level=log_level,
        log_format=log_format,
        probe_port=probe_port,
    )
    if workers > 1 or max_actions is not None or max_memory is not None:
        from nooble.cli.supervisor import supervise
        from nooble.cli.worker_process import Limits, Work

        work = Work(targets=target, services=service or [], options=given, traceback=ctx.params["traceback"])
        return supervise(work, redis_url, workers, Limits(max_memory, max_actions))
    from nooble.cli.run import run as body

    body(target, service or [], redis_url, given)
    return OK


@command("Run")
def dev(
    ctx: typer.Context,
    target: o.Targets,
    service: o.Services = None,
    concurrency: o.Concurrency = None,
    redis_url: o.RedisUrl = None,
    log_level: o.LogLevel = None,
    log_format: o.LogFormat = None,
    grace: o.Grace = 2.0,
    workers: Workers = 1,
    probe_port: ProbePort = None,
    reload: Annotated[
        bool | None,
        o.flag("--reload/--no-reload", help="Start anew whenever a Python file changes; so it is with one worker."),
    ] = None,
    watch: Annotated[
        list[str] | None,
        o.option("--watch", metavar="PATH", help="What to watch, instead of this directory; can be repeated."),
    ] = None,
    dashboard: Annotated[
        bool | None,
        o.flag("--dashboard/--no-dashboard", help="Whether to show a dashboard; so it is if its extra is installed."),
    ] = None,
) -> int:
    """Run services while you write them: with a server of their own, reload, and readable logs.

    Says what to type next. Unless a server is named, an embedded one is started, which keeps its data in .nooble and
    is found by other commands in the same directory.
    """
    if workers > 1 and (reload or watch):
        raise Misuse(
            f"--reload and --workers {workers} do not go together: reload one worker while you write, or leave --reload "
            "and --watch out"
        )
    from nooble.cli.dev import Order, dev_many
    from nooble.cli.dev import dev as body

    given = _given(
        worker_concurrency=concurrency,
        worker_grace_seconds=grace,
        log_level=log_level,
        log_format=log_format,
        probe_port=probe_port,
    )
    if workers > 1:
        from nooble.cli.worker_process import Work

        work = Work(targets=target, services=service or [], options=given, traceback=ctx.params["traceback"])
        return dev_many(work, redis_url, workers, dashboard)
    order = Order(targets=target, services=service or [], options=given)
    return body(order, redis_url, reload is not False, watch or [], dashboard)


@command("Talk")
def call(
    action: o.Action,
    payload: o.Payload = None,
    timeout: o.Timeout = 30.0,
    service: o.Service = None,
    field: o.Fields = None,
    target: o.Code = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Send an action, wait for its answer, and show it.

    Shows the data of the answer; with --json the whole answer. An answer that is an error is a failure.
    """
    from nooble.cli.call import call as body
    from nooble.cli.call import errand_for

    errand = errand_for(action, payload or [], redis_url, service=service, targets=target or [], fields=field or [])
    return body(errand, timeout, json)


@command("Talk")
def send(
    action: o.Action,
    payload: o.Payload = None,
    service: o.Service = None,
    field: o.Fields = None,
    target: o.Code = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> None:
    """Send an action that nobody waits for, and show its id."""
    from nooble.cli.call import errand_for
    from nooble.cli.call import send as body

    body(errand_for(action, payload or [], redis_url, service=service, targets=target or [], fields=field or []), json)


@command("Look")
def routes(target: o.Targets, service: o.Services = None, json: o.Json = False) -> None:
    """Show which actions services have, what they take and what they give."""
    from nooble.cli.routes import routes as body

    body(target, service or [], json)


@command("Check")
def check(target: o.Targets, service: o.Services = None, redis_url: o.RedisUrl = None, json: o.Json = False) -> int:
    """Look at code, settings and server before anything runs, and say what to do.

    Which server and why, its version, whether it keeps its data, and what the streams hold.
    """
    from nooble.cli.check import check as body

    return body(target, service or [], redis_url, json)


@command("Check")
def bench(
    ctx: typer.Context,
    target: Annotated[
        str, o.argument(metavar="TARGET", help="Code of the service: module, module:Class or a factory.")
    ],
    action: o.Action,
    payload: o.Payload = None,
    actions: Annotated[
        int | None, o.option("--actions", min=1, metavar="N", help="How many actions, in all; not by time then.")
    ] = None,
    seconds: Annotated[float, o.option("--seconds", min=0.01, metavar="S", help="How long, in all.")] = 10.0,
    rounds: Annotated[
        int, o.option("--rounds", min=1, metavar="N", help="In how many rounds, which are compared.")
    ] = 5,
    concurrency: o.Concurrency = None,
    in_flight: Annotated[
        int | None,
        o.option("--in-flight", min=1, metavar="K", help="Calls in flight [32], or actions that wait at most [1000]."),
    ] = None,
    calls: Annotated[bool, o.flag("--calls/--sends", help="Wait for answers, or do not.")] = True,
    timeout: o.Timeout = 30.0,
    field: o.Fields = None,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> int:
    """Measure how fast a service handles an action, and where the time goes.

    The worker runs in an environment of its own, of which nothing is left: your streams are not touched. The handler
    itself does what it always does.
    """
    from nooble.cli.bench import bench as body

    source = ctx.get_parameter_source("seconds")
    if actions is not None and source is not None and source.name == "COMMANDLINE":
        raise Misuse("--actions and --seconds do not go together: by number, or by time")
    return body(
        *(target, action, payload or [], redis_url),
        fields=field or [],
        as_json=json,
        rounds=rounds if actions is None else min(rounds, actions),
        actions=actions,
        seconds=seconds,
        calls=calls,
        in_flight=in_flight or (32 if calls else 1000),
        timeout=timeout,
        options=_given(worker_concurrency=concurrency),
        traceback=ctx.params["traceback"],
    )


@command("Check")
def adopt(
    service: Annotated[str, o.argument(metavar="SERVICE|TARGET", help="Name of the service, or its code.")],
    pending: Annotated[
        Literal["bury", "replay", "leave"],
        o.option("--pending", metavar="FATE", help="What becomes of entries that others have left pending."),
    ] = "bury",
    idle: Annotated[
        float,
        o.option("--idle", min=0, metavar="SECONDS", help="Leave those alone that were touched more lately than this."),
    ] = 3600.0,
    yes: Annotated[bool, o.flag("--yes", help="Do not ask for confirmation.")] = False,
    redis_url: o.RedisUrl = None,
    json: o.Json = False,
) -> None:
    """Take over a stream that the platform's code has used before.

    What it has left pending is ended, what it has acknowledged and never deleted is deleted. Can be repeated.
    """
    from nooble.cli.adopt import adopt as body

    body(service, pending, idle, yes, redis_url, json)


command("Check")(fuzz_command.fuzz)

for each in operate.COMMANDS:
    command("Operate")(each)
command("Operate")(dashboard_command.dashboard)

GROUPS = {
    "dead": (
        dead.app,
        "Look at what could not be done, mend it, send it again: list, show, replay, edit, discard, export.",
    ),
    "retry": (retry.app, "Look at what waits for its next attempt, run it at once, give it up: list, now, cancel."),
    "workers": (workers.app, "Look at who is at work, let them rest, go on or end: list, quiet, resume, stop."),
}
for name, (group, about) in GROUPS.items():
    app.add_typer(group, name=name, rich_help_panel="Operate", help=about)
