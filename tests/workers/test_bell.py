"""Bells: who waits is woken, in order; who has given up is not rung for; nothing piles up."""

from __future__ import annotations

import asyncio

import pytest

from nooble.workers.bell import Bell


async def waiting(bell: Bell, count: int = 1) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(bell.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_a_ring_wakes_who_waits() -> None:
    bell = Bell()
    (task,) = await waiting(bell)
    bell.ring()
    assert await task


async def test_a_ring_that_nobody_hears_is_gone() -> None:
    bell = Bell()
    bell.ring()
    assert not await bell.wait(0.001)


async def test_the_longest_waiting_are_woken_first() -> None:
    bell = Bell()
    first, second, third = await waiting(bell, 3)
    bell.ring(2)
    assert await first
    assert await second
    assert not third.done()
    bell.ring_all()
    assert await third


async def test_who_gives_up_is_told_so_and_leaves_nothing_behind() -> None:
    bell = Bell()
    for _ in range(3):
        assert not await bell.wait(0.001)
    assert not bell.waiting


async def test_who_is_cancelled_leaves_nothing_behind() -> None:
    bell = Bell()
    (task,) = await waiting(bell)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not bell.waiting


async def test_a_ring_passes_over_who_was_cancelled() -> None:
    bell = Bell()
    first, second = await waiting(bell, 2)
    first.cancel()
    bell.ring()
    assert await second


async def test_a_ring_at_the_last_moment_counts() -> None:
    """The timer and the ring in one turn of the loop: one of them wins, and it is told which."""
    bell = Bell()
    asyncio.get_running_loop().call_later(0.001, bell.ring)
    assert isinstance(await bell.wait(0.001), bool)
    assert not bell.waiting
