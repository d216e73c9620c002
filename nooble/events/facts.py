"""What happened, as frozen facts. Their docstrings are the source of docs/reference/events.md."""

from __future__ import annotations

from typing import Any

import msgspec

from nooble.models.outcomes import Outcome


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events.

    Attributes:
        service: name of the service.
        consumer: name of the consumer that tells; empty if a client tells.
    """

    service: str
    consumer: str = ""


class ActionEvent(Event, frozen=True, kw_only=True):
    """Base of the events about one action.

    Attributes:
        entry_id: id of its entry in the stream.
        action_type: its type; empty if it could not be read.
        action_id: its id as text; empty if it could not be read.
        attempt: which run, from 1.
    """

    entry_id: str
    action_type: str = ""
    action_id: str = ""
    attempt: int = 1


class Received(Event, frozen=True, kw_only=True):
    """Entries were read from the stream. Told once for all that one read has brought; nothing is known of them yet.

    Attributes:
        entry_ids: their ids.
    """

    entry_ids: tuple[str, ...]


class Started(ActionEvent, frozen=True, kw_only=True):
    """A handler begins."""


class Completed(ActionEvent, frozen=True, kw_only=True):
    """It ended well and everything it had to say is written.

    Attributes:
        seconds: how long it took, from start to commit.
    """

    seconds: float = 0.0


class Failed(ActionEvent, frozen=True, kw_only=True):
    """It went wrong, and its caller was told.

    Attributes:
        code: stable code of the error.
        message: its text.
        error: the exception itself, for those who report it.
    """

    code: str
    message: str
    error: Any = None


class Retried(Failed, frozen=True, kw_only=True):
    """It went wrong and waits for its next attempt.

    Attributes:
        delay: seconds until it may start.
    """

    delay: float


class Buried(Failed, frozen=True, kw_only=True):
    """It went wrong for good and is kept in the dead letters."""


class Expired(Failed, frozen=True, kw_only=True):
    """Its deadline had passed; it was not started."""


class Released(ActionEvent, frozen=True, kw_only=True):
    """It was handed back unfinished, for another worker or a later time."""


class Reclaimed(ActionEvent, frozen=True, kw_only=True):
    """It was taken over from a consumer that gave no sign of life.

    Attributes:
        deliveries: how often it has been delivered, this time included.
    """

    deliveries: int


class LeaseLost(ActionEvent, frozen=True, kw_only=True):
    """Somebody else has taken it over; its handler is cancelled here."""


class CommitRefused(ActionEvent, frozen=True, kw_only=True):
    """The fence refused its outcome: nothing was written.

    Attributes:
        why: `taken` by another consumer, or `gone` from the pending list.
    """

    why: str


class Ended(msgspec.Struct, frozen=True, gc=False):
    """One action of a batch that was written.

    Attributes:
        action_type: its type; empty if it could not be read.
        entry_id: id of its entry in the stream, as it came from the server.
        started: moment at which it was taken up, in seconds of `time.monotonic`; 0 if it never was.
        outcome: what became of it.
    """

    action_type: str
    entry_id: bytes
    started: float
    outcome: Outcome


class Settled(Event, frozen=True, kw_only=True):
    """A batch of outcomes was written. Told once for all of them, for those who count: it costs a small part of what an
    event for each action does.

    Attributes:
        ended: what it consists of, an `Ended` each.
    """

    ended: tuple[Ended, ...]


class Unwritten(Event, frozen=True, kw_only=True):
    """An answer, a callback or a follow-up could not be written; its action has ended all the same.

    Attributes:
        key: where it was to be written.
        message: the server's reason.
    """

    key: str
    message: str


class Held(ActionEvent, frozen=True, kw_only=True):
    """It cannot end, because a key of its own service cannot be written; it is kept and tried again.

    Attributes:
        message: the server's reason.
    """

    message: str


class DataLost(Event, frozen=True, kw_only=True):
    """The server lost something: the group, or entries that were pending.

    Attributes:
        message: what is missing.
    """

    message: str


class ServerLost(Event, frozen=True, kw_only=True):
    """The server cannot be reached or cannot serve. Told once an outage.

    Attributes:
        message: why.
    """

    message: str


class ServerBack(Event, frozen=True, kw_only=True):
    """The server serves again.

    Attributes:
        seconds: how long it was away.
    """

    seconds: float


class ClockJumped(Event, frozen=True, kw_only=True):
    """The clock of the server was set, or another server with another clock has taken its place. Told by each worker that
    notices, a third of a lease later at the latest.

    Nothing is lost and nothing is doubled: the fence asks for owners and counts, never for times. What does move:

    - *Leases.* After a jump forward everything pending looks abandoned; nobody takes anything over for a lease, in which
      living owners renew. After a jump backward nothing pending would age until the clock has caught up; delivery times
      that lie in the future are set to now, so what dead workers left is taken over after a lease, as ever.
    - *Deadlines and retries* are moments of the server's clock. Those that were set before a jump forward come early by
      it: what was to be started within a shorter time expires, retries start at once. Retries that were set before a jump
      backward come late by it. Ids of entries never go back: until a clock that was set back has caught up with the last
      id, deadlines count from the moment in which an entry is read, never from later.
    - *Lifetimes* of keys, answers among them, end early or late by it.

    Attributes:
        seconds: how far, at the least; negative for backward.
        message: what follows from it.
    """

    seconds: float
    message: str = ""


class LoopBlocked(Event, frozen=True, kw_only=True):
    """The event loop stood still: a handler computes or waits without `await`.

    Attributes:
        seconds: for how long.
        lease: seconds after which others take this worker's actions over.
        action_types: types of the actions that were at work all the while, one of which is to blame; empty if unknown.
    """

    seconds: float
    lease: float
    action_types: str = ""


class DeadLettersTrimmed(Event, frozen=True, kw_only=True):
    """Dead letters beyond the bounds of the settings were dropped.

    Attributes:
        count: how many.
    """

    count: int
