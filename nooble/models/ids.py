"""Ids of actions and answers. Those of actions are random version 4 UUIDs, drawn 256 at a time as the system call is most of
their cost. Those of answers, which nobody looks anything up by, count on from a random beginning (version 8)."""

from __future__ import annotations

import itertools
import os
import uuid

_pool: list[uuid.UUID] = []
_MASK, _VERSION_4 = ~(0xC000 << 48 | 0xF000 << 64) & ((1 << 128) - 1), 0x8000 << 48 | 4 << 76
_set, _blank, _UUID, _unknown = object.__setattr__, uuid.UUID.__new__, uuid.UUID, uuid.SafeUUID.unknown

_series: list[tuple[str, itertools.count[int]]] = []


def _begin_anew() -> None:
    """Parent and child must not hand out the same ids."""
    _pool.clear()
    _series.clear()


os.register_at_fork(after_in_child=_begin_anew)


def new_id() -> uuid.UUID:
    """A new random UUID (version 4), at about a quarter of the cost of `uuid.uuid4()`."""
    if not _pool:
        _refill()
    return _pool.pop()


def new_answer_id() -> str:
    """The text of a new UUID (version 8): no other is like it, but the next one can be guessed."""
    if not _series:
        start = uuid.uuid4().hex
        _series.append(
            (f"{start[:8]}-{start[8:12]}-8{start[13:16]}-{start[16:20]}-", itertools.count(0x1000_0000_0000))
        )
    beginning, numbers = _series[0]
    return f"{beginning}{next(numbers):x}"


def _refill() -> None:
    raw = os.urandom(16 * 256)
    for i in range(0, len(raw), 16):
        one = _blank(_UUID)
        _set(one, "int", int.from_bytes(raw[i : i + 16], "big") & _MASK | _VERSION_4)
        _set(one, "is_safe", _unknown)
        _pool.append(one)
