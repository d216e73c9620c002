"""The part of a client that belongs to one event loop: the connections that it sends by, and the queue on which it awaits
answers."""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, ReplyLost
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.outcomes import Post
from nooble.models.sending import Durability
from nooble.wire.codec import decode_answer, response_of
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

    async def call(self, post: Post, action: DomainAction, timeout: float, how: How) -> DomainActionResponse:
        """Send *action*, encoded as *post*, and wait at most *timeout* seconds for its answer.

        Raises:
            CallTimeout: no answer in time; the message says whether anybody serves the stream.
            As `Outgoing.deliver`, otherwise.
        """
        assert action.correlation_id is not None
        awaited = self._inbox.expect(action.correlation_id)
        try:
            async with asyncio.timeout(timeout):
                if how.key is None:
                    try:
                        await self._outgoing.deliver([post], how.durability, how.room_timeout)
                    except ReplyLost:
                        pass  # it may have been sent all the same: the answer will tell
                elif earlier := await self._earlier_answer(post, how, how.key):
                    response = response_of(decode_answer(earlier))
                    response.correlation_id = action.correlation_id
                    return response
                return response_of(await awaited)
        except TimeoutError:
            pass
        finally:
            self._inbox.forget(action.correlation_id)
        service = post.stream.split(":")[2]
        group = self._keys.get_consumer_group(service)
        raise CallTimeout(
            f"no answer to {action.action_type} from {service} within {timeout:g} s: "
            + await describe_stream(self._outgoing.link, post.stream, group),
            details={"action_type": action.action_type, "service": service, "timeout": timeout},
        )

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
