"""What is told on the next page after something was done: kept in memory for some minutes under a name that nobody can
guess, so that no text of a page comes out of its address."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 200
SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What came of a deed.

    Attributes:
        text: for a person.
        good: whether it is good news.
        details: further lines, such as why a letter stays.
        about: more to show, as JSON can say it.
    """

    text: str
    good: bool = True
    details: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


class Notes:
    """The last notes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Note]] = OrderedDict()

    def keep(self, note: Note) -> str:
        """Keep *note*. Returns its name."""
        while len(self._kept) >= MOST:
            self._kept.popitem(last=False)
        name = secrets.token_urlsafe(12)
        self._kept[name] = (time.monotonic() + SECONDS, note)
        return name

    def find(self, name: str) -> Note | None:
        """The note of that name, if it is not too old."""
        ends, note = self._kept.get(name, (0.0, None))
        return note if ends > time.monotonic() else None
