"""What the settled batches mean, told as events. Costs nothing for what nobody wants to know."""

from __future__ import annotations

import time
from typing import Any

from nooble import events as e
from nooble.errors import code_of
from nooble.events import Teller
from nooble.models.outcomes import Answered, Buried, Completed, Expired, Failed, Outcome, Released, Retried
from nooble.wire.redis_stream import Committed
from nooble.workers.in_flight import Run

_KIND: dict[type[Outcome], type[e.ActionEvent]] = {
    Completed: e.Completed,
    Answered: e.Failed,
    Retried: e.Retried,
    Buried: e.Buried,
    Expired: e.Expired,
    Released: e.Released,
}


class Reports:
    """Turns outcomes into events, once they are written.

    Args:
        teller: tells them.
    """

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def committed(self, batch: list[tuple[Run, Outcome]], result: Committed) -> None:
        """*batch* was written, with this *result*."""
        if not (result.refused or result.held or result.unwritten or self._interests(batch)):
            return
        refused = {id(delivery): why for delivery, why in result.refused}
        held = {id(delivery): why for delivery, why in result.held}
        for run, outcome in batch:
            which = id(run.delivery)
            if refused and which in refused:
                self._teller.tell(e.CommitRefused, why=refused[which].decode(), **facts_of(run))
            elif held and which in held:
                if not run.held:  # tried again and again, told once
                    run.held = True
                    self._teller.tell(e.Held, message=held[which], **facts_of(run))
            elif self._teller.wants(kind := _KIND[type(outcome)]):
                self._teller.tell(kind, **facts_of(run), **_facts_of_outcome(run, outcome))
        for key, message in result.unwritten:
            self._teller.tell(e.Unwritten, key=key, message=message)

    def _interests(self, batch: list[tuple[Run, Outcome]]) -> bool:
        wants = self._teller.wants
        return any(wants(_KIND[kind]) for kind in {type(outcome) for _, outcome in batch})


def facts_of(run: Run) -> dict[str, Any]:
    """What every event about an action says of it."""
    delivery = run.delivery
    facts: dict[str, Any] = {"entry_id": delivery.entry_id.decode(), "attempt": delivery.attempts + 1}
    if run.action_type:
        facts |= {"action_type": run.action_type, "action_id": str(run.action_id)}
    return facts


def _facts_of_outcome(run: Run, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Completed):
        return {"seconds": time.monotonic() - run.started}
    facts: dict[str, Any] = {}
    if isinstance(outcome, Failed):
        error = outcome.error
        facts = {"code": code_of(error), "message": str(error), "error": error}
    if isinstance(outcome, Retried):
        facts["delay"] = outcome.delay
    return facts
