"""Time that a test moves. No clock is set: what the framework counts down is brought nearer, wherever it is counted, so
that it works on every server and disturbs nobody else who uses it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nooble.wire.connection import Link
from nooble.workers.base_worker import BaseWorker
from nooble.workers.clock import ServerClock

_PAGE = 500


class MovedClock(ServerClock):
    """The clock of a worker in the harness: deadlines come nearer by what the test has moved since the action was written.

    Args:
        moves: pairs of the server's time in milliseconds and the milliseconds by which time was moved then.
    """

    def __init__(self, moves: list[tuple[int, int]]) -> None:
        super().__init__()
        self._moves = moves

    def seconds_until(self, entry_id: bytes, ttl_ms: int) -> float:
        """As of the server's clock, less what was moved since *entry_id* was made."""
        return super().seconds_until(entry_id, ttl_ms) - moved_since(self._moves, entry_id) / 1000


def moved_since(moves: Iterable[tuple[int, int]], entry_id: bytes) -> int:
    """Milliseconds by which time was moved after *entry_id* was made."""
    made = int(entry_id.partition(b"-")[0])
    return sum(milliseconds for moment, milliseconds in moves if made <= moment)


class Clock:
    """Moves time for the services of a harness.

    Moved: pauses of retries, leases of dead workers, deadlines of what waits and of what runs, timeouts of handlers, and the
    lifetimes of keys, answers, idempotency keys and dead letters. Not moved: what code waits for by itself (`asyncio.sleep`,
    `asyncio.timeout`, the timeout of a call that is under way), what it reads from `time` and `datetime`, and the times in
    ids and timestamps.

    Args:
        link: a connection to the server.
        place: prefix and environment, as all keys of the harness begin.
        workers: gives the workers of the harness.

    Attributes:
        moved: seconds by which time was moved so far.
    """

    def __init__(self, link: Link, place: str, workers: Callable[[], Iterable[BaseWorker]]) -> None:
        self._link = link
        self._place = place
        self._workers = workers
        self._moves: list[tuple[int, int]] = []
        self.moved = 0.0

    def of_worker(self) -> MovedClock:
        """A clock for a worker."""
        return MovedClock(self._moves)

    async def advance(self, seconds: float) -> None:
        """Move time on by *seconds*. What becomes due by it begins; `run_until_idle` waits for its end.

        Raises:
            ValueError: *seconds* is negative: time does not go back.
        """
        if not seconds >= 0:
            raise ValueError(f"advance({seconds!r}): time goes on, not back")
        milliseconds = round(seconds * 1000)
        self._moves.append((await self._tick(), milliseconds))
        self.moved += seconds
        for worker in self._workers():
            stream = worker.queue_manager.get_service_action_stream(worker.service_name)
            await self._bring_retries_nearer(worker.queue_manager.get_retry_set(worker.service_name), milliseconds)
            await self._age_what_the_dead_hold(stream, worker, milliseconds)
            await self._drop_old_letters(worker)
        await self._shorten_lifetimes(milliseconds)
        for worker in self._workers():
            _move_run(worker, seconds)

    async def server_ms(self) -> int:
        """The server's own time in milliseconds."""
        return milliseconds_of(await self._link.execute(b"TIME"))

    async def _tick(self) -> int:
        """The server's time, once it is past: whatever is written from now on has a later one."""
        moment = await self.server_ms()
        while await self.server_ms() <= moment:
            pass
        return moment

    # ── what is counted down in the server ──
    async def _bring_retries_nearer(self, retries: str, milliseconds: int) -> None:
        members = await self._link.execute(b"ZRANGE", retries, 0, -1)
        await together(self._link, ((b"ZADD", retries, b"XX", b"INCR", -milliseconds, member) for member in members))

    async def _age_what_the_dead_hold(self, stream: str, worker: BaseWorker, milliseconds: int) -> None:
        """What living workers hold they renew; in the harness they are never late."""
        group = worker.consumer_group_name
        rows = await self._link.execute(b"XPENDING", stream, group, b"-", b"+", _PAGE)
        me, claim = worker.consumer_name.encode(), (b"XCLAIM", stream, group)
        held = (row for row in rows if row[1] != me)
        await together(
            self._link,
            (
                (*claim, consumer, 0, entry_id, b"IDLE", idle + milliseconds, b"RETRYCOUNT", count, b"JUSTID")
                for entry_id, consumer, idle, count in held
            ),
        )

    async def _drop_old_letters(self, worker: BaseWorker) -> None:
        ttl_ms = int(worker.app_settings.dead_letter_ttl_seconds * 1000)
        letters = worker.queue_manager.get_dead_letter_stream(worker.service_name)
        now = await self.server_ms()
        for letter_id, _ in await self._link.execute(b"XRANGE", letters, b"-", b"+") if ttl_ms else ():
            if now - int(letter_id.partition(b"-")[0]) + moved_since(self._moves, letter_id) > ttl_ms:
                await self._link.execute(b"XDEL", letters, letter_id)

    async def _shorten_lifetimes(self, milliseconds: int) -> None:
        keys = await keys_below(self._link, self._place)
        lifetimes = await together(self._link, ((b"PTTL", key) for key in keys))
        ending = ((key, left) for key, left in zip(keys, lifetimes, strict=True) if left > 0)
        await together(self._link, ((b"PEXPIRE", key, max(0, left - milliseconds)) for key, left in ending))


def _move_run(worker: BaseWorker, seconds: float) -> None:
    """What one run of a worker counts by the clock of this process."""
    engine = worker._engine
    if engine is None:
        return
    for run in engine.flight.running.values():
        run.until = max(time.monotonic() - 1.0, run.until - seconds) if run.until else 0.0
        if run.context is not None and run.context.deadline is not None:
            run.context.deadline -= seconds
    engine._consumer._next_claim -= seconds
    engine.flight.retried.ring()


async def together(link: Link, commands: Iterable[Sequence[Any]]) -> list[Any]:
    """The replies to *commands*, sent in one write; none are none."""
    listed = list(commands)
    return await link.pipeline(listed) if listed else []


def milliseconds_of(moment: list[Any]) -> int:
    """Milliseconds in a reply to TIME."""
    return int(moment[0]) * 1000 + int(moment[1]) // 1000


async def keys_below(link: Link, place: str) -> list[bytes]:
    """All keys whose names begin with *place* and a colon."""
    cursor, found = b"0", set()
    while True:
        cursor, keys = await link.execute(b"SCAN", cursor, b"MATCH", f"{place}:*", b"COUNT", 1000)
        found.update(keys)
        if int(cursor) == 0:
            return sorted(found)
