"""The server's moods, waited out. Every command of a worker that can wait goes through here: an outage is told once when it
begins and once when it ends, never retried in a hot loop, and never the end of a worker. A clock that jumps is a mood, too:
while it is not understood, nobody can tell who is silent."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nooble.errors import GroupMissing, ServerFault, ServerUnavailable
from nooble.events import ClockJumped, ServerBack, ServerLost, Teller
from nooble.workers.bell import Bell
from nooble.workers.clock import ServerClock

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_JUMP = 1.0
"""Seconds by which a clock must have jumped to be worth a word; less is what leases allow for."""
_CONSEQUENCE = {
    True: "what is pending looks abandoned for a lease, deadlines and lifetimes of that span have passed, retries are due",
    False: "deadlines, retries and lifetimes end later by that span; what dead workers left is taken over all the same",
}


class Patience:
    """Does what needs the server, as often as it takes.

    Args:
        teller: tells what happens.
        restore_group: puts the group back when it has vanished.

    Attributes:
        outages: how many there were.
        jumps: how often the server's clock has jumped.
        setbacks: how many of the jumps were backward.
        cuts: how many reads that wait were cut short by us.
        back: rings when the server is back, and when its clock has jumped: what is held is to be renewed now.
    """

    def __init__(
        self, teller: Teller, restore_group: Callable[[], Awaitable[None]], clock: ServerClock | None = None
    ) -> None:
        self._teller = teller
        self._restore_group = restore_group
        self._down_since: float | None = None
        self.clock = clock or ServerClock()
        self.outages = self.jumps = self.setbacks = self.cuts = 0
        self.back = Bell()

    @property
    def down(self) -> bool:
        """Whether the server is away just now."""
        return self._down_since is not None

    @property
    def upsets(self) -> int:
        """How many outages and jumps there were. After each, idle times say nothing for a lease."""
        return self.outages + self.jumps

    async def persist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Await *step()* until the server has done it.

        Raises:
            ServerRefused: a person must mend something.
        """
        pause = 0.0
        while True:
            try:
                result = await self._attempt(step)
            except (ServerUnavailable, GroupMissing) as fault:
                self._lost(fault)
                pause = min(_LONGEST_PAUSE, pause * 2) or _FIRST_PAUSE
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            except ServerFault:
                if pause:  # it answers, whatever it says
                    self._found()
                raise
            else:
                if pause:  # who did not meet the outage cannot say that it is over
                    self._found()
                return result

    def hear_clock(self, server_ms: int, asked: float) -> None:
        """The server, asked at the moment *asked*, says that it is *server_ms*."""
        jump = self.clock.set(server_ms, asked)
        if abs(jump) < _JUMP:
            return
        self.jumps += 1
        self.setbacks += jump < 0
        self._teller.tell(ClockJumped, seconds=jump, message=_CONSEQUENCE[jump > 0])
        self.back.ring_all()

    async def _attempt(self, step: Callable[[], Awaitable[T]]) -> T:
        try:
            return await step()
        except GroupMissing:
            await self._restore_group()
        return await step()

    def _lost(self, fault: ServerFault) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic()
            self.outages += 1
            self._teller.tell(ServerLost, message=str(fault))

    def _found(self) -> None:
        if self._down_since is not None:
            seconds = time.monotonic() - self._down_since
            self._down_since = None
            self._teller.tell(ServerBack, seconds=seconds)
            self.back.ring_all()
