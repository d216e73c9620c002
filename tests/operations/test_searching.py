"""A search goes so far and no further, and keeps only what is wanted."""

from __future__ import annotations

from nooble.operations import Message
from nooble.operations.searching import CHUNK, CHUNK_BYTES, Part


def test_what_is_not_wanted_is_not_kept_until_the_end_of_a_search() -> None:
    part = Part({"a"}, 1_000, 10**9)
    wanted, other = (Message(service="demo", entry_id=one, size=10, place="waiting") for one in ("a", "b"))
    part.add([wanted, other], 2, more=True)
    part.add([other] * CHUNK, CHUNK, more=False)
    assert part.found == [wanted]
    assert (part.scanned, part.size, part.cut, part.goes_on) == (2 + CHUNK, CHUNK_BYTES + CHUNK * 10, False, True)
    assert not Part({"a"}, 0, 1).goes_on
