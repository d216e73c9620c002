"""What befalls the soak: faults at random, seeded, all the time, until it is told to stop; then all that was broken is whole
again. Each fault is written down with its time once it has happened."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import redis

from tests.chaos.ledger import Ledger
from tests.chaos.soak_crew import ELDER, SoakCrew
from tests.support.proxy import Proxy
from tests.support.servers import Server

FAULTS = {
    "worker killed (SIGKILL)": 8.0,
    "worker frozen past its lease (SIGSTOP)": 8.0,
    "worker restarted (SIGTERM)": 4.0,
    "server killed (SIGKILL) and restarted": 2.0,
    "server frozen 0.2–3 s (SIGSTOP)": 3.0,
    "all connections killed (CLIENT KILL)": 3.0,
    "scripts forgotten (SCRIPT FLUSH)": 2.0,
    "connections of a link reset": 5.0,
    "reply swallowed": 6.0,
    "replies of a link lost 0.5–2 s": 3.0,
    "requests of a link lost 0.5–2 s": 3.0,
    "link slow 0.5–2 s": 4.0,
}
"""Kinds of fault, and how often each comes in comparison."""


_REST = 2.0
"""Seconds after a fault of the server in which it has no other: how long recovery takes could not be seen otherwise."""


class Faults:
    """Breaks things.

    Args:
        server: what is killed and frozen.
        crew: who is killed, frozen and dismissed, and whose links are bad.
        link: the clients' link.
        ledger: where each fault is written down.
        dice: what chance decides.
        lease: seconds.

    Attributes:
        count: how many there were.
    """

    def __init__(
        self, server: Server, crew: SoakCrew, link: Proxy, ledger: Ledger, dice: random.Random, lease: float
    ) -> None:
        self.count = 0
        self._server, self._crew, self._link, self._lease = server, crew, link, lease
        self._ledger, self._dice = ledger, dice
        self._hands = ThreadPoolExecutor(1)  # a server ends with the thread that has started it
        self._server_lock = asyncio.Lock()
        self._disturbed: set[Proxy] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        does: list[Callable[[str], Awaitable[None]]] = [
            *(self._kill_worker, self._freeze_worker, self._dismiss_worker),
            *(self._kill_server, self._freeze_server, self._kill_connections, self._flush_scripts),
            *(self._reset, self._swallow, self._mute, self._deafen, self._slow),
        ]
        self._does = dict(zip(FAULTS, does, strict=True))

    async def run(self, pause: float) -> None:
        """One fault after another, *pause* seconds apart on average, until cancelled."""
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / pause))
            name = self._dice.choices(list(FAULTS), list(FAULTS.values()))[0]
            task = asyncio.create_task(self._does[name](name))
            self._tasks.add(task)
            for ended in [one for one in self._tasks if one.done()]:
                self._tasks.discard(ended)
                ended.result()

    async def heal(self) -> None:
        """Let what is under way come to its end; afterwards all links are good and everybody is awake.

        Raises:
            Exception: whatever went wrong in making a fault.
        """
        await asyncio.gather(*self._tasks)
        for link in (*self._crew.links, self._link):
            link.reset()  # a connection that has lost something stays silent

    def _tell(self, name: str) -> None:
        self.count += 1
        self._ledger.write("fault", int(time.time() * 1000), name)

    async def _by_hand(self, act: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._hands, act)

    # ── workers ──
    def _victim(self) -> int | None:
        """Somebody who is awake and not the elder, if another one is awake as well."""
        slots = [slot for slot in self._crew.awake if slot != ELDER]
        return self._dice.choice(slots) if slots and len(self._crew.awake) > 1 else None

    async def _kill_worker(self, name: str) -> None:
        if (slot := self._victim()) is not None:
            self._crew.kill(slot)
            self._tell(name)

    async def _dismiss_worker(self, name: str) -> None:
        if (slot := self._victim()) is not None:
            self._crew.dismiss(slot)
            self._tell(name)

    async def _freeze_worker(self, name: str) -> None:
        if len(self._crew.awake) < 2:
            return
        slot = self._dice.choice(self._crew.awake)
        self._crew.freeze(slot)
        self._tell(name)
        await asyncio.sleep(self._lease * self._dice.uniform(1.5, 3.5))
        self._crew.thaw(slot)

    # ── the server ──
    async def _kill_server(self, name: str) -> None:
        pause = self._dice.uniform(0, 2)
        if self._server_lock.locked():
            return
        async with self._server_lock:
            await self._by_hand(self._server.kill)
            self._tell(name)
            await asyncio.sleep(pause)
            await self._by_hand(self._server.start)
            await asyncio.sleep(_REST)

    async def _freeze_server(self, name: str) -> None:
        pause = self._dice.uniform(0.2, 3)
        if self._server_lock.locked():
            return
        async with self._server_lock:
            self._server.freeze()
            self._tell(name)
            await asyncio.sleep(pause)
            self._server.thaw()
            await asyncio.sleep(_REST)

    async def _kill_connections(self, name: str) -> None:
        await self._command(name, lambda: self._server.client.client_kill_filter(_type="normal", skipme=True))

    async def _flush_scripts(self, name: str) -> None:
        await self._command(name, self._server.client.script_flush)

    async def _command(self, name: str, act: Callable[[], object]) -> None:
        async with self._server_lock:
            try:
                await self._by_hand(act)
            except redis.RedisError:
                return  # it came too early after another fault: this one has not happened
            self._tell(name)

    # ── links ──
    def _any_link(self) -> Proxy:
        return self._dice.choice([*self._crew.links, self._link])

    async def _reset(self, name: str) -> None:
        self._any_link().reset()
        self._tell(name)

    async def _swallow(self, name: str) -> None:
        link = self._any_link()
        before = link.faults
        link.swallow(self._dice.choice([b"EVALSHA", b"XADD" if link is self._link else b"XREADGROUP"]))
        for _ in range(100):
            await asyncio.sleep(0.02)
            if link.faults > before:
                self._tell(name)
                return

    async def _mute(self, name: str) -> None:
        await self._disturb(name, "mute", True, False)

    async def _deafen(self, name: str) -> None:
        await self._disturb(name, "deaf", True, False)

    async def _slow(self, name: str) -> None:
        await self._disturb(name, "delay", self._dice.uniform(0.005, 0.1), 0.0)

    async def _disturb(self, name: str, what: str, bad: float, good: float) -> None:
        """One link at a time, so that somebody always reaches the server. What it has lost stays lost, and its connections
        silent: now and then it is for the framework to find that out."""
        link, pause, told = self._any_link(), self._dice.uniform(0.5, 2), self._dice.random() < 0.6
        if self._disturbed:
            return
        self._disturbed.add(link)
        setattr(link, what, bad)
        self._tell(name)
        await asyncio.sleep(pause)
        setattr(link, what, good)
        if told:
            link.reset()
        self._disturbed.discard(link)
