"""What an action has to keep to: from what was seen of it to a fault, or to none. Nothing here touches the server."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from nooble.errors import InvalidResponse
from nooble.events import Completed, Retried
from nooble.models import DomainActionResponse
from nooble.routing.readers import Reader
from nooble.testing.fuzz_place import Seen
from nooble.testing.strategies import Invalid

FAULTS = {
    *(
        "HANDLER_ERROR",
        "INTERNAL_ERROR",
        "INVALID_RESPONSE",
        "TIMEOUT",
        "UNKNOWN_ACTION",
        "MALFORMED_ACTION",
        "CRASH_LOOP",
    ),
    *("EFFECT_REFUSED", "SELF_CALL", "CALL_TIMEOUT", "CONTEXT_CLOSED", "CONFIGURATION_ERROR", "HANDLER_CANCELLED"),
    *("DATA_LOST", "SERVER_REFUSED", "UNWRITABLE_FOLLOW_UP"),
}
"""Codes that no sound payload may lead to; all others are the business's, which may also ask for another time."""
_SLACK = 0.25
"""Seconds that a handler may outlive its timeout: a loaded machine is no fault."""
_TOKEN = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class Fault(NamedTuple):
    """A fault before it is known how to see it again."""

    kind: str
    message: str
    where: str = ""


def judge_sound(seen: Seen, read_answer: Reader, timeout: float, patience: float) -> Fault | None:
    """What is wrong with how a sound action ended.

    Args:
        seen: how it ended.
        read_answer: from an answer to the declared result.
        timeout: seconds that the handler may run; 0 for no limit.
        patience: seconds that were waited.
    """
    common = _any_action(seen, timeout, patience)
    if common is not None:
        return common
    if isinstance(seen.end, Completed):
        return _answered(seen.answer, read_answer)
    if isinstance(seen.end, Retried) and seen.code in FAULTS:
        return Fault("HANDLER_ERROR", f"it raised {described(seen)}, and waits for a retry", place_of(seen.error))
    if seen.code == "INVALID_PAYLOAD":
        return Fault("REFUSED", f"a sound payload was refused: {described(seen)}", place_of(seen.error))
    if seen.code in FAULTS:
        kind = seen.code if seen.code != "INTERNAL_ERROR" else "HANDLER_ERROR"
        return Fault(kind, f"a sound payload ended with {described(seen)}", place_of(seen.error))
    return None


def judge_invalid(seen: Seen, invalid: Invalid, action_type: str, patience: float) -> Fault | None:
    """What is wrong with how an action ended whose payload does not fit."""
    told = f"a payload with one thing wrong ({invalid.broken} at {invalid.path})"
    common = _any_action(seen, 0.0, patience)
    if common is not None:
        return common
    if isinstance(seen.end, Retried):
        return Fault("INVALID_RETRIED", f"{told} waits for a retry, after {described(seen)}", place_of(seen.error))
    if isinstance(seen.end, Completed):
        return Fault("INVALID_ACCEPTED", f"{told} was done")
    if any(run.action_type == action_type for run in seen.runs):
        return Fault(
            "HANDLER_RAN", f"{told} reached the handler, which ended with {described(seen)}", place_of(seen.error)
        )
    if seen.code != "INVALID_PAYLOAD":
        return Fault("INVALID_UNNAMED", f"{told} ended with {described(seen)}", place_of(seen.error))
    if not names_the_field(_paths(seen), invalid.path):
        return Fault("INVALID_UNNAMED", f"{told} was refused for {', '.join(_paths(seen)) or 'no field'}")
    return None


def judge_hostile(seen: Seen, patience: float) -> Fault | None:
    """What is wrong with how a hostile entry ended: it has to end."""
    return _any_action(seen, 0.0, patience)


def _any_action(seen: Seen, timeout: float, patience: float) -> Fault | None:
    if seen.end is None:
        waits = f"; {', '.join(seen.elsewhere)} was asked, and nobody answers there" if seen.elsewhere else ""
        return Fault("CALL_TIMEOUT" if waits else "NO_END", f"no end within {patience:g} s{waits}")
    if seen.left:
        return Fault("LEFT_PENDING", f"it ended, and is still in the stream after {type(seen.end).__name__}")
    longest = max((run.seconds for run in seen.runs), default=0.0)
    if timeout and longest > timeout * 1.5 + _SLACK:
        return Fault("OVER_TIMEOUT", f"its handler ran for {longest:.2f} s, and the timeout is {timeout:g} s")
    return None


def _answered(answer: DomainActionResponse | None, read_answer: Reader) -> Fault | None:
    if answer is None:
        return Fault("NO_ANSWER", "it was done, and its caller was not told")
    if not answer.success:
        return None  # a handler may return an answer that says no
    try:
        read_answer(answer.data)
    except InvalidResponse as error:
        return Fault("INVALID_RESPONSE", f"what was answered does not fit what is declared: {error}")
    return None


# ── names ──
def names_the_field(paths: list[str], broken: str) -> bool:
    """Whether an error with these paths tells of what is broken: by the field of the payload that it is in, or, of a union,
    by what the union is."""
    first = next(iter(_tokens(broken)), None)
    return any(first is None or first in _tokens(path) or not _tokens(path) for path in paths)


def _tokens(path: str) -> list[str]:
    return [name or index for name, index in _TOKEN.findall(path.removeprefix("$.data"))]


def _paths(seen: Seen) -> list[str]:
    details: Any = (seen.answer.error.details if seen.answer and seen.answer.error else None) or {}
    errors = details.get("errors", [])
    return [str(one.get("path")) for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []


def described(seen: Seen) -> str:
    """The error of an action, for people."""
    error = seen.error
    text = " ".join(str(getattr(seen.end, "message", "")).split())[:300]
    return f"{type(error).__name__ if error is not None else seen.code}: {text}".removesuffix(": ")


def place_of(error: BaseException | None) -> str:
    """`file:line` of the last line of a person's own that raised *error*."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    ours = str(Path(__file__).parents[1])
    own = [one for one in frames if not one.filename.startswith((ours, "<")) and "site-packages" not in one.filename]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
