"""What a caller relies on, written down while the caller is tested, and held against the callee without the caller.

A contract is JSON. Of an answer the types count, by example: every field of the example must be there, of the same JSON
type; `null` in the example stands for any value, more fields may come, and the elements of an array are each like one of
the example's. Values count where the contract names their path under `exact`. Errors count by their code. A payload must
still be one that the callee accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from nooble.models.actions import DomainActionResponse
from nooble.models.payloads import plain
from nooble.testing.mistakes import HarnessMistake
from nooble.testing.traffic import Handled

VERSION = 1
"""Version of the form of contracts; the value of `nooble_contract` in the file."""


class ContractBroken(AssertionError):
    """A service does not keep a contract; the message lists what does not fit, interaction by interaction."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One action, and what its caller relies on.

    Attributes:
        caller, callee: names of the services.
        action_type: the action.
        kind: `call`, `callback` or `send`: whether an answer is awaited, comes as an action, or is of no interest.
        payload: an example.
        data: an example of the answer; `None` without one.
        error_code: code of the error that is expected instead; empty if none is.
    """

    caller: str
    callee: str
    action_type: str
    kind: str
    payload: dict[str, Any]
    data: Any = None
    error_code: str = ""

    def __str__(self) -> str:
        shown = json.dumps(self.payload, ensure_ascii=False)
        return f"{self.action_type}, {self.kind} of {self.caller} with {shown[:300]}"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a file says.

    Attributes:
        interactions: in the order in which they happened.
        exact: paths into answers whose values count.
    """

    interactions: tuple[Interaction, ...]
    exact: tuple[str, ...] = field(default=())


# ── written ──
def write_contract(
    path: str | Path, handled: Iterable[Handled], *, senders: Container[str], exact: Iterable[str] = ()
) -> None:
    """Write what was *handled* as a contract; what was said twice is written once.

    Args:
        path: the file; made anew.
        handled: the traffic.
        senders: whose actions are part of it.
        exact: paths into answers whose values count.

    Raises:
        HarnessMistake: there is nothing to write.
    """
    found: list[Interaction] = []
    for one in handled:
        if one.action.origin_service in senders and (made := _interaction(one)) not in found:
            found.append(made)
    if not found:
        raise HarnessMistake(
            f"record({str(path)!r}): no service has sent anything to another one, so there is no contract; "
            "record(…, with_test=True) writes what the test itself sends, in the name of caller=…"
        )
    text = {"nooble_contract": VERSION, "exact": sorted(set(exact)), "interactions": [asdict(one) for one in found]}
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(text, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _interaction(one: Handled) -> Interaction:
    action = one.action
    awaited = action.callback_queue_name is not None
    kind = "send" if not awaited else "callback" if action.callback_action_type else "call"
    return Interaction(
        caller=action.origin_service or "",
        callee=one.service,
        action_type=action.action_type,
        kind=kind,
        payload=msgspec.to_builtins(action.data, enc_hook=plain, str_keys=True),
        data=one.data if awaited else None,
        error_code=one.error_code,
    )


# ── read ──
def read_contract(path: str | Path) -> Contract:
    """The contract in the file *path*.

    Raises:
        HarnessMistake: there is none that can be read.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["nooble_contract"] != VERSION:
            raise HarnessMistake(
                f"{path} is a contract of version {found['nooble_contract']}, and this nooble reads {VERSION}"
            )
        return Contract(tuple(Interaction(**one) for one in found["interactions"]), tuple(found.get("exact", ())))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HarnessMistake(
            f"{path} cannot be read as a contract ({type(error).__name__}: {error}); the caller's test writes it with "
            "t.record(path)"
        ) from error


# ── compared ──
def misfits(one: Interaction, answer: DomainActionResponse, exact: Iterable[str] = ()) -> Iterator[str]:
    """What of *answer* is not as its caller relies on, a line each."""
    if answer.error is not None:
        code = answer.error.error_code or ""
        if code != one.error_code:
            wanted = f"the error {one.error_code}" if one.error_code else "an answer"
            yield f"expected {wanted}, got the error {code}: {answer.error.message}"
            for part in (answer.error.details or {}).get("errors", ()):
                if isinstance(part, dict):
                    yield f"  {part.get('path', '')} {part.get('message', '')}"
    elif one.error_code:
        yield f"expected the error {one.error_code}, got an answer: {_shown(answer.data)}"
    elif one.kind != "send":
        yield from _unlike(one.data or {}, answer.data or {}, "$", frozenset(exact))


def _unlike(example: Any, found: Any, path: str, exact: frozenset[str]) -> Iterator[str]:
    """How *found* differs from *example*, by the rules of contracts."""
    if _ELEMENT.sub("[]", path) in exact:
        if example != found:
            yield f"{path}: expected {_shown(example)}, got {_shown(found)}"
        return
    if example is None:
        return
    if _kind(example) != _kind(found):
        yield f"{path}: expected {_kind(example)}, got {_kind(found)} {_shown(found)}"
    elif isinstance(example, dict):
        for name, value in example.items():
            if name in found:
                yield from _unlike(value, found[name], f"{path}.{name}", exact)
            else:
                yield f"{path}.{name}: missing; there is {', '.join(found) or 'nothing'}"
    elif isinstance(example, list) and example:
        for number, element in enumerate(found):
            best = min((list(_unlike(one, element, f"{path}[{number}]", exact)) for one in example), key=len)
            yield from best


_ELEMENT = re.compile(r"\[\d+\]")
_KINDS = {dict: "an object", list: "an array", str: "text", bool: "true or false", int: "a number", float: "a number"}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:117]}…"
