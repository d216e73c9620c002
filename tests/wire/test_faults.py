"""What a server says when it cannot or will not: each code word has one meaning and, where a person can do something, a mend
in its message."""

from __future__ import annotations

import hiredis
import pytest
from redis import exceptions as redis_errors

from nooble.errors import GroupMissing, ScriptMissing, ServerFault, ServerRefused, ServerUnavailable
from nooble.wire.faults import fault

WAIT = {
    "LOADING Redis is loading the dataset in memory": "has just started",
    "READONLY You can't write against a read only replica.": "name its primary",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.": "its disk",
    "NOREPLICAS Not enough good replicas to write.": "min-replicas-to-write",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "without its primary",
    "CLUSTERDOWN Hash slot not served": "lost a part",
    "TRYAGAIN Multiple keys request during rehashing of slot": "this passes",
    "OOM command not allowed when used memory > 'maxmemory'.": "raise its maxmemory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "holds it up",
    "UNKILLABLE Sorry the script already executed write commands against the dataset.": "holds it up",
}
MEND = {
    "NOAUTH Authentication required.": "user:password@host",
    "WRONGPASS invalid username-password pair or user is disabled.": "user:password@host",
    "NOPERM this user has no permissions to run the 'xreadgroup' command": "ACL SETUSER",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "rename or delete it",
    "DENIED Redis is running in protected mode because protected mode is enabled": "give it a password",
    "MOVED 3999 127.0.0.1:6381": "node of a cluster",
    "ASK 3999 127.0.0.1:6381": "node of a cluster",
    "ERR The user executing the script can't run this command or subcommand script": "ACL SETUSER",
    "ERR ACL failure in script: User demo has no permissions to run the 'xadd' command": "ACL SETUSER",
}


@pytest.mark.parametrize(
    ("kind", "said", "mend"),
    [
        *((ServerUnavailable, said, mend) for said, mend in WAIT.items()),
        *((ServerRefused, said, mend) for said, mend in MEND.items()),
    ],
)
def test_what_the_server_says_is_kept_and_what_to_do_follows(kind: type[ServerFault], said: str, mend: str) -> None:
    made = fault(hiredis.ReplyError(said))
    assert type(made) is kind
    text, _, advice = str(made).partition("; ")
    assert text == said.removesuffix(".")
    assert mend in advice
    assert str(fault(str(made).encode())).count(mend) == 1  # as when a script hands it on


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (GroupMissing, "NOGROUP No such key 'a' or consumer group 'b' in XREADGROUP with GROUP option"),
        (GroupMissing, "UNBLOCKED the stream key no longer exists"),
        (GroupMissing, "ERR no such key"),
        (ScriptMissing, "NOSCRIPT No matching script. Please use EVAL."),
        (ServerFault, "ERR syntax error"),
        (ServerFault, "BUSYGROUP Consumer Group name already exists"),
    ],
)
def test_what_the_wire_mends_itself_and_what_it_does_not_know_stay_as_they_are(
    kind: type[ServerFault], said: str
) -> None:
    made = fault(said.encode())
    assert type(made) is kind
    assert str(made) == said


@pytest.mark.parametrize(
    ("kind", "error", "mend"),
    [
        (ServerRefused, redis_errors.AuthenticationError("invalid username-password pair"), "user:password@host"),
        (ServerRefused, redis_errors.NoPermissionError("no permissions to run the 'hello' command"), "ACL SETUSER"),
        (ServerUnavailable, redis_errors.BusyLoadingError("Redis is loading the dataset"), "has just started"),
        (ServerUnavailable, redis_errors.ReadOnlyError("You can't write against a replica"), "name its primary"),
        (ServerUnavailable, redis_errors.MasterDownError("Link with MASTER is down"), "without its primary"),
        (ServerUnavailable, redis_errors.ConnectionError("max number of clients reached"), ""),
        (ServerUnavailable, TimeoutError(), ""),
        (ServerUnavailable, ConnectionRefusedError(111, "refused"), ""),
    ],
)
def test_what_the_library_has_cut_the_code_off_is_known_by_its_class(
    kind: type[ServerFault], error: Exception, mend: str
) -> None:
    made = fault(error, "host:6379")
    assert type(made) is kind
    assert "(host:6379)" in str(made)
    assert mend in str(made)
    assert made.__cause__ is error
