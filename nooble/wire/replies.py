"""The answers of one client: one list, read by one blocking connection, however many calls are in flight.

Nothing is removed before it was handed over: the reader waits by moving the oldest answer onto itself, looks, hands over,
and only removes with its next request. A connection that breaks anywhere in between loses nobody's answer."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from nooble.errors import MalformedAction, ReplyLost, ServerFault, ServerRefused
from nooble.wire.channels import COMMAND_TIMEOUT
from nooble.wire.codec import Answer, decode_answer
from nooble.wire.connection import Endpoint, Link, breathe
from nooble.wire.deadlines import Deadlines
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.outermost import outermost

_BATCH = 256
_BLOCK = 2.0
_LONGEST_PAUSE = 1.0


class Inbox:
    """Awaits answers.

    The reader runs while somebody waits, and rests otherwise.

    Args:
        endpoint: where the server is.
        queue: key of the list.

    Attributes:
        late: answers that came when nobody waited any more.
        unreadable: list items that were no answers.
    """

    def __init__(self, endpoint: Endpoint, queue: str) -> None:
        self.queue = queue
        self.late = 0
        self.unreadable = 0
        self._link = Link(endpoint)
        self._waiting: dict[uuid.UUID | None, asyncio.Future[Answer]] = {}
        self._deadlines = Deadlines()
        self._reader: asyncio.Task[None] | None = None
        self._handed_over = 0
        self._last: set[uuid.UUID | None] = set()

    def expect(self, correlation_id: uuid.UUID, timeout: float | None = None) -> asyncio.Future[Answer]:
        """A future of the answer with *correlation_id*. Whoever gives up waiting calls `forget`.

        Args:
            correlation_id: of the action that was sent.
            timeout: seconds after which the future ends with `TimeoutError`; `None` sets no limit.

        Raises:
            ValueError: an answer with this id is awaited already; two could not be told apart.
        """
        if correlation_id in self._waiting:
            raise ValueError(f"correlation_id {correlation_id} is already awaited; give every call in flight its own")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = future
        if timeout is not None:
            self._deadlines.add(future, timeout)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="nooble-answers")
        return future

    def forget(self, correlation_id: uuid.UUID) -> None:
        """Nobody waits for this answer any more; if it comes, it is dropped and counted."""
        future = self._waiting.pop(correlation_id, None)
        if future is not None:
            future.cancel()

    def __len__(self) -> int:
        return len(self._waiting)

    async def close(self) -> None:
        """End the reader. Who still waits is told that the answer is lost."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._deadlines.close()
        self._give_up(ReplyLost, "the client was closed while an answer was awaited")
        await self._link.close()

    async def _read(self) -> None:
        pause, links = 0.05, 0
        while self._waiting or self._handed_over:
            try:
                await self._link.connection()
                if links != self._link.opened:  # a new connection never removes what it has not itself read
                    links, self._handed_over = self._link.opened, 0
                if self._waiting:
                    self._hand_over(await self._next_batch())
                else:
                    await self._remove_last()
                pause = 0.05
            except ServerRefused as fault:
                self._handed_over = 0
                self._give_up(ServerRefused, f"answers cannot be read from {self.queue}: {fault}")
            except ServerFault:
                self._handed_over = 0  # whether they were removed is not known, and other answers must not be
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)

    def _give_up(self, kind: type[ServerFault], message: str) -> None:
        while self._waiting:
            _, future = self._waiting.popitem()
            if not future.done():
                future.set_exception(kind(message))
                future.exception()  # whoever awaits it hears of it; nobody else needs to

    async def _next_batch(self) -> list[bytes]:
        wait = (b"BLMOVE", self.queue, self.queue, b"RIGHT", b"RIGHT", _BLOCK)
        look = (b"LRANGE", self.queue, -_BATCH, -1)
        commands: list[tuple[Any, ...]] = [wait, look]
        if self._handed_over:
            commands.insert(0, (b"LTRIM", self.queue, 0, -self._handed_over - 1))
        since = time.monotonic()
        replies = await self._link.pipeline(commands, timeout=_BLOCK + COMMAND_TIMEOUT)
        for reply in replies:
            if isinstance(reply, ERROR_REPLIES):
                raise fault(reply)
        items: list[bytes] = replies[-1]
        self._handed_over = len(items)
        if not items:
            await breathe(since, _BLOCK)
        return items

    def _hand_over(self, items: list[bytes]) -> None:
        known, self._last = self._last, set()
        for raw in reversed(items):  # the oldest is last
            try:
                answer = decode_answer(raw)
            except MalformedAction as error:
                self.unreadable += 1
                self._tell_unreadable(raw, error)
                continue
            self._last.add(answer.correlation_id)
            future = self._waiting.pop(answer.correlation_id, None)
            if future is not None:
                if not future.done():
                    future.set_result(answer)
            elif answer.correlation_id not in known:  # else it was handed over, and its removal was lost
                self.late += 1

    def _tell_unreadable(self, raw: bytes, error: MalformedAction) -> None:
        """What cannot be read may still say for whom it is: they need not wait any longer."""
        try:
            correlation_id = uuid.UUID(outermost(raw)["correlation_id"])
        except Exception:  # hostile bytes
            return
        future = self._waiting.pop(correlation_id, None)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # whoever awaits it hears of it; nobody else needs to

    async def _remove_last(self) -> None:
        """The last batch was handed over and nobody waits: without this it would lie there for its lifetime."""
        await self._link.execute(b"LTRIM", self.queue, 0, -self._handed_over - 1)
        self._handed_over = 0

    def __repr__(self) -> str:
        return f"<Inbox {self.queue} waiting={len(self._waiting)} late={self.late}>"
