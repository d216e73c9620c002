"""The arguments and options that commands share, each with its help; what they mean is the business of the commands.

Every option can be set by a variable `NOOBLE_<COMMAND>_<OPTION>`. Those that mean the same for every command have a shorter
one too, and may stand directly in `[tool.nooble]`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import typer

from nooble.cli.servers import Wish

option = partial(typer.Option, show_envvar=False)
flag = partial(option, metavar="")
argument = partial(typer.Argument, show_envvar=False, show_default=False)


def shared(*names: str, **more: Any) -> Any:
    """An option that means the same for every command: `--redis-url`, by `NOOBLE_REDIS_URL`."""
    return option(*names, envvar=f"NOOBLE_{names[0].strip('-').replace('-', '_').upper()}", **more)


def _with_source(ctx: typer.Context, param: typer.CallbackParam, value: Wish | None) -> Wish | None:
    """*value*, and where it was said."""
    source = ctx.get_parameter_source(param.name or "")
    return value if value is None or source is None else replace(value, source=source.name)


Targets = Annotated[
    list[str],
    argument(
        metavar="TARGET",
        envvar="NOOBLE_TARGET",
        help="module, module:Class or module:factory. A module stands for all services and workers that it defines.",
    ),
]
Action = Annotated[str, argument(metavar="ACTION", help="Type of the action, e.g. pedidos.pedido.crear.")]
Payload = Annotated[
    list[str] | None,
    argument(
        metavar="PAYLOAD", help="A JSON object, or key=text and key:=json, or - to read JSON from standard input."
    ),
]

Services = Annotated[
    list[str] | None,
    option("--service", metavar="NAME", help="Only this service of the target; can be repeated."),
]
Service = Annotated[
    str | None,
    option("--service", metavar="NAME", help="The service that does it, if not the first segment of the action."),
]
RedisUrl = Annotated[
    Wish | None,
    shared(
        "--redis-url",
        metavar="URL",
        parser=Wish,
        callback=_with_source,
        help="The server: redis://, rediss://, unix:// or embedded://. If not given: REDIS_URL, in the environment or "
        "in .env; then an embedded server of this directory; then localhost.",
    ),
]
Concurrency = Annotated[
    int | None, option("--concurrency", min=1, metavar="N", help="How many actions a service runs at a time.")
]
Grace = Annotated[
    float | None,
    option("--grace", min=0, metavar="SECONDS", help="How long running actions get to finish after a signal."),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"] | None,
    shared("--log-level", metavar="LEVEL", case_sensitive=False, help="debug, info, warning, error or critical."),
]
LogFormat = Annotated[
    Literal["auto", "console", "json"] | None,
    shared(
        "--log-format", metavar="FORMAT", case_sensitive=False, help="console, json, or auto: console on a terminal."
    ),
]
Json = Annotated[bool, flag("--json", help="Show it as JSON.")]
Timeout = Annotated[float, option("--timeout", min=0.001, metavar="SECONDS", help="How long to wait for the answer.")]
Fields = Annotated[
    list[str] | None,
    option("--field", metavar="NAME=VALUE", help="A field of the action, e.g. tenant_id=acme; can be repeated."),
]
Code = Annotated[
    list[str] | None,
    option(
        "--target",
        metavar="TARGET",
        help="Code of the service: what it declares finds typing mistakes before anything is sent.",
    ),
]
