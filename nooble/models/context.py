"""What a handler knows about the action it is working on, and how it reaches others. What it can reach is handed in."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Protocol, Self

import msgspec

from nooble.errors import ContextClosed
from nooble.logger import get_logger
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.effects import Effects
from nooble.models.envelope import Envelope, Message, whole
from nooble.models.ids import new_id
from nooble.models.outcomes import Post
from nooble.models.payloads import as_payload, has_names
from nooble.models.sensitive import Sensitive

DEFAULT_CALL_TIMEOUT = 30.0
"""Seconds that a call waits when nobody says otherwise (the platform's default)."""

TTL = "ttl_ms"
"""Key in `metadata`: milliseconds after its entry was written in which an action may still be started."""
IDEMPOTENCY_KEY = "idempotency_key"
"""Key in `metadata`: names the effect of an action, the same for every repetition of it."""

_INHERITED = ("tenant_id", "session_id", "task_id", "user_id", "agent_id", "trace_id", "correlation_id")
_FOR_CLIENTS = frozenset({"idempotency_key", "durability", "room_timeout"})
_UNCORRELATED: dict[str, Any] = {"correlation_id": None}


class Reach(Protocol):
    """What a context needs of a client."""

    def post(self, action: Message, *, service: str | None = None) -> Post:
        """*action*, addressed and encoded, not sent."""

    async def send(self, action: DomainAction, *, service: str | None = None) -> uuid.UUID:
        """Send *action* at once."""

    async def call(
        self, action: DomainAction, *, timeout: float = DEFAULT_CALL_TIMEOUT, service: str | None = None, **how: Any
    ) -> DomainActionResponse:
        """Send *action* and wait for its answer."""

    def callback_queue(self, action_type: str) -> str:
        """Where a callback of *action_type* is to be delivered to reach this service as an action."""


class ActionContext(msgspec.Struct, eq=False):
    """One action at work.

    What is sent through it carries on the tenant, session, task, user, agent, trace and correlation of the action, and
    what is left of its deadline. Inside a worker `send` joins the commit: it is written together with the
    acknowledgement or not at all. Without a worker it sends at once.

    Attributes:
        message: the action, or what it is made of when somebody asks for it.
        reach: the client that it sends and calls with, if there is one.
        attempt: which run this is, from 1; handler errors count.
        deliveries: how often the action was delivered, from 1; crashes and lost leases count.
        deadline: moment at which its caller stops waiting, in seconds of `time.monotonic`; `None` without one.
        joins_commit: whether what is sent joins a commit.
        sole_stream: the stream whose only executor is at work on this action; a call into it would wait for itself.
        raw: the bytes that it was read from.
        outbox: what `send` has gathered for the commit.
        written: the effects that were gathered for the commit; `None` if none were.
        is_open: whether its handler is still at work.
        part_of: the context of the action that it is a part of, if there is one.
    """

    message: Message
    reach: Reach | None = None
    attempt: int = 1
    deliveries: int = 1
    deadline: float | None = None
    joins_commit: bool = False
    sole_stream: str | None = None
    raw: Annotated[bytes, Sensitive()] = b""
    outbox: list[Post] | None = None
    written: Effects | None = None
    is_open: bool = True
    part_of: ActionContext | None = None

    @property
    def action(self) -> DomainAction:
        """The action."""
        message = self.message
        if isinstance(message, Envelope):
            message = self.message = message.as_action(self.raw)
        return message

    @action.setter
    def action(self, action: DomainAction) -> None:
        self.message = action

    @property
    def idempotency_key(self) -> str:
        """The same text for every repetition of this action, for effects outside Redis."""
        return str((self.message.metadata or {}).get(IDEMPOTENCY_KEY) or self.message.action_id)

    @property
    def time_left(self) -> float | None:
        """Seconds until the caller stops waiting, never below 0; `None` without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    @property
    def effects(self) -> Effects:
        """Writes inside Redis that are made together with the acknowledgement of this action, or not at all.

        Raises:
            ContextClosed: there is no commit to join: the handler has ended, or runs without a worker.
        """
        if self.written is None:
            self._require_commit()
            self.written = Effects(self._require_commit)
        return self.written

    @property
    def logger(self) -> Any:
        """A logger that says on every line which action is at work."""
        return get_logger(**self.action.get_log_extra(), attempt=self.attempt)

    async def send(
        self,
        action_type: str,
        data: Any = None,
        *,
        service: str | None = None,
        metadata: dict[str, Any] | None = None,
        **fields: Any,
    ) -> uuid.UUID:
        """Send an action that nobody waits for.

        Args:
            action_type: what is to be done.
            data: the payload: a mapping, a pydantic model, a Struct, a dataclass.
            service: the service that does it, if it is not the first segment of *action_type*.
            metadata: further facts about the message.
            fields: ids that are to be others than those of this action: `tenant_id`, `task_id`, …

        Returns:
            The id of the new action.

        Raises:
            ContextClosed: the handler has ended.
            ServerUnavailable: outside a worker, the server cannot be reached.
        """
        action = self._follow_up(action_type, data, metadata, fields)
        return await self._dispatch(action, service)

    async def call_back(
        self,
        action_type: str,
        data: Any = None,
        *,
        callback_action_type: str,
        service: str | None = None,
        metadata: dict[str, Any] | None = None,
        **fields: Any,
    ) -> uuid.UUID:
        """Send an action whose result arrives at this service as an action of *callback_action_type*.

        Arguments, result and errors as for `send`.
        """
        action = self._follow_up(action_type, data, metadata, fields)
        action.callback_action_type = callback_action_type
        action.callback_queue_name = self._reachable().callback_queue(callback_action_type)
        return await self._dispatch(action, service)

    async def call(
        self,
        action_type: str,
        data: Any = None,
        *,
        timeout: float | None = None,
        service: str | None = None,
        metadata: dict[str, Any] | None = None,
        **fields: Any,
    ) -> DomainActionResponse:
        """Send an action and wait for its answer. A call leaves at once: it does not wait for the commit. It has a
        correlation of its own, by which its answer is found; the trace joins it to this action.

        Args:
            action_type, data, service, metadata, fields: as for `send`.
            timeout: seconds to wait; never longer than what is left of this action's own deadline.
            fields: as for `send`, and `idempotency_key`, `durability` and `room_timeout` as for a client.

        Raises:
            CallTimeout: no answer in time.
            ContextClosed: the handler has ended.
            ServerUnavailable: the server cannot be reached.
        """
        reach = self._reachable()
        left = self.time_left
        wait = DEFAULT_CALL_TIMEOUT if timeout is None else timeout
        how = {name: fields.pop(name) for name in _FOR_CLIENTS if name in fields}
        action = self._follow_up(action_type, data, metadata, _UNCORRELATED | fields)
        wait = wait if left is None else min(wait, left)
        return await reach.call(whole(action), timeout=wait, service=service, **how)

    def nested(self, action: DomainAction) -> Self:
        """A context for *action*, done as a part of this one: what is sent through it joins the same commit.

        It carries on the ids of its own action, and the deadline of this one.
        """
        if self.joins_commit:  # shared from now on
            self.outbox = [] if self.outbox is None else self.outbox
            self.written = Effects(self._require_commit) if self.written is None else self.written
        twin = copy.copy(self)
        twin.message = action
        twin.part_of = self
        return twin

    def close(self) -> None:
        """The handler has ended: what is sent from now on could not join its commit."""
        self.is_open = False

    def _require_open(self) -> None:
        if self.part_of is not None:
            self.part_of._require_open()
        if not self.is_open:
            raise ContextClosed(
                f"the context of {self.message.action_type} was used after its handler had ended; "
                "await what sends before the handler returns"
            )

    def _require_commit(self) -> None:
        self._require_open()
        if not self.joins_commit:
            raise ContextClosed(
                f"effects of {self.message.action_type} are made by the commit of a worker, and it runs without one; "
                "run it in a worker, or write to Redis by a connection of your own"
            )

    def _reachable(self) -> Reach:
        self._require_open()
        if self.reach is None:
            raise ContextClosed(
                "this context reaches nobody: the service runs without a worker and without a client; "
                "give it one as service_redis_client"
            )
        return self.reach

    async def _dispatch(self, action: Message, service: str | None) -> uuid.UUID:
        reach = self._reachable()
        assert action.action_id is not None
        if not self.joins_commit:
            return await reach.send(whole(action), service=service)
        post = reach.post(action, service=service)
        if self.outbox is None:
            self.outbox = []
        self.outbox.append(post)
        return action.action_id

    def _follow_up(
        self, action_type: str, data: Any, metadata: dict[str, Any] | None, fields: dict[str, Any]
    ) -> Message:
        for name in _FOR_CLIENTS & fields.keys():
            raise TypeError(
                f"{name} is for what is sent at once; what a context sends joins the commit of its action. "
                "Send it through a client of the service's own, such as service_redis_client"
            )
        facts = dict(metadata or {})
        left = self.time_left
        if left is not None:
            facts.setdefault(TTL, int(left * 1000))
        inherited = {name: getattr(self.message, name) for name in _INHERITED}
        payload = as_payload(data)
        if has_names(payload) and (not fields or fields == _UNCORRELATED):
            made = Envelope.new(action_type, payload)
            made.put(**(inherited | fields), metadata=facts)
            made.trace_id = made.trace_id or new_id()
            return made
        return DomainAction(action_type=action_type, data=payload, metadata=facts, **(inherited | fields))

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<ActionContext {self.message.action_type} {self.message.action_id} attempt={self.attempt} {state}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("message", self.message), ("attempt", self.attempt), ("is_open", self.is_open)]


def shown(message: Message, context: ActionContext) -> DomainAction:
    """*message* as a person's code sees it: made once for *context*, whoever asks first."""
    return context.action if isinstance(message, Envelope) else message


_current: ContextVar[ActionContext | None] = ContextVar("nooble_action_context", default=None)
set_current = _current.set
"""For execution only: makes a context the current one of the running task."""
find_context = _current.get
"""The context of the action at work, or `None` outside of one."""


@contextmanager
def at_work(context: ActionContext) -> Iterator[None]:
    """Make *context* the current one for a while, and close it then."""
    token = set_current(context)
    try:
        yield
    finally:
        _current.reset(token)
        context.close()


def current_context() -> ActionContext:
    """The context of the action at work: for hand-written `process_action`, middleware and what they call.

    Raises:
        LookupError: no action is at work here.
    """
    context = _current.get()
    if context is None:
        raise LookupError("no action is at work here; current_context() is for code that handlers and middleware call")
    return context
