"""Row W5: a worker process is asked to stop at each of its steps. What it has not done is another's at once, not a lease
later, and nobody's count is raised; the exit code says how it ended."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from tests.chaos.crew import Crew
from tests.chaos.invariants import broken, i5_every_key_has_a_lifetime, i7_it_ends_as_it_should
from tests.chaos.points import POINTS
from tests.chaos.scene import Scene
from tests.support.kinds import slowly_on_each
from tests.support.servers import Server
from tests.support.waiting import wait_until

LONG = 30.0
"""A lease that nobody waits for."""
AT = [
    "read:after:2",
    "handler:before:5",
    "handler:after:5",
    "commit:before:3",
    "commit:after:3",
    "renew:before:1",
    "renew:after:1",
    "claim:before:1",
    "claim:after:1",
    "move_retries:before:1",
    "move_retries:after:1",
]
QUICK = {"handler:before:5", "commit:after:3"}


def deliveries_and_attempts(scene: Scene) -> set[tuple[int, int]]:
    """Which delivery and which attempt each run was."""
    return {(int(words[4]), int(words[5])) for words in scene.ledger.lines("start")}


@pytest.mark.every_server
@pytest.mark.parametrize("point", [pytest.param(at, marks=() if at in QUICK else pytest.mark.slow) for at in AT])
async def test_w5_asked_to_stop_at_any_step_it_hands_over_at_once(scene: Scene, point: str) -> None:
    """Every fifth action fails at first, so that there are retries too."""
    claims = point.startswith("claim")
    lease = 0.3 if claims else 1.0 if point.startswith("renew") else LONG
    await scene.send(50, seconds=0.4 if point.startswith("renew") else 0.02, fails_each=5)
    with scene.crew(as_command=True, worker_lease_seconds=lease) as crew:
        if claims:
            crew.hire(crash_at="handler:before:6")
            await scene.befallen()
        (leaving,) = crew.hire(term_at=point)
        await scene.befallen(times=2 if claims else 1)
        crew.hire()
        assert crew.ended(leaving) == 0
        await scene.done(15)
        await scene.holds()
    if not claims:
        assert deliveries_and_attempts(scene) <= {(1, 1), (1, 2)}
        assert set(scene.ledger.count("told")) == set()


def test_w5_every_step_is_covered() -> None:
    """No point is left out."""
    assert {at.rpartition(":")[0] for at in AT} == set(POINTS)


@slowly_on_each
async def test_w5_what_does_not_finish_within_the_grace_begins_elsewhere_in_a_second(scene: Scene) -> None:
    """Handlers that would take much longer, and what was read ahead behind them."""
    await scene.send(6, exactly=2.0)
    with scene.crew(as_command=True, worker_lease_seconds=LONG, worker_grace_seconds=0.2) as crew:
        (leaving,) = crew.hire()
        await scene.started(4)
        crew.hire(2)
        await scene.started(6)
        asked = time.monotonic()
        crew.ask_to_stop(leaving)
        code = crew.ended(leaving)
        i7_it_ends_as_it_should(code, time.monotonic() - asked, expected=0, within=0.2 + 2)
        await scene.started(10)
        late = max(float(words[6]) for words in scene.ledger.lines("start")) - asked
        await scene.done()
        found = await scene.evidence()
    assert late < 1.2, f"begun again {late:.2f} s after the signal, with a grace of 0.2 s"
    assert deliveries_and_attempts(scene) == {(1, 1)}
    assert set(scene.ledger.count("told")) == set()
    found.disturbed.add(str(leaving.pid))  # it was cut short
    assert broken(found) == {}


@pytest.mark.slow
@pytest.mark.every_server
async def test_w5_a_second_signal_ends_it_now_and_its_lease_runs_out(scene: Scene) -> None:
    """What it had is taken over a lease later, with its count raised: nobody knows how far it came."""
    await scene.send(6, exactly=1.5)
    with scene.crew(as_command=True) as crew:
        (leaving,) = crew.hire()
        await scene.started(4)
        scene.ledger.write("disturbed", leaving.pid, "second signal")
        crew.ask_to_stop(leaving)
        await asyncio.sleep(0.2)  # signals of one kind that are not yet heard are one
        asked = time.monotonic()
        crew.ask_to_stop(leaving)
        code = crew.ended(leaving)
        i7_it_ends_as_it_should(code, time.monotonic() - asked, expected=128 + signal.SIGTERM, within=1)
        crew.hire(2)
        await scene.done()
        await scene.holds()
    assert {deliveries for deliveries, _ in deliveries_and_attempts(scene)} == {1, 2}


@pytest.mark.slow
@pytest.mark.every_server
async def test_w5_killed_at_the_end_of_its_grace_it_loses_nothing(scene: Scene) -> None:
    """As whoever deploys does with what does not end: what had not begun was handed back before."""
    await scene.send(5, exactly=3.0)
    await scene.send(30, seconds=0.02)
    with scene.crew(as_command=True, worker_grace_seconds=30, worker_concurrency=8) as crew:
        (leaving,) = crew.hire()
        await scene.started(8)
        crew.ask_to_stop(leaving)
        await asyncio.sleep(0.3)
        assert leaving.is_alive()
        crew.kill(leaving)
        crew.hire(2)
        await scene.done(15)
        await scene.holds()


class Callers:
    """Callers who wait for answers, each one call after the other, and how long each waited.

    Args:
        client: through what they call.
    """

    def __init__(self, client: BaseRedisClient) -> None:
        self._client = client
        self.waited: list[float] = []
        self.wrong: list[object] = []
        self.going_on = True

    async def call(self, first: int) -> None:
        """Call until `going_on` is false."""
        number = first
        while self.going_on:
            since = time.monotonic()
            answer = await self._client.call("demo.item.make", {"n": number, "seconds": 0.05}, timeout=10)
            self.waited.append(time.monotonic() - since)
            if not answer.success or answer.data["n"] != number:
                self.wrong.append(answer)
            number += 1


async def roll(crew: Crew, dice: random.Random, turns: int) -> None:
    """Replace the workers one after the other: the new one comes, then the old one goes."""
    for _ in range(turns):
        oldest: ForkServerProcess = crew.members[0]
        crew.hire()
        await asyncio.sleep(dice.uniform(0.3, 0.6))
        crew.ask_to_stop(oldest)
        await wait_until(lambda member=oldest: not member.is_alive(), "it has ended", timeout=15)
        assert crew.ended(oldest) == 0


@pytest.mark.slow
@pytest.mark.every_server
async def test_w5_a_rolling_restart_under_load_keeps_nobody_waiting(
    scene: Scene, server: Server, redis: redis.asyncio.Redis, settings: Callable[..., CommonAppSettings]
) -> None:
    """Three workers, each replaced twice; forty calls in flight all the time. No answer comes later than 2 s."""
    seed = 20_261_122
    print(f"seed: {seed}")
    with scene.crew(as_command=True, worker_lease_seconds=LONG) as crew:
        crew.hire(3)
        async with BaseRedisClient("shop", redis, settings("shop")) as client:
            callers = Callers(client)
            tasks = [asyncio.create_task(callers.call(1_000_000 * number)) for number in range(40)]
            await roll(crew, random.Random(seed), turns=6)
            callers.going_on = False
            await asyncio.gather(*tasks)
        await scene.done()
    print(f"{len(callers.waited)} calls, the longest took {max(callers.waited):.3f} s")
    assert callers.wrong == []
    assert max(callers.waited) < 2
    assert deliveries_and_attempts(scene) == {(1, 1)}
    assert max(scene.ledger.count("end").values()) == 1
    i5_every_key_has_a_lifetime(server)
