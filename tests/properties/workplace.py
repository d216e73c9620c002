"""A worker that lives through one hostile example after another, and what must hold after each: others are served, nobody
else's keys are touched, what was written comes to an end, and a trace of it remains."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis_asyncio
from hypothesis import HealthCheck, Phase, settings

from nooble.config import CommonAppSettings
from nooble.events import ActionEvent, Buried, Completed, Expired, Failed, Retried
from nooble.models import DomainAction
from tests.properties.hostility import Fields
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker

ENDS = (Completed, Failed, Buried, Expired, Retried)
QUEUE = re.compile(r"nooble4:test:[A-Za-z0-9_.-]{1,100}:(responses|callbacks):[A-Za-z0-9_.:@-]{1,300}")
OWN = b"nooble4:test:demo:"


def do(action: DomainAction) -> dict[str, Any]:
    """What a careful service does: it looks at everything that it was given, and gives some of it back."""
    action.get_log_extra()
    action.model_dump(mode="json")
    if action.action_type.endswith(".fail"):
        raise ValueError(f"{action.data!r}"[:2_000])
    return {"data": action.data, "extra": action.extra}


class Workplace:
    """A worker that lives through all examples of a test, beside keys of others.

    Args:
        server: where.
        settings: the worker's.
    """

    def __init__(self, server: Server, settings: CommonAppSettings) -> None:
        self.runner = asyncio.Runner()
        self.redis = redis_asyncio.Redis.from_url(server.url)
        self.platform = Platform(self.redis)
        self.settings = settings
        self.runner.run(self.open())

    async def open(self) -> None:
        """Others have keys, and a worker begins."""
        redis = self.redis
        await redis.flushall()
        self.worker = TellingWorker(self.settings, redis, Doing(do))
        await redis.set("sessions", "of everybody")
        await redis.xadd("nooble4:test:billing:streams:main", {"data": "{}"})
        await redis.xadd("nooble4:production:demo:streams:main", {"data": "{}"})
        await redis.zadd("nooble4:test:billing:retries:main", {"member": 1})
        await redis.rpush("nooble4:production:platform:responses:a:1", "answer")
        await redis.hset("nooble5:test:platform:responses:ask:1", "field", "value")
        await self.worker.start()
        assert (await self.platform.ask("demo.thing.do"))["success"]
        await wait_until(lambda: self.worker.heard(Completed), "it is told")
        self.worker.told.clear()

    async def close(self) -> None:
        """The worker ends in an orderly way."""
        await self.worker.stop()
        await self.redis.aclose()

    async def strangers_keys(self) -> dict[bytes, bytes]:
        """Everything in the server that is not this service's."""
        keys = sorted(key for key in await self.redis.keys("*") if not key.startswith(OWN))
        dumps = [await self.redis.dump(key) for key in keys]
        return {key: dump for key, dump in zip(keys, dumps, strict=True) if dump is not None}

    async def add(self, fields: Fields) -> bytes:
        """Add an entry with *fields*, doubled ones included."""
        flat = [part for pair in fields for part in pair]
        return bytes(await self.redis.execute_command("XADD", self.platform.stream, "*", *flat))

    def survives(self, attack: Callable[[], Awaitable[list[bytes]]], callback: tuple[str, Any] | None = None) -> None:
        """Do *attack*, and see that everything goes on and is as it was; then tidy up.

        Args:
            attack: returns the ids of the entries that it has added.
            callback: the name to which a callback of this type may be written, if they are such.
        """

        async def survived() -> None:
            before = await self.strangers_keys()
            for entry_id in await attack():
                await self.ends(entry_id.decode())
            answer = await self.platform.ask("demo.thing.do", {"n": 1})
            assert answer["data"] == {"data": {"n": 1}, "extra": {}}
            await wait_until(self.platform.is_done, "it has left the stream", timeout=5)
            after = await self.strangers_keys()
            for key in after.keys() - before.keys():
                assert await self.was_asked_for(key.decode(), callback), key
                await self.redis.delete(key)
                del after[key]
            if callback and self.stream_of(callback[1]) == callback[0]:
                before.pop(callback[0].encode(), None)
                after.pop(callback[0].encode(), None)
            assert after == before
            await self.redis.xtrim(self.platform.dead_letters, maxlen=0)
            self.worker.told.clear()
            self.worker.service.seen.clear()

        try:
            self.runner.run(survived())
        except BaseException:  # what a failure has left must not be the next example's
            self.runner.run(self.worker.stop())
            self.runner.run(self.open())
            raise

    def ended(self) -> list[ActionEvent]:
        """What told of an end since the last example."""
        return [one for one in self.worker.heard(ActionEvent) if isinstance(one, ENDS)]

    async def ends(self, entry_id: str) -> None:
        """The entry ends, and something tells of it."""

        def told() -> ActionEvent | None:
            return next((one for one in self.ended() if one.entry_id == entry_id), None)

        end = await wait_until(told, f"{entry_id} has ended", timeout=5)
        if isinstance(end, Buried):
            letters = await self.redis.xrange(self.platform.dead_letters)
            mine = [
                letter for _, letter in letters if letter.get(b"entry_id") == entry_id.encode() and b"worker" in letter
            ]
            assert [letter[b"reason"] for letter in mine] == [end.code.encode()]

    @staticmethod
    def stream_of(callback_type: Any) -> str | None:
        """The one action stream that a callback of this type may be written to."""
        service = callback_type.partition(".")[0] if isinstance(callback_type, str) else None
        return f"nooble4:test:{service}:streams:main" if service else None

    async def was_asked_for(self, key: str, callback: tuple[str, Any] | None) -> bool:
        """Whether a new key is an answer that was asked for and dies, or a callback to its own service."""
        if QUEUE.fullmatch(key):
            return int(await self.redis.pttl(key)) > 0
        return callback is not None and key == callback[0] == self.stream_of(callback[1])


def some(examples: int) -> settings:
    """So many examples for one worker. A failure is not made smaller: that would be seconds of waiting a step."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        report_multiple_bugs=False,
    )
