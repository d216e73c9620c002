"""What a server says of itself, as far as it matters to whoever trusts it with actions, and what can be lost by it. Managed
servers hide some of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nooble.operations.reading import Server
from nooble.wire.connection import Command, Endpoint, Link
from nooble.wire.embedded.server import OLDEST
from nooble.wire.faults import ERROR_REPLIES, fault

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
        fsync: when the append-only file reaches the disk, in the words of `appendfsync`; `None` if it does not say.
        eviction: what it does when its memory is full; `None` if it does not say.
        memory_limit: bytes after which it is full; 0 for none.
        role: `master`, or `slave` for one that cannot be written to.
    """

    kind: str
    version: str
    compatible: str
    append_only: bool
    snapshots: str | None
    fsync: str | None
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


@dataclass(frozen=True, slots=True)
class Risk:
    """A setting of the server by which actions can be lost.

    Attributes:
        what: what it is about: `persistence`, `fsync`, `eviction` or `role`.
        found: how it is set, and what can be lost by it.
        mend: what to do about it.
        grave: whether what was acknowledged is lost by what happens every day, a restart or a full memory.
    """

    what: str
    found: str
    mend: str
    grave: bool = False


def risks_of(facts: ServerFacts) -> list[Risk]:
    """By which settings actions can be lost. What the server does not say is no risk."""
    found = [_risk_of_role(facts), _risk_of_persistence(facts), _risk_of_fsync(facts), _risk_of_eviction(facts)]
    return [risk for risk in found if risk is not None]


def _risk_of_role(facts: ServerFacts) -> Risk | None:
    if facts.role == "master":
        return None
    return Risk("role", "a replica: nothing can be written to it", "name its primary", grave=True)


def _risk_of_persistence(facts: ServerFacts) -> Risk | None:
    mend = "appendonly yes keeps what it has acknowledged"
    if facts.append_only or facts.snapshots is None:
        return None
    if facts.snapshots:
        found = f"snapshots only ({facts.snapshots}): a restart loses what came after the last"
        return Risk("persistence", found, mend)
    return Risk("persistence", "none: a restart loses every action", mend, grave=True)


def _risk_of_fsync(facts: ServerFacts) -> Risk | None:
    if not facts.append_only or facts.fsync != "no":
        return None
    found = "appendfsync no: a power cut loses what the system had not written yet, half a minute of it or more"
    return Risk("fsync", found, "appendfsync everysec loses a second at the most, always nothing")


def _risk_of_eviction(facts: ServerFacts) -> Risk | None:
    if not facts.evicts:
        return None
    mend = "maxmemory-policy noeviction: a full server then refuses, and nothing is lost"
    if facts.memory_limit:
        return Risk("eviction", f"{facts.eviction}: when full, it deletes keys", mend, grave=True)
    return Risk("eviction", f"{facts.eviction}, for when a maxmemory is set", mend)


async def read_server(redis: Redis) -> ServerFacts:
    """Ask the server of *redis*.

    Raises:
        ServerUnavailable: it cannot be reached.
        ServerRefused: it does not let us in.
    """
    link = Link(Endpoint(redis))
    try:
        return await read_facts(link)
    finally:
        await link.close()


async def read_facts(link: Link) -> ServerFacts:
    """Ask the server at the other end of *link*, in one round trip.

    Raises:
        ServerUnavailable: it cannot be reached.
        ServerRefused: it does not let us in, or does not let us ask.
    """
    info, *settings = await link.pipeline(QUESTIONS)
    if isinstance(info, ERROR_REPLIES):
        raise fault(info)
    return facts_in(info, settings)


_SETTINGS = ("save", "appendfsync", "maxmemory-policy")
QUESTIONS: Sequence[Command] = ((b"INFO",), *((b"CONFIG", b"GET", name) for name in _SETTINGS))
"""The commands whose replies `facts_in` and `server_in` read."""


def facts_in(info: bytes, settings: Sequence[Any]) -> ServerFacts:
    """What matters to whoever trusts the server with actions.

    Args:
        info: reply to the first of the `QUESTIONS`.
        settings: replies to the others, or errors.
    """
    told = _parsed(info)
    snapshots, fsync, eviction = map(_setting, settings)
    return ServerFacts(
        kind=told.get("server_name", "redis"),
        version=told.get("valkey_version") or told.get("redis_version", "?"),
        compatible=told.get("redis_version", "0"),
        append_only=told.get("aof_enabled") == "1",
        snapshots=snapshots,
        fsync=fsync,
        eviction=told.get("maxmemory_policy") or eviction,
        memory_limit=_number(told.get("maxmemory")) or 0,
        role=told.get("role", "master"),
    )


def server_in(info: Any, settings: Sequence[Any], address: str, round_trip_ms: float) -> Server:
    """The same and what moves, for people who look; what it does not tell is missing.

    Args:
        info, settings: as for `facts_in`; *info* may be an error, too.
        address: where it is.
        round_trip_ms: of one PING.
    """
    unread = "; ".join(
        dict.fromkeys(str(fault(reply)) for reply in (info, *settings) if isinstance(reply, ERROR_REPLIES))
    )
    snapshots, fsync, eviction = map(_setting, settings)
    server = Server(
        address=address,
        snapshots=snapshots,
        fsync=fsync,
        eviction=eviction,
        round_trip_ms=round_trip_ms,
        unread=unread,
    )
    if isinstance(info, ERROR_REPLIES):
        return server
    facts, told = facts_in(info, settings), _parsed(info)
    return replace(
        server,
        kind=facts.kind,
        version=facts.version,
        role=facts.role,
        uptime_seconds=_number(told.get("uptime_in_seconds")),
        memory_used=_number(told.get("used_memory")),
        memory_limit=facts.memory_limit,
        eviction=facts.eviction,
        append_only=facts.append_only,
        clients=_number(told.get("connected_clients")),
        commands_per_second=_number(told.get("instantaneous_ops_per_sec")),
    )


def _setting(reply: Any) -> str | None:
    if isinstance(reply, ERROR_REPLIES) or not reply:  # managed servers forbid it
        return None
    return str(reply[1].decode())


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _parsed(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value.strip() for name, colon, value in pairs if colon}
