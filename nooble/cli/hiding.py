"""What is sensitive in an action is shown to nobody who does not ask for it: by the names that its service has declared, and
by names that say so themselves. Where it is not known what was declared, more is hidden rather than less, and it is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from nooble.cli.harmless import shortened
from nooble.config import CommonAppSettings
from nooble.errors import ServerFault
from nooble.models.redaction import masked, redacted
from nooble.operations.message import Message
from nooble.operations.reading import Route
from nooble.operations.sensitive import sensitive_fields
from nooble.operations.system import System

if TYPE_CHECKING:
    from redis.asyncio import Redis

_WHOLE = 10**9
_DEEPEST = 200
"""Levels of a payload that are shown; Python itself goes no further than some three hundred."""
_KNOWN_SECONDS = 5.0
_UNKNOWN_SECONDS = 0.2
"""Until it is asked again, which takes the server some work: a worker may just have come."""


class Declared(msgspec.Struct, frozen=True):
    """What a service has declared as sensitive.

    Attributes:
        by_action: the names of each action.
        everywhere: all of them together.
        asked: when that was, by the clock of this process.
    """

    by_action: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]
    asked: float

    def names_of(self, action_type: str) -> frozenset[str]:
        """The names for an action; all that there are for one that nobody has declared."""
        return self.by_action.get(action_type, self.everywhere)


class Hiding:
    """Hides what is sensitive. To be closed, or used as an async context manager.

    Args:
        redis: where services have declared their routes.
        settings: prefix and environment.
        reveal: hide nothing.
        told: is given what a person should know of it.
    """

    def __init__(
        self, redis: Redis, settings: CommonAppSettings, reveal: bool, told: Callable[[str], None] | None = None
    ) -> None:
        self._system = System(redis, settings)
        self._reveal = reveal
        self._tell = told or _on_standard_error
        self._declared: dict[str, Declared] = {}
        self._warned: set[str] = set()

    async def shown(self, message: Message) -> Message:
        """*message* as it may be shown."""
        if self._reveal:
            return message
        declared = await self._of(message.service)
        if not declared.by_action and message.service not in self._warned:
            self._warned.add(message.service)
            self._tell(
                f"What {shortened(message.service, 100)} has declared as sensitive is not known here: no worker of it was "
                "seen for a month, or it cannot be read. Only what its name gives away is hidden."
            )
        return hidden(message, declared.names_of(message.action_type))

    async def _of(self, service: str) -> Declared:
        now, before = time.monotonic(), self._declared.get(service)
        if before is not None and now - before.asked < (_KNOWN_SECONDS if before.by_action else _UNKNOWN_SECONDS):
            return before
        try:
            routes = await self._system.routes(service)
        except ServerFault:
            routes = ()
        known = declared_by(routes, now)
        if not routes and before is not None:  # what was sensitive still is
            known = msgspec.structs.replace(before, asked=now)
        self._declared[service] = known
        return known

    async def __aenter__(self) -> Hiding:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._system.close()


def declared_by(routes: Iterable[Route], asked: float = 0.0) -> Declared:
    """What *routes* declare as sensitive."""
    by_action = {
        route.action_type: sensitive_fields(route.payload, route.options.get("sensitive", "")) for route in routes
    }
    return Declared(by_action, frozenset().union(*by_action.values()), asked)


def hidden(message: Message, names: frozenset[str]) -> Message:
    """*message* without what is sensitive: fields of these *names*, of names that say so, and passwords inside of texts."""
    envelope: Any = message.envelope
    if envelope is not None:
        envelope = redacted(envelope, names, _WHOLE, items=_WHOLE, deepest=_DEEPEST)
    return msgspec.structs.replace(
        message,
        envelope=envelope,
        head=masked(message.head, _WHOLE),
        error=masked(message.error, _WHOLE),
        traceback=masked(message.traceback, _WHOLE),
    )


def _on_standard_error(words: str) -> None:
    typer.echo(words, err=True)
