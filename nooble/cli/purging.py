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
from nooble.operations.purge import Purged, purge
from nooble.operations.retries import RetrySet
from nooble.operations.standing import read_standing

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """What is meant, and how much there is of it.

    Attributes:
        waiting, retries, dead: how many, at most; `None` if they are not meant.
        answers: whether answer queues are meant.
        at_work: how many are at work, and stay.
    """

    waiting: int | None = None
    retries: int | None = None
    dead: int | None = None
    answers: bool = False
    at_work: int = 0

    @property
    def total(self) -> int:
        """How many that is, as far as they are counted before."""
        return sum(count or 0 for count in (self.waiting, self.retries, self.dead))


def purge_service(
    settings: CommonAppSettings, *, waiting: bool, retries: bool, dead: bool, answers: bool, confirmed: bool, json: bool
) -> int:
    """Delete what waits in a service."""
    if not (waiting or retries or dead or answers):
        raise Misuse("nothing is meant: leave --no-waiting out, or add --retries, --dead or --answers")
    doomed = do(settings, lambda redis: _doomed(redis, settings, waiting, retries, dead, answers))
    if not confirmed and (doomed.total or answers):
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

    with progress_bar("Deleting", doomed.total) as tell:
        done = do(settings, delete)
    if json:
        typer.echo(as_json(done))
        return OK
    parts = [several(done.waiting, "waiting action")] if waiting else []
    parts += [several(done.retries, "retry", "retries")] if retries else []
    parts += [several(done.dead, "dead letter")] if dead else []
    parts += [several(done.answers, "answer queue")] if answers else []
    stays = f" {several(doomed.at_work, 'action')} at work stayed." if doomed.at_work and waiting else ""
    typer.echo(f"Deleted {', '.join(parts)}.{stays}")
    return OK


async def _doomed(
    redis: Redis, settings: CommonAppSettings, waiting: bool, retries: bool, dead: bool, answers: bool
) -> Doomed:
    standing = await read_standing(redis, settings) if waiting else None
    at_work = standing.pending if standing else 0
    async with RetrySet(redis, settings) as waits_for_later, DeadLetters(redis, settings) as letters:
        return Doomed(
            waiting=max(0, standing.entries - standing.pending) if standing else 0 if waiting else None,
            retries=await waits_for_later.count() if retries else None,
            dead=(await letters.count(scan=1)).total if dead else None,
            answers=answers,
            at_work=at_work,
        )


def _words(doomed: Doomed) -> str:
    parts = [] if doomed.waiting is None else [several(doomed.waiting, "waiting action")]
    parts += [] if doomed.retries is None else [several(doomed.retries, "retry", "retries")]
    parts += [] if doomed.dead is None else [several(doomed.dead, "dead letter")]
    parts += ["the answers on their way to it"] if doomed.answers else []
    return ", ".join(parts)
