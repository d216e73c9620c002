"""Row W1: a worker is killed at each of its steps. Others take over what it had, a lease later; each action has one outcome,
and only what the dead one had at work runs again."""

from __future__ import annotations

import pytest

from tests.chaos.points import POINTS
from tests.chaos.scene import Scene

QUICK = {"handler:after:3", "commit:before:3", "commit:after:3"}
"""Those where most is at stake; the others are for the long run."""
AT = [
    "read:after:1",
    "read:after:2",
    "handler:before:5",
    "handler:after:3",
    "commit:before:3",
    "commit:after:1",
    "commit:after:3",
    "renew:before:2",
    "renew:after:1",
    "claim:before:1",
    "claim:after:1",
    "claim:after:2",
    "move_retries:before:1",
    "move_retries:before:3",
    "move_retries:after:1",
]


@pytest.mark.every_server
@pytest.mark.parametrize("point", [pytest.param(at, marks=() if at in QUICK else pytest.mark.slow) for at in AT])
async def test_w1_a_worker_killed_at_any_step_loses_and_doubles_nothing(scene: Scene, point: str) -> None:
    """Every fifth action fails at first and waits in the retry set."""
    await scene.send(50, seconds=0.1 if point.startswith("renew") else 0.02, fails_each=5)
    with scene.crew() as crew:
        victims = 1
        if point.startswith("claim"):
            crew.hire(crash_at="handler:before:6")  # leaves something to be taken over
            await scene.befallen()
            victims = 2
        crew.hire(crash_at=point)
        await scene.befallen(times=victims)
        crew.hire(2)
        await scene.done()
        await scene.holds()
    assert [why for _, why, *_ in scene.ledger.lines("disturbed")][:victims] == ["crash_at"] * victims


def test_w1_every_step_is_covered() -> None:
    """No point is left out."""
    assert {at.rpartition(":")[0] for at in AT} == set(POINTS)
