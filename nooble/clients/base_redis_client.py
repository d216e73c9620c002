"""Sends actions to services and awaits their answers. Sends that are awaited together leave in one write; all calls in
flight share one queue and one blocking connection."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nooble.clients import watching
from nooble.clients.exchange import Exchange, How, chosen, refuse_self_call
from nooble.config import CommonAppSettings
from nooble.errors import NoobleError, PayloadTooLarge
from nooble.events import Events
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.context import DEFAULT_CALL_TIMEOUT, TTL
from nooble.models.envelope import Envelope, Message, whole
from nooble.models.ids import new_id
from nooble.models.outcomes import Post
from nooble.models.payloads import as_payload, has_names
from nooble.models.sending import Durability
from nooble.wire.codec import CODECS, encode_action
from nooble.wire.connection import Endpoint
from nooble.wire.keys import QueueManager

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
        events: subscribe here to learn what is sent, and how calls end.
        watches: look at what goes out before it is encoded, as a tracer does.
        leaving: the action that is just being encoded, of which those who watch know already.
        is_watched: whether what the settings say of watching has been done; it is with the first use.
    """

    def __init__(self, service_name: str, redis_client: Redis, settings: CommonAppSettings) -> None:
        self.service_name = service_name
        self.redis_client = redis_client
        self.settings = settings
        self.queue_manager = queue_manager_of(settings)
        self.events = Events()
        self.watches: list[watching.Watch] = []
        self.is_watched = False
        self.leaving: DomainAction | None = None
        self._codec = CODECS[settings.codec]
        self._usual = How(settings.durability)
        self._endpoint = Endpoint(redis_client)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exchange: Exchange

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
        self,
        action: DomainAction | str,
        data: Any = None,
        *,
        service: str | None = None,
        idempotency_key: str | None = None,
        durability: Durability | None = None,
        room_timeout: float = 0.0,
        **fields: Any,
    ) -> uuid.UUID:
        """Send an action that nobody waits for.

        Args:
            action: a `DomainAction`, or the type of one that is made of *data* and *fields*.
            data: the payload: a mapping, a pydantic model, a Struct, a dataclass.
            service: the service that does it, if it is not the first segment of the type.
            idempotency_key: names what is to be done once: sent again with it and the same type, also after a lost reply
                or by another process, within `idempotency_window_seconds`, it is the same action.
            durability: what to wait for, instead of the setting: `"server"`, `"fsync"` or `"replicated"`.
            room_timeout: seconds to wait for room, if the stream is full.
            fields: further fields of the action: `tenant_id`, `trace_id`, `metadata`, …

        Returns:
            The id of the action, once the server has it; that of the first one that had the *idempotency_key*.

        Raises:
            PayloadTooLarge: it has more than `max_payload_bytes`.
            QueueFull: the stream holds as many actions as its service allows.
            NotDurable: it was sent, but the *durability* was not confirmed.
            QueueManagerError: its type is no action type.
            ServerUnavailable: it was not sent; its subclass `ReplyLost` if that is not known.
            ServerRefused: the server refuses for a reason that a person must mend.
        """
        made = self._made(action, data, fields)
        how = self._how(made, idempotency_key, durability, room_timeout)
        exchange = self._here()
        if self.watches or self.events.listeners:
            return await watching.send(self, exchange, whole(made), service, how)
        post = self.post(made, service=service)
        assert made.action_id is not None
        if (sending := exchange.submit(post, how)) is not None:
            exchange.check(post, await sending)
            return made.action_id
        known = await exchange.send([post], how)
        return uuid.UUID(known) if known else made.action_id

    async def send_many(
        self,
        actions: Iterable[DomainAction | tuple[str, Any]],
        *,
        service: str | None = None,
        durability: Durability | None = None,
        room_timeout: float = 0.0,
    ) -> list[uuid.UUID]:
        """Send many actions in few writes, in order.

        Args:
            actions: `DomainAction`s, or pairs of type and payload.
            service, durability, room_timeout: as for `send`; the last one for every write of some hundred.

        Returns:
            Their ids, once the server has them all.

        Raises:
            As `send`. `details["sent"]` then says how many, from the first on, the server is known to have.
        """
        ids: list[uuid.UUID] = []
        chunk: list[Post] = []
        journeys: list[watching.Journey] = []
        sent = size = 0
        how = How(durability or self.settings.durability, room_timeout)
        self._here()
        try:
            for item in actions:
                made = self._made(*item, {}) if isinstance(item, tuple) else self._made(item, None, {})
                if self.watches or self.events.listeners:
                    journeys.append(watching.Journey(self, "send", whole(made), service))
                chunk.append(journeys[-1].post() if journeys else self.post(made, service=service))
                assert made.action_id is not None
                ids.append(made.action_id)
                size += len(chunk[-1].data)
                if len(chunk) == _CHUNK or size >= _CHUNK_BYTES:
                    await self._here().send(chunk, how)
                    watching.end_all(journeys)
                    sent, size, chunk = sent + len(chunk), 0, []
            await self._here().send(chunk, how)
            watching.end_all(journeys)
        except BaseException as error:
            watching.end_all(journeys, error)
            if isinstance(error, NoobleError):
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
        idempotency_key: str | None = None,
        durability: Durability | None = None,
        room_timeout: float = 0.0,
        **fields: Any,
    ) -> DomainActionResponse:
        """Send an action and wait for its answer.

        Args:
            action, data, service, idempotency_key, durability, room_timeout, fields: as for `send`. A call that is repeated
                with the same key has the answer of the first.
            timeout: seconds to wait. It travels along: a worker does not start what nobody awaits any more.

        Returns:
            The answer; `success` says whether the action was done.

        Raises:
            CallTimeout: no answer in time; the message says whether anybody serves the stream.
            SelfCall: a handler calls its own service, whose only worker it keeps busy.
            As `send`, otherwise.
        """
        made = self._made(action, data, fields)
        exchange = self._here()
        made.put(
            correlation_id=made.correlation_id or new_id(),
            metadata={**(made.metadata or {}), TTL: int(timeout * 1000)},
            callback_queue_name=exchange.queue,
            callback_action_type=None,
        )
        how = self._how(made, idempotency_key, durability, room_timeout)
        if self.watches or self.events.listeners:
            return await watching.call(self, exchange, whole(made), service, timeout, how)
        post = self.post(made, service=service)
        refuse_self_call(post)
        return await exchange.call(post, made, timeout, how)

    async def call_back(
        self,
        action: DomainAction | str,
        data: Any = None,
        *,
        callback_action_type: str,
        service: str | None = None,
        idempotency_key: str | None = None,
        durability: Durability | None = None,
        room_timeout: float = 0.0,
        **fields: Any,
    ) -> uuid.UUID:
        """Send an action whose result arrives at this service as an action of *callback_action_type*.

        Args:
            action, data, service, idempotency_key, durability, room_timeout, fields: as for `send`.
            callback_action_type: type of the action that brings the result.

        Returns:
            The id of the action that was sent.

        Raises:
            ForbiddenCallback: *callback_action_type* does not belong to this service.
            As `send`, otherwise.
        """
        made = whole(self._made(action, data, fields))
        made.correlation_id = made.correlation_id or new_id()
        made.callback_action_type = callback_action_type
        made.callback_queue_name = self.callback_queue(callback_action_type)
        return await self.send(
            made, service=service, idempotency_key=idempotency_key, durability=durability, room_timeout=room_timeout
        )

    def post(self, action: Message, *, service: str | None = None) -> Post:
        """*action*, in either of its forms, addressed and encoded, not sent.

        Raises:
            PayloadTooLarge: it has more than `max_payload_bytes`.
            QueueManagerError: its type is no action type.
        """
        if self.watches and self.leaving is not action:
            return watching.post(self, whole(action), service)
        return self.encoded(action, service)

    def encoded(self, action: Message, service: str | None = None) -> Post:
        """As `post`; nobody who watches hears of it."""
        if action.origin_service != self.service_name:
            action.put(origin_service=self.service_name)
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
            await self._exchange.close()

    async def __aenter__(self) -> BaseRedisClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── how ──
    def _here(self) -> Exchange:
        """What sends and awaits in the running loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            watching.begin(self)
            self._exchange = Exchange(self._endpoint, self.queue_manager, self.service_name, self.settings)
            self._loop = loop
        return self._exchange

    def _how(
        self, action: Message, idempotency_key: str | None, durability: Durability | None, room_timeout: float
    ) -> How:
        """How *action* is sent; if it has an idempotency key, it carries it from now on."""
        if durability is None and idempotency_key is None and not room_timeout:
            return self._usual
        return chosen(action, self.queue_manager, self.settings, idempotency_key, durability, room_timeout)

    def _made(self, action: DomainAction | str, data: Any, fields: dict[str, Any]) -> Message:
        if type(action) is not str and isinstance(action, DomainAction):
            if data is None and not fields:
                return action
            raise TypeError("a DomainAction carries its own data and fields; pass those only with an action type")
        payload = as_payload(data)
        if not fields and type(action) is str and has_names(payload):
            return Envelope.new(action, payload, self.service_name)
        return DomainAction(**{"action_type": action, "data": payload, "origin_service": self.service_name, **fields})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service_name} at {self._endpoint.address}>"


def queue_manager_of(settings: CommonAppSettings) -> QueueManager:
    """The names that *settings* stand for."""
    return QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
