"""All or nothing: what an action has to say and its end appear together, for whoever still owns it, and for nobody else."""

from __future__ import annotations

import asyncio

import pytest

from nooble.events import CommitRefused, Held, LeaseLost, Unwritten
from nooble.models import DomainAction, current_context
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ

pytestmark = pytest.mark.every_server
OTHER = "demo-worker-other-nb0123456789"


async def follow(action: DomainAction) -> None:
    """Send one follow-up."""
    await current_context().send("next.thing.do", {"from": str(action.action_id)})


async def rob(platform: Platform) -> None:
    """Take the one pending entry over, as another worker does after a lease."""
    (row,) = await platform.pending()
    await platform.redis.xclaim(platform.stream, platform.group, OTHER, 0, [row["message_id"]])


async def test_a_follow_up_appears_with_the_end_of_its_action_and_not_before(
    employ: Employ, platform: Platform
) -> None:
    following = Platform(platform.redis, "next")
    sent, go_on = asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> None:
        await follow(action)
        sent.set()
        await go_on.wait()

    await employ(work)
    await platform.send("demo.thing.do")
    await sent.wait()
    assert await following.backlog() == 0
    go_on.set()
    await wait_until(platform.is_done, "it has ended")
    assert await following.backlog() == 1


async def test_a_worker_that_is_robbed_writes_nothing(employ: Employ, platform: Platform) -> None:
    """Neither follow-up nor answer: whoever has the action now will write them."""
    following = Platform(platform.redis, "next")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> str:
        await follow(action)
        begun.set()
        await go_on.wait()
        return "done"

    worker = await employ(work, worker_lease_seconds=60)
    queue = platform.queue()
    await platform.send("demo.thing.do", callback_queue_name=queue)
    await begun.wait()
    await rob(platform)
    go_on.set()
    (refused,) = await wait_until(lambda: worker.heard(CommitRefused), "its commit is refused")
    assert (refused.why, refused.action_type) == ("taken", "demo.thing.do")
    assert await following.backlog() == 0
    assert not await platform.redis.exists(queue)
    (row,) = await platform.pending()
    assert row["consumer"] == OTHER.encode()


async def test_an_older_delivery_to_the_same_consumer_is_refused_as_well(employ: Employ, platform: Platform) -> None:
    """Name and count together are the fence."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(action: DomainAction) -> None:
        begun.set()
        await go_on.wait()

    worker = await employ(work, worker_lease_seconds=60)
    await platform.send("demo.thing.do")
    await begun.wait()
    (row,) = await platform.pending()
    await platform.redis.xclaim(platform.stream, platform.group, worker.consumer_name, 0, [row["message_id"]])
    go_on.set()
    await wait_until(lambda: worker.heard(CommitRefused), "its commit is refused")


async def test_a_handler_whose_action_was_taken_over_is_cancelled(employ: Employ, platform: Platform) -> None:
    """The heartbeat hears of it; what the handler did is worth nothing any more."""
    cancelled = asyncio.Event()

    async def work(action: DomainAction) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    worker = await employ(work, worker_lease_seconds=0.3)
    await platform.send("demo.thing.do")
    await wait_until(lambda: worker.service.seen, "it has begun")
    await rob(platform)
    await platform.redis.xgroup_delconsumer(platform.stream, platform.group, OTHER)
    await asyncio.wait_for(cancelled.wait(), 2)
    (lost,) = await wait_until(lambda: worker.heard(LeaseLost), "it is told")
    assert lost.action_type == "demo.thing.do"
    assert worker.heard(CommitRefused) == []


async def test_a_worker_whose_action_was_taken_over_goes_on(employ: Employ, platform: Platform) -> None:
    async def work(action: DomainAction) -> None:
        await asyncio.sleep(60 if action.data else 0)

    worker = await employ(work, worker_lease_seconds=0.3)
    await platform.send("demo.thing.do", {"slow": True})
    await wait_until(lambda: worker.service.seen, "it has begun")
    await rob(platform)
    assert (await platform.ask("demo.other.do"))["success"]


async def test_what_was_taken_over_and_given_back_is_found_again(employ: Employ, platform: Platform) -> None:
    """It has the same id and the same owner as before, and yet nobody was told of it."""

    async def work(action: DomainAction) -> None:
        await asyncio.sleep(60 if current_context().deliveries == 1 else 0)

    worker = await employ(work, worker_lease_seconds=0.3, worker_max_deliveries=10)
    await platform.send("demo.thing.do")
    await wait_until(lambda: worker.service.seen, "it has begun")
    await rob(platform)
    (row,) = await platform.pending()
    await platform.redis.xclaim(platform.stream, platform.group, worker.consumer_name, 0, [row["message_id"]])
    await wait_until(platform.is_done, "it is done")
    assert len(worker.service.seen) == 2


async def test_an_answer_that_cannot_be_written_is_told_and_holds_nothing_up(
    employ: Employ, platform: Platform
) -> None:
    """The asker has put something else where the list should be: its own loss."""
    worker = await employ(follow)
    queue = platform.queue()
    await platform.redis.set(queue, "no list", ex=60)
    await platform.send("demo.thing.do", callback_queue_name=queue)
    (told,) = await wait_until(lambda: worker.heard(Unwritten), "it is told")
    assert told.key == queue
    assert "WRONGTYPE" in told.message
    assert await platform.is_done()
    assert await Platform(platform.redis, "next").backlog() == 1


async def test_a_follow_up_that_cannot_be_written_is_kept(employ: Employ, platform: Platform) -> None:
    """In the dead letters of the service that sent it, in the same step."""
    following = Platform(platform.redis, "next")
    await platform.redis.set(following.stream, "no stream", ex=60)
    worker = await employ(follow)
    await platform.send("demo.thing.do")
    await wait_until(lambda: worker.heard(Unwritten), "it is told")
    (letter,) = await platform.buried()
    assert (letter["reason"], letter["target"]) == ("UNWRITABLE_FOLLOW_UP", following.stream)
    assert b"next.thing.do" in letter["data"]
    assert await platform.is_done()


@pytest.mark.slow
async def test_what_cannot_be_kept_is_held_until_it_can(employ: Employ, platform: Platform) -> None:
    """The service's own key is unusable: nothing is lost, it is told once, and others are not disturbed."""

    def fail(action: DomainAction) -> None:
        if action.data:
            raise OSError("no")

    worker = await employ(fail, retry_attempts=1, worker_lease_seconds=0.5)
    await platform.redis.set(platform.dead_letters, "no stream", ex=60)
    await platform.send("demo.thing.do", {"bad": True})
    (held,) = await wait_until(lambda: worker.heard(Held), "it is told")
    assert "WRONGTYPE" in held.message
    assert (await platform.ask("demo.thing.do"))["success"]
    await asyncio.sleep(1.2)  # it is tried again meanwhile, and not told again
    assert len(worker.heard(Held)) == 1
    assert len(worker.service.seen) == 2
    await platform.redis.delete(platform.dead_letters)
    await wait_until(platform.is_done, "it has ended")
    assert [letter["error"] for letter in await platform.buried()] == ["OSError: no"]


async def test_what_is_held_when_the_worker_stops_stays_pending(employ: Employ, platform: Platform) -> None:
    def fail(action: DomainAction) -> None:
        raise OSError("no")

    worker = await employ(fail, retry_attempts=1)
    await platform.redis.set(platform.dead_letters, "no stream", ex=60)
    await platform.send("demo.thing.do")
    await wait_until(lambda: worker.heard(Held), "it is held")
    await worker.stop()
    (row,) = await platform.pending()
    assert row["consumer"] == worker.consumer_name.encode()


async def test_a_huge_answer_arrives_whole(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: {"text": "x" * 20_000_000})
    assert len((await platform.ask("demo.thing.do"))["data"]["text"]) == 20_000_000


async def test_many_large_answers_are_written_in_several_steps(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: {"text": "x" * 300_000}, worker_concurrency=10)
    queue = platform.queue()
    for _ in range(50):
        await platform.send("demo.thing.do", callback_queue_name=queue)
    await wait_until(platform.is_done, "all are answered")
    assert await platform.redis.llen(queue) == 50
