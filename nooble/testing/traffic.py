"""What happened in a harness: what was handled and with what end, which errors nobody was told of, which effects were
made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nooble.errors import NoobleError, RetryLater, code_of
from nooble.events import ActionEvent, Buried, Expired, Failed, Retried
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.outcomes import Effect
from nooble.testing.stubs import on_the_wire
from nooble.testing.waiting import wait_until
from nooble.wire.redis_stream import EFFECT, Committed, Ending
from nooble.workers.base_worker import BaseWorker

_PATIENCE = 0.5
"""Seconds within which the worker tells of a failure whose answer has arrived."""


class Handled(msgspec.Struct, frozen=True):
    """An action that a service or a stub has handled.

    Attributes:
        service: which service.
        action: the action.
        data: its result as a caller gets it; `None` if there is none.
        error_code: stable code of what went wrong; empty if nothing did.
    """

    service: str
    action: DomainAction
    data: Any = None
    error_code: str = ""


class Traffic:
    """Remembers.

    Attributes:
        handled: by action id, in the order of their first run; of several runs the last one counts.
        effects: writes inside Redis that commits have made for handlers.
        silent: errors that nobody was told of, and no test has seen.
    """

    def __init__(self) -> None:
        self.handled: dict[str, Handled] = {}
        self.effects: list[Effect] = []
        self.silent: list[BaseException] = []
        self._errors: dict[str, BaseException] = {}
        self._unnamed: dict[tuple[str, str], BaseException] = {}
        self._told: dict[tuple[str, str], BaseException] = {}

    def watch(self, worker: BaseWorker, *, inside: bool) -> None:
        """Remember what *worker* does; errors of those that are *inside* can be silent."""
        handle = worker._handle_action

        async def handle_and_note(action: DomainAction) -> Any:
            try:
                result = await handle(action)
            except Exception as error:
                self._note(worker, action, error_code=code_of(error))
                raise
            self._note_result(worker, action, result)
            return result

        worker._handle_action = handle_and_note  # type: ignore[method-assign]
        worker.events.subscribe(lambda event: self._hear(event, worker, inside), kinds=(Failed,))
        self._watch_commits(worker)

    async def error_of(self, action_id: Any, answered: NoobleError) -> BaseException | None:
        """What the action *action_id* failed with, itself, of which a caller was told as *answered*; waits a moment until
        its worker tells. Of an action that was not even read its worker cannot tell the id."""
        unread = code_of(answered), str(answered)
        try:
            return await wait_until(
                lambda: self._errors.get(str(action_id)) or self._unnamed.get(unread), timeout=_PATIENCE
            )
        except AssertionError:
            return None

    def seen(self, error: BaseException) -> BaseException:
        """*error*, which a test gets to see now: with what another service failed with before, if it stems from that."""
        self.silent = [one for one in self.silent if one is not error]
        if isinstance(error, NoobleError) and error.__cause__ is None:
            cause = self._told.get((code_of(error), error.message))
            if cause is not None and cause is not error:
                error.__cause__ = cause
        return error

    def silent_error(self) -> BaseException | None:
        """The first error that nobody was told of, with a word on the others; all of them count as seen from now on."""
        silent, self.silent = self.silent, []
        if not silent:
            return None
        first = self.seen(silent[0])
        if silent[1:]:
            first.add_note(f"and {len(silent) - 1} more: " + "; ".join(repr(error) for error in silent[1:5]))
        return first

    # ── noting ──
    def _note_result(self, worker: BaseWorker, action: DomainAction, result: Any) -> None:
        if isinstance(result, DomainActionResponse):
            code = "" if result.error is None else result.error.error_code or ""
            return self._note(worker, action, data=result.data, error_code=code)
        try:
            return self._note(worker, action, data=on_the_wire(result))
        except Exception:  # what cannot be encoded becomes an error of this action soon
            return self._note(worker, action, error_code="INVALID_RESPONSE")

    def _note(self, worker: BaseWorker, action: DomainAction, **end: Any) -> None:
        self.handled[str(action.action_id)] = Handled(worker.service_name, action, **end)

    def _hear(self, event: ActionEvent, worker: BaseWorker, inside: bool) -> None:
        assert isinstance(event, Failed)
        error = event.error
        if event.action_id:
            self._errors[event.action_id] = error
        else:
            self._unnamed[event.code, event.message] = error
        if not hasattr(error, "__notes__"):  # what is raised again has one: it says who answered with it
            self._told[event.code, event.message] = error
        if not inside or isinstance(event, Expired):  # expired: no handler has failed
            return
        if isinstance(event, Buried) or (isinstance(event, Retried) and not _asks_for_it(worker, event)):
            self.silent.append(error)

    def _watch_commits(self, worker: BaseWorker) -> None:
        commit: Callable[..., Any] = worker._stream.commit

        async def commit_and_note(endings: list[Ending], held: int) -> Committed:
            done: Committed = await commit(endings, held)
            parts = (done.refused, done.held, done.spoilt, done.repeated)
            left = {id(delivery) for part in parts for delivery, _ in part}
            for ending in endings:
                for write in ending.writes if id(ending.delivery) not in left else ():
                    if write.kind == EFFECT:
                        self.effects.append(Effect(write.key, tuple(write.arguments)))
            return done

        worker._stream.commit = commit_and_note  # type: ignore[method-assign,assignment]


def _asks_for_it(worker: BaseWorker, event: Retried) -> bool:
    """Whether the service itself has declared that this is to be tried again: then it is part of its work."""
    if isinstance(event.error, RetryLater):
        return True
    find = getattr(worker.service, "find_route", None)
    route = find(event.action_type) if find is not None else None
    return bool(route and route.retry) or getattr(worker.service, "retry", None) is not None
