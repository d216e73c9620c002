"""Which dead letters are meant: by their ids, or by what is known of them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nooble.errors import ConfigurationFault
from nooble.wire.dead_letters import DeadLetter

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Which:
    """Which dead letters are meant: those to which everything applies that is said; all of them if nothing is.

    Attributes:
        reasons: codes of errors, one of which it has.
        action: type of the action; `*`, `?` and `[…]` stand for what they stand for in file names.
        since, until: when it was buried, or how long ago by the server's clock.
        text: what its error contains, in upper or lower case.
    """

    reasons: Sequence[str] = ()
    action: str = ""
    since: datetime | timedelta | None = None
    until: datetime | timedelta | None = None
    text: str = ""

    def fits(self, letter: DeadLetter) -> bool:
        """Whether *letter* is one of them, whatever its time."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.action or fnmatch.fnmatchcase(letter.action_type, self.action))
            and (not self.text or self.text.casefold() in letter.error.casefold())
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that have to be read to find out."""
        return ("reason", *(("error",) if self.text else ()), *(("data", "data_head") if self.action else ()))


EVERY = Which()


def unique_ids(which: str | Iterable[str]) -> Sequence[str]:
    """Ids, each once."""
    return [checked_id(one) for one in dict.fromkeys([which] if isinstance(which, str) else which)]


def checked_id(letter_id: str) -> str:
    """*letter_id*, if it is an id that the server can read."""
    if not _ID.fullmatch(letter_id) or any(int(part) >= 2**64 for part in letter_id.split("-")):
        raise ConfigurationFault(f"{letter_id[:100]!r} is no id of a dead letter; those look like 1719000000000-0")
    return letter_id


def beginning_of(moment: datetime | timedelta | None, now: float) -> str | None:
    """*moment* as the beginning of an id."""
    if moment is None:
        return None
    seconds = now - moment.total_seconds() if isinstance(moment, timedelta) else moment.timestamp()
    return str(max(0, int(seconds * 1000)))
