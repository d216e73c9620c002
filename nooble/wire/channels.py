"""One connection to the server: commands go out in order, replies come back in order, and a batch is one write.

The transport that the Redis library has opened is taken over, because its per-command path costs more than a whole action.
Where there is no transport to take over, as with a fake server, the library's own path is used. Both behave the same."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import hiredis
import msgspec

from nooble.errors import ReplyLost, ServerUnavailable
from nooble.wire.faults import ERROR_REPLIES

COMMAND_TIMEOUT = 5.0
"""Seconds after which a command without a reply means that the link is dead."""

_NEED_MORE = object()


class Slot(msgspec.Struct, eq=False):
    """Replies that somebody awaits: one write of `count` commands."""

    future: asyncio.Future[list[Any]]
    count: int
    due: float
    replies: list[Any] = []


class Connection(Protocol):
    """What both kinds of connection do.

    Attributes:
        closed: why it is closed; `None` while it stands.
        congested: whether what is submitted would pile up in memory: see `drained`.
    """

    closed: BaseException | None
    congested: bool

    def submit(self, packed: bytes, count: int, timeout: float = COMMAND_TIMEOUT) -> asyncio.Future[list[Any]]:
        """Queue *packed*, which holds *count* commands. What is submitted in one turn of the loop leaves in one write.

        Returns:
            A future of the replies in order; error replies are values in it. Cancelling it does not disturb others.

        Raises:
            ServerUnavailable: the connection is closed; nothing was sent.
        """

    async def drained(self) -> None:
        """Returns when the connection takes more without piling it up in memory."""

    async def close(self) -> None:
        """Close it. What is still awaited ends with `ReplyLost`."""


class _Base:
    def __init__(self, link: Any, address: str) -> None:
        self.closed: BaseException | None = None
        self.congested = False
        self._link = link  # kept: its stream writer closes the socket when it is collected
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._slots: deque[Slot] = deque()
        self._heard = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    def _slot(self, count: int, timeout: float) -> Slot:
        if self.closed is not None:
            raise ServerUnavailable(f"the connection to {self._address} is closed: {self.closed}")
        slot = Slot(self._loop.create_future(), count, self._loop.time() + timeout, [])
        self._slots.append(slot)
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(min(timeout, COMMAND_TIMEOUT), self._watch)
        return slot

    def _watch(self) -> None:
        """One timer for all commands: looks at the oldest unanswered one. A reply that is still arriving is not late."""
        self._watchdog = None
        if self.closed is not None or not self._slots:
            return
        left = max(self._slots[0].due, self._heard + COMMAND_TIMEOUT) - self._loop.time()
        if left <= 0:
            self._lost(TimeoutError("no reply in time, the link seems dead"))
        else:
            self._watchdog = self._loop.call_later(left, self._watch)

    def _lost(self, reason: BaseException) -> None:
        if self.closed is not None:
            return
        self.closed = reason
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._hang_up()
        while self._slots:
            future = self._slots.popleft().future
            if not future.done():
                future.set_exception(ReplyLost(f"the connection to {self._address} broke: {reason}"))
                future.exception()  # whoever awaits it hears of it; nobody else needs to

    def _hang_up(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self._lost(ConnectionError("closed"))

    def __repr__(self) -> str:
        state = "open" if self.closed is None else f"closed: {self.closed}"
        return f"<{type(self).__name__} {self._address} awaiting={len(self._slots)} {state}>"


class DirectConnection(_Base, asyncio.Protocol):
    """The library's transport, with hiredis alone between it and the futures."""

    def __init__(self, link: Any, transport: asyncio.Transport, address: str) -> None:
        super().__init__(link, address)
        self._reader = hiredis.Reader(notEnoughData=_NEED_MORE)
        self._transport = transport
        self._outgoing: list[bytes] = []
        self._room: asyncio.Future[None] | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    def submit(self, packed: bytes, count: int, timeout: float = COMMAND_TIMEOUT) -> asyncio.Future[list[Any]]:
        slot = self._slot(count, timeout)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(packed)
        return slot.future

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self.closed is None:
            self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

    async def drained(self) -> None:
        if self._room is not None:
            await asyncio.shield(self._room)

    def _hang_up(self) -> None:
        self.resume_writing()
        self._transport.abort()
        self._link._close()  # the library must not complain that what we have closed is open

    # asyncio.Protocol
    def data_received(self, data: bytes) -> None:
        reader, slots = self._reader, self._slots
        self._heard = self._loop.time()
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _NEED_MORE:
                slot = slots[0]
                slot.replies.append(reply)
                if len(slot.replies) == slot.count:
                    slots.popleft()
                    if not slot.future.done():
                        slot.future.set_result(slot.replies)
        except (hiredis.HiredisError, IndexError) as error:
            self._lost(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost(exc or ConnectionError("the server closed the connection"))

    def pause_writing(self) -> None:
        self.congested = True
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        self.congested = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None


class PlainConnection(_Base):
    """The library's own path, for connections without a transport. A task of its own writes and reads, so that
    cancelling somebody who waits never loses the place in the order of replies."""

    def __init__(self, link: Any, address: str) -> None:
        super().__init__(link, address)
        link.socket_timeout = None  # the watchdog's part: the library would give up a read that blocks for longer
        self._queue: asyncio.Queue[tuple[bytes, Slot]] = asyncio.Queue()
        self._pump = self._loop.create_task(self._work())

    def submit(self, packed: bytes, count: int, timeout: float = COMMAND_TIMEOUT) -> asyncio.Future[list[Any]]:
        slot = self._slot(count, timeout)
        self._queue.put_nowait((packed, slot))
        return slot.future

    async def drained(self) -> None:
        return None

    async def _work(self) -> None:
        try:
            while True:
                packed, slot = await self._queue.get()
                await self._link.send_packed_command([packed], check_health=False)
                while len(slot.replies) < slot.count:
                    slot.replies.append(await self._read())
                self._slots.popleft()
                if not slot.future.done():
                    slot.future.set_result(slot.replies)
        except Exception as error:  # of the library; whatever it is, nothing can be read in order any more
            self._lost(error)
        finally:
            await self._link.disconnect(nowait=True)

    async def _read(self) -> Any:
        try:
            return await self._link.read_response(disable_decoding=True, timeout=None)
        except ERROR_REPLIES as error:
            return error

    def _hang_up(self) -> None:
        if asyncio.current_task() is not self._pump:
            self._pump.cancel()

    async def close(self) -> None:
        await super().close()
        await asyncio.wait({self._pump})
