"""What can go wrong, in one readable message, with an exit code that a script can rely on."""

from __future__ import annotations

import inspect
from pathlib import Path
from traceback import extract_tb

import typer

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 69
"""Exit codes: all is well; something failed; what was typed cannot be meant; the server cannot be reached."""
_MOST_TEXT = 100_000


class Failure(Exception):
    """The command cannot do what it was asked. The message says why, and what to do about it."""

    exit_code = FAILED


class Misuse(Failure):
    """What was typed, or set for the command, cannot be meant."""

    exit_code = USAGE


def complain(message: str) -> None:
    """Tell a failure on standard error."""
    typer.secho("Error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    tell(message)


def tell(text: str) -> None:
    """Write *text* on standard error: words from outside act on no terminal, and no password is shown."""
    from nooble.cli.harmless import harmless
    from nooble.models.redaction import masked

    typer.echo(harmless(masked(text, _MOST_TEXT), lines=True), err=True)


def exit_code_of(error: BaseException) -> int:
    """The exit code that tells of *error*."""
    from nooble.errors import ServerUnavailable

    if isinstance(error, Failure):
        return error.exit_code
    return UNREACHABLE if isinstance(error, ServerUnavailable) else FAILED


def told(error: BaseException) -> str:
    """*error* as one message for a person."""
    from nooble.errors import NoobleError, ServerRefused, ServerUnavailable

    if isinstance(error, ServerUnavailable):
        return f"the server cannot be reached: {error}; {_NO_SERVER}"
    if isinstance(error, ServerRefused):
        return f"the server refuses: {error}"
    if isinstance(error, Failure | NoobleError):
        return str(error)
    return f"{described(error)}; --traceback shows the whole way there"


_NO_SERVER = "`nooble dev` brings one of its own, --redis-url names another, `nooble check` says which it is and why"


def described(error: BaseException) -> str:
    """An exception that nobody here knows: its kind, its text, and the line of code that raised it."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    place = origin_of(error)
    return f"{text} ({place})" if place else text


def origin_of(error: BaseException) -> str | None:
    """`file:line` of the last line of a person's own that *error* came through; `None` if it met none."""
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    return f"{shown(own[-1].filename)}:{own[-1].lineno}" if own else None


def shown(path: str) -> str:
    """*path* as one would type it from here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


_STRANGERS = (str(Path(__file__).parents[1]), str(Path(inspect.__file__).parent), "<")


def _is_own(filename: str) -> bool:
    """Whether a file is neither nooble's, nor the interpreter's, nor installed."""
    return not filename.startswith(_STRANGERS) and "site-packages" not in filename
