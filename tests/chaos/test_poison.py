"""An action that kills whoever runs it: it is found and buried, and those that were read beside it are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import redis.asyncio

from tests.chaos.crew import Crew
from tests.chaos.ledger import Ledger
from tests.support.kinds import slowly_on_each
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until


@slowly_on_each
async def test_poison_is_buried_and_the_innocent_beside_it_are_not(
    redis: redis.asyncio.Redis, server: Server, tmp_path: Path
) -> None:
    """It may kill three times; whoever waits for it is told, and all others are done and answered."""
    platform, ledger = Platform(redis), Ledger(tmp_path / "ledger")
    poison, queue = platform.queue(), platform.queue()
    for number in range(200):  # so quick that those behind them are read ahead
        await platform.send("demo.item.make", {"n": number}, callback_queue_name=queue)
    await platform.send("demo.poison.drink", {"n": "poison"}, callback_queue_name=poison)
    for number in range(200, 220):
        await platform.send("demo.item.make", {"n": number}, callback_queue_name=queue)
    with Crew(server.url, ledger.path, worker_lease_seconds=0.3, worker_max_deliveries=3) as crew:
        crew.hire()

        async def is_done() -> bool:
            crew.replace_the_dead()
            return await platform.is_done()

        await wait_until(is_done, "all has ended", timeout=30)
        assert (await platform.answer(poison))["error"]["error_code"] == "CRASH_LOOP"
    assert ledger.count("start")["poison"] == 3
    assert [letter["reason"] for letter in await platform.buried()] == ["CRASH_LOOP"]
    assert await redis.llen(queue) == 220
    starts = Counter(ledger.count("start"))
    assert max(starts[str(number)] for number in range(200, 220)) == 1
