"""What the settled batches mean to those who count: one event for all of a batch, made only if somebody listens."""

from __future__ import annotations

from nooble.events import Ended, Received, Settled, Teller
from nooble.models.outcomes import Outcome
from nooble.wire.delivery import Delivery
from nooble.wire.redis_stream import Committed
from nooble.workers.in_flight import Run
from nooble.workers.reports import Reports


class BatchReports(Reports):
    """Tells of the batch as a whole, before it tells of its parts.

    Args:
        teller: tells.
    """

    def __init__(self, teller: Teller) -> None:
        super().__init__(teller)
        self._wants_batch = teller.wants

    def committed(self, batch: list[tuple[Run, Outcome]], result: Committed) -> None:
        """*batch* was written, with this *result*."""
        if self._wants_batch(Settled):
            written = batch
            if result.refused or result.held:
                others = {id(delivery) for delivery, _ in (*result.refused, *result.held)}
                written = [item for item in batch if id(item[0].delivery) not in others]
            ended = [Ended(run.action_type, run.delivery.entry_id, run.started, outcome) for run, outcome in written]
            self._teller.tell(Settled, ended=tuple(ended))
        super().committed(batch, result)


def tell_received(teller: Teller, deliveries: list[Delivery]) -> None:
    """Tell what a read has brought."""
    if deliveries and teller.wants(Received):
        teller.tell(Received, entry_ids=tuple(delivery.entry_id.decode() for delivery in deliveries))
