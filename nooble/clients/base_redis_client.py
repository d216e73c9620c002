"""Sends actions to services and awaits their answers. Sends that are awaited together leave in one write; all calls in
flight share one queue and one blocking connection."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, NoobleError, PayloadTooLarge, ReplyLost, SelfCall
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.context import DEFAULT_CALL_TIMEOUT, TTL, find_context
from nooble.models.ids import new_id
from nooble.models.outcomes import Post
from nooble.models.payloads import as_payload
from nooble.wire.codec import CODECS, encode_action, response_of
from nooble.wire.connection import Endpoint, Link
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.keys import QueueManager
from nooble.wire.outgoing import packed_entry
from nooble.wire.replies import Inbox
from nooble.wire.visits import describe_stream

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CHUNK, _CHUNK_BYTES = 200, 1_048_576


class BaseRedisClient:
    """A client of other services.

    Belongs to the event loop in which it is first used; used in another loop, it begins anew there.

    Args:
        service_name: who sends; names the queue for answers.
        redis_client: a connection to the server. Its parameters are used, itself it is left alone.
        settings: names, codec, limits.

    Attributes:
        service_name, settings: as given.
        queue_manager: names of keys.
    """

    def __init__(self, service_name: str, redis_client: Redis, settings: CommonAppSettings) -> None:
        self.service_name = service_name
        self.redis_client = redis_client
        self.settings = settings
        self.queue_manager = queue_manager_of(settings)
        self._codec = CODECS[settings.codec]
        self._endpoint = Endpoint(redis_client)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: Link
        self._inbox: Inbox

    # ── the platform's three methods ──
    async def send_action_async(self, action: DomainAction) -> None:
        """Send *action*; nobody waits for an answer. Errors as for `send`."""
        await self.send(action)

    async def send_action_pseudo_sync(
        self, action: DomainAction, timeout: float = DEFAULT_CALL_TIMEOUT
    ) -> DomainActionResponse:
        """Send *action* and wait at most *timeout* seconds for its answer. Errors as for `call`."""
        return await self.call(action, timeout=timeout)

    async def send_action_async_with_callback(
        self, action: DomainAction, callback_event_name: str, callback_context: str | None = None
    ) -> None:
        """Send *action*; its result arrives as a `DomainAction` in a list of this service.

        Args:
            action: what is to be done.
            callback_event_name: type of the callback.
            callback_context: last part of the name of the list; by default the correlation id.

        Raises:
            As `send`.
        """
        action.correlation_id = action.correlation_id or new_id()
        action.callback_action_type = callback_event_name
        action.callback_queue_name = self.queue_manager.get_callback_queue(
            self.service_name, callback_event_name, callback_context or str(action.correlation_id)
        )
        await self.send(action)

    # ── short names ──
    async def send(
        self, action: DomainAction | str, data: Any = None, *, service: str | None = None, **fields: Any
    ) -> uuid.UUID:
        """Send an action that nobody waits for.

        Args:
            action: a `DomainAction`, or the type of one that is made of *data* and *fields*.
            data: the payload: a mapping, a pydantic model, a Struct, a dataclass.
            service: the service that does it, if it is not the first segment of the type.
            fields: further fields of the action: `tenant_id`, `trace_id`, `metadata`, …

        Returns:
            The id of the action, once the server has it.

        Raises:
            PayloadTooLarge: it has more than `max_payload_bytes`.
            QueueManagerError: its type is no action type.
            ServerUnavailable: it was not sent; its subclass `ReplyLost` if that is not known.
            ServerRefused: the server refuses for a reason that a person must mend.
        """
        made = self._made(action, data, fields)
        await self._deliver([self.post(made, service=service)])
        return made.action_id

    async def send_many(
        self, actions: Iterable[DomainAction | tuple[str, Any]], *, service: str | None = None
    ) -> list[uuid.UUID]:
        """Send many actions in few writes, in order.

        Args:
            actions: `DomainAction`s, or pairs of type and payload.
            service: the service that does them, if it is not the first segment of their types.

        Returns:
            Their ids, once the server has them all.

        Raises:
            As `send`. `details["sent"]` then says how many, from the first on, the server is known to have.
        """
        ids: list[uuid.UUID] = []
        chunk: list[Post] = []
        sent = size = 0
        try:
            for item in actions:
                made = self._made(*item, {}) if isinstance(item, tuple) else self._made(item, None, {})
                chunk.append(self.post(made, service=service))
                ids.append(made.action_id)
                size += len(chunk[-1].data)
                if len(chunk) == _CHUNK or size >= _CHUNK_BYTES:
                    await self._deliver(chunk)
                    sent, size, chunk = sent + len(chunk), 0, []
            await self._deliver(chunk)
        except NoobleError as error:
            error.details["sent"] = sent + error.details.get("sent", 0)
            raise
        return ids

    async def call(
        self,
        action: DomainAction | str,
        data: Any = None,
        *,
        timeout: float = DEFAULT_CALL_TIMEOUT,
        service: str | None = None,
        **fields: Any,
    ) -> DomainActionResponse:
        """Send an action and wait for its answer.

        Args:
            action, data, service, fields: as for `send`.
            timeout: seconds to wait. It travels along: a worker does not start what nobody awaits any more.

        Returns:
            The answer; `success` says whether the action was done.

        Raises:
            CallTimeout: no answer in time; the message says whether anybody serves the stream.
            SelfCall: a handler calls its own service, whose only worker it keeps busy.
            As `send`, otherwise.
        """
        made = self._made(action, data, fields)
        made.correlation_id = made.correlation_id or new_id()
        made.metadata = {**(made.metadata or {}), TTL: int(timeout * 1000)}
        self._here()
        made.callback_queue_name, made.callback_action_type = self._inbox.queue, None
        post = self.post(made, service=service)
        self._refuse_self_call(post)
        return await self._await_answer(post, made, timeout)

    async def call_back(
        self,
        action: DomainAction | str,
        data: Any = None,
        *,
        callback_action_type: str,
        service: str | None = None,
        **fields: Any,
    ) -> uuid.UUID:
        """Send an action whose result arrives at this service as an action of *callback_action_type*.

        Args:
            action, data, service, fields: as for `send`.
            callback_action_type: type of the action that brings the result.

        Returns:
            The id of the action that was sent.

        Raises:
            ForbiddenCallback: *callback_action_type* does not belong to this service.
            As `send`, otherwise.
        """
        made = self._made(action, data, fields)
        made.correlation_id = made.correlation_id or new_id()
        made.callback_action_type = callback_action_type
        made.callback_queue_name = self.callback_queue(callback_action_type)
        return await self.send(made, service=service)

    def post(self, action: DomainAction, *, service: str | None = None) -> Post:
        """*action*, addressed and encoded, not sent.

        Raises:
            PayloadTooLarge: it has more than `max_payload_bytes`.
            QueueManagerError: its type is no action type.
        """
        if action.origin_service != self.service_name:
            action.origin_service = self.service_name
        data = encode_action(action, self._codec)
        limit = self.settings.max_payload_bytes
        if len(data) > limit:
            raise PayloadTooLarge(
                f"{action.action_type} has {len(data)} bytes, more than max_payload_bytes={limit}; "
                "store large data elsewhere and send a reference",
                details={"size": len(data), "limit": limit},
            )
        return Post(self.queue_manager.target_stream(action.action_type, service), data)

    def callback_queue(self, action_type: str) -> str:
        """The own action stream, as the place for a callback of *action_type*.

        Raises:
            ForbiddenCallback: *action_type* does not belong to this service.
        """
        queue = self.queue_manager.get_service_action_stream(self.service_name)
        self.queue_manager.accept_callback(queue, action_type)
        return queue

    async def close(self) -> None:
        """Close the connections; a later use opens them again. Calls in flight end with `ReplyLost`."""
        loop, self._loop = self._loop, None
        if loop is asyncio.get_running_loop():  # those of another loop have ended with it
            await self._inbox.close()
            await self._link.close()

    async def __aenter__(self) -> BaseRedisClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── how ──
    def _here(self) -> Link:
        """The link of the running loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._link = Link(self._endpoint)
            nonce = uuid.uuid4().hex
            self._inbox = Inbox(self._endpoint, self.queue_manager.get_answer_inbox(self.service_name, nonce))
        return self._link

    def _made(self, action: DomainAction | str, data: Any, fields: dict[str, Any]) -> DomainAction:
        if isinstance(action, DomainAction):
            if data is not None or fields:
                raise TypeError("a DomainAction carries its own data and fields; pass those only with an action type")
            return action
        values = {
            "action_type": action,
            "data": as_payload(data),
            "timestamp": datetime.datetime.now(datetime.UTC),
            "origin_service": self.service_name,
            **fields,
        }
        return DomainAction(**values)

    async def _deliver(self, posts: Sequence[Post]) -> None:
        if not posts:
            return
        connection = await self._here().connection()
        await connection.drained()
        packed = b"".join([packed_entry(post) for post in posts])
        replies = await connection.submit(packed, len(posts))
        for number, reply in enumerate(replies):
            if isinstance(reply, ERROR_REPLIES):
                error = fault(reply, posts[number].stream)
                error.details["sent"] = number
                raise error

    async def _await_answer(self, post: Post, action: DomainAction, timeout: float) -> DomainActionResponse:
        assert action.correlation_id is not None
        awaited = self._inbox.expect(action.correlation_id)
        try:
            async with asyncio.timeout(timeout):
                try:
                    await self._deliver([post])
                except ReplyLost:
                    pass  # it may have been sent all the same: the answer will tell
                return response_of(await awaited)
        except TimeoutError:
            pass
        finally:
            self._inbox.forget(action.correlation_id)
        service = post.stream.split(":")[2]
        raise CallTimeout(
            f"no answer to {action.action_type} from {service} within {timeout:g} s: "
            + await describe_stream(self._here(), post.stream, self.queue_manager.get_consumer_group(service)),
            details={"action_type": action.action_type, "service": service, "timeout": timeout},
        )

    def _refuse_self_call(self, post: Post) -> None:
        context = find_context()
        if context is not None and context.sole_stream == post.stream:
            raise SelfCall(
                f"the handler of {context.action.action_type} calls its own service, which runs one action at a time: "
                "the call would wait for the handler that waits for it. Call the method directly, send instead of "
                "calling, or raise worker_concurrency"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service_name} at {self._endpoint.address}>"


def queue_manager_of(settings: CommonAppSettings) -> QueueManager:
    """The names that *settings* stand for."""
    return QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
