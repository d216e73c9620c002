"""Numbered actions, the workers that do them, and the judgement of what came of both: what every row of the fault matrix
has in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.chaos import invariants
from tests.chaos.crew import Crew
from tests.chaos.invariants import DONE, Evidence
from tests.chaos.ledger import Ledger
from tests.support.platform import Platform, envelope
from tests.support.servers import Server
from tests.support.waiting import wait_until

LEASE = 0.3
"""Seconds; short, so that what was left behind is taken over soon."""


class Scene:
    """One test's actions and workers.

    Args:
        server: where.
        platform: who sends.
        folder: where the ledger is kept.
    """

    def __init__(self, server: Server, platform: Platform, folder: Path) -> None:
        self.server = server
        self.platform = platform
        self.ledger = Ledger(folder / "ledger")
        self.queue = platform.queue()
        self._next = 0

    def crew(self, url: str | None = None, **values: Any) -> Crew:
        """Workers that give up nothing because it was delivered often: here, who runs them is at fault."""
        defaults = {"worker_lease_seconds": LEASE, "worker_concurrency": 4, "worker_max_deliveries": 100}
        return Crew(url or self.server.url, self.ledger.path, **(defaults | values))

    async def send(
        self,
        count: int,
        *,
        action_type: str = "demo.item.make",
        fate: str = DONE,
        fails_each: int = 0,
        copies: int = 1,
        **data: Any,
    ) -> None:
        """Send *count* actions with the next numbers; of every *fails_each* of them one fails at first. With *copies*, each
        is sent so many times, the same to the last byte."""
        for _ in range(count):
            number, self._next = self._next, self._next + 1
            fails = {"fails": 1} if fails_each and number % fails_each == 0 else {}
            message = envelope(action_type, {"n": number, **fails, **data}, callback_queue_name=self.queue)
            self.ledger.write("asked", number, message["correlation_id"])
            for _ in range(copies):
                await self.platform.add(json.dumps(message))
                self.ledger.write("sent", number, fate)

    async def befallen(self, *, timeout: float = 10.0, times: int = 1) -> None:
        """Wait until a trap has sprung, *times* of them in all."""
        await wait_until(lambda: len(self.ledger.lines("disturbed")) >= times, "a trap has sprung", timeout=timeout)

    async def started(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Wait until *count* runs have begun in all."""
        await wait_until(lambda: len(self.ledger.lines("start")) >= count, "runs have begun", timeout=timeout)

    async def ended(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Wait until *count* handlers have ended in all."""
        await wait_until(lambda: len(self.ledger.lines("end")) >= count, "handlers have ended", timeout=timeout)

    async def done(self, timeout: float = 10.0) -> None:
        """Wait until nothing is left (I4)."""
        await invariants.i4_nothing_is_left(self.platform, timeout)

    async def evidence(self) -> Evidence:
        """What there is by now."""
        return await invariants.collect(self.ledger, self.platform, self.queue)

    async def broken(self) -> dict[str, str]:
        """Which of I1, I2, I3 and I6 do not hold, each with what it says."""
        return invariants.broken(await self.evidence())

    async def holds(self) -> None:
        """I1, I2, I3, I5 and I6 hold."""
        assert await self.broken() == {}
        invariants.i5_every_key_has_a_lifetime(self.server)
