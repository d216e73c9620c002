"""What fuzzing can find, as values: the kind of fault, what happened, what to do, and the line to type to see it again."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from nooble.models.payloads import plain

MENDS = {
    "HANDLER_ERROR": "the payload is sound by its declaration: handle it, or declare what the handler needs",
    "SWALLOWED_RETRY": "it fails on its first run, and a retry hides that; mend the first run",
    "INVALID_RESPONSE": "return what is declared, or declare what is returned",
    "REFUSED": "the handler refuses what its model accepts: declare that, or raise Reject with a code of the business",
    "INVALID_ACCEPTED": "data that do not fit the model were taken: a validator or process_action lets them through",
    "INVALID_UNNAMED": "say which field is wrong, in details['errors'] of an InvalidPayload",
    "INVALID_RETRIED": "data that do not fit never will: raise InvalidPayload or Reject",
    "HANDLER_RAN": "the handler is to see only data that fit: leave the validation to the declaration",
    "TIMEOUT": "it takes longer than its declared timeout; make it quicker, or declare more",
    "OVER_TIMEOUT": "it outlives its declared timeout, because it blocks the event loop, swallows the cancellation, or runs "
    "in a thread, which nothing can interrupt",
    "NO_END": "it waits without a limit: declare a timeout",
    "LEFT_PENDING": "the entry stays in the pending list although it has ended",
    "NOT_IDEMPOTENT": "it is declared once_for, and doing it again has changed something: write through context.effects and "
    "context.send, or ask context.idempotency_key first",
    "MEMORY": "something keeps what every action leaves behind",
    "CALL_TIMEOUT": "it calls a service that nobody runs here; name its target too",
    "UNMAKEABLE": "register a strategy for its type, in a module that the target imports",
}
"""Kind of fault → what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault that was seen.

    Attributes:
        action_type: the action.
        kind: stable name of the fault, one of `MENDS`, or the code of the error.
        message: what happened.
        call: the line to type to see it again; empty if it cannot be typed.
        payload: what was sent, as small as it could be made.
        where: `file:line` that raised the error, as far as known.
        always: whether it came again every time that the same was sent.
    """

    action_type: str
    kind: str
    message: str
    call: str = ""
    payload: Any = None
    where: str = ""
    always: bool = True

    @property
    def mend(self) -> str:
        """What to do."""
        return MENDS.get(self.kind, MENDS["HANDLER_ERROR"])

    def __str__(self) -> str:
        lines = [f"{self.action_type}: {self.kind}: {self.message}", f"  {self.mend}"]
        lines += [f"  at {self.where}"] if self.where else []
        lines += [f"  {self.call}"] if self.call else []
        return "\n".join([*lines, *(() if self.always else ("  (not every time)",))])


@dataclass(slots=True)
class Verdict:
    """What was done with one action.

    Attributes:
        action_type: the action.
        service: the service that has it.
        counts: how many examples of each trial were sent until the first fault: `valid`, `invalid`, `hostile`, `twice`.
        findings: the faults.
    """

    action_type: str
    service: str
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can say it."""
        told: dict[str, Any] = msgspec.to_builtins({**asdict(self), "findings": []}, enc_hook=plain)
        told["findings"] = [{**asdict(one), "mend": one.mend} for one in self.findings]
        return told


def call_line(action_type: str, payload: Any, service: str) -> str:
    """What to type to send *payload* once more."""
    words = ["nooble", "call", action_type, shlex.quote(as_json(payload))]
    if action_type.partition(".")[0] != service:
        words += ["--service", shlex.quote(service)]
    return " ".join(words)


def as_json(payload: Any) -> str:
    """*payload* as JSON of harmless characters; what JSON cannot say is null, as it is on the wire."""
    text = msgspec.json.encode(payload).decode()
    return "".join(one if " " <= one <= "~" else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
