"""A server of Python objects that does what nooble needs of a real one: fakeredis, where five of its ways are put right.

A read of a group does not wait; BLMOVE waits for a list that it has looked at only once;
a blocked read whose connection is closed goes on waiting and takes the next message with it; scripts must not begin with
`#!lua`, and cannot read the errors that `redis.pcall` gives them. What differs all the same stands in `differences`."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nooble.testing.mistakes import HarnessMistake

try:
    import fakeredis
    from fakeredis._helpers import NoResponse
    from fakeredis.aioredis import FakeAsyncRedisConnection
except ImportError as error:
    raise HarnessMistake(
        f'server="fake" needs fakeredis with Lua ({error}): pip install "nooble[testing]", or name a server'
    ) from error

if TYPE_CHECKING:
    from redis.asyncio import Redis


def fake_client(*, decode_responses: bool = True) -> Redis:
    """A client of a new, empty server of Python objects."""
    client: Redis = fakeredis.FakeAsyncRedis(
        server=fakeredis.FakeServer(), connection_class=PatientConnection, decode_responses=decode_responses
    )
    return client


class PatientConnection(FakeAsyncRedisConnection):
    """A connection of fakeredis whose reads wait until there is something, and end with it."""

    _wait: asyncio.Task[Any] | None = None

    async def _connect(self) -> None:
        await super()._connect()
        socket: Any = self._sock
        process, block, await_change = socket._process_command, socket._blocking, socket._async_blocking

        def mended(fields: list[bytes]) -> None:
            name = fields[0].upper() if fields else b""
            if name == b"BLMOVE" and len(fields) == 6:
                _move_when_there(socket, fields)
            else:
                process(_without_shebang(socket, fields) if name == b"EVAL" else fields)

        def patiently(timeout: float | None, look: Callable[[bool], Any], *rest: Any) -> Any:
            return block(timeout, lambda first: _or_none(look(first)), *rest)

        async def known(*arguments: Any) -> None:
            self._wait = asyncio.current_task()
            await await_change(*arguments)

        def caught(lua: Any, *arguments: Any) -> Any:
            try:
                return socket._lua_redis_call(lua, *arguments)
            except Exception as error:
                return lua.table_from({b"err": str(error).encode()})

        socket._process_command, socket._blocking, socket._async_blocking = mended, patiently, known
        socket._lua_redis_pcall = caught

    async def disconnect(self, nowait: bool = False, **options: Any) -> None:  # type: ignore[override]
        """Close it; a read that waits ends, and takes nothing."""
        waiting, self._wait = self._wait, None
        if waiting is not None and not waiting.done():
            waiting.cancel()
            await asyncio.wait({waiting})
        await super().disconnect(nowait=nowait, **options)


def _or_none(reply: Any) -> Any:
    """`None` keeps a read waiting; fakeredis gives it an empty list at its second look."""
    return None if isinstance(reply, list | dict) and not reply else reply


def _move_when_there(socket: Any, fields: list[bytes]) -> None:
    """BLMOVE, as LMOVE again and again."""
    function, signature = socket._name_to_func("lmove")

    def look(_: bool) -> Any:
        socket._db.time = time.time()
        return socket._run_command(function, signature, fields[1:5], False)

    with socket._server.lock:
        reply = socket._blocking(float(fields[5]), look)
    if not isinstance(reply, NoResponse):
        socket.put_response(socket._decode_result(reply))


def _without_shebang(socket: Any, fields: list[bytes]) -> list[bytes]:
    """EVAL of a script without its first line; the server knows it by the digest of the whole all the same."""
    text = fields[1] if len(fields) > 1 else b""
    if not text.startswith(b"#!lua"):
        return fields
    bare = text.partition(b"\n")[2]
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    socket._server.script_cache[digest.encode()] = bare
    return [fields[0], bare, *fields[2:]]
