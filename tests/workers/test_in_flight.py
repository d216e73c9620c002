"""What a worker holds: where it stands, what may start, and who is woken."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from nooble.models.outcomes import Completed
from nooble.wire.delivery import Delivery
from nooble.workers.in_flight import InFlight, Run, is_suspect

TRIAL = 10.0


def fresh(number: int = 1) -> Delivery:
    return Delivery(b"%d-0" % number, b"{}")


def suspect(number: int = 1) -> Delivery:
    return Delivery(b"%d-0" % number, b"{}", token=2)


def at_work(flight: InFlight, delivery: Delivery, *, since: float, slot: int = 0) -> None:
    flight.running[slot] = Run(delivery, None, since)


def test_what_was_delivered_before_without_an_end_is_suspect() -> None:
    assert not is_suspect(Delivery(b"1-0", b"{}"))
    assert is_suspect(Delivery(b"1-0", b"{}", token=2))
    assert is_suspect(Delivery(b"1-0", b"{}", facts={b"deliveries": b"1"}))
    assert not is_suspect(Delivery(b"1-0", b"{}", facts={b"attempt": b"2", b"first_id": b"1-0"}))


def test_what_is_ready_starts_in_order_and_before_suspects() -> None:
    flight = InFlight(TRIAL)
    flight.add([suspect(1), fresh(2), fresh(3)])
    started = [flight.startable(now=100) for _ in range(4)]
    assert [delivery and delivery.entry_id for delivery in started] == [b"2-0", b"3-0", b"1-0", None]


def test_a_suspect_starts_alone() -> None:
    flight = InFlight(TRIAL)
    flight.add([suspect()])
    at_work(flight, fresh(2), since=99)
    assert flight.startable(now=100) is None
    flight.running.clear()
    assert flight.startable(now=100)


def test_a_suspect_does_not_wait_for_what_has_proved_harmless() -> None:
    """A handler that works for hours keeps nobody from starting."""
    flight = InFlight(TRIAL)
    flight.add([suspect()])
    at_work(flight, fresh(2), since=100 - TRIAL)
    assert flight.startable(now=100)


def test_nothing_starts_beside_a_suspect_until_it_has_proved_harmless() -> None:
    flight = InFlight(TRIAL)
    at_work(flight, suspect(), since=100)
    flight.add([suspect(2)])
    assert flight.on_trial(now=101)
    assert flight.startable(now=101) is None
    assert flight.startable(now=100 + TRIAL)
    assert not flight.on_trial(now=100 + TRIAL)


def test_fresh_entries_at_work_are_no_reason_to_wait() -> None:
    flight = InFlight(TRIAL)
    at_work(flight, fresh(), since=100)
    assert not flight.on_trial(now=100)


def test_the_youngest_at_work_says_how_long_to_wait() -> None:
    flight = InFlight(TRIAL)
    assert flight.unproven(now=100) == 0
    at_work(flight, fresh(1), since=90, slot=0)
    at_work(flight, fresh(2), since=97, slot=1)
    assert flight.unproven(now=100) == 7


async def test_each_that_can_start_wakes_an_executor() -> None:
    flight = InFlight(TRIAL)
    waiting = [asyncio.create_task(flight.work.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    flight.add([fresh(1), fresh(2)])
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, True, False]
    flight.work.ring_all()
    await asyncio.gather(*waiting)


async def test_what_has_ended_wakes_the_settler() -> None:
    flight = InFlight(TRIAL)
    settler = asyncio.create_task(flight.settle.wait())
    await asyncio.sleep(0)
    flight.finish(Run(fresh()), Completed())
    assert await settler


async def test_what_is_lost_is_forgotten_and_makes_room() -> None:
    flight = InFlight(TRIAL)
    flight.add([fresh(1), fresh(2), suspect(3)])
    reader = asyncio.create_task(flight.space.wait())
    await asyncio.sleep(0)
    flight.drop({b"1-0", b"3-0"})
    assert await reader
    assert [delivery.entry_id for delivery in flight] == [b"2-0"]


def test_the_newest_are_handed_back_first() -> None:
    flight = InFlight(TRIAL)
    flight.add([fresh(n) for n in range(5)])
    assert [delivery.entry_id for delivery in flight.take_excess(keep=3)] == [b"3-0", b"4-0"]
    assert flight.take_excess(keep=3) == []
    assert len(flight) == 3


stations = st.lists(st.sampled_from(["ready", "suspects", "running", "finished", "committing", "held"]), max_size=30)


@given(stations)
def test_whatever_stands_anywhere_is_held_and_counted_once(where: list[str]) -> None:
    """The heartbeat renews what this counts: what it forgot would be taken by others."""
    flight = InFlight(TRIAL)
    for number, station in enumerate(where):
        delivery = fresh(number)
        if station in ("ready", "suspects"):
            getattr(flight, station).append(delivery)
        elif station == "running":
            flight.running[number] = Run(delivery)
        else:
            getattr(flight, station).append((Run(delivery), Completed()))
    assert sorted(delivery.entry_id for delivery in flight) == sorted(b"%d-0" % n for n in range(len(where)))
    assert len(flight) == len(where)
    unsettled = sum(station in ("finished", "committing", "held") for station in where)
    assert flight.unsettled == unsettled
