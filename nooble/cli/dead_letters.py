"""What `nooble dead` does: letters are shown so that nothing in them can act on the terminal, and nothing is sent or deleted
in numbers before a person has seen how many that is."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import typer

from nooble.cli.failures import FAILED, OK, Failure, Misuse, complain
from nooble.cli.harmless import escaped_json, harmless, harmless_json
from nooble.cli.payloads import read_payload
from nooble.cli.screen import is_somebody_here, show_table
from nooble.clients import RedisManager
from nooble.config import CommonAppSettings
from nooble.errors import MalformedAction
from nooble.observability.logging import init_logging
from nooble.operations import DeadLetter, DeadLetters, Which
from nooble.operations.dead_letters import Discarded, Replayed

T = TypeVar("T")
Wanted = Sequence[str] | Which

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIRST_LINE = 200
_SHOWN_BYTES = 4_000


# ── what is meant ──
def which(
    reasons: Sequence[str] | None, action: str | None, since: str | None, until: str | None, text: str | None
) -> Which:
    """The letters that the options mean.

    Raises:
        Misuse: a time is none.
    """
    times = {"since": _moment("--since", since), "until": _moment("--until", until)}
    return Which(reasons=tuple(reasons or ()), action=action or "", text=text or "", **times)


def wanted(ids: Sequence[str] | None, every: bool, meant: Which) -> Wanted:
    """Letters by their ids, or those that are *meant*.

    Raises:
        Misuse: it is not clear which.
    """
    if ids and (every or meant != Which()):
        raise Misuse("name letters by their ids, or mean them by --all and other options; not both")
    if not ids and not every:
        raise Misuse("name letters by their ids, or say --all, with --reason and the like to mean some of all")
    return ids or meant


def _moment(option: str, text: str | None) -> datetime | timedelta | None:
    if text is None:
        return None
    try:
        ago = _AGO.fullmatch(text)
        return timedelta(**{_UNITS[ago[2]]: float(ago[1])}) if ago else datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise Misuse(
            f"{option} {text!r} is no time; write 90s, 15m, 2h or 7d for so long ago, or 2025-01-31T18:00"
        ) from None


# ── looking ──
def show_many(
    settings: CommonAppSettings, meant: Which, limit: int, oldest: bool, cursor: str | None, as_json: bool
) -> None:
    """Show a page of letters."""
    page = _do(settings, lambda dead: dead.list(meant, limit=limit, oldest_first=oldest, cursor=cursor))
    if as_json:
        letters = [letter.as_dict() for letter in page.letters]
        _show_json({"letters": letters, "cursor": page.cursor, "scanned": page.scanned, "cut": page.cut})
        return
    if page.letters:
        show_table(("id", "buried", "reason", "action", "attempts", "error"), map(_cells, page.letters))
    elif not page.cursor:
        some = " that you mean" if meant != Which() else ""
        typer.echo(f"There are no {'more ' if cursor else ''}dead letters{some} of {settings.service_name}.")
    if page.cursor:
        why = f"Looked at {page.scanned} letters and no further" if page.cut else "There are more"
        typer.echo(f"{why}; --cursor {page.cursor} goes on.", err=True)


def show_counts(settings: CommonAppSettings, meant: Which, as_json: bool) -> None:
    """Show how many letters there are."""
    counted = _do(settings, lambda dead: dead.count(meant))
    if as_json:
        _show_json(asdict(counted))
        return
    show_table(("reason", "letters"), [(harmless(reason), str(n)) for reason, n in counted.by_reason.items()])
    found = sum(counted.by_reason.values())
    typer.echo(f"{found} of {counted.total}{', of the newest that were looked at' if counted.cut else ''}", err=True)


def show_one(settings: CommonAppSettings, letter_id: str, as_json: bool) -> None:
    """Show one letter."""
    letter = _do(settings, lambda dead: _there(dead, letter_id))
    try:
        payload, unreadable = letter.payload(), None
    except MalformedAction as error:
        payload, unreadable = None, str(error)
    if as_json:
        _show_json(letter.as_dict() | ({"payload": payload} if unreadable is None else {}))
        return
    facts = letter.as_dict() | {"buried_at": _time(letter)}
    hidden = ("data", "data_base64", "head", "head_base64", "traceback", "others")
    facts = {name: value for name, value in facts.items() if value not in ("", None) and name not in hidden}
    facts |= {name: value.decode("utf-8", "backslashreplace") for name, value in letter.others.items()}
    if letter.obstacle:
        facts["replay"] = f"cannot be replayed: {letter.obstacle}"
    show_table(("field", "value"), [(harmless(name), harmless(str(value))) for name, value in facts.items()])
    if unreadable is None:
        typer.echo("\npayload\n" + _json_of(payload))
    elif data := letter.data or letter.head:
        typer.echo(
            f"\nbytes ({harmless(unreadable)})\n{harmless(data[:_SHOWN_BYTES].decode('utf-8', 'backslashreplace'))}"
        )
    if letter.traceback:
        typer.echo("\n" + harmless(letter.traceback.rstrip(), lines=True))


def export(settings: CommonAppSettings, meant: Which, output: str) -> None:
    """Write letters as JSON Lines."""

    if output == "-":
        _do(settings, lambda dead: _write(dead, meant, lambda line: typer.echo(line, nl=False)))
        return
    part = Path(f"{output}.part")  # what was exported before stays until this is whole
    try:
        with part.open("w", encoding="utf-8") as file:
            count = _do(settings, lambda dead: _write(dead, meant, file.write))
        part.replace(output)
    except OSError as error:
        if error.filename is None:  # not the file's, but the server's
            raise
        raise Failure(f"{output} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"Wrote {_letters(count)} to {output}.", err=True)


async def _write(dead: DeadLetters, meant: Which, write: Callable[[str], Any]) -> int:
    count = 0
    async for line in dead.export(meant):
        write(escaped_json(line) + "\n")
        count += 1
    return count


# ── doing ──
def replay(settings: CommonAppSettings, meant: Wanted, confirmed: bool, as_json: bool) -> int:
    """Send letters on their way again."""
    if isinstance(meant, Which) and not confirmed:
        count = _tell_counts(settings, meant)
        if count and not _answered(lambda: typer.confirm(f"Replay {_letters(count)}?", err=True)):
            raise Failure("nothing was done")
    with _progress("Replaying", lambda so_far: f"{so_far.replayed} sent, {len(so_far.kept)} kept") as progress:
        done: Replayed = _do(settings, lambda dead: dead.replay(meant, progress=progress))
    return _tell_replayed(done, as_json)


def edit(settings: CommonAppSettings, letter_id: str, data: str | None, as_json: bool) -> int:
    """Send a letter on its way again with another payload."""
    letter = _do(settings, lambda dead: _there(dead, letter_id))
    if letter.obstacle:
        raise Failure(f"{letter.id} cannot be replayed: {letter.obstacle}")
    payload = _edited(letter) if data is None else read_payload([_read(data)])
    return _tell_replayed(_do(settings, lambda dead: dead.replay(letter.id, data=payload)), as_json)


def discard(settings: CommonAppSettings, meant: Wanted, confirmed: bool, as_json: bool) -> None:
    """Delete letters."""
    if not confirmed:
        count = _tell_counts(settings, meant) if isinstance(meant, Which) else len(meant)
        name = settings.service_name
        question = f"{_letters(count)} will be deleted for good. Type {name} to go on"
        if count and _answered(lambda: typer.prompt(question, err=True)) != name:
            raise Failure("nothing was done: that was not its name")
    with _progress("Deleting", lambda so_far: f"{so_far.discarded} deleted") as progress:
        done: Discarded = _do(settings, lambda dead: dead.discard(meant, progress=progress))
    if as_json:
        _show_json(asdict(done))
    else:
        typer.echo(f"Deleted {_letters(done.discarded)}{_gone(done.gone)}.")


def _edited(letter: DeadLetter) -> dict[str, Any]:
    """The payload of *letter* as a person has changed it."""
    payload = letter.payload()
    try:
        before = harmless_json(payload) + "\n"
    except TypeError as error:
        raise Failure(
            f"the payload of {letter.id} holds what JSON cannot say ({error}); give the new one by --data"
        ) from error
    if not is_somebody_here() and not (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        raise Misuse("nobody is here to edit it; give the new payload by --data")
    text = before
    while True:
        text = _in_editor(text)
        try:
            after = read_payload([text.strip() or "{"])
        except Misuse as error:
            complain(str(error))
            if is_somebody_here() and typer.confirm("Edit it again?", default=True, err=True):
                continue
            raise Failure("nothing was sent") from error
        if after == payload:
            raise Failure("nothing was changed, so nothing was sent; `nooble dead replay` sends it as it is")
        return after


def _in_editor(text: str) -> str:
    """*text* as it was left in the editor of whoever is here."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with TemporaryDirectory(prefix="nooble-") as folder:
        path = Path(folder) / "payload.json"
        path.write_text(text, encoding="utf-8")
        try:
            command = [*shlex.split(editor), str(path)]  # of the person who types
            ended = subprocess.run(command, check=False).returncode  # noqa: S603
        except (OSError, ValueError) as error:
            raise Failure(f"the editor {editor!r} cannot be started ({error}); set EDITOR, or give --data") from error
        if ended != 0:
            raise Failure(f"the editor {editor!r} ended with {ended}; nothing was sent")
        return path.read_text(encoding="utf-8")


def _read(data: str) -> str:
    """What `--data` means: itself, a file, or standard input."""
    if data == "-":
        return sys.stdin.read()
    if not data.startswith("@"):
        return data
    try:
        return Path(data[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"--data {data}: the file cannot be read: {error}") from error


# ── the server ──
def _do(settings: CommonAppSettings, what: Callable[[DeadLetters], Awaitable[T]]) -> T:
    async def do() -> T:
        async with (
            RedisManager(settings) as manager,
            DeadLetters(await manager.get_redis_connection(), settings) as dead,
        ):
            return await what(dead)

    init_logging(settings.log_level, log_format=settings.log_format, redact=settings.log_redact)
    return asyncio.run(do())


async def _there(dead: DeadLetters, letter_id: str) -> DeadLetter:
    letter = await dead.show(letter_id)
    if letter is None:
        raise Failure(f"{letter_id} is not in {dead.key}: it was replayed or discarded, has fallen off, or never was")
    return letter


# ── talking to a person ──
def _cells(letter: DeadLetter) -> tuple[str, ...]:
    attempts = "" if letter.attempts is None else str(letter.attempts)
    error = letter.error.split("\n", 1)[0][:_FIRST_LINE]
    return tuple(map(harmless, (letter.id, _time(letter), letter.reason[:100], letter.action_type, attempts, error)))


def _time(letter: DeadLetter) -> str:
    return f"{letter.buried_at.astimezone():%Y-%m-%d %H:%M:%S}"


def _json_of(value: Any) -> str:
    try:
        return harmless_json(value)
    except (TypeError, RecursionError):  # MessagePack can say more than JSON
        return harmless(repr(value))


def _show_json(value: Any) -> None:
    typer.echo(_json_of(value))


def _tell_counts(settings: CommonAppSettings, meant: Which) -> int:
    counted = _do(settings, lambda dead: dead.count(meant))
    for reason, number in counted.by_reason.items():
        typer.echo(f"  {number} {harmless(reason)}", err=True)
    if counted.cut:
        typer.echo("  and those that were not looked at: there are more", err=True)
    return sum(counted.by_reason.values()) or int(counted.cut)


def _tell_replayed(done: Replayed, as_json: bool) -> int:
    if as_json:
        _show_json(asdict(done))
    else:
        verb = "are" if done.replayed != 1 else "is"
        typer.echo(f"{_letters(done.replayed)} {verb} on the way again{_gone(done.gone)}.")
        for letter_id, why in done.kept.items():
            complain(f"{letter_id} stays: {harmless(why)}")
    return FAILED if done.kept else OK


def _gone(count: int) -> str:
    return f", {count} {'was' if count == 1 else 'were'} gone before" if count else ""


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _answered(ask: Callable[[], T]) -> T:
    if not is_somebody_here():
        raise Misuse("nobody is here to confirm it; say --yes")
    return ask()


@contextmanager
def _progress(doing: str, told: Callable[[Any], str]) -> Iterator[Callable[[Any], None] | None]:
    """What was done so far, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{doing} …") as status:
        yield lambda so_far: status.update(f"{doing} … {told(so_far)}")
