"""The part of a client that belongs to one event loop: the connections that it sends by, and the queue on which it awaits
answers."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, get_args

import msgspec

from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, ReplyLost, SelfCall, ServerFault
from nooble.models.actions import DomainActionResponse
from nooble.models.context import IDEMPOTENCY_KEY, find_context
from nooble.models.envelope import Message
from nooble.models.outcomes import Post
from nooble.models.sending import Durability
from nooble.wire.codec import Answer, decode_answer, response_of
from nooble.wire.connection import Endpoint
from nooble.wire.keys import QueueManager
from nooble.wire.outgoing import Key, Outgoing
from nooble.wire.replies import Inbox
from nooble.wire.visits import describe_stream


class How(msgspec.Struct, frozen=True):
    """How an action is sent.

    Attributes:
        durability: what the send waits for.
        room_timeout: seconds to wait for room in a stream that is full.
        key: its idempotency key, if it has one.
    """

    durability: Durability = "server"
    room_timeout: float = 0.0
    key: Key | None = None


def chosen(
    action: Message,
    keys: QueueManager,
    settings: CommonAppSettings,
    idempotency_key: str | None,
    durability: Durability | None,
    room_timeout: float,
) -> How:
    """How *action* is sent, if more is asked for than usual; if it has an idempotency key, it carries it from now on.

    Raises:
        ValueError: a value cannot be meant.
    """
    durability = durability or settings.durability
    if durability not in get_args(Durability):
        raise ValueError(f"durability={durability!r} is none of {', '.join(get_args(Durability))}")
    if idempotency_key is None:
        return How(durability, room_timeout)
    if not isinstance(idempotency_key, str) or not idempotency_key:
        raise ValueError(
            f"idempotency_key={idempotency_key!r} is no text: everything that is sent with the same key is one action, "
            "so give each its own, or None"
        )
    action.metadata = {**(action.metadata or {}), IDEMPOTENCY_KEY: idempotency_key}
    key = Key(
        keys.get_once_context(action.action_type, idempotency_key, action.tenant_id),
        round(settings.idempotency_window_seconds * 1000),
        str(action.action_id),
        str(action.correlation_id or action.action_id),
    )
    return How(durability, room_timeout, key)


def refuse_self_call(post: Post) -> None:
    """A call into the stream of a worker that has no hands left to answer it would wait for itself.

    Raises:
        SelfCall: *post* is such a call.
    """
    context = find_context()
    if context is not None and context.sole_stream == post.stream:
        raise SelfCall(
            f"the handler of {context.message.action_type} calls its own service, which runs one action at a time: "
            "the call would wait for the handler that waits for it. Call the method directly, send instead of "
            "calling, or raise worker_concurrency"
        )


class Exchange:
    """Sends, and awaits answers.

    Args:
        endpoint: where the server is.
        keys: names.
        client: name of the service that sends; names the queue.
        settings: how a durability is confirmed.
    """

    def __init__(self, endpoint: Endpoint, keys: QueueManager, client: str, settings: CommonAppSettings) -> None:
        self._keys = keys
        self._inbox = Inbox(endpoint, keys.get_answer_inbox(client, uuid.uuid4().hex))
        self._outgoing = Outgoing(
            *(endpoint, keys),
            replicas=settings.durability_replicas,
            confirm_within=settings.durability_timeout_seconds,
        )

    @property
    def queue(self) -> str:
        """Where answers are awaited."""
        return self._inbox.queue

    async def send(self, posts: list[Post], how: How) -> str | None:
        """Send *posts*; one only, if *how* has a key.

        Returns:
            The id of the action that has used the key before; `None` if there is none.

        Raises:
            As `Outgoing.deliver`.
        """
        if how.key is None:
            await self._outgoing.deliver(posts, how.durability, how.room_timeout)
            return None
        known = await self._outgoing.deliver_once(posts[0], how.key, how.durability, how.room_timeout)
        return None if known is None else known.action_id

    async def call(self, post: Post, action: Message, timeout: float, how: How) -> DomainActionResponse:
        """Send *action*, encoded as *post*, and wait at most *timeout* seconds for its answer.

        Raises:
            CallTimeout: no answer in time; the message says whether anybody serves the stream.
            As `Outgoing.deliver`, otherwise.
        """
        correlation_id = action.correlation_id
        assert correlation_id is not None
        awaited = self._inbox.expect(correlation_id, timeout)
        try:
            if (sending := self.submit(post, how)) is not None:
                sending.add_done_callback(lambda sent: self._hear_refusal(post, sent, awaited))
            elif earlier := await self._send_slowly(post, timeout, how):
                response = response_of(decode_answer(earlier))
                response.correlation_id = correlation_id
                return response
            return response_of(await awaited)
        except TimeoutError:
            pass
        finally:
            self._inbox.forget(correlation_id)
        service = post.stream.split(":")[2]
        group = self._keys.get_consumer_group(service)
        raise CallTimeout(
            f"no answer to {action.action_type} from {service} within {timeout:g} s: "
            + await describe_stream(self._outgoing.link, post.stream, group),
            details={"action_type": action.action_type, "service": service, "timeout": timeout},
        )

    def submit(self, post: Post, how: How) -> asyncio.Future[list[Any]] | None:
        """Send *post* at once, if nothing more is asked for and nothing stands against it; `None` if `send` has to."""
        if how.key is not None or how.durability != "server":
            return None
        return self._outgoing.submit(post)

    def check(self, post: Post, replies: list[Any]) -> None:
        """Look at what the server has said of what was submitted.

        Raises:
            ServerFault: it was not sent.
        """
        self._outgoing.check(post, replies)

    def _hear_refusal(self, post: Post, sent: asyncio.Future[list[Any]], awaited: asyncio.Future[Answer]) -> None:
        """A lost reply says nothing: it may have been sent all the same, and the answer will tell."""
        if sent.cancelled() or sent.exception() is not None:
            return
        try:
            self.check(post, sent.result())
        except ServerFault as fault:
            if not awaited.done():
                awaited.set_exception(fault)
                awaited.exception()  # whoever awaits it hears of it; nobody else needs to

    async def _send_slowly(self, post: Post, timeout: float, how: How) -> bytes | None:
        """Send, waiting for what there is to wait for. Returns the answer, if the key was used before."""
        async with asyncio.timeout(timeout):
            if how.key is not None:
                return await self._earlier_answer(post, how, how.key)
            try:
                await self._outgoing.deliver([post], how.durability, how.room_timeout)
            except ReplyLost:
                pass  # as above
            return None

    async def _earlier_answer(self, post: Post, how: How, key: Key) -> bytes | None:
        """The answer to the action that has used the key before, awaited; `None` if this one is the first to use it."""
        known = await self._outgoing.deliver_once(post, key, how.durability, how.room_timeout)
        if known is None:
            return None
        return known.answer or await self._outgoing.answer_to(post.stream, key.context)

    async def close(self) -> None:
        """Close the connections. Calls in flight end with `ReplyLost`."""
        await self._inbox.close()
        await self._outgoing.close()
