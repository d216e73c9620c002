"""One life at a time: how a worker's run is begun, ended and cancelled, apart from what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Life:
    """Lives that follow each other, never two at once.

    A life is ended by cancelling it, whatever it is doing just then; it then comes to rest in its own time.

    Args:
        live: makes what is lived. It gives way to cancellation.
        name: name of the tasks.
        on_failure: is told of the error that ended a life which nobody awaited.
    """

    def __init__(
        self, live: Callable[[], Coroutine[Any, Any, None]], name: str, on_failure: Callable[[BaseException], None]
    ) -> None:
        self._live = live
        self._name = name
        self._on_failure = on_failure
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def going_on(self) -> bool:
        """Whether there is a life that has not come to rest."""
        return self._task is not None and not self._task.done()

    @property
    def ending(self) -> bool:
        """Whether the life that goes on was asked to end."""
        return self.going_on and self._ending is self._task

    def start(self) -> None:
        """Begin a life in the background, unless one is going on."""
        if not self.going_on:
            self._begin().add_done_callback(self._tell)

    async def run(self) -> None:
        """Begin a life and await its end. Cancelling this cancels the life, and waits until it has come to rest.

        Raises:
            RuntimeError: a life is going on.
        """
        if self.going_on:
            raise RuntimeError(f"{self._name} is running already; make one worker for each that is to run")
        caller = asyncio.current_task()
        assert caller is not None
        cancelled_before = caller.cancelling()
        task = self._begin()
        try:
            await task
        except asyncio.CancelledError:
            if self._ending is not task or caller.cancelling() > cancelled_before:
                raise

    async def end(self, *, wait: bool = True) -> None:
        """End the life that goes on, if one does, and wait until it has come to rest.

        Args:
            wait: whether to wait; what is called by the life itself must not.
        """
        task = self.ask_to_end()
        if task is not None and wait and asyncio.current_task() is not task:
            await asyncio.wait({task})

    def ask_to_end(self) -> asyncio.Task[None] | None:
        """End the life that goes on, if one does, and do not wait. Returns its task."""
        task = self._task
        if task is None or task.done():
            return None
        if self._ending is not task:
            self._ending = task
            task.cancel()
        return task

    def _begin(self) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._live(), name=self._name)
        return self._task

    def _tell(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)
