"""`nooble call` and `nooble send`: one action, and what became of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import typer
from pydantic import ValidationError

from nooble.cli.failures import FAILED, OK, Failure, Misuse, complain
from nooble.cli.payloads import read_payload
from nooble.cli.planning import Plan, plans_for
from nooble.cli.screen import show_json
from nooble.cli.servers import Wish
from nooble.cli.settings import OWN_NAME, own_settings
from nooble.cli.targets import parts_of
from nooble.clients import BaseRedisClient, RedisManager
from nooble.clients.base_redis_client import queue_manager_of
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, QueueManagerError
from nooble.models import DomainAction, ErrorDetail
from nooble.observability.logging import init_logging
from nooble.routing.origin import did_you_mean

T = TypeVar("T")

FIELDS = ("tenant_id", "session_id", "task_id", "user_id", "agent_id", "trace_id", "correlation_id")
"""Fields of an action, besides its payload, that can be given on the command line."""


@dataclass(frozen=True, slots=True)
class Errand:
    """An action to be sent, and where.

    Attributes:
        action: the action.
        settings: lead to the server, and name the keys.
        service: the service that does it; `None` for the one that its type names.
        known: action types that are known to exist, for hints.
    """

    action: DomainAction
    settings: CommonAppSettings
    service: str | None = None
    known: Sequence[str] = ()


def call(errand: Errand, timeout: float, as_json: bool) -> int:
    """Do *errand*, wait for the answer, and show it."""
    try:
        answer = asyncio.run(
            _ask(errand, lambda client: client.call(errand.action, timeout=timeout, service=errand.service))
        )
    except CallTimeout as error:
        raise Failure(f"{error}{_hint(errand)}") from error
    if as_json:
        show_json(answer.model_dump(mode="json"))
    elif answer.error is None:
        show_json(answer.data)
    else:
        complain(told(errand.action.action_type, answer.error))
    return OK if answer.success else FAILED


def send(errand: Errand, as_json: bool) -> None:
    """Do *errand*, and show the id of the action."""
    action_id = asyncio.run(_ask(errand, lambda client: client.send(errand.action, service=errand.service)))
    if as_json:
        show_json({"action_id": str(action_id)})
    else:
        typer.echo(str(action_id))


def errand_for(
    action_type: str,
    words: Sequence[str],
    wish: Wish | None = None,
    *,
    service: str | None = None,
    targets: Sequence[str] = (),
    fields: Sequence[str] = (),
) -> Errand:
    """What is asked for.

    Args:
        action_type: type of the action.
        words: its payload.
        wish: the server that was asked for.
        service: the service that does it, if it is not the first segment of the type.
        targets: code of services; what it declares says who is meant, and what was mistyped.
        fields: further fields of the action, as `name=value`.

    Raises:
        Misuse: something in it cannot be meant.
    """
    data, named = read_payload(words), _fields(fields)
    plans = plans_for(parts_of(targets), wish=wish)
    plan = None if service else _plan_with(plans, action_type)
    settings = plan.settings if plan else own_settings(wish)[0]
    service = service or (plan.service_name if plan else None)
    try:
        queue_manager_of(settings).target_stream(action_type, service)
        action = DomainAction(action_type=action_type, data=data, **named)
    except QueueManagerError as error:
        raise Misuse(str(error)) from error
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Misuse("; ".join(problems)) from error
    return Errand(action, settings, service, [route.action_type for plan in plans for route in plan.part.routes])


def _plan_with(plans: Sequence[Plan], action_type: str) -> Plan | None:
    """The service among *plans* that does *action_type*; `None` if it is none of theirs.

    Raises:
        Misuse: it is one of theirs by its first segment, and they do not have it.
    """
    segment = action_type.partition(".")[0]
    for plan in plans:
        types = [route.action_type for route in plan.part.routes]
        if action_type in types:
            return plan
        if segment in {plan.service_name, *(one.partition(".")[0] for one in types)}:
            if plan.part.is_open:
                return plan
            known = f"it has {', '.join(types)}"
            raise Misuse(f"{plan.part.name} has no action {action_type!r}; {did_you_mean(action_type, types, known)}")
    return None


def _fields(words: Sequence[str]) -> dict[str, Any]:
    fields = dict(word.partition("=")[::2] for word in words)
    for name, value in fields.items():
        if name not in FIELDS or not value:
            hint = did_you_mean(name, FIELDS, f"there are {', '.join(FIELDS)}")
            raise Misuse(f"--field {name}={value}: write --field name=value; {hint}")
    return fields


def _hint(errand: Errand) -> str:
    others = [one for one in errand.known if one != errand.action.action_type]
    return "; " + did_you_mean(errand.action.action_type, others, "") if errand.known else ""


async def _ask(errand: Errand, what: Callable[[BaseRedisClient], Awaitable[T]]) -> T:
    """Have *what* done by a client of the command line. What it logs is not what it shows."""
    settings = errand.settings
    init_logging(settings.log_level, log_format=settings.log_format, redact=settings.log_redact)
    async with RedisManager(errand.settings) as manager:
        connection = await manager.get_redis_connection()
        async with BaseRedisClient(OWN_NAME, connection, errand.settings) as client:
            return await what(client)


def told(action_type: str, error: ErrorDetail) -> str:
    """The error that *action_type* was answered with, for a person: its details too, but for what its message says."""
    code = error.error_code or error.error_type
    lines = [f"{action_type} answered {code}: {error.message.removeprefix(f'{action_type}: ')}"]
    details = {name: value for name, value in (error.details or {}).items() if name != "error_count"}
    for name, value in details.items():
        if (
            isinstance(value, list)
            and value
            and all(isinstance(one, dict) and {"path", "message"} <= set(one) for one in value)
        ):
            lines += [f"  {one['path']}: {one['message']}" for one in value if f"{one['path']}: " not in error.message]
        elif not _is_in(value, error.message):
            lines.append(f"  {name}: {json.dumps(value, ensure_ascii=False, default=str)}")
    return "\n".join(lines)


def _is_in(value: Any, message: str) -> bool:
    """Whether *message* says *value* already."""
    if isinstance(value, list):
        return all(_is_in(one, message) for one in value)
    return isinstance(value, str) and value in message
