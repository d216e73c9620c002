"""The tests of this room can see what they look for: each scenario here runs once as it is, and nothing breaks; and once
with one protection switched off, and exactly the invariant that this protection stands for breaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout
from nooble.wire.replies import Inbox
from nooble.workers import ServiceWorker
from tests.chaos.invariants import BURIED, DONE, Evidence, broken
from tests.chaos.scene import Scene
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running

Scenario = Callable[[Scene, tuple[str, ...]], Awaitable[None]]


async def zombie_with_outcomes(scene: Scene, without: tuple[str, ...]) -> None:
    """One freezes with outcomes in its hands, others do it all, and it thaws."""
    await scene.send(30, seconds=0.02)
    with scene.crew() as crew:
        crew.hire(freeze_at="commit:before:3", without=without)
        await scene.befallen()
        crew.hire(2)
        await scene.done()
        crew.thaw()

        async def has_spoken() -> bool:
            refused = {"CommitRefused", "LeaseLost"} & set(scene.ledger.count("told"))
            return bool(refused) or await scene.platform.redis.llen(scene.queue) > 30

        await wait_until(has_spoken, "it has said what it had to say")


async def zombie_that_renews(scene: Scene, without: tuple[str, ...]) -> None:
    """One freezes as it is about to renew; when it does, another has been at the same action for a while."""
    await scene.send(1, exactly=0.8)
    with scene.crew() as crew:
        crew.hire(freeze_at="renew:before", without=without)
        await scene.befallen()
        crew.hire()
        await scene.started(2)
        crew.thaw()
        await scene.done()


async def long_handler(scene: Scene, without: tuple[str, ...]) -> None:
    """A handler takes three times as long as the lease, and another looks for what was left behind."""
    await scene.send(1, exactly=0.9)
    with scene.crew() as crew:
        crew.hire(without=without)
        await scene.started()
        crew.hire()
        await scene.done()
        await scene.ended(2 if without else 1)


async def killed_in_a_commit(scene: Scene, without: tuple[str, ...]) -> None:
    """One is killed where a commit that is no single step is half done."""
    await scene.send(30, seconds=0.02)
    with scene.crew() as crew:
        crew.hire(crash_at="commit:between:3" if without else "commit:before:3", without=without)
        await scene.befallen()
        crew.hire(2)
        await scene.done()


async def killed_as_it_moves_retries(scene: Scene, without: tuple[str, ...]) -> None:
    """One is killed where a move that is no single step is half done."""
    await scene.send(20, seconds=0.02, fails_each=2)
    with scene.crew() as crew:
        crew.hire(crash_at="move_retries:between" if without else "move_retries:before", without=without)
        await scene.befallen()
        crew.hire(2)
        await scene.done()


async def retries_alike(scene: Scene, without: tuple[str, ...]) -> None:
    """Actions that are the same to the last byte fail and wait."""
    await scene.send(1, copies=10, fails=1, after=0.3)
    with scene.crew(without=without) as crew:
        crew.hire()
        await scene.done()


async def poison(scene: Scene, without: tuple[str, ...]) -> None:
    """One of eight that are at work together kills its process, again and again."""
    await scene.send(1, action_type="demo.poison.drink", fate=BURIED, exactly=0.1)
    await scene.send(7, exactly=0.4)
    with scene.crew(worker_max_deliveries=3, worker_concurrency=8, without=without) as crew:
        crew.hire()

        async def is_done() -> bool:
            crew.replace_the_dead()
            return await scene.platform.is_done()

        await wait_until(is_done, "all has ended", timeout=20)


SLOW = pytest.mark.slow


@pytest.mark.every_server
@pytest.mark.parametrize(
    ("protection", "scenario", "invariant"),
    [
        ("the fence of the commit", zombie_with_outcomes, "I2"),
        pytest.param("the fence of the renewal", zombie_that_renews, "I6", marks=SLOW),
        pytest.param("the renewal", long_handler, "I6", marks=SLOW),
        pytest.param("one step, outputs first", killed_in_a_commit, "I2", marks=SLOW),
        pytest.param("one step, acknowledged first", killed_in_a_commit, "I1", marks=SLOW),
        pytest.param("one step for retries", killed_as_it_moves_retries, "I2", marks=SLOW),
        pytest.param("first ids in retries", retries_alike, "I1", marks=SLOW),
        pytest.param("isolation", poison, "I1", marks=SLOW),
    ],
)
@pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])
async def test_without_its_protection_exactly_this_invariant_breaks(
    scene: Scene, protection: str, scenario: Scenario, invariant: str, protected: bool
) -> None:
    """What is found in the end tells."""
    await scenario(scene, () if protected else (protection,))
    found = await scene.broken()
    print(found)
    assert set(found) == (set() if protected else {invariant}), found


@pytest.mark.slow
@pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])
async def test_without_the_second_look_something_is_left(scene: Scene, protected: bool) -> None:
    """The reply to a read is lost: the entries are the worker's, and it alone can find out."""
    await scene.send(5)
    async with Proxy(scene.server.port) as proxy:
        proxy.swallow(b"XREADGROUP")
        with scene.crew(proxy.url, without=() if protected else ("the second look",)) as crew:
            crew.hire()
            await wait_until(lambda: proxy.faults, "the reply is lost", timeout=10)
            if protected:
                await scene.done()
                assert await scene.broken() == {}
                return
            with pytest.raises(AssertionError, match=r"^I4: of entries, pending, retries are left ([1-5]), \1, 0"):
                await scene.done(timeout=2)
    await scene.platform.redis.delete(scene.platform.stream)


@pytest.mark.slow
@pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])
async def test_without_handing_back_something_is_left(scene: Scene, protected: bool) -> None:
    """A worker is asked to stop with entries that it has not started; the next one waits for no lease."""
    await scene.send(50, exactly=0.005)
    values: dict[str, Any] = {"as_command": True, "worker_lease_seconds": 30, "worker_concurrency": 1}
    with scene.crew(**values) as crew:
        (leaving,) = crew.hire(term_at="handler:after:20", without=() if protected else ("handing back",))
        assert crew.ended(leaving) == 0
        left = len(await scene.platform.pending())
        crew.hire()
        if protected:
            assert left == 0
            await scene.done()
            assert await scene.broken() == {}
            return
        assert left > 0
        with pytest.raises(AssertionError, match=f"^I4: of entries, pending, retries are left {left}, {left}, 0"):
            await scene.done(timeout=3)


@pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])
async def test_when_reading_an_answer_removes_it_it_can_be_lost(
    scene: Scene,
    settings: Callable[..., CommonAppSettings],
    monkeypatch: pytest.MonkeyPatch,
    protected: bool,
) -> None:
    """The reply that brings an answer to its caller is lost on the way."""
    read = b"BLMOVE"
    if not protected:
        read = b"BRPOP"

        async def pop(inbox: Inbox) -> list[bytes]:
            reply = await inbox._link.execute(b"BRPOP", inbox.queue, 1)
            return [reply[1]] if reply else []

        monkeypatch.setattr(Inbox, "_next_batch", pop)
    found = Evidence()
    worker = ServiceWorker(settings(), scene.platform.redis, Doing(lambda action: action.data))
    async with (
        Proxy(scene.server.port) as proxy,
        redis.asyncio.Redis.from_url(proxy.url) as far,
        running(worker),
        BaseRedisClient("shop", far, settings("shop")) as client,
    ):
        for number in ("0", "1", "2"):
            found.sent[DONE][number] += 1
            found.notes[number].append(number)
            if number == "1":
                proxy.swallow(read)
            try:
                answer = await client.call("demo.item.echo", {"n": number}, timeout=2 if protected else 1)
            except CallTimeout:
                continue
            found.answers[number].append(answer.data["n"])
    assert proxy.faults == 1
    assert set(broken(found)) == (set() if protected else {"I1"})
