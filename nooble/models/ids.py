"""Ids of actions and answers. Those of actions are random version 4 UUIDs, drawn 256 at a time as the system call is most of
their cost. Those of answers, which nobody looks anything up by, count on from a random beginning (version 8)."""

from __future__ import annotations

import itertools
import os
import uuid

import msgspec

_pool: list[uuid.UUID] = []
_DRAWN = 256
_VERSION_4 = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))
_HEAD = b"\xdc" + _DRAWN.to_bytes(2, "big")
_decode = msgspec.msgpack.Decoder(list[uuid.UUID]).decode  # makes them in C, at a tenth of the cost of `uuid.UUID`
_series: list[tuple[str, itertools.count[int]]] = []


def _begin_anew() -> None:
    """Parent and child must not hand out the same ids."""
    _pool.clear()
    _series.clear()


os.register_at_fork(after_in_child=_begin_anew)


def new_id() -> uuid.UUID:
    """A new random UUID (version 4), at a fraction of the cost of `uuid.uuid4()`."""
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
    raw = bytearray(os.urandom(_DRAWN * 16))
    raw[6::16] = raw[6::16].translate(_VERSION_4)
    raw[8::16] = raw[8::16].translate(_VARIANT)
    packed = (
        bytearray(b"\xc4\x10" + bytes(16)) * _DRAWN
    )  # as MessagePack writes them: 16 bytes each, after a head of two
    for place in range(16):
        packed[place + 2 :: 18] = raw[place::16]
    _pool.extend(_decode(_HEAD + packed))
