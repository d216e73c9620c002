"""Every command ends the same way: by an exit code, and by one message if something went wrong. A traceback is for those who
ask for it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from traceback import format_exception
from typing import Annotated, Any, TypeVar

import typer

from nooble.cli.failures import OK, complain, exit_code_of, tell, told
from nooble.cli.options import shared

Body = TypeVar("Body", bound=Callable[..., int | None])

Traceback = Annotated[bool, shared("--traceback", metavar="", help="Show where in the code a failure happened.")]


def reporting(body: Callable[..., int | None]) -> Callable[..., None]:
    """*body* as a command of its own: what it raises is told, what it returns is the exit code, `--traceback` is added."""

    @functools.wraps(body)
    def command(*, traceback: bool, **options: Any) -> None:
        try:
            code = body(**options) or OK
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            code = exit_code_of(error)
            if traceback:
                tell("".join(format_exception(error)).rstrip())
            else:
                complain(told(error))
        raise typer.Exit(code)

    signature = inspect.signature(body, eval_str=True)
    asked = inspect.Parameter("traceback", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Traceback)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), asked]
    )
    return command


def commands_of(group: typer.Typer) -> Callable[[str], Callable[[Body], Body]]:
    """What registers a function as a command of *group*, by its name."""

    def command(name: str) -> Callable[[Body], Body]:
        def register(body: Body) -> Body:
            group.command(name)(reporting(body))
            return body

        return register

    return command
