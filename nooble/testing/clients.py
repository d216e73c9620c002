"""The clients of a harness: real ones, which besides know who is there to answer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from nooble.clients.base_redis_client import BaseRedisClient
from nooble.clients.service_client import ServiceClient
from nooble.config import CommonAppSettings
from nooble.errors.remote import raised_again
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.context import DEFAULT_CALL_TIMEOUT
from nooble.models.envelope import Message
from nooble.models.outcomes import Post

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Others(Protocol):
    """Who knows the services that are not in the harness."""

    def expect(self, service: str) -> None:
        """Something is on its way to *service*."""

    def require_answer(self, service: str, action_type: str) -> None:
        """Raise an error if nobody would answer."""


class HarnessClient(BaseRedisClient):
    """A `BaseRedisClient` that refuses at once what nobody would answer.

    Args:
        service_name, redis_client, settings: as for `BaseRedisClient`.
        others: knows the services that are not in the harness.
    """

    def __init__(self, service_name: str, redis_client: Redis, settings: CommonAppSettings, others: Others) -> None:
        super().__init__(service_name, redis_client, settings)
        self._others = others

    def post(self, action: Message, *, service: str | None = None) -> Post:
        """As of `BaseRedisClient`; whom it is for is there from now on."""
        post = super().post(action, service=service)
        self._others.expect(post.stream.split(":")[2])
        ids = _ids.get()
        if ids is not None:
            assert action.action_id is not None
            ids.append(action.action_id)
        return post

    async def call(
        self,
        action: DomainAction | str,
        data: Any = None,
        *,
        timeout: float = DEFAULT_CALL_TIMEOUT,
        service: str | None = None,
        **options: Any,
    ) -> DomainActionResponse:
        """As of `BaseRedisClient`.

        Raises:
            Unstubbed: it is for a service that is not in the harness, and no stub answers it.
        """
        action_type = action if isinstance(action, str) else action.action_type
        target = self.queue_manager.target_stream(action_type, service).split(":")[2]
        self._others.require_answer(target, action_type)
        return await super().call(action, data, timeout=timeout, service=service, **options)


_ids: ContextVar[list[uuid.UUID] | None] = ContextVar("nooble_ids_of_a_test", default=None)


@contextmanager
def gathering_ids() -> Iterator[list[uuid.UUID]]:
    """The ids of the actions that are sent inside of the block, and by tasks that it starts, as they are sent."""
    ids: list[uuid.UUID] = []
    token = _ids.set(ids)
    try:
        yield ids
    finally:
        _ids.reset(token)


class Ear:
    """A sender that remembers the answer which it has heard.

    Args:
        client: what sends.

    Attributes:
        answer: the last answer; `None` before the first.
    """

    def __init__(self, client: BaseRedisClient) -> None:
        self.answer: DomainActionResponse | None = None
        self._client = client
        self.send = client.send
        self.call_back = client.call_back

    async def call(self, action: DomainAction | str, data: Any = None, **options: Any) -> DomainActionResponse:
        """Call through the client."""
        self.answer = await self._client.call(action, data, **options)
        return self.answer


async def called(ear: Ear, action: Any, payload: Any, options: dict[str, Any]) -> Any:
    """The result of a call, or the error that callers get."""
    if not isinstance(action, str | DomainAction):
        return await ServiceClient(ear).call(action, payload, **options)
    answer = await ear.call(action, payload, **options)
    if answer.error is not None:
        action_type = action if isinstance(action, str) else action.action_type
        raise raised_again(action_type, **answer.error.model_dump())
    data = answer.data
    return data["result"] if data is not None and data.keys() == {"result"} else data
