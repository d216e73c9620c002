"""A bad link on demand: a TCP proxy in front of a server, on loopback, whose connections can be delayed, narrowed, silenced,
cut off in the middle of a reply and reset."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from typing import Self

_AT_ONCE = struct.pack("ii", 1, 0)  # closing sends a reset, as a machine that has crashed does


class Proxy:
    """One link to the server on *port*; a context manager.

    Attributes:
        delay: seconds by which every piece is late, in both directions.
        jitter: most seconds by which a piece is later still, another each time.
        bandwidth: bytes a second that each direction of a connection carries; 0 sets no bound.
        deaf: what clients send is lost.
        mute: what the server replies is lost. A connection that has lost something stays open and silent until `reset`.
        accepted: connections that clients have opened so far.
        faults: faults that were asked for and have happened.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut: tuple[bytes, int] | None = None
        self.delay = self.jitter = self.bandwidth = 0.0
        self.deaf = self.mute = False
        self.accepted = self.faults = 0

    @property
    def url(self) -> str:
        """What a client takes for the address of the server."""
        return f"redis://127.0.0.1:{self.port}/0"

    def swallow(self, request: bytes = b"") -> None:
        """The next *request* that contains these bytes is done, and its reply never arrives: a reset does."""
        self.cut(0, request)

    def cut(self, length: int, request: bytes = b"") -> None:
        """As `swallow`, but the first *length* bytes of the reply do arrive."""
        self._cut = (request, length)

    def _late_by(self, size: int) -> float:
        """Seconds that a piece of *size* bytes takes."""
        return self.delay + random.uniform(0, self.jitter) + (size / self.bandwidth if self.bandwidth else 0)

    def reset(self) -> None:
        """Every connection that stands breaks."""
        for writer in list(self._open):
            _reset(writer)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
            self._open |= {writer, back}
            marked = asyncio.Event()  # the request whose reply is to be cut has passed
            pumps = [asyncio.create_task(self._forth(reader, back, marked))]
            pumps.append(asyncio.create_task(self._back(there, writer, marked)))
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                self._open -= {writer, back}
                back.close()
        writer.close()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event) -> None:
        lost = False
        while data := await reader.read(65_536):
            await asyncio.sleep(self._late_by(len(data)))
            if self._cut is not None and self._cut[0] in data:
                marked.set()
            lost = lost or self.deaf
            if not lost:
                writer.write(data)
                await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event) -> None:
        lost = False
        while data := await reader.read(65_536):
            await asyncio.sleep(self._late_by(len(data)))
            if self._cut is not None and marked.is_set():
                (_, length), self._cut = self._cut, None
                self.faults += 1
                await _send_and_break(writer, data[:length])
                return
            lost = lost or self.mute
            if not lost:
                writer.write(data)
                await writer.drain()


async def _send_and_break(writer: asyncio.StreamWriter, data: bytes) -> None:
    """A reset would overtake what it follows, so what was sent is seen to arrive before."""
    if data:
        writer.write(data)
        writer.write_eof()
        await asyncio.sleep(0.01)
    _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
