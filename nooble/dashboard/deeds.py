"""What can be done from a page: each deed reads the form that was sent, does one thing, writes it to the audit, and says
what came of it on the page that follows. Nothing here is reached but through the guard."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from nooble.dashboard.asking import Ask, Missing, Shown
from nooble.dashboard.audit import Deed
from nooble.dashboard.notes import Note
from nooble.dashboard.pages_kept import filter_of, letter_facts, which_of
from nooble.dashboard.redaction import merged
from nooble.dashboard.schema_forms import Unfit, fields_of, payload_of, payload_of_json
from nooble.dashboard.text import as_json
from nooble.errors import CallTimeout, ConfigurationFault, NoobleError
from nooble.operations.dead_letters import Discarded, Replayed
from nooble.operations.retries import RetriesDone

T = TypeVar("T")
MOST_SECONDS = 20.0
"""Time after which a deed on many begins no further step; what is left is done by pressing again."""
MOST_IDS = 500
MOST_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent.

    Attributes:
        ask: from where.
        fields: every value by name.
        address: who sent it.
    """

    ask: Ask
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    address: str = ""

    def said(self, name: str, default: str = "") -> str:
        """The last value of that name."""
        return self.fields[name][-1] if self.fields.get(name) else default

    def ids(self) -> list[str]:
        """What was selected.

        Raises:
            ConfigurationFault: nothing was, or too much.
        """
        found = list(dict.fromkeys(self.fields.get("id", ())))
        if not 1 <= len(found) <= MOST_IDS:
            raise ConfigurationFault(f"select 1 to {MOST_IDS} of them; nothing was done")
        return found

    async def record(self, **told: str) -> None:
        """Add to the audit what was done here, even if whoever waits for it is sent away."""
        deed = Deed(service=self.ask.path.get("service", ""), who=self.ask.who, address=self.address, **told)
        await asyncio.shield(self.ask.desk.record(deed))


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a deed.

    Attributes:
        page: the path of the page that follows, inside of the dashboard.
        note: what is said there.
    """

    page: str
    note: Note


Act = Callable[[Form], Awaitable[Done | Shown]]


# ── dead letters ──
async def replay(form: Form) -> Done | Shown:
    """Send letters on their way again: those that were selected, or all that the filter means."""
    return await _on_letters(form, "replay", "Replay", _replay)


async def discard(form: Form) -> Done | Shown:
    """Delete letters, once that was confirmed."""
    return await _on_letters(form, "discard", "Discard", _discard)


async def _on_letters(form: Form, what: str, word: str, act: Callable[[Form, Any], Awaitable[Note]]) -> Done | Shown:
    service = form.ask.path["service"]
    every = form.said("every") == "yes"
    meant = filter_of(form.said)
    which: Any = which_of(form.said) if every else form.ids()
    if form.said("sure") != "yes" and (every or what == "discard"):
        async with await form.ask.desk.dead(service) as letters:
            counted = await letters.count(which) if every else None
        facts = {
            "service": service,
            "what": what,
            "word": word,
            "count": sum(counted.by_reason.values()) if counted else len(which),
            "counted_part": counted.cut if counted else False,
            "every": every,
            "filter": meant,
            "ids": [] if every else which,
        }
        return Shown("confirm.html", f"{word} dead letters", facts)
    on = ("all" if not any(meant.values()) else "all with " + as_json(meant)) if every else ", ".join(which)
    note = await _recorded(form, f"dead_letters.{what}", on, act(form, which))
    return Done(f"/dead/{service}", note)


async def _replay(form: Form, which: Any) -> Note:
    async with await form.ask.desk.dead(form.ask.path["service"]) as letters:
        done, whole = await _within(lambda progress: letters.replay(which, progress=progress), Replayed())
    words = [f"{_many(done.replayed, 'letter')} replayed"]
    words += [f"{done.gone} already gone"] if done.gone else []
    words += [f"{len(done.kept)} could not be sent and stay"] if done.kept else []
    details = tuple(f"{letter}: {why}" for letter, why in list(done.kept.items())[:20])
    return _note(words, whole, good=not done.kept, details=details)


async def _discard(form: Form, which: Any) -> Note:
    async with await form.ask.desk.dead(form.ask.path["service"]) as letters:
        done, whole = await _within(lambda progress: letters.discard(which, progress=progress), Discarded())
    words = [f"{_many(done.discarded, 'letter')} discarded"]
    words += [f"{done.gone} already gone"] if done.gone else []
    return _note(words, whole)


async def send_again(form: Form) -> Done | Shown:
    """Replay one letter, with the payload as it was edited."""
    ask, service, letter_id = form.ask, form.ask.path["service"], form.ask.path["id"]
    async with await ask.desk.dead(service) as letters:
        one = await letters.show(letter_id)
        if one is None:
            raise Missing(
                f"{letter_id} is no dead letter of {service} any more: somebody was quicker. Nothing was sent."
            )
        redact = await ask.desk.redactor(service)
        facts = letter_facts(one, redact)
        typed = form.said("payload")

        async def act(data: Any) -> Note:
            done = await letters.replay(letter_id, data=data)
            if done.kept:
                return Note(text=f"{letter_id} stays", good=False, details=tuple(done.kept.values()))
            words = "sent with its edited payload" if done.replayed else "was gone already; nothing was sent"
            return Note(text=f"{letter_id} {words}", good=bool(done.replayed))

        try:
            if not typed.strip():
                raise ValueError("It is empty; a payload without anything is {}.")
            edited = payload_of_json(typed)
            data = merged(edited, json.loads(as_json(facts["payload"], 10**9)), one.payload())
            note = await _recorded(form, "dead_letters.edit", letter_id, act(data))
        except (ValueError, Unfit) as error:  # of a payload that is none or too large, too
            why = "; ".join(error.by_field.values()) if isinstance(error, Unfit) else str(error)
            shown = {"service": service, "letter": facts, "at_ms": None, "typed": typed, "error": why}
            return Shown("letter.html", "Dead letter", shown, 422)
    return Done(f"/dead/{service}", note)


# ── retries ──
async def run_now(form: Form) -> Done:
    """Run retries before they are due."""
    return await _on_retries(form, "run", "moved to the stream")


async def cancel(form: Form) -> Done:
    """Give retries up; they become dead letters."""
    return await _on_retries(form, "cancel", "given up; they are among the dead letters now")


async def _on_retries(form: Form, what: str, word: str) -> Done:
    service = form.ask.path["service"]
    which: Any = "all" if form.said("every") == "yes" else form.ids()

    async def act() -> Note:
        async with await form.ask.desk.retries(service) as retries:
            doing = retries.run_now if what == "run" else partial(retries.cancel, by=form.ask.who or "dashboard")
            done, whole = await _within(lambda progress: doing(which, progress=progress), RetriesDone())
        words = [f"{_many(done.done, 'retry', 'retries')} {word}"]
        words += [f"{done.gone} already gone"] if done.gone else []
        details = tuple(f"{name}: {why}" for name, why in list(done.kept.items())[:20])
        return _note(words, whole, good=not done.kept, details=details)

    on = which if isinstance(which, str) else ", ".join(which)
    return Done(f"/retries/{service}", await _recorded(form, f"retries.{what}", on, act()))


# ── workers ──
ORDERS = {"quiet": "takes nothing new", "resume": "takes work again", "stop": "comes to rest and ends"}


async def steer(form: Form) -> Done | Shown:
    """Ask a worker to take nothing new, to go on, or to stop."""
    ask = form.ask
    service, consumer, order = ask.path["service"], ask.path["consumer"], ask.path["order"]
    if order not in ORDERS:
        raise Missing(f"{order!r} is nothing that a worker can be asked: {', '.join(ORDERS)}")
    if order == "stop" and form.said("sure") != "yes":
        facts = {"service": service, "consumer": consumer}
        return Shown("confirm_stop.html", "Stop a worker", facts)

    async def act() -> Note:
        heard = await (await ask.desk.system()).steer(service, consumer, order)  # type: ignore[arg-type]
        if heard:
            return Note(text=f"{consumer} was asked: it {ORDERS[order]} at its next beat, within some seconds")
        return Note(text=f"{consumer} is not there any more", good=False)

    return Done("/workers", await _recorded(form, f"workers.{order}", consumer, act()))


# ── trying an action ──
async def attempt(form: Form) -> Done | Shown:
    """Send an action, or call it and show the answer."""
    ask, service, action_type = form.ask, form.ask.path["service"], form.ask.path["action"]
    route = await ask.desk.route(service, action_type)
    if route is None:
        raise Missing(f"{service} has not declared {action_type!r}; nothing was sent.")
    as_text = form.said("as") == "json"
    typed = {
        name.removeprefix("field."): values[-1] for name, values in form.fields.items() if name.startswith("field.")
    }
    secret = ask.desk.is_secret(route)
    fields = fields_of(route.payload, secret=secret)
    chosen: dict[str, Any] = {"typed": typed or None, "json": form.said("payload") if as_text else None}
    chosen |= {name: form.said(name)[:200] for name in ("how", "timeout", "tenant_id", "key")}
    try:
        payload = payload_of_json(form.said("payload")) if as_text or fields is None else payload_of(fields, typed)
        timeout = _timeout(form.said("timeout", "10"))
    except Unfit as error:
        facts = {
            "service": service,
            "route": route,
            "example": form.said("payload") or "{}",
            "_fields": fields_of(route.payload, typed, error.by_field, secret) if not as_text else fields,
            "_typed": chosen["json"],
            "_errors": error.by_field,
            "_chosen": chosen,
        }
        return Shown("action.html", action_type, facts, 422)
    redact = await ask.desk.redactor(service)
    if redact(action_type, payload) != payload:  # what is hidden is not typed in advance the next time
        chosen["json"] = None
        chosen["typed"] = {name: text for name, text in typed.items() if not secret(name)} or None
    calling = form.said("how") != "send"
    more = {"tenant_id": chosen["tenant_id"]} if chosen["tenant_id"] else {}
    trying = _try(form, action_type, payload, calling, timeout, chosen["key"] or None, more)
    note = await _recorded(form, "actions.call" if calling else "actions.send", action_type, trying)
    kept = Note(text=note.text, good=note.good, details=note.details, about={**note.about, **chosen})
    return Done(f"/services/{service}/actions/{action_type}", kept)


async def _try(
    form: Form, action_type: str, payload: Any, calling: bool, timeout: float, key: str | None, more: Mapping[str, Any]
) -> Note:
    desk, service = form.ask.desk, form.ask.path["service"]
    client = await desk.client()
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        if not calling:
            sent = await client.send(action_type, payload, service=service, idempotency_key=key, **more)
            return Note(text="Sent. Nobody waits for an answer.", about={"action_id": str(sent)})
        if desk.calls.locked():
            return Note(text="Too many calls wait for their answers; nothing was sent. Try again soon.", good=False)
        async with desk.calls:
            answer = await client.call(
                action_type, payload, timeout=timeout, service=service, idempotency_key=key, **more
            )
    except CallTimeout as error:
        return Note(text=str(error), good=False, about={"ms": (clock() - began) * 1000})
    except (NoobleError, ValueError) as error:
        return Note(text=f"Nothing came of it: {error}", good=False)
    about: dict[str, Any] = {"ms": (clock() - began) * 1000, "action_id": str(answer.action_id)}
    text = "Answered." if answer.success else "Answered with an error."
    detail = answer.error.model_dump(mode="json") if answer.error else None
    redact = await desk.redactor(service)
    try:
        shown = redact(action_type, answer.data) if answer.success else redact("", detail)
    except Exception as error:  # of a rule of somebody's own: what was done is done, and is told
        why = f"The answer is not shown: what is to hide a part of it fails with {type(error).__name__}."
        return Note(text=text, good=False, details=(why,), about=about)
    details = (redact.why,) if redact.why else ()
    return Note(text=text, good=answer.success, details=details, about={**about, "answer": as_json(shown)})


def _timeout(text: str) -> float:
    try:
        seconds = float(text or "10")
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_TIMEOUT:
        raise Unfit({"": f"the time to wait is a number of seconds, more than 0 and at most {MOST_TIMEOUT:g}"})
    return seconds


# ── parts ──
class _Over(Exception):
    """The time of a deed is over."""


async def _within(start: Callable[[Callable[[T], None]], Awaitable[T]], nothing: T) -> tuple[T, bool]:
    """What came of it, and whether that is all. The time is looked at between two steps: of a step that is broken off nobody
    knows whether it was done."""
    ends = time.monotonic() + MOST_SECONDS
    so_far = nothing

    def progress(done: T) -> None:
        nonlocal so_far
        so_far = done
        if time.monotonic() >= ends:
            raise _Over

    try:
        return await start(progress), True
    except _Over:
        return so_far, False


async def _recorded(form: Form, what: str, on: str, acting: Awaitable[Note]) -> Note:
    """The note of *acting*, which is in the audit whatever comes of it."""
    try:
        note = await acting
    except asyncio.CancelledError:
        await form.record(what=what, on=on, outcome="interrupted; part of it may be done")
        raise
    except Exception as error:
        await form.record(what=what, on=on, outcome=f"failed: {str(error) or type(error).__name__}")
        raise
    await form.record(what=what, on=on, outcome="; ".join([note.text, *note.details[:1]]))
    return note


def _note(words: Sequence[str], whole: bool, good: bool = True, details: tuple[str, ...] = ()) -> Note:
    text = ", ".join(words)
    if not whole:
        text += f". That took {MOST_SECONDS:g} seconds, and there may be more: do it again to go on"
    return Note(text=f"{text}.", good=good and whole, details=details)


def _many(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
