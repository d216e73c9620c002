"""What `nooble purge` does: nothing is deleted before somebody has seen how much that is, and typed the name of the
service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import typer

from nooble.cli.failures import OK, Misuse
from nooble.cli.operating import as_json, confirm_by_name, do, progress_bar, several
from nooble.config import CommonAppSettings
from nooble.operations.dead_letters import DeadLetters
from nooble.operations.purge import Purged, Waiting, count_waiting, purge
from nooble.operations.retries import RetrySet

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """What is meant, and how much there is of it.

    Attributes:
        stream: how its stream stands; `None` if what waits in it is not meant.
        retries, dead: how many; `None` if they are not meant.
        answers: whether answer queues are meant.
    """

    stream: Waiting | None = None
    retries: int | None = None
    dead: int | None = None
    answers: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether there is certainly nothing: it goes by what is there, not by what is reckoned to wait."""
        return not (self.answers or self.retries or self.dead or (self.stream and self.stream.entries))

    @property
    def total(self) -> int:
        """How many that is, as far as they are counted before; 0 if that is not known."""
        if self.stream is not None and self.stream.waiting is None:
            return 0
        return sum(count or 0 for count in (self.stream and self.stream.waiting, self.retries, self.dead))


def purge_service(
    settings: CommonAppSettings, *, waiting: bool, retries: bool, dead: bool, answers: bool, confirmed: bool, json: bool
) -> int:
    """Delete what waits in a service."""
    if not (waiting or retries or dead or answers):
        raise Misuse("nothing is meant: leave --no-waiting out, or add --retries, --dead or --answers")
    doomed = do(settings, lambda redis: _doomed(redis, settings, waiting, retries, dead, answers))
    if not confirmed and not doomed.is_nothing:
        confirm_by_name(f"{_words(doomed)} will be deleted for good.", settings.service_name)

    async def delete(redis: Redis) -> Purged:
        return await purge(
            *(redis, settings),
            waiting=waiting,
            retries=retries,
            dead=dead,
            answers=answers,
            progress=lambda so_far: tell(so_far.waiting + so_far.retries + so_far.dead),
        )

    done = Purged()
    if not doomed.is_nothing:  # what comes after the look is not what was meant
        with progress_bar("Deleting", doomed.total) as tell:
            done = do(settings, delete)
    if json:
        typer.echo(as_json(done))
        return OK
    parts = [several(done.waiting, "waiting action")] if waiting else []
    parts += [several(done.retries, "retry", "retries")] if retries else []
    parts += [several(done.dead, "dead letter")] if dead else []
    parts += [several(done.answers, "answer queue")] if answers else []
    at_work = doomed.stream.at_work if doomed.stream else 0
    stays = f" {several(at_work, 'action')} at work stayed." if at_work else ""
    typer.echo(f"Deleted {', '.join(parts)}.{stays}")
    return OK


async def _doomed(
    redis: Redis, settings: CommonAppSettings, waiting: bool, retries: bool, dead: bool, answers: bool
) -> Doomed:
    async with RetrySet(redis, settings) as waits_for_later, DeadLetters(redis, settings) as letters:
        return Doomed(
            stream=await count_waiting(redis, settings) if waiting else None,
            retries=await waits_for_later.count() if retries else None,
            dead=(await letters.count(scan=1)).total if dead else None,
            answers=answers,
        )


def _words(doomed: Doomed) -> str:
    parts = [] if doomed.stream is None else [_waiting(doomed.stream)]
    parts += [] if doomed.retries is None else [several(doomed.retries, "retry", "retries")]
    parts += [] if doomed.dead is None else [several(doomed.dead, "dead letter")]
    parts += ["the answers on their way to it"] if doomed.answers else []
    return ", ".join(parts)


def _waiting(stream: Waiting) -> str:
    if stream.waiting is None:  # the server cannot tell them from those that are at work
        return f"up to {several(stream.entries, 'waiting action')}"
    return several(stream.waiting, "waiting action")
