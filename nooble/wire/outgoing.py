"""An action on its way out: the one place that writes an entry to the stream of a service."""

from __future__ import annotations

import hiredis

from nooble.models.outcomes import Post
from nooble.wire.delivery import DATA, VERSION, WIRE_VERSION


def packed_entry(post: Post) -> bytes:
    """The command that adds *post* to its stream, as it goes over the connection."""
    command: tuple[str | bytes, ...] = (b"XADD", post.stream, b"*", DATA, post.data, VERSION, WIRE_VERSION)
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one
    return packed
