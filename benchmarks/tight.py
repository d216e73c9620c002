"""The tight floor: the loop of `floor.py` as fast as Python lets it be. No framework, no error handling, no second
thread.

Own packing (`hiredis.pack_command`), ids from a random prefix and a counter, hiredis' replies as they come, a bare
protocol on the socket, the commit of one batch and the read of the next in one write, answers grouped by queue in the
script. The guarantee is the same: nothing is written for an entry that is not ours, by owner and delivery count.

Option `whole`: it decodes all fields of the envelope, with real UUIDs and times, and writes the real time into
answers."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import os
import uuid
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec
from redis.asyncio import Redis

from benchmarks.entries import GROUP, MODELS, STREAM, OnEntries
from benchmarks.harness import cancel, serve
from benchmarks.payload import handle, taken

COMMIT = """
local stream, group, me, n = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local counts, lists, queues, done, d = {}, {}, {}, {}, 0
local rows = redis.call('XPENDING', stream, group, ARGV[4], ARGV[4 + 3 * (n - 1)], n, me)
for i = 1, #rows do counts[rows[i][1]] = rows[i][4] end
for i = 0, n - 1 do
  local id = ARGV[4 + 3 * i]
  if counts[id] == 1 then
    d = d + 1
    done[d] = id
    local queue = ARGV[5 + 3 * i]
    if queue ~= '' then
      local list = lists[queue]
      if not list then
        list = {}
        lists[queue] = list
        queues[#queues + 1] = queue
      end
      list[#list + 1] = ARGV[6 + 3 * i]
    end
  end
end
for i = 1, #queues do
  redis.call('LPUSH', queues[i], unpack(lists[queues[i]]))
  redis.call('PEXPIRE', queues[i], 300000)
end
if d > 0 then
  redis.call('XACK', stream, group, unpack(done))
  redis.call('XDEL', stream, unpack(done))
end
return d
"""
BATCH = 100
_MORE = object()


class Envelope(msgspec.Struct, gc=False):
    """What is read of an action."""

    action_type: str
    data: dict[str, Any]
    task_id: str | None = None
    tenant_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    callback_queue_name: str | None = None


class Whole(msgspec.Struct, gc=False):
    """All that an action may carry, as what it is: ids are UUIDs, times are times."""

    action_type: str
    data: dict[str, Any]
    action_id: uuid.UUID
    timestamp: datetime.datetime
    tenant_id: str | None = None
    session_id: str | None = None
    task_id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    origin_service: str | None = None
    correlation_id: uuid.UUID | None = None
    trace_id: uuid.UUID | None = None
    callback_queue_name: str | None = None
    callback_action_type: str | None = None
    metadata: dict[str, Any] | None = None


class Answer(msgspec.Struct, gc=False):
    """What is written of an answer."""

    action_id: str
    correlation_id: Any
    trace_id: Any
    task_id: str | None
    tenant_id: str | None
    session_id: str | None
    success: bool
    timestamp: Any
    data: Any
    error: None = None


_UTC = datetime.UTC
encode = msgspec.json.Encoder().encode
pack: Any = hiredis.pack_command
_count = itertools.count().__next__
_random = os.urandom(10).hex()
_PREFIX = f"{_random[:8]}-{_random[8:12]}-8{_random[12:15]}-a{_random[15:18]}-"


class Socket(asyncio.Protocol):
    """Commands out, replies in, in order."""

    def __init__(self) -> None:
        self._replies = hiredis.Reader(notEnoughData=_MORE)
        self._got: list[Any] = []
        self._wanted = 0
        self._waiter: asyncio.Future[list[Any]] | None = None

    def connection_made(self, transport: Any) -> None:
        """Keep the way out."""
        self.transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Collect replies until all that were asked for are there."""
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not _MORE:
            self._got.append(reply)
        if self._waiter is not None and len(self._got) >= self._wanted:
            got, self._got = self._got, []
            waiter, self._waiter = self._waiter, None
            if not waiter.done():
                waiter.set_result(got)

    def ask(self, packed: bytes, replies: int) -> asyncio.Future[list[Any]]:
        """Write, and await that many replies."""
        self._wanted = replies
        self._waiter = self._loop.create_future()
        self.transport.write(packed)
        return self._waiter


async def connect(url: str) -> Socket:
    """A socket to the server at *url*; no password, no TLS."""
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 6379
    if parts.scheme == "unix":
        return (await loop.create_unix_connection(Socket, parts.path))[1]
    return (await loop.create_connection(Socket, host, port))[1]


class Tight(OnEntries):
    """The loop."""

    async def start(self) -> None:
        """Work in the background."""
        self._work = asyncio.create_task(self._loop())

    async def stop(self) -> int:
        """End the loop."""
        await cancel(self._work)
        self._socket.transport.close()
        return taken()

    async def _loop(self) -> None:
        async with Redis.from_url(self.url) as redis:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            sha = (await redis.script_load(COMMIT)).encode()
        self._socket = await connect(self.url)
        read = pack((b"XREADGROUP", b"GROUP", GROUP, b"me", b"COUNT", BATCH, b"BLOCK", 1000, b"STREAMS", STREAM, b">"))
        whole = bool(self.options.get("whole"))
        decode = msgspec.json.Decoder(Whole if whole else Envelope).decode
        now = datetime.datetime.now
        head = (b"EVALSHA", sha, 1, STREAM, GROUP, b"me")
        ask = self._socket.ask
        validators = {name: model.__pydantic_validator__.validate_python for name, model in MODELS.items()}
        (reply,) = await ask(read, 1)
        while True:
            if not reply:
                (reply,) = await ask(read, 1)
                continue
            entries = reply[0][1]
            words: list[Any] = [*head, len(entries)]
            for entry_id, fields in entries:
                action: Any = decode(fields[1])
                result = await handle(validators[action.action_type](action.data))
                queue = action.callback_queue_name
                if queue is None:
                    words += (entry_id, b"", b"")
                    continue
                answer = Answer(
                    f"{_PREFIX}{_count():012x}",
                    action.correlation_id,
                    action.trace_id,
                    action.task_id,
                    action.tenant_id,
                    action.session_id,
                    True,
                    now(_UTC) if whole else "2026-11-22T00:00:00Z",
                    result,
                )
                words += (entry_id, queue, encode(answer))
            reply = (await ask(pack(tuple(words)) + read, 2))[1]


if __name__ == "__main__":
    serve(Tight())
