"""`nooble inspect` and `nooble tail`: single actions, shown so that nothing in them can act on the terminal."""

from __future__ import annotations

import asyncio
import fnmatch
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from nooble.cli import human
from nooble.cli.failures import OK, Failure
from nooble.cli.harmless import harmless, harmless_json, shortened
from nooble.cli.hiding import Hiding
from nooble.cli.interrupts import Interrupts
from nooble.cli.operating import as_json, as_line, do, place_of
from nooble.cli.screen import Cell, show_table
from nooble.cli.servers import Wish
from nooble.config import CommonAppSettings
from nooble.operations.message import Message
from nooble.operations.messages import MessagePage, Messages

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CELL, _VALUE, _PAYLOAD = 100, 1_000, 4_000
_STYLES = {"waiting": "", "at_work": "cyan", "retrying": "yellow", "dead": "red", "history": "dim"}
_WORDS = {"waiting": "waiting", "at_work": "at work", "retrying": "retrying", "dead": "dead", "history": "done"}
_OF_BUSINESS = ("tenant_id", "session_id", "task_id", "user_id", "agent_id", "origin_service")


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of an action.

    Attributes:
        messages: those that have the id.
        conversation: what shares their trace or correlation, in the order of time.
        cut: whether there may be more that was not looked at.
    """

    messages: tuple[Message, ...]
    conversation: tuple[Message, ...] = ()
    cut: bool = False


# ── inspect ──
def inspect(
    identifier: str, services: Sequence[str], wish: Wish | None, *, json: bool, full: bool, reveal: bool
) -> int:
    """Show what has *identifier*."""
    settings, names = place_of(services, wish)
    found = do(settings, lambda redis: _inspected(redis, settings, identifier, names, reveal))
    if not found.messages:
        raise Failure(_nothing(identifier, names, found.cut))
    if json:
        typer.echo(as_json(found))
        return OK
    now_ms = int(time.time() * 1000)
    if len(found.messages) == 1:
        _show_one(found.messages[0], now_ms, full)
    else:
        typer.echo(f"{len(found.messages)} actions have this id; the id in the first column shows one whole.\n")
        show_table(("id", "service", "where", "action", "written"), [_row(one, now_ms) for one in found.messages])
    if len(found.messages) == 1 and len(found.conversation) > 1:
        typer.echo("\nconversation (what is done has left the server)")
        show_table(
            ("id", "service", "where", "action", "written"),
            [_row(one, now_ms, mark=_is(one, found.messages[0])) for one in found.conversation],
        )
    if found.cut:
        typer.echo("There is more that was not looked at; --service looks further into one service.", err=True)
    return OK


async def _inspected(
    redis: Redis, settings: CommonAppSettings, identifier: str, names: Sequence[str], reveal: bool
) -> Inspected:
    async with Messages(redis, settings) as messages, Hiding(redis, settings, reveal) as hiding:
        page: MessagePage = await messages.search([identifier], names)
        talk = await messages.conversation(page.messages[0]) if page.messages else ()
        return Inspected(
            messages=tuple([await hiding.shown(one) for one in page.messages]),
            conversation=tuple([await hiding.shown(one) for one in talk]),
            cut=page.cut,
        )


def _is(one: Message, other: Message) -> bool:
    return (one.service, one.entry_id) == (other.service, other.entry_id)


def _nothing(identifier: str, names: Sequence[str], cut: bool) -> str:
    where = f"in {', '.join(names)}" if names else "in any service that is known here"
    more = "; not all was looked at, and --service looks further into one" if cut else ""
    return (
        f"nothing {where} has the id {shortened(identifier, 100)}{more}; an action that is done leaves nothing behind, "
        "and an id is that of an entry, an action, a correlation, a trace or a task"
    )


def _show_one(message: Message, now_ms: int, full: bool) -> None:
    show_table(("field", "value"), [(name, _styled(name, value, message)) for name, value in _facts(message, now_ms)])
    if message.envelope is not None and not message.unreadable:
        rest = {
            name: value for name, value in message.envelope.items() if name not in _SHOWN and value not in (None, {})
        }
        if rest:
            typer.echo("\nfurther fields\n" + _json(rest, full))
        typer.echo("\npayload\n" + _json(message.envelope.get("data"), full))
    elif message.envelope is not None:
        typer.echo("\nas it is\n" + _json(message.envelope, full))
    elif message.head:
        typer.echo("\nbytes\n" + shortened(message.head, 10**9 if full else _PAYLOAD))
    if message.traceback:
        typer.echo("\n" + harmless(message.traceback.rstrip(), lines=True))


def _facts(message: Message, now_ms: int) -> list[tuple[str, str]]:
    """What is known of it, in the order in which it is asked for."""
    known: dict[str, Any] = {
        "action": message.action_type,
        "where": where(message, now_ms),
        "service": message.service,
        "id": message.entry_id,
        "first id": message.first_id if message.first_id != message.entry_id else "",
        "action id": message.action_id,
        "trace id": message.trace_id,
        "correlation id": message.correlation_id,
        "written": _ago(message.written_ms, now_ms),
        "deadline": _ahead(message.deadline_ms, now_ms),
        "failed attempts": message.attempts or "",
        "deliveries": message.deliveries or "",
        **{name.replace("_", " "): getattr(message, name) for name in _OF_BUSINESS},
        "answer to": message.callback_queue_name if message.is_awaited else "",
        "callback to": "" if message.is_awaited else message.callback_queue_name,
        "callback action": message.callback_action_type,
        "idempotency record": message.once,
        "size": human.size(message.size),
        "buried": _ago(message.buried_ms, now_ms) if message.buried_ms else "",
        "reason": message.reason,
        "error": message.error,
        "unreadable": message.unreadable,
    }
    return [(name, shortened(str(value), _VALUE)) for name, value in known.items() if value not in ("", None)]


_SHOWN = frozenset(
    {"action_type", "action_id", "trace_id", "correlation_id", "timestamp", "data", *_OF_BUSINESS}
    | {"callback_queue_name", "callback_action_type"}
)


def where(message: Message, now_ms: int) -> str:
    """Where a message is, in words."""
    consumer = shortened(message.consumer, _CELL)
    if message.place == "at_work":
        return f"at work: {consumer} holds it, last sign of life {human.duration(message.idle_ms)} ago"
    if message.place == "retrying":
        return f"waits for its next attempt: due {_ahead(message.due_ms, now_ms)}"
    if message.place == "dead":
        return "in the dead letters" + (f", given up by {consumer}" if consumer else "")
    if message.place == "history":
        return "acknowledged by another program that does not delete"
    return "waits in the stream"


def _row(message: Message, now_ms: int, mark: bool = False) -> tuple[Cell, ...]:
    place = _WORDS[message.place] + (f": {shortened(message.reason, 30)}" if message.reason else "")
    return (
        shortened(message.entry_id, _CELL) + (" *" if mark else ""),
        shortened(message.service, _CELL),
        (place, _STYLES[message.place]),
        shortened(message.action_type or "?", _CELL),
        f"{human.duration(now_ms - message.written_ms)} ago" if message.written_ms is not None else "-",
    )


def _styled(name: str, value: str, message: Message) -> Cell:
    return (value, _STYLES[message.place]) if name == "where" else value


def _ago(ms: int | None, now_ms: int) -> str:
    return "" if ms is None else f"{human.moment(ms)} ({human.duration(now_ms - ms)} ago)"


def _ahead(ms: int | None, now_ms: int) -> str:
    if ms is None:
        return ""
    left = ms - now_ms
    return f"{human.moment(ms)} ({f'in {human.duration(left)}' if left >= 0 else f'{human.duration(-left)} ago'})"


def _json(value: Any, full: bool) -> str:
    try:
        text = harmless_json(value)
    except (TypeError, ValueError, RecursionError):
        text = harmless(repr(value))
    return (
        text if full or len(text) <= _PAYLOAD else f"{text[:_PAYLOAD]}…\n({len(text):,} characters; --full shows all)"
    )


# ── tail ──
def tail(
    services: Sequence[str],
    wish: Wish | None,
    *,
    action: str,
    payload: bool,
    reveal: bool,
    limit: int | None,
    json: bool,
) -> int:
    """Show actions as they are written, until somebody says stop."""
    settings, names = place_of(services, wish)

    async def follow(redis: Redis) -> None:
        with Interrupts() as interrupts:
            stopping = asyncio.create_task(interrupts.stopping.wait())
            async with Messages(redis, settings) as messages, Hiding(redis, settings, reveal) as hiding:
                if not json:
                    typer.echo(_listening(names), err=True)
                told = messages.tail(names)
                showing = asyncio.create_task(_show_all(told, hiding, action, payload, limit, json))
                await asyncio.wait({stopping, showing}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if showing.done():
                    showing.result()
                showing.cancel()
                await asyncio.gather(stopping, showing, return_exceptions=True)

    do(settings, follow)
    return OK


def _listening(names: Sequence[str]) -> str:
    return f"Listening to {', '.join(names) or 'all services'}; Ctrl-C ends."


async def _show_all(
    told: AsyncIterator[Message], hiding: Hiding, action: str, payload: bool, limit: int | None, json: bool
) -> None:
    shown = 0
    async for message in told:
        if action and not fnmatch.fnmatchcase(message.action_type, action):
            continue
        message = await hiding.shown(message)
        if json:
            typer.echo(as_line(message))
        else:
            _show_line(message, payload)
        shown += 1
        if limit is not None and shown >= limit:
            return


def _show_line(message: Message, payload: bool) -> None:
    clock = human.moment(int(message.entry_id.partition("-")[0]))[11:]
    what = shortened(message.action_type or "?", _CELL)
    more = [human.size(message.size), message.entry_id]
    if message.attempts and message.place != "dead":
        more.append(f"attempt {message.attempts + 1}")
    if message.tenant_id:
        more.append(f"tenant {shortened(message.tenant_id, 40)}")
    if message.place == "dead":
        more = [shortened(message.reason, 40), shortened(message.error.split("\n", 1)[0], 200), message.entry_id]
    line = f"{clock}  {shortened(message.service, 40):<16} {what:<32} {'  '.join(one for one in more if one)}"
    typer.secho(line, fg="red" if message.place == "dead" and sys.stdout.isatty() else None)
    if payload:
        typer.echo("          " + _one_line(message.envelope))


def _one_line(envelope: Mapping[str, Any] | None) -> str:
    if envelope is None:
        return "(cannot be read)"
    try:
        text = harmless_json(envelope.get("data"), indent=None)
    except (TypeError, ValueError, RecursionError):
        text = harmless(repr(envelope.get("data")))
    return shortened(text, _PAYLOAD)
