"""The pages that are read when somebody asks for them: messages, dead letters, retries, an action and its form, the audit.
Every one of them looks at a bounded part, and says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from nooble.dashboard.asking import Ask, Missing, Shown
from nooble.dashboard.redaction import Redactor
from nooble.dashboard.schema_forms import fields_of
from nooble.dashboard.text import as_json, encoded
from nooble.errors import ConfigurationFault, MalformedAction
from nooble.models.redaction import masked
from nooble.operations import DeadLetter
from nooble.operations.message import Message
from nooble.operations.messages import MessagePage, Messages
from nooble.operations.which import Which

PAGE = 50
_SCAN = 5_000
_SEARCHED, _SEARCHED_AT_ONCE = 2_000, 200
_FOUND = 100
_MOST_ROWS = 200
MOST_ERROR = 4_000
"""Most characters of a letter's error that are shown, and in which something is found."""
_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
SINCE = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
"""How long ago a letter was buried at most, as the filter offers it."""


# ── messages ──
async def messages(ask: Ask) -> Shown:
    """What is in the stream of a service, or what has a certain id, wherever it is."""
    names = [service.name for service in ask.reading.services] if ask.reading else []
    service = ask.said("service") or (names[0] if names else "")
    identifier = ask.said("id")
    facts: dict[str, Any] = {
        "names": names,
        "service": service,
        "id": identifier,
        "action": ask.said("action"),
        "text": ask.said("text"),
        "oldest": ask.said("order") == "oldest",
        "messages": (),
        "cursor": None,
        "scanned": 0,
        "cut": False,
    }
    looking = await ask.desk.messages()
    if identifier:
        found = await looking.find(identifier)
        facts |= {"messages": [_brief(one) for one in found[:_FOUND]], "scanned": None, "cut": len(found) > _FOUND}
    elif service:
        asked = {"newest_first": not facts["oldest"], "action": facts["action"]}
        if facts["text"]:
            page = await _searched(ask, looking, service, facts["text"], asked)
        else:
            page = await looking.page(service, limit=PAGE, cursor=ask.said("cursor") or None, scan=_SCAN, **asked)
        facts |= {"messages": [_brief(one) for one in page.messages], "cursor": page.cursor}
        facts |= {"scanned": page.scanned, "cut": page.cut}
    return Shown("messages.html", "Messages", facts)


async def _searched(ask: Ask, looking: Messages, service: str, text: str, asked: Mapping[str, Any]) -> MessagePage:
    """The messages in which *text* can be seen. The server is not asked for it: how much it finds, and how soon, would tell
    what is hidden, character by character."""
    redact = await ask.desk.redactor(service)
    forms = {text.lower(), json.dumps(text, ensure_ascii=False)[1:-1].lower()}
    found: list[Message] = []
    cursor, scanned = ask.said("cursor") or None, 0
    while True:
        page = await looking.page(
            service, limit=_SEARCHED_AT_ONCE, cursor=cursor, scan=_SEARCHED_AT_ONCE, with_payload=True, **asked
        )
        for one in page.messages:
            seen = encoded(_without_secrets(one.action_type, one.envelope or {}, redact)).decode().lower()
            found += [one] if any(form in seen for form in forms) else []
        cursor, scanned = page.cursor, scanned + page.scanned
        if cursor is None or len(found) >= PAGE or scanned >= _SEARCHED:
            return MessagePage(messages=tuple(found), cursor=cursor, scanned=scanned, cut=cursor is not None)


async def message(ask: Ask) -> Shown:
    """One message: its envelope, where it is, and its conversation."""
    service, identifier = ask.path["service"], ask.path["id"]
    looking = await ask.desk.messages()
    found = await looking.find(identifier, (service,))
    exact = [one for one in found if one.entry_id == identifier] or list(found)
    if not exact:
        raise Missing(
            f"{identifier!r} is not in {service}: not in its stream, its retries or its dead letters. What is done leaves "
            "the server, so it was done, or deleted, or never there."
        )
    one = exact[0]
    told = await looking.conversation(one)
    redact = await ask.desk.redactor(one.service)
    facts = {
        "message": _whole(one, redact),
        "hidden_why": redact.why,
        "conversation": [_brief(other) for other in told[:_FOUND]],
        "cut": len(told) > _FOUND,
    }
    return Shown("message.html", one.action_type or "Message", facts)


def _brief(one: Message) -> dict[str, Any]:
    told = msgspec.structs.asdict(one)
    for name in ("envelope", "traceback", "head"):
        del told[name]
    return told | {"error": masked(one.error, 500)}


def _whole(one: Message, redact: Redactor) -> dict[str, Any]:
    told = msgspec.structs.asdict(one)
    if one.envelope is not None:
        told["envelope"] = _without_secrets(one.action_type, one.envelope, redact)
    told |= {"error": masked(one.error), "traceback": masked(one.traceback)}
    told["head"] = ""  # no rule can tell what is secret in bytes that cannot be read
    return told


def _without_secrets(action_type: str, envelope: Mapping[str, Any], redact: Redactor) -> dict[str, Any]:
    """An action as it may be seen: the payload by the rule for payloads, whatever else is in it too."""
    shown = {name: value for name, value in envelope.items() if name != "data"}
    told = {**redact("", shown)} if isinstance(shown, dict) else {}
    if "data" in envelope:
        told["data"] = redact(action_type, envelope["data"])
    return told


# ── dead letters ──
async def dead(ask: Ask) -> Shown:
    """How many dead letters each service has."""
    found = sorted(ask.reading.services if ask.reading else (), key=lambda one: -one.dead.count)
    rows = [
        {"service": one.name, "count": one.dead.count, "by_reason": one.dead.by_reason, "newest_ms": one.dead.newest_ms}
        for one in found[:_MOST_ROWS]
    ]
    return Shown("dead.html", "Dead letters", {"services": rows, "at_ms": _now(ask)})


async def letters(ask: Ask) -> Shown:
    """The dead letters of one service."""
    which = which_of(ask.said)
    async with await ask.desk.dead(ask.path["service"]) as found:
        page = await found.list(
            which,
            limit=PAGE,
            cursor=ask.said("cursor") or None,
            oldest_first=ask.said("order") == "oldest",
            scan=_SCAN,
        )
        counted = await found.count(scan=2_000)
    facts = {
        "service": ask.path["service"],
        "filter": filter_of(ask.said),
        "letters": [_letter(one) for one in page.letters],
        "cursor": page.cursor,
        "scanned": page.scanned,
        "cut": page.cut,
        "total": counted.total,
        "by_reason": counted.by_reason,
        "counted_part": counted.cut,
        "at_ms": _now(ask),
        "since": list(SINCE),
    }
    return Shown("letters.html", f"Dead letters of {ask.path['service']}", facts)


async def letter(ask: Ask) -> Shown:
    """One dead letter, and its payload to be edited."""
    service, letter_id = ask.path["service"], ask.path["id"]
    async with await ask.desk.dead(service) as found:
        one = await found.show(letter_id)
    if one is None:
        raise Missing(f"{letter_id} is no dead letter of {service} any more: it was replayed, discarded or trimmed.")
    redact = await ask.desk.redactor(service)
    facts = {"service": service, "letter": letter_facts(one, redact), "at_ms": _now(ask), "typed": None, "error": ""}
    return Shown("letter.html", "Dead letter", facts)


def letter_facts(one: DeadLetter, redact: Redactor) -> dict[str, Any]:
    """A letter for its page."""
    told = _letter(one) | {"traceback": masked(one.traceback), "obstacle": one.obstacle}
    told |= {"target": one.target, "first_id": one.first_id, "entry_id": one.entry_id, "worker": one.worker}
    try:
        payload = one.payload()
    except MalformedAction as error:
        return told | {"payload": None, "unreadable": str(error), "hidden_why": "", "_text": ""}
    shown = redact(one.action_type, payload)
    return told | {"payload": shown, "unreadable": "", "hidden_why": redact.why, "_text": as_json(shown)}


def _letter(one: DeadLetter) -> dict[str, Any]:
    return {
        "id": one.id,
        "buried_ms": int(one.buried_at.timestamp() * 1000),
        "reason": one.reason[:200],
        "error": masked(one.error, MOST_ERROR),
        "attempts": one.attempts,
        "deliveries": one.deliveries,
        "action_type": one.action_type,
        "action_id": one.action_id,
        "size": one.size,
        "can_run": one.obstacle is None,
    }


def filter_of(said: Callable[[str], str]) -> dict[str, str]:
    """The filter as it was typed."""
    return {name: said(name) for name in ("reason", "action", "text", "since")}


class _Seen(Which):
    """Letters by what can be seen of them: in what is hidden of an error nothing is found."""

    __slots__ = ()

    def fits(self, letter: DeadLetter) -> bool:
        return super().fits(letter) and self.text.casefold() in masked(letter.error, MOST_ERROR).casefold()


def which_of(said: Callable[[str], str]) -> Which:
    """The letters that a filter means.

    Raises:
        ConfigurationFault: its time is none.
    """
    typed = filter_of(said)
    since = typed["since"]
    if since and since not in SINCE:
        raise ConfigurationFault(f"since={since[:50]!r} is none of {', '.join(SINCE)}")
    reasons = (typed["reason"],) if typed["reason"] else ()
    return _Seen(reasons=reasons, action=typed["action"], text=typed["text"], since=SINCE.get(since))


# ── retries ──
async def retries(ask: Ask) -> Shown:
    """How many actions of each service wait for their next attempt."""
    found = sorted(ask.reading.services if ask.reading else (), key=lambda one: -one.retries.count)
    rows = [
        {"service": one.name, "count": one.retries.count, "next_due_ms": one.retries.next_due_ms}
        for one in found[:_MOST_ROWS]
    ]
    return Shown("retries.html", "Retries", {"services": rows, "at_ms": _now(ask)})


async def waiting(ask: Ask) -> Shown:
    """What waits for its next attempt in one service."""
    async with await ask.desk.retries(ask.path["service"]) as found:
        page = await found.list(PAGE, ask.said("cursor") or None)
        count = await found.count()
    facts = {
        "service": ask.path["service"],
        "messages": [_brief(one) for one in page.messages],
        "cursor": page.cursor,
        "count": count,
        "at_ms": _now(ask),
    }
    return Shown("waiting.html", f"Retries of {ask.path['service']}", facts)


# ── an action ──
async def action(ask: Ask) -> Shown:
    """What an action takes and gives, and a form to try it."""
    service, action_type = ask.path["service"], ask.path["action"]
    route = await ask.desk.route(service, action_type)
    if route is None:
        raise Missing(
            f"{service} has not declared {action_type!r}: no worker of it is known that has, or it declares nothing."
        )
    note = ask.note
    about = note.about if note else {}
    typed = about.get("typed")
    facts = {
        "service": service,
        "route": route,
        "example": example_of(route.payload),
        "_fields": fields_of(route.payload, typed, None, ask.desk.is_secret(route)),
        "_typed": about.get("json"),
        "_errors": {},
        "_chosen": about,
    }
    return Shown("action.html", action_type, facts)


def example_of(schema: Mapping[str, Any] | None) -> str:
    """A beginning for who types JSON."""
    fields = fields_of(schema) or ()
    blank = {"integer": 0, "number": 0.0, "yes_no": False, "json": None}
    value = {one.name: blank.get(one.kind, "") for one in fields if one.required}
    return as_json(value) if value else "{}"


# ── the audit ──
async def audit(ask: Ask) -> Shown:
    """Who did what, the newest first."""
    cursor = ask.said("cursor")
    if cursor and not _ENTRY_ID.fullmatch(cursor):
        raise ConfigurationFault(f"{cursor[:50]!r} is no place in the audit")
    deeds, more = await (await ask.desk.audit()).page(PAGE * 2, cursor)
    return Shown("audit.html", "Audit", {"deeds": deeds, "cursor": more, "at_ms": _now(ask)})


def _now(ask: Ask) -> int | None:
    return ask.reading.at_ms if ask.reading else None
