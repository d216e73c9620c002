"""Where a server of Python objects differs from a real one, as far as nooble or its tests could notice: a table that a test
proves line by line, and that the guide shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them.

    Attributes:
        name: what it is called in tests.
        real: what a real server does.
        fake: what fakeredis does.
        mended: whether the harness puts it right; if not, tests that depend on it take a real server.
    """

    name: str
    real: str
    fake: str
    mended: bool = False


DIFFERENCES = (
    Difference("shebang", "scripts may begin with `#!lua`", "refuses them", mended=True),
    Difference("blocked_read", "XREADGROUP waits for an entry of its stream", "comes back empty at once", True),
    Difference("blocked_move", "BLMOVE waits for an element", "never sees one that came later", mended=True),
    Difference(
        "closed_read", "a read ends with its connection", "goes on, and takes the next message with it", mended=True
    ),
    Difference("script_errors", "scripts can read the errors of `redis.pcall`", "they are no text", mended=True),
    Difference("info", "INFO tells the version and the state", "unknown: nobody is warned of a server that loses data"),
    Difference("config", "CONFIG GET tells how it is set up", "unknown"),
    Difference("wait", "WAIT and WAITAOF confirm a send", 'unknown: `durability="replicated"` and `"fsync"` fail'),
    Difference("acl_in_scripts", "scripts may ask `redis.acl_check_cmd`", "unknown: refusals cannot be tried out"),
    Difference(
        "restart",
        "keeps what is on its disk through a restart",
        "is new with every harness; it has no outages",
    ),
)
"""All that is known."""
