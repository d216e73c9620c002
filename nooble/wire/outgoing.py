"""Actions on their way out: the one place that writes entries to the streams of services. It is one plain write where
nothing more is asked for, and one script where the stream is bounded or an action is to be taken once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import hiredis
import msgspec

from nooble.errors import (
    ConfigurationFault,
    NoobleError,
    NotDurable,
    QueueFull,
    ReplyLost,
    ScriptMissing,
    ServerUnavailable,
)
from nooble.models.outcomes import Post
from nooble.models.sending import Durability
from nooble.wire.channels import COMMAND_TIMEOUT
from nooble.wire.connection import Endpoint, Link
from nooble.wire.delivery import WIRE_VERSION
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import ENQUEUE, Script

_BOUND_IS_KNOWN_FOR = 5.0
"""Seconds for which a stream that had no bound is written to without asking again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25
_REPEATS_FOR = 5.0
"""Seconds in which an action with an idempotency key is sent again if the reply was lost."""


class Key(msgspec.Struct, frozen=True):
    """An idempotency key on its way.

    Attributes:
        context: last part of the name of its record.
        window_ms: milliseconds for which it is remembered.
        action_id, correlation_id: of the action that uses it.
    """

    context: str
    window_ms: int
    action_id: str
    correlation_id: str


class Known(msgspec.Struct, frozen=True):
    """The action that has used an idempotency key before.

    Attributes:
        action_id, correlation_id: its ids, as text.
        answer: its encoded answer; empty as long as there is none.
    """

    action_id: str
    correlation_id: str
    answer: bytes


class Outgoing:
    """Writes actions to streams.

    Args:
        endpoint: where the server is.
        keys: names.
        replicas: how many have to confirm a send of the durability `replicated`.
        confirm_within: seconds within which a durability is to be confirmed.

    Attributes:
        link: the connection of plain sends.
    """

    def __init__(self, endpoint: Endpoint, keys: QueueManager, *, replicas: int, confirm_within: float) -> None:
        self.link = Link(endpoint)
        self._patient = Link(endpoint)  # a send that waits for a disk must not hold up others
        self._keys = keys
        self._replicas = replicas
        self._confirm_within = confirm_within
        self._unbounded: dict[str, float] = {}
        self._checked: set[Durability] = set()

    async def deliver(
        self, posts: Sequence[Post], durability: Durability = "server", room_timeout: float = 0.0
    ) -> None:
        """Write *posts* to their streams, in order.

        Raises:
            QueueFull: a stream has had no room for *room_timeout* seconds.
            NotDurable: they were sent, but the *durability* was not confirmed.
            ServerFault: the server could not take them.
            All of them: `details["sent"]` says how many, from the first on, the server is known to have.
        """
        if not posts:
            return None
        now = time.monotonic()
        if not all(self._unbounded.get(post.stream, 0.0) > now for post in posts):
            await self._look_up_bounds({post.stream for post in posts}, now)
        if durability == "server" and all(post.stream in self._unbounded for post in posts):
            return await self._deliver_plainly(posts)
        sent = 0
        for stream, group in groupby(posts, lambda post: post.stream):
            values = [post.data for post in group]
            try:
                await self._deliver_into(stream, values, durability, now + room_timeout)
            except NoobleError as error:
                error.details["sent"] = sent + error.details.get("sent", 0)
                raise
            sent += len(values)
        return None

    def submit(self, post: Post) -> asyncio.Future[list[Any]] | None:
        """Write *post* at once, if a connection stands that has room for it and its stream has no bound.

        Returns:
            A future for `check`; `None` if `deliver` has to do it.
        """
        connection = self.link.standing
        if connection is None or connection.congested or self._unbounded.get(post.stream, 0.0) <= time.monotonic():
            return None
        return connection.submit(_packed_entry(post), 1)

    def check(self, post: Post, replies: list[Any]) -> None:
        """Look at what the server has said of *post*.

        Raises:
            ServerFault: it was not written.
        """
        if isinstance(replies[0], ERROR_REPLIES):
            raise fault(replies[0], post.stream)

    async def deliver_once(
        self, post: Post, key: Key, durability: Durability = "server", room_timeout: float = 0.0
    ) -> Known | None:
        """Write *post*, unless *key* has been used before. If the reply is lost it is sent again: that is safe.

        Returns:
            The action that has used the key before; `None` if this one does.

        Raises:
            As `deliver`.
        """
        room_until = time.monotonic() + room_timeout
        until = 0.0
        pause, lost = _FIRST_PAUSE, False
        while True:
            try:
                reply = await self._run_enqueue(post.stream, [post.data], durability, key)
            except ServerUnavailable as error:
                lost = lost or isinstance(error, ReplyLost)
                until = until or time.monotonic() + _REPEATS_FOR
                if time.monotonic() > until:
                    if lost and not isinstance(error, ReplyLost):
                        raise ReplyLost(f"an earlier attempt may have been written: {error}") from error
                    raise
            else:
                if reply[0] == b"known":
                    known = Known(reply[1].decode(), reply[2].decode(), reply[3])
                    ours = lost and (known.action_id, known.correlation_id) == (key.action_id, key.correlation_id)
                    return None if ours and not known.answer else known
                if reply[1]:
                    return None
                if time.monotonic() >= room_until:
                    raise _full(post.stream, reply)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def answer_to(self, stream: str, context: str) -> bytes:
        """The answer of the action that has used an idempotency key; waits until there is one."""
        pause = _FIRST_PAUSE
        while True:
            try:
                answer: bytes | None = await self.link.execute(b"HGET", self._record(stream, context), b"answer")
                if answer is not None:
                    return answer
            except ServerUnavailable:
                pass
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def close(self) -> None:
        """Close the connections; a later use opens them again."""
        await self.link.close()
        await self._patient.close()

    # ── plainly ──
    async def _deliver_plainly(self, posts: Sequence[Post]) -> None:
        connection = await self.link.connection()
        await connection.drained()
        replies = await connection.submit(b"".join([_packed_entry(post) for post in posts]), len(posts))
        for number, reply in enumerate(replies):
            if isinstance(reply, ERROR_REPLIES):
                error = fault(reply, posts[number].stream)
                error.details["sent"] = number
                raise error

    async def _look_up_bounds(self, streams: set[str], now: float) -> None:
        """Who may not look has no bound to keep to."""
        names = sorted(streams)
        try:
            bounds = await self.link.pipeline([(b"GET", self._bound(stream)) for stream in names])
        except ReplyLost as error:  # of a question: nothing was sent
            raise ServerUnavailable(error.message) from error
        if len(self._unbounded) > 10_000:
            self._unbounded.clear()
        for stream, bound in zip(names, bounds, strict=True):
            if isinstance(bound, bytes) and bound.isdigit() and int(bound):
                self._unbounded.pop(stream, None)
            else:
                self._unbounded[stream] = now + _BOUND_IS_KNOWN_FOR

    # ── through the script ──
    async def _deliver_into(self, stream: str, values: list[bytes], durability: Durability, until: float) -> None:
        """Write what there is room for, and wait for room for the rest until that moment."""
        sent, pause = 0, _FIRST_PAUSE
        try:
            while True:
                reply = await self._run_enqueue(stream, values[sent:], durability, None)
                sent += int(reply[1])
                if sent == len(values):
                    return
                if time.monotonic() >= until:
                    raise _full(stream, reply)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(_LONGEST_PAUSE, pause * 2)
        except NoobleError as error:
            error.details["sent"] = sent + error.details.get("sent", 0)
            raise

    async def _run_enqueue(
        self, stream: str, values: list[bytes], durability: Durability, key: Key | None
    ) -> list[Any]:
        arguments: list[Any] = [stream, self._bound(stream)]
        if key is None:
            arguments += ("", 0, "", "", "")
        else:
            record = self._record(stream, key.context)
            arguments += (record, key.window_ms, key.context, key.action_id, key.correlation_id)
        for value in values:
            arguments += (value, WIRE_VERSION)
        if durability == "server":
            reply: list[Any] = await ENQUEUE.run(self.link, *arguments)
            return reply
        return await self._run_durably(ENQUEUE, arguments, durability)

    async def _run_durably(self, script: Script, arguments: list[Any], durability: Durability) -> list[Any]:
        """Run it and wait for its durability on the same connection: the server confirms what this connection wrote."""
        await self._require(durability)
        milliseconds = int(self._confirm_within * 1000)
        wait = (b"WAITAOF", 1, 0, milliseconds) if durability == "fsync" else (b"WAIT", self._replicas, milliseconds)
        connection = await self._patient.connection()
        for command in (script.by_digest(*arguments), script.by_text(*arguments)):
            packed = _packed(command) + _packed(wait)
            reply, confirmed = await connection.submit(packed, 2, self._confirm_within + COMMAND_TIMEOUT)
            if isinstance(reply, ERROR_REPLIES):
                error = fault(reply)
                if isinstance(error, ScriptMissing):
                    continue  # nothing has run
                raise error
            if reply[1] or reply[0] == b"known":
                self._check_confirmed(durability, confirmed, reply)
            result: list[Any] = reply
            return result
        raise ServerUnavailable("the server does not keep the script; was SCRIPT FLUSH called in this very moment?")

    async def _require(self, durability: Durability) -> None:
        if durability == "fsync" and durability not in self._checked:
            try:
                (found,) = await self._patient.pipeline([(b"COMMAND", b"INFO", b"WAITAOF")])
            except ReplyLost as error:  # of a question: nothing was sent
                raise ServerUnavailable(error.message) from error
            if isinstance(found, list) and not found[0]:
                raise ConfigurationFault(
                    "durability='fsync' needs the command WAITAOF, which this server does not have; take Redis 7.2 or later "
                    "or Valkey, or set appendfsync always on the server and send with durability='server'"
                )
            self._checked.add(durability)

    def _check_confirmed(self, durability: Durability, confirmed: Any, reply: list[Any]) -> None:
        details = {"durability": durability, "sent": int(reply[1]) if reply[0] == b"added" else 0}
        if isinstance(confirmed, ERROR_REPLIES):
            raise NotDurable(f"sent, but durability={durability!r} cannot be had: {confirmed}", details=details)
        reached, wanted = (confirmed[0], 1) if durability == "fsync" else (confirmed, self._replicas)
        if reached < wanted:
            whom = "the disk of the server" if durability == "fsync" else f"{reached} of {wanted} replicas"
            raise NotDurable(
                f"sent, but durability={durability!r} was not confirmed within {self._confirm_within:g} s by {whom}; "
                "it may be lost with the server. Sending it again is safe with an idempotency_key",
                details=details,
            )

    # ── names ──
    def _bound(self, stream: str) -> str:
        return self._keys.get_backlog_bound(stream.split(":")[2])

    def _record(self, stream: str, context: str) -> str:
        return self._keys.get_once_record(stream.split(":")[2], context)


def _full(stream: str, reply: list[Any]) -> QueueFull:
    length, limit = int(reply[2]), int(reply[3])
    return QueueFull(
        f"{stream} holds {length} actions, and its service allows {limit}: nothing more was sent. Try again later, wait "
        "with room_timeout, start more workers, or raise stream_max_backlog of the service",
        details={"length": length, "limit": limit},
    )


def _packed_entry(post: Post) -> bytes:
    """The command that adds *post* to its stream, as it goes over the connection: always the same but for two places."""
    stream, data = post.stream.encode(), post.data
    return _ENTRY % (len(stream), stream, len(data), data)


_ENTRY = b"*7\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$4\r\ndata\r\n$%d\r\n%b\r\n$1\r\nv\r\n$1\r\n1\r\n"
"""Packing it anew each time costs more than all else of a send but its encoding."""


def _packed(command: tuple[Any, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(command)
    return packed
