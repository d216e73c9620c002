"""What an error of the server or of the connection means: one table from its code word to an error of nooble."""

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
    # known, and mended by the wire itself
    "NOGROUP": GroupMissing,
    "UNBLOCKED": GroupMissing,
    "NOSCRIPT": ScriptMissing,
}

# redis-py cuts the code word off the text of the errors that it has a class for
_BY_CLASS: tuple[tuple[type[Exception], type[ServerFault]], ...] = (
    (redis_errors.AuthenticationError, ServerRefused),
    (redis_errors.AuthorizationError, ServerRefused),
    (redis_errors.NoPermissionError, ServerRefused),
    (redis_errors.NoScriptError, ScriptMissing),
    (redis_errors.BusyLoadingError, ServerUnavailable),
    (redis_errors.ReadOnlyError, ServerUnavailable),
    (redis_errors.OutOfMemoryError, ServerUnavailable),
    (redis_errors.ClusterDownError, ServerUnavailable),
    (redis_errors.TryAgainError, ServerUnavailable),
    (redis_errors.ConnectionError, ServerUnavailable),
    (redis_errors.TimeoutError, ServerUnavailable),
    (asyncio.TimeoutError, ServerUnavailable),
    (OSError, ServerUnavailable),
)

# what comes without a code word of its own
_BY_PHRASE: tuple[tuple[str, type[ServerFault]], ...] = (
    ("no such key", GroupMissing),  # XINFO
    ("requires the key to exist", GroupMissing),  # XGROUP; fake servers say it for XREADGROUP too
    ("ACL failure in script", ServerRefused),  # Valkey, Redis 8
    ("The user executing the script can't", ServerRefused),  # Redis 7
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
    kind = _BY_CODE.get(text.partition(" ")[0])
    if kind is None:
        kind = next((ours for phrase, ours in _BY_PHRASE if phrase in text), None)
    if kind is None:
        kind = next((ours for theirs, ours in _BY_CLASS if isinstance(error, theirs)), ServerFault)
    made = kind(f"{text} ({where})" if where and where not in text else text)
    made.__cause__ = error
    return made
