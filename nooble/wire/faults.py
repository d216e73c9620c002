"""What an error of the server or of the connection means: one table from its code word to an error of nooble, one to what a
person can do about it."""

from __future__ import annotations

import asyncio

import hiredis
from redis import exceptions as redis_errors

from nooble.errors import GroupMissing, ScriptMissing, ServerFault, ServerRefused, ServerUnavailable

_BY_CODE: dict[str, type[ServerFault]] = {
    # waiting helps
    "LOADING": ServerUnavailable,
    "READONLY": ServerUnavailable,
    "MISCONF": ServerUnavailable,
    "NOREPLICAS": ServerUnavailable,
    "MASTERDOWN": ServerUnavailable,
    "CLUSTERDOWN": ServerUnavailable,
    "TRYAGAIN": ServerUnavailable,
    "OOM": ServerUnavailable,
    "BUSY": ServerUnavailable,
    "UNKILLABLE": ServerUnavailable,
    # a person must mend it
    "NOAUTH": ServerRefused,
    "NOPERM": ServerRefused,
    "WRONGPASS": ServerRefused,
    "WRONGTYPE": ServerRefused,
    "DENIED": ServerRefused,
    "MOVED": ServerRefused,
    "ASK": ServerRefused,
    # known, and mended by the wire itself
    "NOGROUP": GroupMissing,
    "UNBLOCKED": GroupMissing,
    "NOSCRIPT": ScriptMissing,
}

_CREDENTIALS = "REDIS_URL is to hold a user and a password that it accepts, user:password@host:port/0 behind redis://"
_CLUSTER = "it is a node of a cluster, which is not supported yet; REDIS_URL is to name a single server"
_SCRIPT = "somebody's script holds it up; SCRIPT KILL ends one that has not written yet"
_MENDS = {
    "LOADING": "it has just started, and serves when it has read its data",
    "READONLY": "it is a replica; REDIS_URL is to name its primary, or it is to become one",
    "MISCONF": "it cannot write to its disk, and takes nothing until it can; its log says why",
    "NOREPLICAS": "fewer replicas are connected to it than min-replicas-to-write asks for",
    "MASTERDOWN": "it is a replica without its primary, and serves when the two are connected again",
    "CLUSTERDOWN": "its cluster has lost a part, and serves when that is back",
    "TRYAGAIN": "keys are moving between the nodes of its cluster; this passes",
    "OOM": "its memory is full: raise its maxmemory, or let go of keys",
    "BUSY": _SCRIPT,
    "UNKILLABLE": _SCRIPT,
    "NOAUTH": _CREDENTIALS,
    "WRONGPASS": _CREDENTIALS,
    "NOPERM": "ACL SETUSER grants its user what is missing: a command, or a pattern of keys",
    "WRONGTYPE": "a key with a name of nooble's holds something else: rename or delete it, or set QUEUE_PREFIX",
    "DENIED": "it is in protected mode: give it a password, or let it listen on the loopback only",
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
}
"""Code word → what it means for a person, and what to do."""

# redis-py cuts the code word off the text of the errors that it has a class for
_CODE_OF_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (redis_errors.AuthenticationError, "WRONGPASS"),
    (redis_errors.AuthorizationError, "NOAUTH"),
    (redis_errors.NoPermissionError, "NOPERM"),
    (redis_errors.NoScriptError, "NOSCRIPT"),
    (redis_errors.BusyLoadingError, "LOADING"),
    (redis_errors.ReadOnlyError, "READONLY"),
    (redis_errors.OutOfMemoryError, "OOM"),
    (redis_errors.MasterDownError, "MASTERDOWN"),  # before the class that it derives from
    (redis_errors.ClusterDownError, "CLUSTERDOWN"),
    (redis_errors.TryAgainError, "TRYAGAIN"),
)
_UNREACHABLE = (redis_errors.ConnectionError, redis_errors.TimeoutError, asyncio.TimeoutError, OSError)

# what comes without a code word of its own
_BY_PHRASE: tuple[tuple[str, str], ...] = (
    ("no such key", "NOGROUP"),  # XINFO
    ("requires the key to exist", "NOGROUP"),  # XGROUP; fake servers say it for XREADGROUP too
    ("ACL failure in script", "NOPERM"),  # Valkey, Redis 8
    ("The user executing the script can't", "NOPERM"),  # Redis 7
)

ERROR_REPLIES = (hiredis.ReplyError, redis_errors.ResponseError)
"""What an error looks like when it comes as a reply: a value, not raised."""
FOREIGN_ERRORS = (redis_errors.RedisError, hiredis.HiredisError, OSError, asyncio.TimeoutError)
"""What opening or using a connection of the Redis library can raise."""


def fault(error: BaseException | bytes, where: str = "") -> ServerFault:
    """*error*, which a server or the Redis library has made, as an error of nooble.

    Args:
        error: an error reply, its text as a script hands it on, or an exception of the library.
        where: address of the server, for the message.
    """
    if isinstance(error, ServerFault):
        return error
    if isinstance(error, bytes):
        error = hiredis.ReplyError(error.decode("utf-8", "replace"))
    if isinstance(error.__cause__, redis_errors.RedisError):  # what a server says while a socket connects comes wrapped
        error = error.__cause__
    text = str(error) or type(error).__name__
    kind, mend = _meaning(error, text)
    if where and where not in text:
        text = f"{text} ({where})"
    made = kind(f"{text.removesuffix('.')}; {mend}" if mend and mend not in text else text)
    made.__cause__ = error
    return made


def _meaning(error: BaseException, text: str) -> tuple[type[ServerFault], str]:
    """What follows from *error*, and what a person can do about it."""
    code = text.partition(" ")[0]
    if code not in _BY_CODE:
        code = next((code for phrase, code in _BY_PHRASE if phrase in text), "")
    if not code:
        code = next((code for theirs, code in _CODE_OF_CLASS if isinstance(error, theirs)), "")
    if code:
        return _BY_CODE[code], _MENDS.get(code, "")
    return (ServerUnavailable if isinstance(error, _UNREACHABLE) else ServerFault), ""
