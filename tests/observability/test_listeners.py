"""Listeners that take their time, each in a thread of its own: nobody waits for them, and what does not fit is counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

from nooble.config import CommonAppSettings
from nooble.errors import Reject
from nooble.events import (
    CommitRefused,
    Completed,
    DeadLettersTrimmed,
    Event,
    Events,
    Held,
    Received,
    Settled,
    Started,
    Teller,
)
from nooble.models import DomainAction
from nooble.models.outcomes import Buried, Outcome
from nooble.models.outcomes import Completed as Done
from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import Committed
from nooble.workers import ServiceWorker
from nooble.workers.batches import BatchReports
from nooble.workers.in_flight import Run
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Settings = Callable[..., CommonAppSettings]


def trimmed(count: int) -> DeadLettersTrimmed:
    return DeadLettersTrimmed(service="demo", consumer="me", count=count)


def counts(heard: list[Any]) -> list[int]:
    return [event.count for event in heard]


def test_everything_is_heard_in_order_in_another_thread() -> None:
    events, heard, threads = Events(), list[Any](), set[str]()

    def hear(event: Event) -> None:
        threads.add(threading.current_thread().name)
        heard.append(event)

    apart = events.subscribe_apart(hear)
    for number in range(1_000):
        events.emit(trimmed(number))
    assert apart.end()
    assert counts(heard) == list(range(1_000))
    assert threads == {"nooble-listener"}
    assert not events.wants(DeadLettersTrimmed)


def test_who_tells_does_not_wait_and_what_does_not_fit_is_counted_and_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events, heard, begun, go_on = Events(), list[Any](), threading.Event(), threading.Event()

    def hear(event: Event) -> None:
        begun.set()
        go_on.wait(10)
        heard.append(event)

    apart = events.subscribe_apart(hear, [DeadLettersTrimmed], most=3)
    events.emit(trimmed(0))
    assert begun.wait(10)
    for number in range(1, 10):
        events.emit(trimmed(number))
    assert apart.dropped == 6
    go_on.set()
    assert apart.end()
    assert counts(heard) == [0, 1, 2, 3]
    said = capsys.readouterr().out
    assert said.count("events_dropped") == 1
    assert "3 events wait for it" in said


def test_a_listener_that_fails_hears_the_next_event_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    events, heard = Events(), list[Any]()

    def hear(event: Any) -> None:
        heard.append(event)
        if event.count == 0:
            raise LookupError("bad listener")

    apart = events.subscribe_apart(hear)
    events.emit(trimmed(0))
    events.emit(trimmed(1))
    assert apart.end()
    assert counts(heard) == [0, 1]
    assert "bad listener" in capsys.readouterr().out


def test_a_subscription_that_never_heard_anything_ends_at_once() -> None:
    apart = Events().subscribe_apart(print)
    assert apart.end(0)
    assert "waiting=0 dropped=0" in repr(apart)


def test_a_queue_without_room_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one event"):
        Events().subscribe_apart(print, most=0)


async def test_a_slow_listener_does_not_slow_the_worker(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """The listener stands still until the worker has done everything."""
    service, done, heard = Doing(lambda action: None), threading.Event(), list[Any]()
    worker = ServiceWorker(settings(), redis, service)

    def hear(event: Event) -> None:
        done.wait(30)
        heard.append(event)

    apart = worker.events.subscribe_apart(hear, [Started, Completed])
    async with running(worker):
        for _ in range(20):
            await platform.send("demo.thing.do")
        await wait_until(platform.is_done, "all is done")
        assert heard == []
        done.set()
    assert await asyncio.to_thread(apart.end)
    assert [type(event) for event in heard].count(Completed) == 20


# ── batches ──
async def test_what_was_received_is_told_before_anything_of_it_starts(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    entries = [(await platform.send("demo.thing.do")).decode() for _ in range(5)]
    worker, heard = ServiceWorker(settings(), redis, Doing(lambda action: None)), list[Any]()
    worker.events.subscribe(heard.append, [Received, Started])
    async with running(worker):
        await wait_until(platform.is_done, "all is done")
    received = [entry for event in heard if isinstance(event, Received) for entry in event.entry_ids]
    assert received == entries
    assert isinstance(heard[0], Received)


async def test_a_batch_is_told_as_a_whole_with_every_outcome(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    def answer(action: DomainAction) -> None:
        if action.data:
            raise Reject("no")

    good, bad = await platform.send("demo.thing.do"), await platform.send("demo.thing.do", {"n": 1})
    worker, heard = ServiceWorker(settings(), redis, Doing(answer)), list[Settled]()
    worker.events.subscribe(heard.append, [Settled])
    async with running(worker):
        await wait_until(platform.is_done, "all is done")
    ended = {one.entry_id: one for event in heard for one in event.ended}
    assert {entry: type(one.outcome) for entry, one in ended.items()} == {good: Done, bad: Buried}
    assert all(one.started > 0 and one.action_type == "demo.thing.do" for one in ended.values())


def test_what_was_not_written_is_no_part_of_its_batch() -> None:
    """The fence has refused one, one is held back; both tell of themselves."""
    runs = [Run(Delivery(b"%d-0" % number, b"")) for number in range(1, 5)]
    result = Committed(refused=[(runs[1].delivery, b"taken")], held=[(runs[2].delivery, "wrong type")])
    events, heard = Events(), list[Any]()
    reports = BatchReports(Teller(events, "demo", "me"))
    batch: list[tuple[Run, Outcome]] = [(run, Done()) for run in runs]
    reports.committed(batch, result)  # to nobody
    events.subscribe(heard.append, [Settled, CommitRefused, Held])
    runs[2].held = False
    reports.committed(batch, result)
    settled, refused, held = heard
    assert [one.entry_id for one in settled.ended] == [b"1-0", b"4-0"]
    assert (type(refused), refused.entry_id, type(held), held.entry_id) == (CommitRefused, "2-0", Held, "3-0")
