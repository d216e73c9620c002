"""The worker's signs of life in the registry, and the wishes that they bring back. Beside the work: no action waits for it,
and nothing that goes wrong with it ends the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from nooble.events import Teller, Unwritten
from nooble.operations.reading import Worker
from nooble.routing import Route
from nooble.wire.registry import Registry, digest_of
from nooble.workers.bell import Bell
from nooble.workers.declared import encoded_routes
from nooble.workers.outage import Patience


class Beat:
    """Tells, and listens.

    Args:
        registry: the worker's place there.
        patience: waits out outages.
        teller: tells what happens.
        seconds: between two signs.
        card: makes what the worker says of itself, given the digest of its routes.
        routes: gives what the service has declared.
        obey: is given what somebody wants.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        patience: Patience,
        teller: Teller,
        seconds: float,
        card: Callable[[str], Worker],
        routes: Callable[[], Iterable[Route]],
        obey: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._patience = patience
        self._teller = teller
        self._seconds = seconds
        self._card = card
        self._declared = routes
        self._obey = obey
        self._changed = Bell()
        self._is_due = False
        self._fulfilled = ""
        self._digest = ""
        self._routes = b""
        self._told = ""

    def soon(self) -> None:
        """The worker has something new to say of itself: it does not wait for the next beat."""
        self._is_due = True
        self._changed.ring()

    async def run(self) -> None:
        """Beat until cancelled."""
        await self._try()  # the first sign is given before schemas are made, which takes a while
        self._routes = await encoded_routes(self._declared)
        self._digest = digest_of(self._routes) if self._routes else ""
        self._is_due = bool(self._digest)
        while True:
            if not self._is_due:
                await self._changed.wait(self._seconds)
            self._is_due = False
            await self._try()

    async def leave(self) -> None:
        """Take the card away.

        Raises:
            ServerFault: the server could not be asked.
        """
        await self._registry.leave()

    async def _try(self) -> None:
        """Beat once, waiting out outages. What keeps us from it otherwise is told, and told once."""
        try:
            wish = await self._patience.persist(self._beat)
        except Exception as error:  # a missing right, or something in a card that nobody thought of
            if self._told != (words := str(error) or type(error).__name__):
                self._told = words
                self._teller.tell(Unwritten, key=self._registry.card, message=words)
            return
        self._told = ""
        if wish and wish != self._fulfilled:
            self._obey(wish)
        self._fulfilled = wish  # the next beat takes it away

    async def _beat(self) -> str:
        """One sign of life. Returns the wish that it brings back."""
        card = msgspec.json.encode(self._card(self._digest))
        wish, missing = await self._registry.beat(card, fulfilled=self._fulfilled, digest=self._digest)
        if missing:
            wish, _ = await self._registry.beat(
                card, fulfilled=self._fulfilled, digest=self._digest, routes=self._routes
            )
        return wish
