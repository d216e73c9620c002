"""The Lua files beside this one, and how they are run: by digest, or by text if the server does not know them yet."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from nooble.errors import ScriptMissing, ServerFault
from nooble.wire.channels import COMMAND_TIMEOUT
from nooble.wire.connection import Link


class Script:
    """One Lua script. What it reads and returns stands at the top of its file.

    Args:
        name: file name without `.lua`.
        keys: how many keys it takes.
    """

    def __init__(self, name: str, keys: int) -> None:
        self.name = name
        self.keys = keys
        self.text = files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
        self.bare = self.text.partition("\n")[2]
        """The text without its first line, `#!lua`, which fake servers do not know."""
        self.digest, self.bare_digest = _digest(self.text), _digest(self.bare)

    async def run(self, link: Link, *args: Any, timeout: float = COMMAND_TIMEOUT) -> Any:
        """Run it on *link* with its keys and arguments, keys first.

        A server that does not know it has run nothing, so sending the text then is no repetition.

        Raises:
            ServerFault: of the kind that fits the server's error.
        """
        bare = link.bare_scripts
        digest, text = (self.bare_digest, self.bare) if bare else (self.digest, self.text)
        try:
            return await link.execute(b"EVALSHA", digest, self.keys, *args, timeout=timeout)
        except ScriptMissing:
            pass
        try:
            return await link.execute(b"EVAL", text, self.keys, *args, timeout=timeout)
        except ServerFault as fault:
            if bare or "loading code" not in str(fault):
                raise
        link.bare_scripts = True
        return await self.run(link, *args, timeout=timeout)

    def by_digest(self, *args: Any) -> tuple[Any, ...]:
        """The command that runs it, if the server knows it."""
        return (b"EVALSHA", self.digest, self.keys, *args)

    def by_text(self, *args: Any) -> tuple[Any, ...]:
        """The command that runs it on any server."""
        return (b"EVAL", self.text, self.keys, *args)

    def __repr__(self) -> str:
        return f"<Script {self.name} {self.digest[:8]}>"


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


COMMIT = Script("commit", keys=1)
RENEW = Script("renew", keys=1)
ENSURE_GROUP = Script("ensure_group", keys=1)
ABANDONED = Script("abandoned", keys=1)
CLAIM = Script("claim", keys=2)
MOVE_RETRIES = Script("move_retries", keys=2)
FORGET = Script("forget", keys=1)
ENQUEUE = Script("enqueue", keys=1)
RESTAMP = Script("restamp", keys=1)
BEAT = Script("beat", keys=3)
STEER = Script("steer", keys=2)
SURVEY = Script("survey", keys=1)
DEAD_REASONS = Script("dead_reasons", keys=1)
