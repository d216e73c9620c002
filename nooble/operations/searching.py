"""How far a search goes in one place: nobody can say before how many messages there are, nor how large they are."""

from __future__ import annotations

from collections.abc import Sequence

from nooble.operations.message import Message, fits

CHUNK, CHUNK_BYTES = 500, 524_288
"""Most messages, and bytes but for the last one, that the server looks at in one step."""


class Part:
    """What a search finds in one place, and how far it goes there.

    Args:
        wanted: ids, in lower case.
        most: how many messages are looked at, at most.
        room: how many bytes, roughly.

    Attributes:
        found: what was wanted.
        scanned: how many were looked at.
        size: how many bytes, roughly.
        cut: whether there is more that was not looked at.
    """

    def __init__(self, wanted: set[str], most: int, room: int) -> None:
        self.found: list[Message] = []
        self.scanned = 0
        self.size = 0
        self.cut = False
        self._wanted = wanted
        self._most = most
        self._room = room

    @property
    def goes_on(self) -> bool:
        """Whether more may be looked at."""
        return self.scanned < self._most and self.size < self._room

    @property
    def left(self) -> int:
        """How many may still be looked at."""
        return self._most - self.scanned

    def add(self, some: Sequence[Message], looked: int = 0, more: bool = False, *, size: int | None = None) -> None:
        """Keep of a step only what is wanted: the rest may be much.

        Args:
            some: what the server gave.
            looked: at how many it looked.
            more: whether there is more behind them.
            size: bytes of *some*, if the messages do not say it themselves.
        """
        self.found += [one for one in some if fits(one, self._wanted)]
        self.scanned += looked
        by_size = CHUNK_BYTES if more and looked < CHUNK else 0  # that is what ended the step
        self.size += max(by_size, sum(one.size for one in some) if size is None else size)
        self.cut = more
