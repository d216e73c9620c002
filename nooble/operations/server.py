"""What a server says of itself, as far as it matters to whoever trusts it with actions. Managed servers hide some of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nooble.errors import ServerFault
from nooble.wire.connection import Endpoint, Link
from nooble.wire.embedded.server import OLDEST

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was found out.

    Attributes:
        kind: `valkey` or `redis`.
        version: its own version.
        compatible: the version of Redis that it claims to be like.
        append_only: whether every write goes to a file.
        snapshots: when the data are written to a file, in the words of the setting `save`; `None` if it does not say.
        eviction: what it does when its memory is full; `None` if it does not say.
        memory_limit: bytes after which it is full; 0 for none.
        role: `master`, or `slave` for one that cannot be written to.
    """

    kind: str
    version: str
    compatible: str
    append_only: bool
    snapshots: str | None
    eviction: str | None
    memory_limit: int
    role: str

    @property
    def is_old(self) -> bool:
        """Whether it is older than what nooble needs."""
        return tuple(int(part) for part in self.compatible.split(".")[:2] if part.isdigit()) < OLDEST

    @property
    def keeps_data(self) -> bool:
        """Whether it still has its data after a restart; true if it does not say."""
        return self.append_only or self.snapshots != ""

    @property
    def evicts(self) -> bool:
        """Whether it deletes keys that it was trusted with when its memory is full."""
        return (self.eviction or "noeviction") != "noeviction"


async def read_server(redis: Redis) -> ServerFacts:
    """Ask the server of *redis*.

    Raises:
        ServerUnavailable: it cannot be reached.
        ServerRefused: it does not let us in.
    """
    link = Link(Endpoint(redis))
    try:
        told = _parsed(await link.execute(b"INFO"))
        return ServerFacts(
            kind=told.get("server_name", "redis"),
            version=told.get("valkey_version") or told.get("redis_version", "?"),
            compatible=told.get("redis_version", "0"),
            append_only=told.get("aof_enabled") == "1",
            snapshots=await _setting(link, "save"),
            eviction=told.get("maxmemory_policy") or await _setting(link, "maxmemory-policy"),
            memory_limit=int(told.get("maxmemory", 0)),
            role=told.get("role", "master"),
        )
    finally:
        await link.close()


async def _setting(link: Link, name: str) -> str | None:
    try:
        reply = await link.execute(b"CONFIG", b"GET", name)
    except ServerFault:  # managed servers forbid it
        return None
    return reply[1].decode() if reply else None


def _parsed(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value.strip() for name, colon, value in pairs if colon}
