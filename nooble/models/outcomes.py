"""What became of a delivery, as a value. Execution makes outcomes and writes nothing; settlement writes them and
decides nothing."""

from __future__ import annotations

from typing import Any

import msgspec


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An answer or a callback for a queue. Best effort: if it cannot be written, the delivery ends all the same.

    Attributes:
        queue: key of a list, already checked.
        value: the encoded message.
    """

    queue: str
    value: bytes


class Post(msgspec.Struct, frozen=True, gc=False):
    """An action for the stream of a service. Essential: it is written, or kept in the dead letters.

    Attributes:
        stream: key of the stream.
        data: the encoded action.
    """

    stream: str
    data: bytes


class Effect(msgspec.Struct, frozen=True, gc=False):
    """A write inside Redis that a handler asked for. Essential: it is made, or the delivery does not end.

    Attributes:
        key: what is written.
        arguments: the whole command: its name, the key, and the rest.
    """

    key: str
    arguments: tuple[str | bytes, ...]


class Once(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of an action that has an idempotency key.

    Attributes:
        context: last part of the name of the record.
        window_ms: lifetime of the record in milliseconds, if it is made only now.
        answer: the encoded answer, for whoever sends it again.
        how: `ok` if the action was done, and every other run of the same key is refused; `void` if it was never run, and
            the key is free again; empty if it went wrong.
        action_id: its id, as text.
    """

    context: str
    window_ms: int
    answer: bytes
    how: str
    action_id: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all outcomes.

    Attributes:
        once: what is remembered of it, if it has an idempotency key.
    """

    once: Once | None = None


class Completed(Outcome, frozen=True, gc=False):
    """The handler ended well.

    Attributes:
        reply: its answer or callback, if one is wanted.
        posts: the actions that it sent through its context, and a callback to an action stream.
        effects: its writes inside Redis.
        is_plain: whether it is known that there is nothing to write but the reply.
    """

    reply: Reply | None = None
    posts: tuple[Post, ...] = ()
    effects: tuple[Effect, ...] = ()
    is_plain: bool = False


class Failed(Outcome, frozen=True):
    """Base of the outcomes that have an error.

    Attributes:
        error: what went wrong; an error of nooble carries its code.
    """

    error: BaseException


class Answered(Failed, frozen=True):
    """It went wrong, and the caller that waits is told so at once.

    Attributes:
        reply: the answer with the error.
    """

    reply: Reply


class Retried(Failed, frozen=True):
    """It went wrong and will run again.

    Attributes:
        delay: seconds until it may start.
        attempt: how many runs it has had, this one included.
    """

    delay: float
    attempt: int


class Buried(Failed, frozen=True):
    """It went wrong for good: it is kept in the dead letters.

    Attributes:
        attempt: how many runs it has had.
        reply: the answer with the error, if somebody waits nevertheless.
    """

    attempt: int = 0
    reply: Reply | None = None


class Expired(Failed, frozen=True):
    """Its deadline had passed before it could start; it did not run.

    Attributes:
        reply: the answer that says so, if somebody was waiting; otherwise a dead letter records it.
    """

    reply: Reply | None = None


class Released(Outcome, frozen=True):
    """Handed back unfinished, for another worker or a later time; this delivery does not count."""


def error_of(outcome: Any) -> BaseException | None:
    """The error of *outcome*, if it has one."""
    return outcome.error if isinstance(outcome, Failed) else None
