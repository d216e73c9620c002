"""The worker of `nooble bench`, in a process of its own: does the actions, counts what fails, tells how much it has computed
and, if it is asked to watch, where the time goes."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nooble.cli.benching_figures import Failures, milliseconds
from nooble.cli.failures import OK
from nooble.cli.servers import Wish
from nooble.cli.settings import own_settings
from nooble.cli.supervised import Ear, read_order, tried, work
from nooble.cli.worker_process import Work
from nooble.clients import RedisManager
from nooble.errors import NoobleError
from nooble.events import ActionEvent, Buried, CommitRefused, Completed, Expired, Failed
from nooble.models import ActionContext, DomainAction
from nooble.routing.middleware import Next
from nooble.wire.faults import FOREIGN_ERRORS, fault
from nooble.workers import BaseWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis

SENT = "bench_sent"
"""Entry of the metadata of an action: when it was sent, in seconds of `time.monotonic`, which all processes share."""
STAGES = ("before", "handler", "commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchWork(Work):
    """What the worker is to do.

    Attributes:
        is_watched: whether it is to find out where the time goes. That costs time itself.
        keys: pattern of all keys of the environment in which it works.
    """

    is_watched: bool = False
    keys: str


class BenchEar(Ear):
    """Answers questions of `nooble bench`.

    Args:
        order, report: the pipes.
        watch: finds out where the time goes; `None` if nothing does.

    Attributes:
        is_alone: whether `nooble bench` has ended without a word: it was killed.
    """

    def __init__(self, order: int, report: int, watch: Watch | None) -> None:
        super().__init__(order, report)
        self._watch = watch
        self._failures = Failures()
        self._asked = 0
        self.is_alone = False

    def made(self, workers: Sequence[BaseWorker]) -> None:
        """These are the workers of this process."""
        for worker in workers:
            worker.events.subscribe(self._hear_failure, (Failed,))
            if self._watch is not None:
                worker.middleware = (self._watch.middleware, *worker.middleware)
                worker.events.subscribe(self._watch.ended, (Completed, Failed, CommitRefused))
        super().made(workers)

    def heard(self, words: str) -> bool:
        """A question, or the end."""
        if words != "count":
            self.is_alone = not words
            return super().heard(words)
        self._asked += 1
        used = resource.getrusage(resource.RUSAGE_SELF)
        stages = self._watch.stages() if self._watch is not None else {}
        failures = self._failures.rows()
        self.say(counted=self._asked, cpu=used.ru_utime + used.ru_stime, failures=failures, stages=stages)
        return False

    def _hear_failure(self, event: Failed) -> None:
        if isinstance(event, Buried | Expired) or type(event) is Failed:  # what is tried again has not failed yet
            self._failures.add(event.code, event.message)


class Watch:
    """Sees when actions pass from stage to stage."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[float, float, float]] = {}
        self._seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}

    async def middleware(self, action: DomainAction, context: ActionContext, call_next: Next) -> Any:
        """Around the handler."""
        begun = time.monotonic()
        try:
            return await call_next(action, context)
        finally:
            sent = (action.metadata or {}).get(SENT)
            if sent is not None:
                self._open[str(action.action_id)] = (sent, begun, time.monotonic())

    def ended(self, event: ActionEvent) -> None:
        """An action has ended, and what it had to say is written."""
        times = self._open.pop(event.action_id, None)
        if times is not None:
            for stage, begin, end in zip(STAGES, times, (*times[1:], time.monotonic()), strict=True):
                self._seconds[stage].append(end - begin)

    def stages(self) -> dict[str, dict[str, float]]:
        """Milliseconds of each stage."""
        return {stage: milliseconds(list(seconds)) for stage, seconds in self._seconds.items() if seconds}


def main(order: int, report: int) -> int:
    """Take the order and do it. Returns the exit code."""
    line = read_order(order, report)
    if not line:
        return OK
    given = BenchWork(**json.loads(line))
    ear = BenchEar(order, report, Watch() if given.is_watched else None)
    code = tried(lambda: work(given, ear), ear, given.traceback)
    if ear.is_alone:
        with suppress(NoobleError):  # as well as it can be done
            asyncio.run(_clean_up(given))
    return code


async def _clean_up(given: BenchWork) -> None:
    settings, _ = own_settings(Wish(given.url or ""))
    async with RedisManager(settings) as manager:
        await sweep(await manager.get_redis_connection(), given.keys)


async def sweep(redis: Redis, pattern: str) -> None:
    """Delete all keys of *pattern*.

    Raises:
        ServerUnavailable, ServerRefused: the server does not do it.
    """
    try:
        keys = [key async for key in redis.scan_iter(match=pattern, count=1000)]
        for begin in range(0, len(keys), 500):
            await redis.unlink(*keys[begin : begin + 500])
    except FOREIGN_ERRORS as error:
        raise fault(error) from error


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
