"""Futures end when their time is over, in any order, and what is done long before costs no memory."""

from __future__ import annotations

import asyncio

import pytest

from nooble.wire.deadlines import Deadlines

pytestmark = pytest.mark.every_loop


def future() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


async def test_each_ends_in_its_own_time() -> None:
    deadlines, ended = Deadlines(), list[float]()
    waiting = []
    for seconds in (0.06, 0.02, 0.04, 0.02, 0.0):
        one = future()
        one.add_done_callback(lambda _, seconds=seconds: ended.append(seconds))  # type: ignore[misc]
        deadlines.add(one, seconds)
        waiting.append(one)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 5
    assert ended == sorted(ended)
    assert len(deadlines) == 0


async def test_what_is_done_in_time_is_left_alone() -> None:
    deadlines, done, late = Deadlines(), future(), future()
    deadlines.add(done, 0.01)
    deadlines.add(late, 0.02)
    done.set_result(7)
    with pytest.raises(TimeoutError):
        await late
    assert done.result() == 7


async def test_a_shorter_one_is_not_kept_waiting_by_a_longer_one() -> None:
    deadlines, long, short = Deadlines(), future(), future()
    deadlines.add(long, 60)
    deadlines.add(short, 0.01)
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await short
    assert not long.done()
    deadlines.close()


async def test_what_is_done_is_let_go_long_before_its_time() -> None:
    deadlines = Deadlines()
    for _ in range(10_000):
        one = future()
        deadlines.add(one, 60)
        one.set_result(1)
    assert len(deadlines) <= 257
    deadlines.close()


async def test_pruning_loses_nobody() -> None:
    deadlines = Deadlines()
    kept = [future() for _ in range(500)]
    for one in kept:
        deadlines.add(one, 0.05)
    for _ in range(2_000):
        done = future()
        deadlines.add(done, 60)
        done.cancel()
    results = await asyncio.gather(*kept, return_exceptions=True)
    assert {type(result) for result in results} == {TimeoutError}
    deadlines.close()


async def test_after_closing_nothing_ends() -> None:
    deadlines, one = Deadlines(), future()
    deadlines.add(one, 0.0)
    deadlines.close()
    await asyncio.sleep(0.01)
    assert not one.done()
