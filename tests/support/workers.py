"""Workers for tests: a service that does what the test says, and a worker that remembers what it told."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from nooble.events import Event
from nooble.models import DomainAction
from nooble.workers import BaseWorker, ServiceWorker

Told = TypeVar("Told", bound=Event)


class Doing:
    """A service that does one thing with every action, and remembers the actions.

    Args:
        what: a plain or an async function of the action.
    """

    def __init__(self, what: Callable[[DomainAction], Any]) -> None:
        self._what = what
        self.seen: list[DomainAction] = []

    async def process_action(self, action: DomainAction) -> Any:
        """Do it."""
        self.seen.append(action)
        result = self._what(action)
        return await result if inspect.isawaitable(result) else result


class TellingWorker(ServiceWorker):
    """A worker that remembers its events.

    Attributes:
        told: what it told so far.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.told: list[Event] = []
        self.events.subscribe(self.told.append)

    def heard(self, kind: type[Told]) -> list[Told]:
        """The events of *kind* so far."""
        return [event for event in self.told if isinstance(event, kind)]


@asynccontextmanager
async def running(*workers: BaseWorker) -> AsyncIterator[None]:
    """Workers at work inside of the block."""
    async with AsyncExitStack() as stack:
        for worker in workers:
            await worker.start()
            stack.push_async_callback(worker.stop)
        yield
