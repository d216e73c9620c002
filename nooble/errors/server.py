"""What can be wrong between this process and the server. Redis library errors stay in the wire; these leave it."""

from __future__ import annotations

from nooble.errors.base import NoobleError


class ServerFault(NoobleError):
    """Something about the server; the families below say what follows from it."""

    error_code = "SERVER_ERROR"


class ServerUnavailable(ServerFault, ConnectionError):
    """The server cannot be reached, or says that it cannot serve just now. Waiting helps."""

    error_code = "SERVER_UNAVAILABLE"


class ReplyLost(ServerUnavailable):
    """The connection broke after a command was sent: it may or may not have run."""

    error_code = "REPLY_LOST"


class ServerRefused(ServerFault):
    """The server refuses for a reason that a person must mend: credentials, permissions, a key of the wrong type."""

    error_code = "SERVER_REFUSED"
    retryable = False


class GroupMissing(ServerFault):
    """The stream or its consumer group is not there (any more)."""

    error_code = "GROUP_MISSING"


class ScriptMissing(ServerFault):
    """The server does not know a script by its digest; nothing has run."""

    error_code = "SCRIPT_MISSING"


class EmbeddedServerFault(ServerFault):
    """No embedded server can be started or lives there; the message says why, and what to do."""

    error_code = "EMBEDDED_SERVER_ERROR"
    retryable = False


class ServerBinaryMissing(EmbeddedServerFault):
    """This machine has no program for an embedded server."""

    error_code = "SERVER_BINARY_MISSING"
