"""What `nooble retry` does: retries are shown, run at once or given up; all of them only after somebody has said so."""

from __future__ import annotations

import getpass
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import typer

from nooble.cli import human
from nooble.cli.failures import FAILED, OK, Misuse, complain
from nooble.cli.harmless import shortened
from nooble.cli.operating import as_json, confirm, do, progress_bar, several, tell_kept
from nooble.cli.screen import Cell, show_table
from nooble.config import CommonAppSettings
from nooble.operations.message import Message
from nooble.operations.messages import MessagePage
from nooble.operations.retries import Progress, RetriesDone, RetrySet

if TYPE_CHECKING:
    from redis.asyncio import Redis

Wanted = Sequence[str] | None
"""Ids, or none for all."""


def wanted(ids: Sequence[str] | None, every: bool) -> Wanted:
    """Which retries are meant.

    Raises:
        Misuse: it is not clear which.
    """
    if bool(ids) == every:
        raise Misuse("name retries by their ids, or say --all; " + ("not both" if every else "`list` shows them"))
    return ids or None


def show_many(settings: CommonAppSettings, limit: int, cursor: str | None, json: bool) -> None:
    """Show a page of retries."""

    async def look(redis: Redis) -> tuple[MessagePage, int]:
        async with RetrySet(redis, settings) as retries:
            return await retries.list(limit, cursor), await retries.count()

    page, total = do(settings, look)
    if json:
        typer.echo(as_json(page))
        return
    now_ms = int(time.time() * 1000)
    if page.messages:
        show_table(("id", "due", "failed", "action", "written"), [_cells(one, now_ms) for one in page.messages])
    elif not page.cursor:
        typer.echo(f"Nothing {'more ' if cursor else ''}of {settings.service_name} waits for its next attempt.")
    if page.cursor:
        typer.echo(f"{several(total, 'retry', 'retries')} in all; --cursor {page.cursor} goes on.", err=True)


def run_now(settings: CommonAppSettings, meant: Wanted, confirmed: bool, json: bool) -> int:
    """Let retries run at once."""
    total = _asked(settings, meant, confirmed, "Run {} now?")
    done = _do(settings, "Moving", total, lambda retries, tell: retries.run_now(meant or "all", progress=tell))
    if json:
        typer.echo(as_json(done))
    else:
        typer.echo(f"{several(done.done, 'retry is', 'retries are')} on the way{_gone(done)}.")
        tell_kept(done.kept, complain)
    return FAILED if done.kept else OK


def cancel(settings: CommonAppSettings, meant: Wanted, reason: str, confirmed: bool, json: bool) -> int:
    """Give retries up."""
    total = _asked(settings, meant, confirmed, "Give up {}?")

    def give_up(retries: RetrySet, tell: Progress) -> Awaitable[RetriesDone]:
        return retries.cancel(meant or "all", by=_somebody(), reason=reason, progress=tell)

    done = _do(settings, "Giving up", total, give_up)
    if json:
        typer.echo(as_json(done))
    else:
        told = f"; {several(done.answered, 'caller was', 'callers were')} told" if done.answered else ""
        now = several(done.done, "retry is a dead letter", "retries are dead letters")
        typer.echo(f"{now} now{told}{_gone(done)}.")
        tell_kept(done.kept, complain)
    return FAILED if done.kept else OK


# ── parts ──
def _asked(settings: CommonAppSettings, meant: Wanted, confirmed: bool, question: str) -> int:
    """How many are meant; of all only after somebody has said yes."""
    if meant is not None:
        return len(meant)

    async def count(redis: Redis) -> int:
        async with RetrySet(redis, settings) as retries:
            return await retries.count()

    total = do(settings, count)
    if total and not confirmed:
        confirm(question.format(several(total, "retry", "retries")))
    return total


def _do(
    settings: CommonAppSettings, doing: str, total: int, what: Callable[[RetrySet, Progress], Awaitable[RetriesDone]]
) -> RetriesDone:
    async def step(redis: Redis) -> RetriesDone:
        async with RetrySet(redis, settings) as retries:
            return await what(retries, lambda so_far: tell(so_far.done + so_far.gone + len(so_far.kept)))

    with progress_bar(doing, total) as tell:
        return do(settings, step)


def _cells(message: Message, now_ms: int) -> tuple[Cell, ...]:
    left = None if message.due_ms is None else message.due_ms - now_ms
    due = "-" if left is None else f"in {human.duration(left)}" if left > 0 else "now"
    written = "-" if message.written_ms is None else f"{human.duration(now_ms - message.written_ms)} ago"
    action = shortened(message.action_type or "?", 100)
    return (message.entry_id, due, human.number(message.attempts), action, written)


def _gone(done: RetriesDone) -> str:
    return f", {done.gone:,} {'was' if done.gone == 1 else 'were'} gone before" if done.gone else ""


def _somebody() -> str:
    """The name of whoever types."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container has users without names
        return "a person"
