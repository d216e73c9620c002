"""Futures that are not awaited for ever: one timer for all of them, as a timer each would cost more than what is awaited."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count
from typing import Any

_SPARE = 256


class Deadlines:
    """Ends futures with `TimeoutError` when their time is over."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, asyncio.Future[Any]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._prune_at = _SPARE

    def add(self, future: asyncio.Future[Any], seconds: float) -> None:
        """End *future* in so many seconds, unless it is done by then."""
        due = self._due
        moment = asyncio.get_running_loop().time() + seconds
        if len(due) >= self._prune_at:
            due = self._prune()
        heapq.heappush(due, (moment, next(self._numbers), future))
        if self._timer is None or due[0][2] is future:
            self._set(moment)

    def close(self) -> None:
        """End none any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, self._look)

    def _look(self) -> None:
        self._timer = None
        due, now = self._due, asyncio.get_running_loop().time()
        while due and (due[0][0] <= now or due[0][2].done()):
            future = heapq.heappop(due)[2]
            if not future.done():
                future.set_exception(TimeoutError())
                future.exception()  # whoever awaits it hears of it; nobody else needs to
        if due:
            self._set(due[0][0])

    def _prune(self) -> list[tuple[float, int, asyncio.Future[Any]]]:
        """Let go of what is done: most are, long before their time."""
        self._due = [one for one in self._due if not one[2].done()]
        heapq.heapify(self._due)
        self._prune_at = 2 * len(self._due) + _SPARE
        return self._due

    def __len__(self) -> int:
        return len(self._due)
