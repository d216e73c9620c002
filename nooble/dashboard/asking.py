"""What a page is asked with, and what it gives: facts, which its template shows and its twin says as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from nooble.dashboard.desk import Desk
from nooble.dashboard.notes import Note
from nooble.dashboard.watch import Seen
from nooble.errors import NoobleError
from nooble.operations.reading import Reading, Service

_LONGEST = 500


class Missing(NoobleError):
    """What was asked for is not there; `gone` says that the page may come back by itself."""

    error_code = "NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question.

    Attributes:
        desk: what to work with.
        seen: what the shared reader has seen.
        path: the parts of the address that have a name.
        query: what follows the question mark.
        base: the path under which the dashboard is mounted.
        who: the name of who is asking; empty if nobody was asked.
    """

    desk: Desk
    seen: Seen
    path: Mapping[str, str] = field(default_factory=dict)
    query: QueryParams = field(default_factory=QueryParams)
    base: str = ""
    who: str = ""

    def said(self, name: str, default: str = "") -> str:
        """A parameter of the query, cut."""
        return str(self.query.get(name, default))[:_LONGEST].strip()

    @property
    def note(self) -> Note | None:
        """What came of what was done before."""
        return self.desk.notes.find(self.said("note"))

    @property
    def reading(self) -> Reading | None:
        """The last reading."""
        return self.seen.reading

    def service(self) -> Service:
        """The service that is asked for, as it was read.

        Raises:
            Missing: there is none of that name.
        """
        name = self.path["service"]
        for service in self.reading.services if self.reading else ():
            if service.name == name:
                return service
        if self.seen.reading is None:
            raise Missing("The server has not been read yet, so nobody knows.")
        raise Missing(f"There is no service {name!r} in this prefix and environment, or not any more.")


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer.

    Attributes:
        template: what shows it.
        title: of the page.
        facts: what is shown, and said as JSON, but for names that begin with `_`, which only draw.
        status: of HTTP.
    """

    template: str
    title: str
    facts: Mapping[str, Any]
    status: int = 200

    def twin(self) -> dict[str, Any]:
        """The facts for programs."""
        return {name: value for name, value in self.facts.items() if not name.startswith("_")}


View = Callable[[Ask], Awaitable[Shown]]
