"""A life is begun, ended and cancelled in every order, and comes to rest each time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from nooble.workers.life import Life
from tests.support.waiting import wait_until


class Story:
    """What happened in the lives of one test, and how to make things happen in them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failure: Exception | None = None
        self.failures: list[BaseException] = []
        self.rested = asyncio.Event()
        self.rested.set()
        self.life = Life(self._live, "life", self.failures.append)

    async def _live(self) -> None:
        self.lines.append("begun")
        try:
            if self.failure is not None:
                raise self.failure
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.rested.wait()
            self.lines.append("at rest")
            raise


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    """A life that goes on until it is ended."""
    story = Story()
    yield story
    story.rested.set()
    await story.life.end()


async def begun(story: Story) -> None:
    await wait_until(lambda: story.lines == ["begun"], "the life has begun")


async def test_run_returns_when_somebody_ends_the_life(story: Story) -> None:
    run = asyncio.create_task(story.life.run())
    await begun(story)
    await story.life.end()
    await run
    assert story.lines == ["begun", "at rest"]
    assert not story.life.going_on


async def test_start_returns_at_once(story: Story) -> None:
    story.life.start()
    assert story.life.going_on
    assert story.lines == []


async def test_a_second_start_changes_nothing(story: Story) -> None:
    story.life.start()
    story.life.start()
    await begun(story)
    await asyncio.sleep(0)
    assert story.lines == ["begun"]


async def test_a_second_run_is_refused(story: Story) -> None:
    story.life.start()
    with pytest.raises(RuntimeError, match="running already"):
        await story.life.run()


async def test_ending_before_the_beginning_leaves_no_trace(story: Story) -> None:
    await story.life.end()
    run = asyncio.create_task(story.life.run())
    await begun(story)
    assert not run.done()
    await story.life.end()
    await run


async def test_ending_what_has_hardly_begun_ends_it(story: Story) -> None:
    story.life.start()
    await story.life.end()
    assert not story.life.going_on
    assert story.lines == []


async def test_ending_twice_cancels_once(story: Story) -> None:
    """A second cancellation would disturb it while it comes to rest."""
    story.life.start()
    await begun(story)
    story.rested.clear()
    first = asyncio.create_task(story.life.end())
    for _ in range(3):
        await asyncio.sleep(0)
    second = asyncio.create_task(story.life.end())
    for _ in range(3):
        await asyncio.sleep(0)
    assert story.life.going_on
    story.rested.set()
    await asyncio.gather(first, second)
    assert story.lines == ["begun", "at rest"]


async def test_ending_without_waiting_returns_at_once(story: Story) -> None:
    story.life.start()
    await begun(story)
    story.rested.clear()
    await story.life.end(wait=False)
    assert story.life.going_on


async def test_a_life_that_ends_itself_does_not_wait_for_itself() -> None:
    async def live() -> None:
        await life.end()
        await asyncio.sleep(0)

    life = Life(live, "life", lambda error: None)
    await asyncio.wait_for(life.run(), 1)


async def test_cancelling_run_ends_the_life_and_waits_until_it_has_come_to_rest(story: Story) -> None:
    run = asyncio.create_task(story.life.run())
    await begun(story)
    story.rested.clear()
    run.cancel()
    await asyncio.sleep(0)
    assert not run.done()
    story.rested.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert story.lines == ["begun", "at rest"]


async def test_a_timeout_around_run_ends_it(story: Story) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await story.life.run()
    assert story.lines == ["begun", "at rest"]


async def test_who_is_cancelled_while_the_life_is_being_ended_is_cancelled(story: Story) -> None:
    """An end that somebody else asked for does not swallow it."""
    run = asyncio.create_task(story.life.run())
    await begun(story)
    story.rested.clear()
    end = asyncio.create_task(story.life.end())
    await asyncio.sleep(0)
    run.cancel()
    story.rested.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    await end


async def test_an_error_that_ends_a_life_reaches_who_awaits_it(story: Story) -> None:
    story.failure = LookupError("broken")
    with pytest.raises(LookupError, match="broken"):
        await story.life.run()
    assert story.failures == []


async def test_an_error_that_ends_a_life_in_the_background_is_told(story: Story) -> None:
    story.failure = LookupError("broken")
    story.life.start()
    await wait_until(lambda: story.failures == [story.failure], "it is told")
    await story.life.end()


async def test_lives_follow_each_other(story: Story) -> None:
    for _ in range(2):
        story.life.start()
        await wait_until(lambda: story.lines[-1:] == ["begun"], "it has begun")
        await story.life.end()
    assert story.lines == ["begun", "at rest"] * 2
