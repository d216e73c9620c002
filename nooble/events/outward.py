"""What a client tells: facts about what goes out, told in the process that sends."""

from __future__ import annotations

from nooble.events.facts import Event


class ClientEvent(Event, frozen=True, kw_only=True):
    """Base of what a client tells in `client.events`.

    Attributes:
        action_type: type of the action that goes out.
        action_id: its id as text.
        target: name of the service to which it goes.
        kind: `send`, `call`, or `callback` if its result is to come as an action.
    """

    action_type: str
    action_id: str
    target: str
    kind: str = "send"


class Sent(ClientEvent, frozen=True, kw_only=True):
    """The server has an action that a client has sent. Of a call it is told with its end: nobody awaits the server's word
    before. What a handler sends through its context is no event of its own, but a part of its commit."""


class NotSent(ClientEvent, frozen=True, kw_only=True):
    """An action could not be sent, or it is not known whether it was.

    Attributes:
        code: stable code of the error.
        message: its text.
    """

    code: str
    message: str


class CallEnded(ClientEvent, frozen=True, kw_only=True):
    """A call has ended: with an answer, or without one.

    Attributes:
        seconds: from sending to the end.
        outcome: `ok`, `error` (the answer says so), `timeout` (no answer in time) or `failed` (any other error).
        code: stable code of the error; empty if there was none.
    """

    seconds: float
    outcome: str
    code: str = ""
