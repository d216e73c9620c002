"""Who did what, and when: one bounded stream, written by whatever changes something, whether it succeeded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nooble.config import CommonAppSettings
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST_ENTRIES = 10_000
_MOST_TEXT = 500


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody did.

    Attributes:
        id: of its entry; begins with the moment, by the server's clock.
        who: the name of who did it; empty if nobody was asked.
        address: from where.
        what: stable name, such as `dead_letters.replay`.
        service: whose; empty for none.
        on: what it was done to: ids, a type of action, a consumer, or the filter that meant them.
        outcome: what came of it.
    """

    id: str = ""
    who: str = ""
    address: str = ""
    what: str
    service: str = ""
    on: str = ""
    outcome: str = ""


class Audit:
    """The stream of deeds. To be closed.

    Every method raises `ServerUnavailable` if the server cannot be reached, and `ServerRefused` if it does not let us.
    """

    def __init__(self, redis: Redis, settings: CommonAppSettings) -> None:
        self._link = Link(Endpoint(redis))
        self.key = QueueManager(settings.queue_prefix, settings.environment).get_audit_stream()

    async def write(self, deed: Deed) -> None:
        """Add *deed*; the oldest are forgotten."""
        told = {**msgspec.structs.asdict(deed)}
        del told["id"]
        words = [
            part
            for name, value in told.items()
            for part in (name, str(value)[:_MOST_TEXT].encode("utf-8", "backslashreplace"))
        ]
        await self._link.execute("XADD", self.key, "MAXLEN", "~", MOST_ENTRIES, "*", *words)

    async def page(self, limit: int = 100, cursor: str = "") -> tuple[list[Deed], str]:
        """Deeds, the newest first, and where the next page begins; empty if there is none."""
        begin = f"({cursor}" if cursor else "+"
        rows = await self._link.execute("XREVRANGE", self.key, begin, "-", "COUNT", limit + 1)
        deeds = [_read(entry_id, fields) for entry_id, fields in rows[:limit]]
        return deeds, deeds[-1].id if len(rows) > limit else ""

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()


def _read(entry_id: bytes, fields: list[bytes]) -> Deed:
    """Never fails: anybody may have written there."""
    names = set(Deed.__struct_fields__) - {"id"}
    found = {
        name.decode("utf-8", "replace"): value[: 2 * _MOST_TEXT].decode("utf-8", "backslashreplace")
        for name, value in zip(fields[::2], fields[1::2], strict=False)
    }
    return Deed(**{"what": "", **{name: value for name, value in found.items() if name in names}}, id=entry_id.decode())
