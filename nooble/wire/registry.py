"""The registry of workers: who is at work, what can be asked of them, and what somebody wants them to do. Everything in it
has a lifetime, so whoever ends without a word is forgotten; nothing that is done with actions depends on it."""

from __future__ import annotations

import hashlib
from typing import Literal

from nooble.wire.connection import Link
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import BEAT, STEER

Wish = Literal["quiet", "resume", "stop"]
"""What a worker can be asked for: to take nothing new, to take up its work again, to end."""

MISSED_MS = 10 * 60_000
"""Milliseconds for which a worker that has ended without a word stays in the index: it is to be missed."""
MOST_ROUTES = 262_144
"""Bytes that the routes of a service may take."""
_LIVES = 3
"""Beats after which a worker is taken for dead."""
_ROUTES_MS = 3600_000
_SERVICE_MS = 30 * 24 * 3600_000
_LAST_ROUTES_MS = 30 * 24 * 3600_000
_WISH_MS = 60_000


class Registry:
    """The place of one worker in the registry.

    Args:
        link: a connection, which stays that of the caller.
        keys: names.
        service_name: whose worker.
        consumer: its name.
        beat_seconds: time between two of its beats.
    """

    def __init__(self, link: Link, keys: QueueManager, service_name: str, consumer: str, beat_seconds: float) -> None:
        self.card = keys.get_worker_card(service_name, consumer)
        self._link = link
        self._keys = keys
        self._service = service_name
        self._consumer = consumer
        self._index = keys.get_worker_index(service_name)
        self._wish = keys.get_wish(service_name, consumer)
        self._services = keys.get_service_index()
        self._life_ms = max(1, int(beat_seconds * 1000 * _LIVES))

    async def beat(
        self, card: bytes, *, fulfilled: str = "", digest: str = "", routes: bytes = b""
    ) -> tuple[str, bool]:
        """Give a sign of life. One call of one script.

        Args:
            card: what the worker says of itself.
            fulfilled: the wish that it has fulfilled; it is forgotten, unless somebody wants something else by now.
            digest: of the routes that it has declared, if it has any: see `digest_of`.
            routes: those routes, if they are to be written; otherwise only their lifetime is renewed. They are written once
                more as the last that were declared, which outlive the workers.

        Returns:
            What somebody wants of it (empty if nothing), and whether its routes are not there.

        Raises:
            ServerFault: of the kind that fits the server's error.
        """
        wish, missing = await BEAT.run(
            *(self._link, self._index, self.card, self._wish),
            *(self._consumer, card, self._life_ms, self._keys.get_worker_card(self._service, ""), MISSED_MS),
            *(
                fulfilled.encode("utf-8", "surrogateescape"),
                digest and self._keys.get_declared_routes(self._service, digest),
            ),
            *(max(self._life_ms, _ROUTES_MS), routes, self._services, self._service, _SERVICE_MS),
            *(self._keys.get_last_routes(self._service), _LAST_ROUTES_MS),
        )
        return wish.decode("utf-8", "surrogateescape"), bool(missing)

    async def leave(self) -> None:
        """Take the card away: a worker that ends in good order is missed by nobody."""
        await self._link.pipeline([(b"DEL", self.card), (b"ZREM", self._index, self._consumer), (b"DEL", self._wish)])

    def __repr__(self) -> str:
        return f"<Registry {self.card}>"


def digest_of(routes: bytes) -> str:
    """The name under which *routes* are kept: equal routes have one."""
    return hashlib.blake2b(routes, digest_size=16).hexdigest()


async def leave_wish(link: Link, keys: QueueManager, service_name: str, consumer: str, wish: Wish) -> bool:
    """Want something of a worker; it hears of it with its next beat.

    Returns:
        Whether there is such a worker.

    Raises:
        QueueManagerError: *service_name* is no name.
        ServerFault: of the kind that fits the server's error.
    """
    card, place = keys.get_worker_card(service_name, consumer), keys.get_wish(service_name, consumer)
    return bool(await STEER.run(link, card, place, wish, _WISH_MS))
