"""Which services there are: those that have told so themselves, at once; those of other programs by a scan that goes on from
one look to the next and never holds the server up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nooble.errors import ServerFault
from nooble.wire.connection import Command, Link
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.keys import QueueManager

MOST_SERVICES = 1_000
_STEP = 1_000
_FIRST_STEPS, _FURTHER_STEPS = 32, 4
"""Steps of the scan in one look, until it has been through everything once, and from then on."""


class Finder:
    """Finds services.

    Args:
        keys: whose.

    Attributes:
        cut: whether there may be services that were not found yet.
        why: why services could not be looked for; empty if they could.
    """

    def __init__(self, keys: QueueManager) -> None:
        self._keys = keys
        self._cursor: bytes = b"0"
        self._last_pass: set[bytes] = set()
        self._this_pass: set[bytes] = set()
        self._is_through = False
        self.cut = True
        self.why = ""

    @property
    def question(self) -> Command:
        """The command that asks for the services which have told."""
        return (b"ZREVRANGE", self._keys.get_service_index(), 0, MOST_SERVICES)

    async def find(self, link: Link, told: Any) -> list[bytes]:
        """The services that are known by now, by name.

        Args:
            link: where to look.
            told: the reply to the `question`.

        Raises:
            ServerUnavailable: the server cannot be reached.
        """
        words: list[str] = []
        found = set() if isinstance(told, ERROR_REPLIES) else self._named(told)
        if isinstance(told, ERROR_REPLIES):
            words.append(str(fault(told)))
        try:
            await self._scan(link)
        except ServerFault as error:
            if isinstance(error, ConnectionError):
                raise
            words.append(str(error))
        every = sorted(found | self._last_pass | self._this_pass)
        self.why = "; ".join(words)
        self.cut = not self._is_through or len(every) > MOST_SERVICES
        return every[:MOST_SERVICES]

    async def _scan(self, link: Link) -> None:
        pattern = self._keys.get_stream_pattern()
        for _ in range(_FURTHER_STEPS if self._is_through else _FIRST_STEPS):
            self._cursor, keys = await link.execute(b"SCAN", self._cursor, b"MATCH", pattern, b"COUNT", _STEP)
            found = (self._keys.find_service(key) for key in keys)
            self._this_pass |= {name for name in found if name is not None}
            if self._cursor == b"0":
                self._last_pass, self._this_pass = self._this_pass, set()
                self._is_through = True
                return

    def _named(self, names: Iterable[bytes]) -> set[bytes]:
        return {name for name in names if self._keys.get_visited(name, "streams", b"main") is not None}
