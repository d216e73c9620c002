"""One reading of the running system, as plain data: the command line shows, the dashboard draws and the metrics count this
and nothing else. Times are milliseconds, moments those of the server's clock; `None` is what the server cannot tell."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MOST_LETTERS = 200
"""How many of the newest dead letters are looked at."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should look at.

    Attributes:
        code: stable name, such as `no_worker`, `stuck_pending`, `wrong_type`, `evicting`, `backlog_full`.
        service: whose; empty for the server's.
        text: what was found.
        mend: what to do about it.
        grave: whether actions do not get done, or may be lost, until somebody does.
    """

    code: str
    service: str = ""
    text: str
    mend: str
    grave: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """An action that a service has declared.

    Attributes:
        action_type: its type.
        doc: the first paragraph of its documentation.
        payload, response: JSON Schemas; `None` where nothing is declared or nothing can be said.
        options: what else is declared of it: retry, timeout, once_for, …, as text.
    """

    action_type: str
    doc: str = ""
    payload: Mapping[str, object] | None = None
    response: Mapping[str, object] | None = None
    options: Mapping[str, str] = {}


class AtWork(msgspec.Struct, frozen=True, kw_only=True):
    """An action that a worker is busy with.

    Attributes:
        entry_id: id of its entry.
        action_type, action_id: of the action; empty if not known.
        attempt: which run, from 1.
        since_ms: moment of its start.
    """

    entry_id: str
    action_type: str = ""
    action_id: str = ""
    attempt: int = 1
    since_ms: int = 0


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it says of itself; it is forgotten some beats after its last one.

    Attributes:
        service: name of its service.
        consumer: its name in the group, new at every start.
        state: `working`, `quiet` (takes nothing new), `waiting` (for the server) or `stopping`; `unknown` if what it says of
            itself cannot be read.
        host, pid: where it runs.
        version: of the service.
        nooble: version of this package.
        python: version of Python.
        started_ms: moment of its start.
        beat_ms: moment of its last beat.
        concurrency: how many actions it runs at a time.
        lease_ms: its lease.
        busy: how many it runs now.
        held: how many it has taken, those included.
        taken: how many it has started since its start.
        rss: bytes of memory of its process; 0 if unknown.
        at_work: the longest-running of what it is busy with, at most 20.
        routes: digest under which its declared routes are kept; empty if it has none.
    """

    service: str
    consumer: str
    state: str = "working"
    host: str = ""
    pid: int = 0
    version: str = ""
    nooble: str = ""
    python: str = ""
    started_ms: int = 0
    beat_ms: int = 0
    concurrency: int = 1
    lease_ms: int = 0
    busy: int = 0
    held: int = 0
    taken: int = 0
    rss: int = 0
    at_work: tuple[AtWork, ...] = ()
    routes: str = ""


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer of the group, as the server sees it.

    Attributes:
        name: its name.
        ours: whether its name is of the form that only this framework makes.
        alive: whether a worker of that name has given a sign of life within its lease.
        pending: how many entries it holds.
        idle_ms: time since it last asked for anything.
    """

    name: str
    ours: bool
    alive: bool
    pending: int = 0
    idle_ms: int = 0


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was delivered and has not ended.

    Attributes:
        entry_id: its id.
        consumer: who holds it.
        idle_ms: time since it was delivered or its lease was renewed.
        deliveries: how often it was delivered.
    """

    entry_id: str
    consumer: str
    idle_ms: int
    deliveries: int


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The action stream of a service.

    Attributes:
        key: its name.
        length: entries in it: waiting and at work, and history if other programs acknowledge without deleting.
        lag: entries that nobody has been given yet.
        pending: entries that were delivered and have not ended.
        oldest_waiting_ms: age of the first entry that nobody has been given.
        oldest_pending_ms: time since the oldest of the pending entries was written.
        longest_idle_ms: longest time for which a pending entry's lease was not renewed, of those looked at.
        most_deliveries: most deliveries of a pending entry, of those looked at.
        pendings: the oldest pending entries, at most 20.
        consumers: those of the group, at most 200, those that hold most first.
        added: entries ever added; for rates.
        delivered: entries ever delivered to the group; for rates.
        bound: most entries that it may hold; 0 for no bound.
        has_group: whether the service's group is there.
    """

    key: str
    length: int = 0
    lag: int | None = None
    pending: int = 0
    oldest_waiting_ms: int | None = None
    oldest_pending_ms: int | None = None
    longest_idle_ms: int = 0
    most_deliveries: int = 0
    pendings: tuple[Pending, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    added: int | None = None
    delivered: int | None = None
    bound: int = 0
    has_group: bool = True


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for its next attempt.

    Attributes:
        count: how many actions.
        next_due_ms: moment at which the first is due; `None` if there is none.
    """

    count: int = 0
    next_due_ms: int | None = None


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be done.

    Attributes:
        count: how many dead letters.
        by_reason: of the newest 200, how many of each reason, the most frequent first.
        newest_ms: moment at which the last was buried; `None` if there is none.
        buried: letters ever written; for rates.
        recent: of the newest 200, how many were buried within the last ten minutes.
    """

    count: int = 0
    by_reason: Mapping[str, int] = {}
    newest_ms: int | None = None
    buried: int | None = None
    recent: int = 0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service.

    Attributes:
        name: its name.
        stream: its actions.
        retries: what waits for its next attempt.
        dead: what could not be done.
        workers: who does its work, the longest-living first, at most 200.
        vanished: names of workers that have ended without a word within the last ten minutes.
        problems: what a person should look at.
        unread: why a part could not be read (a key of a wrong type, a missing right); empty if all is well.
    """

    name: str
    stream: Stream
    retries: Retries = Retries()
    dead: Dead = Dead()
    workers: tuple[Worker, ...] = ()
    vanished: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unread: str = ""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The server.

    Attributes:
        kind: `valkey` or `redis`; empty if it does not say.
        version: its own version.
        address: where it is, without passwords.
        role: `master` or `slave`.
        uptime_seconds: since its start.
        memory_used, memory_limit: bytes; a limit of 0 is none.
        eviction: what it does when its memory is full.
        append_only: whether every write goes to a file.
        snapshots, fsync: in the words of its settings.
        clients: connections.
        commands_per_second: as it counts them.
        round_trip_ms: of one PING.
        unread: why a part could not be read.
    """

    kind: str = ""
    version: str = ""
    address: str = ""
    role: str = ""
    uptime_seconds: int | None = None
    memory_used: int | None = None
    memory_limit: int | None = None
    eviction: str | None = None
    append_only: bool | None = None
    snapshots: str | None = None
    fsync: str | None = None
    clients: int | None = None
    commands_per_second: int | None = None
    round_trip_ms: float = 0.0
    unread: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The whole system at one moment; every part is read on its own while everything moves.

    Attributes:
        at_ms: moment of the reading.
        prefix, environment: whose keys were looked at.
        services: by name.
        server: where all of it is.
        problems: of the server and of all services, grave ones first.
        cut: whether there may be services that were not found, because the server holds so many keys.
    """

    at_ms: int
    prefix: str
    environment: str
    services: tuple[Service, ...]
    server: Server
    problems: tuple[Problem, ...] = ()
    cut: bool = False


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What moved between two readings, a second.

    Attributes:
        added: actions that were written to the stream; `None` if the server does not count.
        ended: actions that left it.
        buried: dead letters that were written.
    """

    added: float | None = None
    ended: float | None = None
    buried: float | None = None


def rates_between(before: Reading, after: Reading) -> dict[str, Rates]:
    """The rates of every service that is in both readings, by its name; empty if no time has passed."""
    seconds = (after.at_ms - before.at_ms) / 1000
    if seconds <= 0:
        return {}
    earlier = {service.name: service for service in before.services}
    return {
        service.name: _rates(earlier[service.name], service, seconds)
        for service in after.services
        if service.name in earlier
    }


def _rates(before: Service, after: Service, seconds: float) -> Rates:
    added = _grown(before.stream.added, after.stream.added)
    ended = None if added is None else max(0, added - (after.stream.length - before.stream.length))
    buried = _grown(before.dead.buried, after.dead.buried)
    return Rates(
        **{
            name: None if count is None else count / seconds
            for name, count in (("added", added), ("ended", ended), ("buried", buried))
        }
    )


def _grown(before: int | None, after: int | None) -> int | None:
    """How much a counter has grown; `None` if it is not known, or was begun anew."""
    return None if before is None or after is None or after < before else after - before
