"""Where services are fuzzed: real workers on an environment of their own, which is empty before and after; and what can be
seen of an action there: how it ended, what was answered, whether its handler ran, what it has changed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nooble.clients.base_redis_client import queue_manager_of
from nooble.config import CommonAppSettings
from nooble.errors import MalformedAction, NoobleError
from nooble.events import ActionEvent, Buried, Completed, Expired, Failed, Retried
from nooble.models import DomainAction, DomainActionResponse
from nooble.routing import Route
from nooble.testing.fuzz_watch import HandlerRun, Watch, state_of
from nooble.wire.codec import codec_of, decode_answer, encode_action, response_of
from nooble.wire.connection import Endpoint, Link
from nooble.workers import BaseWorker
from nooble.workers.judgement import Terms
from nooble.workers.terms import NearestTerms

if TYPE_CHECKING:
    from redis.asyncio import Redis

Make = Callable[[CommonAppSettings, "Redis"], Awaitable[BaseWorker]]
"""Makes the worker of a service, with a new service in it."""

ENDS = (Completed, Failed, Buried, Expired, Retried)
_PAUSES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
"""Seconds between looks at what is about to go."""
_FAREWELL = 5.0
"""Seconds that a worker gets to come to rest before it is left behind."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A service to be fuzzed.

    Attributes:
        settings: as it would run; environment and server are replaced.
        make: makes its worker.
    """

    settings: CommonAppSettings
    make: Make


@dataclass(slots=True)
class Seen:
    """What became of one entry.

    Attributes:
        end: the event that told of its end; `None` if there was none in time.
        answer: what its caller was told.
        runs: the runs of handlers meanwhile.
        elsewhere: services that were sent something and have nobody who takes it, if it did not end.
        left: in how many places it still was afterwards, of stream and pending list.
    """

    end: ActionEvent | None = None
    answer: DomainActionResponse | None = None
    runs: list[HandlerRun] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    left: int = 0

    @property
    def code(self) -> str:
        """The code of the error that it ended with; empty if it was done."""
        if isinstance(self.end, Failed):
            return self.end.code
        return (
            (self.answer.error.error_code or self.answer.error.error_type) if self.answer and self.answer.error else ""
        )

    @property
    def error(self) -> BaseException | None:
        """The error itself."""
        return self.end.error if isinstance(self.end, Failed) else None


class Stage:
    """One service at work, and everything that is watched of it.

    Args:
        subject: the service.
        connection: where; replies may be decoded or not.
        environment: the environment of its keys.
        alone: whether nobody else writes to the server.
        patience: seconds that an action gets to end.

    Attributes:
        waits: the same for the action that is tried now, whose timeout comes on top.
    """

    def __init__(self, subject: Subject, connection: Redis, environment: str, *, alone: bool, patience: float) -> None:
        self.settings = subject.settings.model_copy(
            update={
                "environment": environment,
                "log_level": "CRITICAL",
                "worker_grace_seconds": 0.2,
                "worker_block_ms": 200,
            }
        )
        self.patience = patience
        self.waits = patience
        self._make = subject.make
        self._connection = connection
        self._alone = alone
        self._keys = queue_manager_of(self.settings)
        self.name = self.settings.service_name
        self._stream = self._keys.get_service_action_stream(self.name)
        self._link = Link(Endpoint(connection))
        self._watch: Watch | None = None
        self._ended: dict[str, ActionEvent] = {}
        self._bell = asyncio.Event()

    # ── life ──
    async def open(self) -> None:
        """A new service in a new worker."""
        self.worker = await self._make(self.settings, self._connection)
        self.service = self.worker.service
        self._watch = Watch(self.service)
        self._watch.open()
        self._terms = NearestTerms(self.service, self.settings)
        self._ended.clear()
        self.worker.events.subscribe(self._hear, ENDS)
        await self.worker.start()

    async def close(self) -> None:
        """Let go of the server."""
        await self._link.close()

    async def renew(self) -> None:
        """Instead of a worker whose handler does not end, another one; what it held is gone."""
        await self.rest()
        await self._link.execute("DEL", self._stream, self._keys.get_retry_set(self.name))
        await self.open()

    async def rest(self) -> None:
        """Nothing runs any more, and nothing is watched."""
        if self._watch is not None:
            self._watch.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.worker.stop(), _FAREWELL)

    async def sweep(self) -> None:
        """Delete every key of the environment, once all who work there have come to rest."""
        keys = await self._scan(f"{self.settings.queue_prefix}:{self.settings.environment}:*")
        for at in range(0, len(keys), 500):
            await self._link.execute("DEL", *keys[at : at + 500])

    @property
    def routes(self) -> tuple[Route, ...]:
        """What the service declares, with the routers that were included."""
        return tuple(getattr(self.service, "routes", ()))

    def terms_of(self, route: Route) -> Terms:
        """What holds for an action."""
        return self._terms[route.action_type]

    # ── one action ──
    async def ask(self, action: DomainAction, **facts: str) -> Seen:
        """Send *action*, wait for its end, and take its answer.

        Args:
            action: where it is answered is said here.
            facts: of its entry: `attempt="1"` makes this its second run.
        """
        queue = self._keys.get_response_queue("nooble-fuzz", action.action_type, str(uuid.uuid4()))
        asked = action.model_copy(update={"callback_queue_name": queue})
        data = encode_action(asked, codec_of(b"{}"))
        more = [(name.encode(), value.encode()) for name, value in facts.items()]
        seen = await self.write([(b"data", data), *more])
        if isinstance(seen.end, Completed | Failed):
            raw = await self._link.execute("RPOP", queue)
            with suppress(MalformedAction, NoobleError):
                seen.answer = None if raw is None else response_of(decode_answer(raw))
        return seen

    async def write(self, fields: Iterable[tuple[bytes, bytes]]) -> Seen:
        """Add an entry, and wait for its end."""
        assert self._watch is not None
        self._watch.runs.clear()
        self._ended.clear()
        flat = [part for pair in fields for part in pair]
        entry = bytes(await self._link.execute("XADD", self._stream, "*", *flat)).decode()
        seen = Seen(end=await self._end_of(entry))
        seen.runs = list(self._watch.runs)
        if seen.end is None:
            seen.elsewhere = await self.waiting_elsewhere()
            await self.renew()
            return seen
        if isinstance(seen.end, Retried):
            await self._link.execute("DEL", self._keys.get_retry_set(self.name))
        seen.left = await self._left(entry)
        return seen

    async def _end_of(self, entry: str) -> ActionEvent | None:
        until = time.monotonic() + self.waits
        while entry not in self._ended:
            self._bell.clear()
            left = until - time.monotonic()
            if left <= 0:
                return None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), left)
        return self._ended.pop(entry)

    async def _left(self, entry: str) -> int:
        """In how many places the entry still is: in the stream, in the pending list. Looked at again for a moment."""
        group = self._keys.get_consumer_group(self.name)
        looks = [("XRANGE", self._stream, entry, entry), ("XPENDING", self._stream, group, entry, entry, "1")]
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            left = [reply for reply in await self._link.pipeline(looks) if reply]
            if not left:
                break
        return len(left)

    async def quiet(self) -> None:
        """Wait for a moment until nothing is at work any more, not even what actions have sent to their own service."""
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            if not await self._link.execute("XLEN", self._stream):
                return

    def _hear(self, event: ActionEvent) -> None:
        self._ended[event.entry_id] = event
        self._bell.set()

    # ── what there is ──
    async def state(self) -> dict[str, Any]:
        """Everything that a handler may have changed: keys of the server that are not the framework's own, and what the
        service holds in memory."""
        pattern = "*" if self._alone else f"{self.settings.queue_prefix}:{self.settings.environment}:*"
        keys = [key for key in sorted(await self._scan(pattern)) if not self._is_own(key)]
        dumps = await self._link.pipeline([("DUMP", key) for key in keys]) if keys else []
        state: dict[str, Any] = {
            f"key {key.decode(errors='replace')}": dump for key, dump in zip(keys, dumps, strict=True)
        }
        return state | {f"attribute {name}": value for name, value in state_of(self.service).items()}

    async def waiting_elsewhere(self) -> list[str]:
        """Services whose streams hold actions that nobody takes."""
        begin = f"{self.settings.queue_prefix}:{self.settings.environment}:"
        names = [key.decode(errors="replace") for key in await self._scan(f"{begin}*:streams:main")]
        return sorted(name.removeprefix(begin).partition(":")[0] for name in names if name != self._stream)

    async def _scan(self, pattern: str) -> list[bytes]:
        cursor, keys = b"0", set()
        while True:
            cursor, some = await self._link.execute("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
            keys.update(some)
            if bytes(cursor) == b"0":
                return list(keys)

    def _is_own(self, key: bytes) -> bool:
        parts = key.decode(errors="replace").split(":", 4)
        if parts[:2] != [self.settings.queue_prefix, self.settings.environment] or len(parts) < 5:
            return False
        return parts[3] != "streams" or key.decode(errors="replace") == self._stream
