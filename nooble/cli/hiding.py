"""What is sensitive in an action is shown to nobody who does not ask for it: by the names that its service has declared, and
by names that say so themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from nooble.config import CommonAppSettings
from nooble.models.redaction import masked, redacted
from nooble.operations.message import Message
from nooble.operations.system import System

if TYPE_CHECKING:
    from redis.asyncio import Redis

_WHOLE = 10**9


class Hiding:
    """Hides what is sensitive. To be closed, or used as an async context manager.

    Args:
        redis: where services have declared their routes.
        settings: prefix and environment.
        reveal: hide nothing.
    """

    def __init__(self, redis: Redis, settings: CommonAppSettings, reveal: bool) -> None:
        self._system = System(redis, settings)
        self._reveal = reveal
        self._declared: dict[str, Mapping[str, frozenset[str]]] = {}

    async def shown(self, message: Message) -> Message:
        """*message* as it may be shown."""
        if self._reveal:
            return message
        if message.service not in self._declared:
            self._declared[message.service] = await self._read(message.service)
        return hidden(message, self._declared[message.service].get(message.action_type, frozenset()))

    async def _read(self, service: str) -> Mapping[str, frozenset[str]]:
        """The sensitive names of every action that living workers have declared."""
        return {
            route.action_type: frozenset(name.strip() for name in route.options.get("sensitive", "").split(",")) - {""}
            for route in await self._system.routes(service)
        }

    async def __aenter__(self) -> Hiding:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._system.close()


def hidden(message: Message, names: frozenset[str]) -> Message:
    """*message* without what is sensitive: fields of these *names*, of names that say so, and passwords inside of texts."""
    envelope: Any = None if message.envelope is None else redacted(message.envelope, names, _WHOLE)
    return msgspec.structs.replace(
        message,
        envelope=envelope,
        head=masked(message.head, _WHOLE),
        error=masked(message.error, _WHOLE),
        traceback=masked(message.traceback, _WHOLE),
    )
