"""Listeners that take their time: each in a thread of its own, behind a queue that has a bound. Who tells never waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from nooble.events.facts import Event
from nooble.logger import get_logger

MOST = 10_000
"""Events that wait for a listener, unless it says otherwise."""
_BETWEEN_WORDS = 30.0
"""Seconds between two words about what was dropped."""


class Apart:
    """A subscription whose listener runs in a thread of its own. Calling it ends it.

    The thread begins with the first event and does not keep a process alive: what waits when a process ends is lost,
    unless `end` was called.

    Args:
        listener: who hears.
        most: how many events may wait.

    Attributes:
        dropped: events that did not fit.
        unsubscribe: takes it off the list of those who are told.
    """

    def __init__(self, listener: Callable[[Any], None], most: int = MOST) -> None:
        if most < 1:
            raise ValueError(f"most={most}: at least one event has to fit")
        self.unsubscribe: Callable[[], None] = lambda: None
        self.dropped = 0
        self._listener = listener
        self._most = most
        self._waiting: SimpleQueue[Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._told_at, self._told = -_BETWEEN_WORDS, 0

    def put(self, event: Event) -> None:
        """Let *event* wait for the listener; drop it if too many wait."""
        if self._waiting.qsize() >= self._most:
            self._drop(event)
            return
        self._waiting.put(event)
        if self._thread is None or not self._thread.is_alive():  # as in a child process, which has none of the parent's
            self._thread = threading.Thread(target=self._hear_all, name="nooble-listener", daemon=True)
            self._thread.start()

    def __call__(self) -> None:
        """End the subscription. What waits is still heard; nobody waits for that."""
        self.unsubscribe()
        if self._thread is not None:
            self._waiting.put(None)

    def end(self, timeout: float = 5.0) -> bool:
        """End the subscription, and wait until the listener has heard what waits.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether it has heard everything.
        """
        self()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _hear_all(self) -> None:
        while (event := self._waiting.get()) is not None:
            hear(self._listener, event)

    def _drop(self, event: Event) -> None:
        self.dropped += 1
        now = time.monotonic()
        if now - self._told_at >= _BETWEEN_WORDS:
            count, self._told_at, self._told = self.dropped - self._told, now, self.dropped
            get_logger(service=event.service).warning(
                "events_dropped",
                listener=repr(self._listener),
                count=count,
                message=f"it is slower than what happens: {self._most} events wait for it, and what comes now is dropped",
            )

    def __repr__(self) -> str:
        return f"<Apart {self._listener!r} waiting={self._waiting.qsize()} dropped={self.dropped}>"


def hear(listener: Callable[[Any], None], event: Event) -> None:
    """Tell *listener* of *event*. A listener must not break what it listens to: what it raises is logged."""
    try:
        listener(event)
    except (Exception, asyncio.CancelledError, SystemExit) as error:  # a listener has nobody to cancel
        get_logger(service=event.service).error("listener_failed", listener=repr(listener), error=repr(error))
