"""The server's moods: waited out, told once, never in a hot loop."""

from __future__ import annotations

import asyncio

import pytest

from nooble.errors import GroupMissing, ServerRefused, ServerUnavailable
from nooble.events import Event, Events, ServerBack, ServerLost, Teller
from nooble.workers import outage
from nooble.workers.outage import Patience


class Server:
    """Does what it is told to, step by step.

    Args:
        moods: what happens at each step: an error, or what the step gives.
    """

    def __init__(self, *moods: Exception | str) -> None:
        self.moods = list(moods)
        self.restored = 0
        self.told: list[Event] = []
        events = Events()
        events.subscribe(self.told.append)
        self.patience = Patience(Teller(events, "demo", "me"), self._restore)

    async def step(self) -> str:
        mood = self.moods.pop(0)
        if isinstance(mood, Exception):
            raise mood
        return mood

    async def _restore(self) -> None:
        self.restored += 1

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.told]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without waiting for them."""
    made: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        made.append(seconds)
        await sleep(0)

    monkeypatch.setattr(outage.asyncio, "sleep", note)
    return made


AWAY = ServerUnavailable("away")
GONE = GroupMissing("NOGROUP")


async def test_what_works_is_done_at_once(pauses: list[float]) -> None:
    server = Server("done")
    assert await server.patience.persist(server.step) == "done"
    assert server.told == pauses == []


async def test_an_outage_is_waited_out_and_told_once_when_it_begins_and_once_when_it_ends() -> None:
    server = Server(AWAY, AWAY, AWAY, "done")
    assert await server.patience.persist(server.step) == "done"
    assert server.kinds() == [ServerLost, ServerBack]
    assert server.patience.outages == 1


async def test_pauses_grow_to_a_second_and_no_further(pauses: list[float]) -> None:
    server = Server(*[AWAY] * 12, "done")
    await server.patience.persist(server.step)
    longest = [min(1.0, 0.05 * 2**n) for n in range(12)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))


async def test_several_who_wait_are_one_outage() -> None:
    server = Server(AWAY, AWAY, AWAY, "done", "done", "done")
    await asyncio.gather(*(server.patience.persist(server.step) for _ in range(3)))
    assert server.kinds() == [ServerLost, ServerBack]


async def test_who_did_not_meet_the_outage_does_not_end_it() -> None:
    """A script that runs out of memory again and again is no flood of events, though all others go on."""
    server = Server(AWAY, AWAY, "suffered")
    suffering = asyncio.create_task(server.patience.persist(server.step))
    await asyncio.sleep(0)
    healthy = Server("done")
    assert await server.patience.persist(healthy.step) == "done"
    assert server.patience.down
    await suffering
    assert server.kinds() == [ServerLost, ServerBack]


async def test_the_end_of_an_outage_wakes_who_asked() -> None:
    server = Server(AWAY, "done")
    back = asyncio.create_task(server.patience.back.wait())
    await server.patience.persist(server.step)
    assert await back


async def test_a_missing_group_is_restored_and_the_step_repeated() -> None:
    server = Server(GONE, "done")
    assert await server.patience.persist(server.step) == "done"
    assert server.restored == 1
    assert server.told == []


async def test_a_group_that_vanishes_again_and_again_is_no_hot_loop(pauses: list[float]) -> None:
    server = Server(*[GONE] * 9, "done")
    await server.patience.persist(server.step)
    assert len(pauses) >= 4
    assert sum(pauses) > 0.2


async def test_a_server_that_goes_away_while_the_group_is_restored_is_waited_for() -> None:
    fails = iter([AWAY])

    async def restore() -> None:
        for error in fails:
            raise error

    server = Server(GONE, GONE, "done")
    server.patience = Patience(Teller(Events(), "demo", "me"), restore)
    assert await server.patience.persist(server.step) == "done"


async def test_what_a_person_must_mend_is_raised() -> None:
    server = Server(ServerRefused("NOPERM"))
    with pytest.raises(ServerRefused, match="NOPERM"):
        await server.patience.persist(server.step)


async def test_waiting_can_be_cancelled() -> None:
    server = Server(*[AWAY] * 1000)
    waiting = asyncio.create_task(server.patience.persist(server.step))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
