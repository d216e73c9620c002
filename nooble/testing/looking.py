"""What a harness sees of its services: what waits, what runs, what is due, in one look that nothing comes between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nooble.errors import MalformedAction
from nooble.models.actions import DomainAction
from nooble.testing.clock import milliseconds_of, together
from nooble.wire.codec import decode_action
from nooble.wire.connection import Link
from nooble.wire.dead_letters import DeadLetter, read_dead_letter
from nooble.wire.delivery import ATTEMPT, FIRST_ID, read_fields
from nooble.workers.base_worker import BaseWorker


@dataclass(frozen=True, slots=True)
class WaitingRetry:
    """An action that has failed and waits for its next run.

    Attributes:
        service: whose.
        attempt: how many runs it has had.
        due_in: seconds until it may start.
        action: the action; `None` if it cannot be read.
    """

    service: str
    attempt: int
    due_in: float
    action: DomainAction | None = None

    @property
    def action_type(self) -> str:
        """Its type; empty if it cannot be read."""
        return "" if self.action is None else self.action.action_type

    @property
    def is_awaited(self) -> bool:
        """Whether a caller waits for its answer."""
        return (
            self.action is not None
            and self.action.callback_queue_name is not None
            and self.action.callback_action_type is None
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """One look.

    Attributes:
        waiting: actions in the stream of each service, those at work included.
        retries: what waits for its next run, the next first.
    """

    waiting: dict[str, int]
    retries: list[WaitingRetry]

    @property
    def is_resting(self) -> bool:
        """Whether nothing is to be done now."""
        return not any(self.waiting.values()) and all(retry.due_in > 0 for retry in self.retries)


async def look(link: Link, workers: Iterable[BaseWorker]) -> Sight:
    """What stands in the streams and retry sets of *workers*, all of one moment."""
    every = list(workers)
    commands: list[tuple[Any, ...]] = [(b"MULTI",), (b"TIME",)]
    for worker in every:
        commands.append((b"XLEN", worker.action_stream_name))
        retries = worker.queue_manager.get_retry_set(worker.service_name)
        commands.append((b"ZRANGE", retries, 0, -1, b"WITHSCORES"))
    replies = (await link.pipeline([*commands, (b"EXEC",)]))[-1]
    now = milliseconds_of(replies[0])
    waiting = {worker.service_name: replies[1 + 2 * number] for number, worker in enumerate(every)}
    waiting_retries = [
        _retry(worker.service_name, member, (float(score) - now) / 1000)
        for number, worker in enumerate(every)
        for member, score in zip(replies[2 + 2 * number][::2], replies[2 + 2 * number][1::2], strict=True)
    ]
    return Sight(waiting, sorted(waiting_retries, key=lambda retry: retry.due_in))


def _retry(service: str, member: bytes, due_in: float) -> WaitingRetry:
    line, _, data = member.partition(b"\n")
    _, facts = read_fields([FIRST_ID, *line.split(b" ")])
    known = facts or {}
    try:
        action = decode_action(data, known.get(FIRST_ID, b"0-0"))
    except MalformedAction:
        action = None
    return WaitingRetry(service, int(known.get(ATTEMPT, b"0")), due_in, action)


async def letters(link: Link, workers: Iterable[BaseWorker]) -> list[DeadLetter]:
    """All dead letters of *workers*, the oldest of each first."""
    keys = [worker.queue_manager.get_dead_letter_stream(worker.service_name) for worker in workers]
    pages = await together(link, ((b"XRANGE", key, b"-", b"+") for key in keys))
    return [read_dead_letter(letter_id, fields) for page in pages for letter_id, fields in page]


def at_work(workers: Iterable[BaseWorker]) -> int:
    """How many actions these processes hold."""
    return sum(len(worker._engine.flight) for worker in workers if worker._engine is not None)


def only_running(workers: Iterable[BaseWorker]) -> bool:
    """Whether all that is held is in the hands of a handler."""
    flights = [worker._engine.flight for worker in workers if worker._engine is not None]
    return all(len(flight) == len(flight.running) for flight in flights)


def told(workers: Iterable[BaseWorker]) -> str:
    """What *workers* are at, for people."""
    lines = []
    for worker in workers:
        flight = worker._engine.flight if worker._engine is not None else None
        running = [run.action_type or "?" for run in flight.running.values()] if flight is not None else []
        if running:
            lines.append(f"{worker.service_name} is at work on {', '.join(running)}")
        elif flight is not None and flight.held:
            lines.append(f"{worker.service_name} cannot write what {len(flight.held)} have come to")
    return "; ".join(lines)
