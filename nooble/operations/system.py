"""The whole system at a glance: every service and the server, by bounded reads in few round trips, while all of it moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import msgspec

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, QueueManagerError, ScriptMissing, ServerFault, ServerUnavailable
from nooble.operations.finding import Finder
from nooble.operations.problems import graver_first, problems_of, problems_of_server
from nooble.operations.reading import MOST_LETTERS, Problem, Reading, Route, Service
from nooble.operations.server import QUESTIONS, facts_in, server_in
from nooble.operations.survey import (
    MOST_CONSUMERS,
    MOST_GROUPS,
    MOST_PENDING,
    MOST_WORKERS,
    Reasons,
    Survey,
    reasons_in,
    service_of,
    worker_of,
)
from nooble.wire.connection import Command, Endpoint, Link
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.keys import LAST, QueueManager
from nooble.wire.registry import MOST_ROUTES, leave_wish
from nooble.wire.scripts import DEAD_REASONS, SURVEY, Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

_HEAVY, _CHEAP = 8, 64
"""Commands in one write, of two kinds: the server does all of them before it listens to anybody else."""
_LETTER_BYTES = 262_144
"""Bytes of dead letters that are looked through for their reasons."""
_CARD_BYTES = 65_536
ERRORS = (*ERROR_REPLIES, ServerFault)
_decode_routes = msgspec.json.Decoder(tuple[Route, ...]).decode


class Found(NamedTuple):
    """A service that was found, and what the server says of it."""

    name: bytes
    stream: bytes
    survey: Survey


class System:
    """Everything under one prefix and environment. To be closed, or used as an async context manager.

    What it has learned, it keeps: which services there are, and what has not changed since the last reading.

    Args:
        redis: a connection to the server.
        settings: prefix and environment; lease and most deliveries are taken as those of workers that do not tell theirs.
    """

    def __init__(self, redis: Redis, settings: CommonAppSettings) -> None:
        self._keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
        self._lease_ms = int(settings.worker_lease_seconds * 1000)
        self._max_deliveries = settings.worker_max_deliveries
        self._link = Link(Endpoint(redis))
        self._finder = Finder(self._keys)
        self._reasons: dict[bytes, tuple[Sequence[Any], Reasons]] = {}
        self._turn = asyncio.Lock()

    async def read(self, services: Sequence[str] = ()) -> Reading:
        """Look at everything. What cannot be read is told in the reading; nothing is changed by looking.

        Args:
            services: names of those to look at; all, if none is given. One of which nothing is there is left out.

        Raises:
            ServerUnavailable: the server cannot be reached, or cannot serve just now.
            ServerRefused: it does not let us in.
        """
        async with self._turn:
            return await self._read(services)

    async def routes(self, service: str) -> tuple[Route, ...]:
        """What the living workers of *service* have declared; of two versions of an action the one that was started last.
        If none of them has said anything: what was declared last, by whoever lived within the last 30 days.

        Raises:
            ServerUnavailable: the server cannot be reached.
            ServerRefused: it does not let us in.
        """
        name = service.encode("utf-8", "replace")
        cards = await self._cards(await self._found([name]))
        workers = [worker_of(name, consumer, card, 0) for consumer, card in cards.get(name, {}).items()]
        workers.sort(key=lambda worker: worker.started_ms)
        digests = list(dict.fromkeys(worker.routes for worker in reversed(workers) if worker.routes))[::-1]
        keys = [self._keys.get_visited(name, "routes", digest.encode("utf-8", "replace")) for digest in digests]
        routes = await self._routes_at(keys)
        return routes or await self._routes_at([self._keys.get_visited(name, "routes", LAST.encode())])

    async def steer(self, service: str, consumer: str, wish: Literal["quiet", "resume", "stop"]) -> bool:
        """Want something of a worker: to take nothing new, to take up its work again, to end. It hears of it with its next
        sign of life.

        Returns:
            Whether there is such a worker.

        Raises:
            ConfigurationFault: *wish* is none.
            ServerFault: the server could not be asked.
        """
        if wish not in ("quiet", "resume", "stop"):
            raise ConfigurationFault(f"{wish!r} cannot be asked of a worker: quiet, resume or stop")
        try:
            consumer.encode()
            return consumer not in ("", "main") and await leave_wish(self._link, self._keys, service, consumer, wish)
        except (QueueManagerError, UnicodeError):  # no worker has such a name
            return False

    async def close(self) -> None:
        """Close the connection; a later use opens it again."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── reading ──
    async def _read(self, services: Sequence[str]) -> Reading:
        round_trip_ms = await self._ping()
        clock, told, info, *settings = await self._all([(b"TIME",), self._finder.question, *QUESTIONS])
        at_ms = int(time.time() * 1000) if isinstance(clock, ERROR_REPLIES) else _milliseconds(clock)
        server = server_in(info, settings, self._link.endpoint.address, round_trip_ms)
        problems = list(
            problems_of_server(server, None if isinstance(info, ERROR_REPLIES) else facts_in(info, settings))
        )
        if services:
            names = [name.encode("utf-8", "replace") for name in dict.fromkeys(services)]
        else:
            names = await self._finder.find(self._link, told)
            problems += _unfound(self._finder.why)
        every = await self._services(await self._found(names), at_ms)
        problems += [problem for service in every for problem in service.problems]
        return Reading(
            at_ms=at_ms,
            prefix=self._keys.prefix,
            environment=self._keys.environment,
            services=tuple(sorted(every, key=lambda service: service.name)),
            server=server,
            problems=graver_first(problems),
            cut=not services and self._finder.cut,
        )

    async def _ping(self) -> float:
        """Milliseconds there and back, on a connection that stands."""
        await self._link.connection()
        since = time.perf_counter()
        await self._all([(b"PING",)])
        return (time.perf_counter() - since) * 1000

    async def _found(self, names: Iterable[bytes]) -> list[Found]:
        """How the services of these names stand; those of which nothing is there are left out."""
        visited = [(name, key) for name in names if (key := self._keys.get_visited(name, "streams", b"main"))]
        replies = await self._scripts(SURVEY, [self._to_survey(name, stream) for name, stream in visited])
        every = [Found(name, stream, _survey_in(reply)) for (name, stream), reply in zip(visited, replies, strict=True)]
        return [found for found in every if not found.survey.is_empty]

    def _to_survey(self, name: bytes, stream: bytes) -> Sequence[Any]:
        others = (("retries", b"main"), ("dead_letters", b"main"), ("workers", b"main"), ("limits", b"backlog"))
        keys = [self._keys.get_visited(name, kind, context) for kind, context in others]
        return (stream, name + b"-group", *keys, MOST_GROUPS, MOST_CONSUMERS, MOST_PENDING, MOST_WORKERS)

    async def _services(self, every: Sequence[Found], at_ms: int) -> list[Service]:
        cards, reasons = await self._cards(every), await self._newest(every)
        services = []
        for found in every:
            service = service_of(
                found.name,
                found.stream,
                found.survey,
                cards=cards[found.name],
                reasons=reasons.get(found.name, ()),
                at_ms=at_ms,
                lease_ms=self._lease_ms,
            )
            judged = problems_of(
                *(service, found.survey.complaints),
                at_ms=at_ms,
                lease_ms=self._lease_ms,
                max_deliveries=self._max_deliveries,
            )
            services.append(msgspec.structs.replace(service, problems=judged))
        return services

    async def _cards(self, every: Iterable[Found]) -> dict[bytes, dict[bytes, bytes]]:
        """The cards of all workers that have one, by service and name. One that cannot be read is empty."""
        cards: dict[bytes, dict[bytes, bytes]] = {found.name: {} for found in every}
        asked = [
            (found.name, consumer, key)
            for found in every
            for consumer in found.survey.seen
            if (key := self._keys.get_visited(found.name, "workers", consumer))
        ]
        replies = await self._all([(b"GETRANGE", key, 0, _CARD_BYTES) for _, _, key in asked])
        for (name, consumer, _), reply in zip(asked, replies, strict=True):
            if reply:
                cards[name][consumer] = b"" if isinstance(reply, ERROR_REPLIES) else reply
        return cards

    async def _routes_at(self, keys: Iterable[bytes | None]) -> tuple[Route, ...]:
        """The routes under *keys*; of two versions of an action that of the later key."""
        routes: dict[str, Route] = {}
        for reply in await self._all([(b"GETRANGE", key, 0, MOST_ROUTES) for key in keys if key]):
            if isinstance(reply, ERROR_REPLIES):
                raise fault(reply)  # else sensitive fields would pass for undeclared ones
            routes |= {route.action_type: route for route in _routes_in(reply)}
        return tuple(routes.values())

    async def _newest(self, every: Sequence[Found]) -> Mapping[bytes, Reasons]:
        """The reasons of the newest dead letters, by service; read again only where something has changed."""
        known = {name: self._reasons[name] for found in every if (name := found.name) in self._reasons}
        asked = [
            (found, key)
            for found in every
            if found.survey.dead
            and known.get(found.name, ((),))[0] != found.survey.dead
            and (key := self._keys.get_visited(found.name, "dead_letters", b"main"))
        ]
        replies = await self._scripts(DEAD_REASONS, [(key, MOST_LETTERS, _LETTER_BYTES) for _, key in asked])
        for (found, _), reply in zip(asked, replies, strict=True):
            if not isinstance(reply, ERRORS):  # the survey has said why
                known[found.name] = (found.survey.dead, reasons_in(reply))
        self._reasons.update(known)
        return {name: reasons for name, (_, reasons) in known.items()}

    # ── asking ──
    async def _all(self, commands: Sequence[Command], together: int = _CHEAP) -> list[Any]:
        """The replies to *commands*, errors as values.

        Raises:
            ServerUnavailable: the server cannot be reached, or says that it cannot serve just now.
        """
        replies: list[Any] = []
        for begin in range(0, len(commands), together):
            replies += await self._link.pipeline(commands[begin : begin + together])
        for reply in replies:
            if isinstance(reply, ERROR_REPLIES) and isinstance(error := fault(reply), ServerUnavailable):
                raise error
        return replies

    async def _scripts(self, script: Script, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The replies to *calls* of *script*, which the server may not know yet; errors as values."""
        if not calls:
            return []
        first = await self._script(script, calls[0])  # after which the server knows it
        digest = script.bare_digest if self._link.bare_scripts else script.digest
        rest = await self._all([(b"EVALSHA", digest, script.keys, *call) for call in calls[1:]], _HEAVY)
        replies = [first, *rest]
        for place, reply in enumerate(replies):
            if isinstance(reply, ERROR_REPLIES) and isinstance(fault(reply), ScriptMissing):
                replies[place] = await self._script(script, calls[place])
        return replies

    async def _script(self, script: Script, call: Sequence[Any]) -> Any:
        try:
            return await script.run(self._link, *call)
        except ServerUnavailable:
            raise
        except ServerFault as error:
            return error


def _survey_in(reply: Any) -> Survey:
    """A reply of `survey.lua`; if it is an error, a survey that says why it knows nothing."""
    if isinstance(reply, ERRORS):
        return Survey((), (), (), (), (), (), b"", (b"unread", str(fault(reply)).encode("utf-8", "replace")))
    return Survey(*reply)


def _unfound(why: str) -> Iterable[Problem]:
    if why:
        mend = "ACL SETUSER grants SCAN and the keys of all services; nooble status SERVICE looks at one without them"
        yield Problem(code="unread", text=f"not all services can be looked for: {why}", mend=mend)


def _routes_in(reply: Any) -> tuple[Route, ...]:
    """The routes in a reply to GETRANGE; none if it is no such thing."""
    try:
        return _decode_routes(reply)
    except (TypeError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return ()


def _milliseconds(clock: Sequence[bytes]) -> int:
    return int(clock[0]) * 1000 + int(clock[1]) // 1000
