"""Every key that nooble reads or writes gets its name here, and names from outside are judged here.

The pattern is `{prefix}:{environment}:{service}:{kind}:{context}` (standard §2.1, and the platform's running code)."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping

from nooble.errors import ForbiddenCallback, QueueManagerError
from nooble.models.action_types import is_action_type

_PART = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_CONTEXT = re.compile(r"[A-Za-z0-9_.:@-]{1,300}")
_ONCE = re.compile(r"[A-Za-z0-9_.@-]{1,80}")
_QUEUES = frozenset({"responses", "callbacks"})
MAX_QUEUE_NAME = 640
LAST = "last"
"""Stands for a digest where the routes are that were declared last."""
MAX_FOUND = 1_100
"""Longest name of a service, in bytes, that is looked at where others may have made it."""


class QueueManager:
    """Names of streams, queues, groups and the rest.

    Args:
        prefix: first part of every name.
        environment: second part; by default the environment variable `ENVIRONMENT`, or `development`.
        aliases: first segment of an action type → name of the service that serves it, where the two differ.

    Raises:
        QueueManagerError: a part is empty, too long, or has a character that would split it.
    """

    def __init__(
        self, prefix: str = "nooble4", environment: str | None = None, aliases: Mapping[str, str] | None = None
    ) -> None:
        self.prefix = _part("prefix", prefix)
        self.environment = _part("environment", environment or os.environ.get("ENVIRONMENT") or "development")
        self.aliases = dict(aliases or {})
        self._streams: dict[str, str] = {}
        self._accepted: dict[str, str] = {}

    # ── names fixed by the platform ──
    def get_service_action_stream(self, service_name: str) -> str:
        """Key of the stream that *service_name* takes its actions from."""
        return self._key(service_name, "streams", "main")

    def get_response_queue(self, client_service_name: str, action_type: str, correlation_id: str) -> str:
        """Key of the list on which *client_service_name* awaits the answer to one action."""
        return self._key(client_service_name, "responses", f"{action_type.replace('.', '_')}:{correlation_id}")

    def get_callback_queue(self, client_service_name: str, action_type: str, correlation_id: str) -> str:
        """Key of the list on which *client_service_name* awaits one callback."""
        return self._key(client_service_name, "callbacks", f"{action_type.replace('.', '_')}:{correlation_id}")

    def get_consumer_group(self, service_name: str) -> str:
        """Name of the consumer group of *service_name*."""
        return f"{service_name}-group"

    def get_consumer_name(self, service_name: str, suffix: str) -> str:
        """A name for one run of a consumer, never used before: an old run must not be able to commit as a new one."""
        return f"{service_name}-worker-{suffix}-nb{secrets.token_hex(5)}"

    def get_consumer_pattern(self, service_name: str) -> str:
        """Lua pattern of the names that `get_consumer_name` makes; no other program makes such names."""
        return f"^{lua_literal(service_name)}%-worker%-.*%-nb{'%x' * 10}$"

    # ── further keys of a service ──
    def get_answer_inbox(self, client_service_name: str, nonce: str) -> str:
        """Key of the one list on which a client process awaits all its answers."""
        return self._key(client_service_name, "responses", f"inbox:{nonce}")

    def get_retry_set(self, service_name: str) -> str:
        """Key of the sorted set of actions that wait for their next attempt, by the time they are due."""
        return self._key(service_name, "retries", "main")

    def get_dead_letter_stream(self, service_name: str) -> str:
        """Key of the stream of actions that could not be done."""
        return self._key(service_name, "dead_letters", "main")

    def get_backlog_bound(self, service_name: str) -> str:
        """Key of the number of actions that may wait in the stream of a service, as its workers publish it."""
        return self._key(service_name, "limits", "backlog")

    def get_once_record(self, service_name: str, context: str) -> str:
        """Key of the record of an idempotency key: which action it stands for, and its answer once there is one."""
        return self._key(service_name, "once", context)

    def get_audit_stream(self) -> str:
        """Key of the stream of what people have done to the running system."""
        return self._key("nooble", "audit", "main")

    def get_once_context(self, action_type: str, idempotency_key: str, tenant_id: str | None = None) -> str:
        """Last part of the name of such a record: keys of one tenant are not those of another."""
        names = (idempotency_key,) if tenant_id is None else (tenant_id, idempotency_key)
        return ":".join((action_type, *map(_name_or_digest, names)))

    # ── who works ──
    def get_service_index(self) -> str:
        """Key of the sorted set of services that have had workers, by the moment of the last sign of life."""
        return f"{self.prefix}:{self.environment}:services"

    def get_worker_index(self, service_name: str) -> str:
        """Key of the sorted set of the workers of a service, by the moment of their last sign of life."""
        return self._key(service_name, "workers", "main")

    def get_worker_card(self, service_name: str, consumer: str) -> str:
        """Key of what a worker says of itself."""
        return self._key(service_name, "workers", consumer)

    def get_declared_routes(self, service_name: str, digest: str) -> str:
        """Key of the routes that workers of a service have declared."""
        return self._key(service_name, "routes", digest)

    def get_last_routes(self, service_name: str) -> str:
        """Key of the routes that were declared last, for when no worker of the service lives."""
        return self._key(service_name, "routes", LAST)

    def get_wish(self, service_name: str, consumer: str) -> str:
        """Key of what somebody wants a worker to do."""
        return self._key(service_name, "wishes", consumer)

    # ── looking around ──
    def get_stream_pattern(self) -> str:
        """Pattern of the keys of all action streams, for a scan."""
        return f"{self.prefix}:{self.environment}:*:streams:main"

    def find_service(self, stream: bytes) -> bytes | None:
        """The service whose action stream *stream* is, whoever has made it; `None` if it is none."""
        service = stream.removeprefix(f"{self.prefix}:{self.environment}:".encode()).removesuffix(b":streams:main")
        return service if self.get_visited(service, "streams", b"main") == stream else None

    def get_visited(self, service: bytes, kind: str, context: bytes) -> bytes | None:
        """Key of a service that was found, for looking at it only: others may have given it any name. `None` if the name
        would lead elsewhere."""
        if not 0 < len(service) <= MAX_FOUND or b":" in service:
            return None
        return b":".join((self.prefix.encode(), self.environment.encode(), service, kind.encode(), context))

    # ── who is meant ──
    def target_service(self, action_type: str) -> str:
        """The service that serves *action_type*: its first segment, or what the aliases say of it."""
        segment = action_type.partition(".")[0]
        return self.aliases.get(segment, segment)

    def target_stream(self, action_type: str, service: str | None = None) -> str:
        """Key of the stream for *action_type*, sent to *service* or to the service that serves it.

        Raises:
            QueueManagerError: the action type or the service is not a name.
        """
        known = self._streams.get(action_type) if service is None else None
        if known is not None:
            return known
        if not is_action_type(action_type):
            raise QueueManagerError(
                f"{action_type!r} is no action type: dotted text of two segments or more, of a-z, 0-9, '_' and '-', "
                "such as 'pedidos.pedido.crear'"
            )
        stream = self.get_service_action_stream(service or self.target_service(action_type))
        if service is None:
            _remember(self._streams, action_type, stream)
        return stream

    # ── names from outside ──
    def accept_callback(self, queue: str, callback_action_type: str | None) -> str:
        """Judge a `callback_queue_name`: a request from outside, never an order.

        Args:
            queue: the name that the sender wrote.
            callback_action_type: the type of the callback; `None` for an answer.

        Returns:
            The kind of place it is: `"responses"`, `"callbacks"` or `"streams"`.

        Raises:
            ForbiddenCallback: it is not an answer or callback queue of this prefix and environment, nor the stream of
                the service that the callback is for.
        """
        known = self._accepted.get(queue) if callback_action_type is None else None
        if known is not None:
            return known
        kind, service = self._parse(queue)
        if callback_action_type is not None and not is_action_type(callback_action_type):
            raise ForbiddenCallback(f"callback_action_type {callback_action_type[:100]!r} is no action type")
        if kind == "streams":
            if callback_action_type is None:
                raise ForbiddenCallback(
                    "an answer cannot go to an action stream; name a callback_action_type or a queue"
                )
            if service not in (callback_action_type.partition(".")[0], self.target_service(callback_action_type)):
                raise ForbiddenCallback(
                    f"callback {callback_action_type} cannot go to the stream of {service}, which is another service"
                )
        elif callback_action_type is None:
            _remember(self._accepted, queue, kind)
        return kind

    def _parse(self, queue: str) -> tuple[str, str]:
        if len(queue) <= MAX_QUEUE_NAME and queue.startswith(f"{self.prefix}:{self.environment}:"):
            parts = queue[len(self.prefix) + len(self.environment) + 2 :].split(":", 2)
            if len(parts) == 3 and _PART.fullmatch(parts[0]):
                service, kind, context = parts
                if (kind in _QUEUES and _CONTEXT.fullmatch(context)) or (kind == "streams" and context == "main"):
                    return kind, service
        raise ForbiddenCallback(
            f"callback_queue_name {queue[:100]!r} is no answer queue, callback queue or action stream of "
            f"{self.prefix}:{self.environment}; nothing was run and nothing was written there",
            details={"callback_queue_name": queue[:MAX_QUEUE_NAME]},
        )

    def _key(self, service: str, kind: str, context: str) -> str:
        return f"{self.prefix}:{self.environment}:{_part('service', service)}:{kind}:{context}"

    def __repr__(self) -> str:
        return f"QueueManager(prefix={self.prefix!r}, environment={self.environment!r})"


def lua_literal(text: str) -> str:
    """*text* as a Lua pattern that matches just it."""
    return re.sub(r"([^A-Za-z0-9_])", r"%\1", text)


def _name_or_digest(text: str) -> str:
    """*text*, or its digest if it could not be part of a name."""
    if _ONCE.fullmatch(text):
        return text
    return "h-" + hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _part(what: str, text: str) -> str:
    if not _PART.fullmatch(text):
        raise QueueManagerError(
            f"{what} {text[:100]!r} cannot be part of a key: 1 to 100 letters, digits, '_', '-' or '.'"
        )
    return text


def _remember(known: dict[str, str], name: str, value: str, limit: int = 10_000) -> None:
    """Names come from outside, so what is remembered of them is bounded."""
    if len(known) >= limit:
        known.clear()
    known[name] = value
