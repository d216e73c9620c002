"""Who is told of what. Telling costs nothing where nobody listens, and whoever listens cannot break the worker that
tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nooble.events.apart import MOST, Apart, hear
from nooble.events.facts import Event

Listener = Callable[[Any], None]


class Events:
    """Who is told of what. Telling costs nothing where nobody listens: ask `wants` before making an event.

    Attributes:
        listeners: who listens to which kind; a kind that nobody listens to is not in it.
    """

    def __init__(self) -> None:
        self.listeners: dict[type[Event], list[Listener]] = {}

    def subscribe(self, listener: Listener, kinds: Iterable[type[Event]] = (Event,)) -> Callable[[], None]:
        """Call *listener* with every event of *kinds*, subclasses included.

        Args:
            listener: a plain function; it runs in the loop that tells, so it must be quick: microseconds, and never a wait.
                What writes to a disk or to a network takes `subscribe_apart`. What it raises is logged.
            kinds: which events; all by default.

        Returns:
            A function that ends the subscription.
        """
        wanted = [kind for kind in _all_kinds() if issubclass(kind, tuple(kinds))]
        for kind in wanted:
            self.listeners.setdefault(kind, []).append(listener)

        def unsubscribe() -> None:
            for kind in wanted:
                if listener in (listeners := self.listeners.get(kind, [])):
                    listeners.remove(listener)
                    if not listeners:
                        del self.listeners[kind]

        return unsubscribe

    def subscribe_apart(
        self, listener: Listener, kinds: Iterable[type[Event]] = (Event,), *, most: int = MOST
    ) -> Apart:
        """Call *listener* with every event of *kinds* in a thread of its own: it may wait, and nobody waits for it.

        Args:
            listener: a plain function. It hears one event after the other. What it raises is logged.
            kinds: which events; all by default.
            most: how many events may wait for it. What comes beyond that is dropped, counted, and logged now and then.

        Returns:
            The subscription; calling it ends it.
        """
        apart = Apart(listener, most)
        apart.unsubscribe = self.subscribe(apart.put, kinds)
        return apart

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of *kind*."""
        return kind in self.listeners

    def emit(self, event: Event) -> None:
        """Tell *event* to whoever listens."""
        for listener in tuple(self.listeners.get(type(event), ())):
            hear(listener, event)


class Teller:
    """Tells events in the name of one consumer.

    Args:
        events: who listens.
        service: name of the service.
        consumer: name of the consumer.
    """

    def __init__(self, events: Events, service: str, consumer: str) -> None:
        self.service = service
        self.consumer = consumer
        self._events = events
        self.wants = events.wants

    def tell(self, kind: type[Event], **facts: Any) -> None:
        """Tell an event of *kind* with *facts*, if anybody listens to its kind."""
        if self.wants(kind):
            self._events.emit(kind(service=self.service, consumer=self.consumer, **facts))


def _all_kinds(root: type[Event] = Event) -> list[type[Event]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _all_kinds(child))]
