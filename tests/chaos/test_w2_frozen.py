"""Rows W2 and W4: a worker is frozen past its lease at each of its steps, or its handler blocks the loop for as long, or
does not heed its cancellation. Others take over and finish; what it then still has to say is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.invariants import i8_the_fault_shows
from tests.chaos.points import POINTS
from tests.chaos.scene import LEASE, Scene
from tests.support.waiting import wait_until

QUICK = {"commit:before:3", "renew:before:1"}
AT = [
    "read:after:2",
    "handler:before:5",
    "handler:after:3",
    "commit:before:3",
    "commit:after:3",
    "renew:before:1",
    "renew:after:1",
    "claim:before:1",
    "claim:after:1",
    "move_retries:before:1",
    "move_retries:after:1",
]
REFUSALS = {"CommitRefused", "LeaseLost"}


async def refused(scene: Scene, pid: int | None) -> None:
    """Wait until the worker *pid* was told that something is not its own any more."""

    def told() -> bool:
        return any(kind in REFUSALS and who == str(pid) for kind, who, *_ in scene.ledger.lines("told"))

    await wait_until(told, "the frozen one is refused")


@pytest.mark.every_server
@pytest.mark.parametrize("point", [pytest.param(at, marks=() if at in QUICK else pytest.mark.slow) for at in AT])
async def test_w2_a_worker_frozen_at_any_step_is_refused_when_it_thaws(scene: Scene, point: str) -> None:
    """Neither its commit nor its heartbeat takes anything back from those who have gone on."""
    await scene.send(50, seconds=0.1 if point.startswith("renew") else 0.03, fails_each=5)
    with scene.crew() as crew:
        if point.startswith("claim"):
            crew.hire(crash_at="handler:before:6")
            await scene.befallen()
        (zombie,) = crew.hire(freeze_at=point)
        await scene.befallen(times=2 if point.startswith("claim") else 1)
        crew.hire(2)
        await scene.done()
        crew.thaw()
        if point != "claim:before:1":  # there it had nothing, and finds nothing
            await refused(scene, zombie.pid)
        await scene.send(20)
        await scene.done()
        await scene.holds()


def test_w2_every_step_is_covered() -> None:
    """No point is left out."""
    assert {at.rpartition(":")[0] for at in AT} == set(POINTS)


@pytest.mark.slow
@pytest.mark.every_server
async def test_w2_one_that_thaws_while_others_are_at_it_takes_nothing_back(scene: Scene) -> None:
    """Its heartbeat is the first thing that it sends."""
    await scene.send(4, exactly=0.6)
    with scene.crew() as crew:
        (zombie,) = crew.hire(freeze_at="renew:before")
        await scene.befallen()
        crew.hire(2)
        await scene.started(6)
        crew.thaw()
        await refused(scene, zombie.pid)
        await scene.done()
        await scene.holds()


@pytest.mark.slow
@pytest.mark.every_server
@pytest.mark.parametrize(
    "mood", [{"blocks": 3 * LEASE}, {"exactly": 4 * LEASE, "stubborn": 1}], ids=["blocks the loop", "is stubborn"]
)
async def test_w4_a_handler_that_outlives_its_lease_is_refused(scene: Scene, mood: dict[str, Any]) -> None:
    """It blocks the loop; or its worker is frozen and its handler goes on although it is cancelled."""
    await scene.send(1, **mood)
    await scene.send(10, seconds=0.02)
    with scene.crew(worker_concurrency=2) as crew:
        (first,) = crew.hire()
        await scene.started()
        if "stubborn" in mood:
            crew.freeze(first)
        crew.hire()
        await wait_until(lambda: scene.ledger.count("start")["0"] >= 2, "another has taken it over")
        crew.thaw()
        await refused(scene, first.pid)
        await scene.ended(12)
        await scene.done()
    found = await scene.evidence()
    found.disturbed.add(str(first.pid))  # its runs are what this is about
    if "blocks" in mood:
        i8_the_fault_shows(scene.ledger, "LoopBlocked")
    i8_the_fault_shows(scene.ledger, "Reclaimed")
    assert not {name: told for name, told in (await scene.broken()).items() if name != "I6"}
