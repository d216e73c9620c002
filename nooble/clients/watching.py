"""What is seen of an action on its way out: events for those who listen to the client, and watches that look at it before
it is encoded. A client that nobody watches comes here never."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from nooble.clients.exchange import Exchange, How, refuse_self_call
from nooble.errors import CallTimeout, NoobleError, code_of
from nooble.events import CallEnded, NotSent, Sent
from nooble.logger import get_logger
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.outcomes import Post

if TYPE_CHECKING:
    from nooble.clients.base_redis_client import BaseRedisClient


class Watch(Protocol):
    """Looks at what goes out, such as a tracer."""

    def begin(self, kind: str, action: DomainAction, stream: str) -> Any:
        """*action* is about to be encoded; what is put into its metadata travels along.

        Args:
            kind: `send`, `call`, `callback`, or `follow_up` if it joins the commit of a handler.
            action: what goes out.
            stream: where to.

        Returns:
            Whatever `end` is to be given.
        """

    def end(self, begun: Any, error: BaseException | None, answer: DomainActionResponse | None) -> None:
        """It was sent, or answered if it was a call, or went wrong."""


class Journey:
    """One action on its way out; a context manager around the sending of it.

    Args:
        client: who sends.
        kind: how; see `Watch.begin`.
        action: what.
        service: to whom, if it is not the first segment of the type.

    Attributes:
        answer: the answer to a call, once it is there.
    """

    def __init__(self, client: BaseRedisClient, kind: str, action: DomainAction, service: str | None) -> None:
        self.answer: DomainActionResponse | None = None
        self._client, self._kind, self._action, self._service = client, kind, action, service
        self._stream = client.queue_manager.target_stream(action.action_type, service)
        self._since = time.perf_counter()
        self._begun: list[tuple[Watch, Any]] = []
        for watch in client.watches:
            try:
                self._begun.append((watch, watch.begin(kind, action, self._stream)))
            except Exception as broken:  # whoever watches must not break what is watched
                self._tell_broken(watch, broken)

    def post(self) -> Post:
        """The action, encoded as it is now."""
        client = self._client
        client.leaving = self._action
        try:
            return client.post(self._action, service=self._service)
        finally:
            client.leaving = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """It was sent, or went wrong."""
        for watch, begun in reversed(self._begun):
            try:
                watch.end(begun, error, self.answer)
            except Exception as broken:
                self._tell_broken(watch, broken)
        if self._client.events.listeners and self._kind != "follow_up":
            self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        action, events = self._action, self._client.events
        facts: dict[str, Any] = {
            "service": self._client.service_name,
            "action_type": action.action_type,
            "action_id": str(action.action_id),
            "target": self._stream.split(":")[2],
            "kind": self._kind,
        }
        outcome, code = _outcome(error, self.answer)
        gave_up = self._kind == "call" and isinstance(
            error, asyncio.CancelledError
        )  # whether it was sent, nobody asked
        if outcome == "failed" and not gave_up and events.wants(NotSent):
            events.emit(NotSent(**facts, code=code, message=str(error)))
        elif outcome != "failed" and events.wants(Sent):
            events.emit(Sent(**facts))
        if self._kind == "call" and events.wants(CallEnded):
            events.emit(CallEnded(**facts, seconds=time.perf_counter() - self._since, outcome=outcome, code=code))

    def _tell_broken(self, watch: Watch, broken: Exception) -> None:
        log = get_logger(service=self._client.service_name)
        log.error("watch_failed", watch=repr(watch), error=repr(broken))


def _outcome(error: BaseException | None, answer: DomainActionResponse | None) -> tuple[str, str]:
    """How it ended, in a word, and the code of what went wrong."""
    if isinstance(error, CallTimeout):
        return "timeout", code_of(error)
    if error is not None:
        return "failed", "CANCELLED" if isinstance(error, asyncio.CancelledError) else code_of(error)
    if answer is not None and answer.error is not None:
        return "error", answer.error.error_code or "HANDLER_ERROR"
    return "ok", ""


# ── sending ──
async def send(
    client: BaseRedisClient, exchange: Exchange, action: DomainAction, service: str | None, how: How
) -> uuid.UUID:
    """As the client's `send`, watched."""
    with Journey(client, "send" if action.callback_action_type is None else "callback", action, service) as journey:
        known = await exchange.send([journey.post()], how)
    return uuid.UUID(known) if known else action.action_id


def end_all(journeys: list[Journey], error: BaseException | None = None) -> None:
    """They have left in one write, or what they were to leave with went wrong: `details["sent"]` says after how many."""
    sent = error.details.get("sent", 0) if isinstance(error, NoobleError) else 0
    for number, journey in enumerate(journeys):
        journey.end(error if number >= sent else None)
    journeys.clear()


async def call(
    client: BaseRedisClient, exchange: Exchange, action: DomainAction, service: str | None, timeout: float, how: How
) -> DomainActionResponse:
    """As the client's `call`, watched."""
    with Journey(client, "call", action, service) as journey:
        post = journey.post()
        refuse_self_call(post)
        journey.answer = await exchange.call(post, action, timeout, how)
        return journey.answer


def post(client: BaseRedisClient, action: DomainAction, service: str | None) -> Post:
    """As the client's `post`, watched: what joins a commit."""
    with Journey(client, "follow_up", action, service):
        return client.encoded(action, service)


def begin(client: BaseRedisClient) -> None:
    """Have *client* watched as its settings say, the first time only.

    Raises:
        ConfigurationFault: an extra is not installed; names it.
    """
    if client.is_watched:
        return
    watchers: list[Callable[[BaseRedisClient], None]] = []
    if client.settings.metrics:
        from nooble.observability import prometheus

        watchers.append(prometheus.watch_client)
    if client.settings.tracing:
        from nooble.observability import opentelemetry

        watchers.append(opentelemetry.watch_client)
    for watch in watchers:  # all of them or none
        watch(client)
    client.is_watched = True
