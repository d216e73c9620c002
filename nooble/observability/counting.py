"""Counting in plain lists, a batch at a time: what happens for every action costs a fraction of what a metrics library does
for one observation. What has gathered is taken out now and then, and only then given to such a library."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from nooble.events import Settled
from nooble.models.outcomes import Answered, Buried, Completed, Expired, Outcome, Released, Retried

UNKNOWN = "unknown"
"""Stands for every action type that is not declared. Types come from outside: as labels they would have no bound."""

OUTCOMES: Mapping[type[Outcome], str] = {
    Completed: "completed",
    Answered: "failed",
    Retried: "retried",
    Buried: "buried",
    Expired: "expired",
    Released: "released",
}
PROCESS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WAIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0)
CALL_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds, inclusive."""


class Tally:
    """What one action of a service has come to.

    Attributes:
        completed: how many have ended well.
        others: how many have ended otherwise, by outcome.
        process, process_sum: of those that ran: how many took how long, by `PROCESS_BOUNDS`, and seconds in all.
        wait, wait_sum: of those that were taken up: how many had waited how long, by `WAIT_BOUNDS`, and seconds in all.
    """

    __slots__ = ("completed", "others", "process", "process_sum", "wait", "wait_sum")

    def __init__(self) -> None:
        self.completed = 0
        self.others: dict[type[Outcome], int] = {}
        self.process = [0] * (len(PROCESS_BOUNDS) + 1)
        self.wait = [0] * (len(WAIT_BOUNDS) + 1)
        self.process_sum = self.wait_sum = 0.0

    @property
    def outcomes(self) -> dict[str, int]:
        """How many, by the name of the outcome."""
        named = {OUTCOMES[kind]: count for kind, count in self.others.items()}
        return named | {"completed": self.completed} if self.completed else named


class Tallies:
    """The tallies of one worker, by action type.

    Args:
        declared: gives the types that its service declares; all others count as `unknown`. Asked again as long as others
            come: a worker may be given its service late, and a service routers.
        now_ms: the server's clock in milliseconds, by which the ids of entries are made.
        sent: is told of the streams to which commits have sent actions.
    """

    def __init__(
        self,
        declared: Callable[[], Iterable[str]],
        now_ms: Callable[[], float],
        sent: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._declared: frozenset[str] = frozenset()
        self._declare = declared
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._sent = sent
        self._lock = Lock()
        self._unknown = Tally()
        self._tallies: dict[str, Tally] = {}

    @property
    def declared(self) -> frozenset[str]:
        """The types that become labels."""
        return self._declared or self.ask_again()

    def ask_again(self) -> frozenset[str]:
        """The types that become labels, asked for anew; those from before if nobody is there any more to say so."""
        if types := frozenset(self._declare()):
            self._declared = types
        return self._declared

    def add(self, event: Settled) -> None:
        """A batch was written."""
        now = self._monotonic()
        ahead = self._now_ms() - now * 1000
        with self._lock:
            tallies, declared, unknown = self._tallies, self.declared, self._unknown
            may_ask = True
            for one in event.ended:
                tally = tallies.get(one.action_type)
                if tally is None:
                    tally = unknown
                    if may_ask and one.action_type not in declared:
                        declared, may_ask = self.ask_again(), False  # once a batch: anybody may send unknown types
                    if one.action_type in declared:
                        tally = tallies[one.action_type] = Tally()
                outcome, started = one.outcome, one.started
                if type(outcome) is Completed:
                    tally.completed += 1
                    if not outcome.is_plain:
                        for post in outcome.posts:
                            self._sent(post.stream)
                else:
                    kind = type(outcome)
                    tally.others[kind] = tally.others.get(kind, 0) + 1
                    if not started or kind is Released:
                        continue
                waited = (started * 1000 + ahead - int(one.entry_id[: one.entry_id.index(b"-")])) / 1000
                if waited < 0.0:  # clocks are known to a millisecond
                    waited = 0.0
                tally.wait[bisect_left(WAIT_BOUNDS, waited)] += 1
                tally.wait_sum += waited
                if type(outcome) is Expired:  # it never ran
                    continue
                seconds = now - started
                tally.process[bisect_left(PROCESS_BOUNDS, seconds)] += 1
                tally.process_sum += seconds

    def take(self) -> dict[str, Tally]:
        """What has gathered since it was last taken, by action type."""
        with self._lock:
            taken = self._tallies
            if any(self._unknown.wait) or self._unknown.others or self._unknown.completed:
                taken[UNKNOWN] = self._unknown
            self._tallies, self._unknown = {}, Tally()
            return taken


class Names:
    """Names for labels that come from the process's own code, and are many only if the code passes on what it was given:
    the first so many are known, the rest are one.

    Args:
        most: how many.
    """

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """*name*, or `unknown` if there are too many of them."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return UNKNOWN
            self._known.add(name)
        return name
