"""The entry that a send writes, against the packing of the library."""

from __future__ import annotations

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from nooble.models.outcomes import Post
from nooble.wire.delivery import DATA, VERSION, WIRE_VERSION
from nooble.wire.outgoing import _packed_entry


@given(st.text(max_size=300), st.binary(max_size=2_000))
def test_an_entry_is_packed_as_the_library_packs_it(stream: str, data: bytes) -> None:
    written = _packed_entry(Post(stream, data))
    assert written == hiredis.pack_command(("XADD", stream, "*", DATA, data, VERSION, WIRE_VERSION))
