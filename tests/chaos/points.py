"""The steps of a worker at which a test can end it, freeze it or ask it to stop. The product knows nothing of them: in the
process of a test's worker, and only there, its methods are wrapped."""

from __future__ import annotations

import os
import signal
from typing import Any

from nooble.wire.redis_stream import ActionStream
from nooble.wire.scripts import Script
from tests.chaos.ledger import Ledger

POINTS = {
    "read:after": "entries were given to it, and nothing has begun",
    "handler:before": "a handler begins",
    "handler:after": "a handler has ended, and nothing is written",
    "commit:before": "a batch of outcomes is about to be sent",
    "commit:after": "it was written, and nobody has heard of it",
    "renew:before": "the lease of what it holds is about to be renewed",
    "renew:after": "the lease was renewed, and nobody has heard of it",
    "claim:before": "it is about to take over what another left",
    "claim:after": "it has taken over, and nobody has heard of it",
    "move_retries:before": "retries that wait are about to be moved",
    "move_retries:after": "they were moved, and nobody has heard of it",
}
"""What is true of a worker at each point. A number behind a name (`commit:before:3`) means the third time."""

SIGNALS = {"crash_at": signal.SIGKILL, "freeze_at": signal.SIGSTOP, "term_at": signal.SIGTERM}
"""What befalls a worker at a point, by the name of the value that says so."""


class Trap:
    """What befalls this process, and at which point.

    Args:
        ledger: where it is written down first.
        values: values of the worker; those that mean a trap are taken out.
    """

    def __init__(self, ledger: Ledger, values: dict[str, Any]) -> None:
        self._ledger = ledger
        self._left: dict[tuple[str, str], int] = {}
        for why in SIGNALS:
            if where := values.pop(why, ""):
                step, moment, times = (where + ":1").split(":")[:3]
                self._left[f"{step}:{moment}", why] = int(times)

    def reached(self, point: str) -> None:
        """This process is at *point*: if that is where it is to happen, it happens."""
        for (where, why), left in list(self._left.items()):
            if where == point:
                self._left[where, why] = left - 1
                if left == 1:
                    self._ledger.write("disturbed", os.getpid(), why, point)
                    os.kill(os.getpid(), SIGNALS[why])

    def lay(self) -> None:
        """Wrap the product's methods. There is no way back: the process ends with its worker."""
        if not self._left:
            return
        run, read = Script.run, ActionStream.read

        async def run_script(script: Script, link: Any, *args: Any, **options: Any) -> Any:
            about_something = await _is_about_something(script, link, args)
            if about_something:
                self.reached(f"{script.name}:before")
            reply = await run(script, link, *args, **options)
            if about_something and (script.name not in _TAKING or reply[0]):
                self.reached(f"{script.name}:after")
            return reply

        async def read_entries(stream: ActionStream, *args: Any, **options: Any) -> Any:
            made = await read(stream, *args, **options)
            if made:
                self.reached("read:after")
            return made

        Script.run, ActionStream.read = run_script, read_entries  # type: ignore[method-assign,assignment]


_TAKING = frozenset({"claim", "move_retries"})
"""Scripts whose reply begins with what they took or moved."""
_ALONE = 4
"""Arguments of a renewal that renews nothing."""


async def _is_about_something(script: Script, link: Any, args: tuple[Any, ...]) -> bool:
    """Many calls find nothing to do, and nothing can go wrong with those."""
    if script.name == "renew":
        return len(args) > _ALONE
    if script.name == "move_retries":
        return bool(await link.execute(b"ZCARD", args[0]))
    return script.name in {"commit", "claim"}
