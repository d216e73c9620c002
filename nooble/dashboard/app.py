"""The dashboard as an ASGI application: one table of pages, each with its twin in JSON and, if it lives, its stream of
changes; one table of deeds. It can be served alone or mounted under any path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from nooble.clients import RedisManager
from nooble.config import CommonAppSettings
from nooble.dashboard import deeds, pages_kept, pages_live
from nooble.dashboard.access import COOKIE, SESSION_SECONDS, Access, Refusal, session, shows_token
from nooble.dashboard.asking import Ask, Missing, Shown, View
from nooble.dashboard.desk import Desk
from nooble.dashboard.guard import HEADERS, Guard, TooLarge, base_of, body_of, path_of, wants_json
from nooble.dashboard.live import events
from nooble.dashboard.redaction import Redact
from nooble.dashboard.rendering import STATIC, render
from nooble.dashboard.text import encoded
from nooble.dashboard.watch import MOST_WATCHERS, Seen
from nooble.errors import ConfigurationFault, QueueManagerError, ServerFault
from nooble.wire.keys import QueueManager

if TYPE_CHECKING:
    from redis.asyncio import Redis

LIVE: Mapping[str, View] = {
    "/": pages_live.overview,
    "/services": pages_live.services,
    "/services/{service}": pages_live.service,
    "/streams": pages_live.streams,
    "/streams/{service}": pages_live.stream,
    "/workers": pages_live.workers,
    "/workers/{service}/{consumer}": pages_live.worker,
    "/server": pages_live.server,
}
"""Pages that change by themselves."""

KEPT: Mapping[str, View] = {
    "/services/{service}/actions/{action:path}": pages_kept.action,
    "/messages": pages_kept.messages,
    "/messages/{service}/{id}": pages_kept.message,
    "/dead": pages_kept.dead,
    "/dead/{service}": pages_kept.letters,
    "/dead/{service}/{id}": pages_kept.letter,
    "/retries": pages_kept.retries,
    "/retries/{service}": pages_kept.waiting,
    "/audit": pages_kept.audit,
}
"""Pages that are read when they are asked for."""

DEEDS: Mapping[str, deeds.Act] = {
    "/services/{service}/actions/{action:path}": deeds.attempt,
    "/dead/{service}/replay": deeds.replay,
    "/dead/{service}/discard": deeds.discard,
    "/dead/{service}/{id}": deeds.send_again,
    "/retries/{service}/run": deeds.run_now,
    "/retries/{service}/cancel": deeds.cancel,
    "/workers/{service}/{consumer}/{order}": deeds.steer,
}
"""What can be done."""

_FORM_BYTES = 65_536
_LOGIN_BYTES = 8_192
"""Of strangers no more is read than a token, a name and an address need."""


def dashboard(
    redis: Redis | RedisManager,
    settings: CommonAppSettings,
    *,
    access: Access | None = None,
    redact: Redact | None = None,
    title: str = "nooble",
    every: float = 2.0,
) -> Starlette:
    """The dashboard of all services of a prefix and environment.

    Args:
        redis: a connection, of which only the parameters are used, or what makes one.
        settings: prefix, environment, aliases and limits; the name of the service does not matter.
        access: who may look and who may change something; by default everybody on this machine, under a name of it.
        redact: given the type of an action and its payload, what is shown of it; after what is hidden by name.
        title: stands at the top of every page.
        every: seconds between two readings of the system, while somebody looks.

    Returns:
        An application that is served or mounted. `app.state.desk.close()` closes its connections; its lifespan does too.
    """
    desk = Desk(redis, settings, access or Access(), redact, every)
    return Site(desk, title).application()


class Site:
    """The pages of one dashboard."""

    def __init__(self, desk: Desk, title: str) -> None:
        self._desk = desk
        self._title = title
        self._keys = QueueManager(desk.settings.queue_prefix, desk.settings.environment, desk.settings.service_aliases)
        self._most_bytes = 3 * desk.settings.max_payload_bytes + _FORM_BYTES  # a form is percent-encoded

    def application(self) -> Starlette:
        """All of it."""
        routes: list[Route | Mount] = [
            Route("/login", self._login_page, methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        routes += [Route(path, self._deed(act), methods=["POST"]) for path, act in DEEDS.items()]
        for path, view in {**LIVE, **KEPT}.items():
            twin = "/overview" if path == "/" else path
            routes.append(Route(path, self._page(view, live=path in LIVE), methods=["GET"]))
            routes.append(Route(f"/api{twin}", self._twin(view), methods=["GET"]))
        routes += [Route(f"/live{'/overview' if path == '/' else path}", self._live(LIVE[path])) for path in LIVE]
        made = Starlette(
            routes=routes,
            middleware=[Middleware(Guard, access=self._desk.access, tell=self._tell)],
            exception_handlers={404: self._nowhere, 405: self._nowhere, 500: self._failed},
            lifespan=self._lifespan,
        )
        made.state.desk = self._desk
        return made

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self._desk.close()

    # ── pages ──
    def _page(self, view: View, live: bool) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            ask = await self._ask(request)
            shown = await self._shown(view, ask)
            return self._html(request, ask, shown, live=live and shown.template != "failure.html")

        return endpoint

    def _twin(self, view: View) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            shown = await self._shown(view, await self._ask(request))
            return Response(encoded(shown.twin()), shown.status, media_type="application/json")

        return endpoint

    def _live(self, view: View) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if self._desk.watch.watchers >= MOST_WATCHERS:
                text = f"{MOST_WATCHERS} browsers watch already; the page itself can be read"
                return JSONResponse({"error": text}, 503, {"Retry-After": "10"})

            async def fragment(seen: Seen) -> str:
                ask = self._asked(request, seen)
                return self._fragment(request, ask, await self._shown(view, ask))

            key = (path_of(request), base_of(request))
            return StreamingResponse(events(self._desk.watch, key, fragment), media_type="text/event-stream")

        return endpoint

    async def _shown(self, view: View, ask: Ask) -> Shown:
        try:
            if "service" in ask.path:
                self._keys.get_service_action_stream(ask.path["service"])
            return await view(ask)
        except (QueueManagerError, Missing) as error:
            away = ask.seen.away and ask.reading is None
            return _failure(503 if away else 404, "Not there", ask.seen.away or str(error))
        except ConfigurationFault as error:
            return _failure(400, "That cannot be meant", str(error))
        except ServerFault as error:
            return _failure(503, "The server is away" if error.retryable else "The server refuses", str(error))

    # ── deeds ──
    def _deed(self, act: deeds.Act) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            ask = await self._ask(request)
            try:
                typed = await self._typed(request, self._most_bytes)
                form = deeds.Form(ask, typed, request.client.host if request.client else "")
            except TooLarge:
                text = f"More than {self._most_bytes:,} bytes were sent; nothing was done."
                return self._html(request, ask, _failure(413, "Too much", text))

            async def doing(_: Ask) -> Any:
                return await act(form)

            done: Any = await self._shown(doing, ask)
            if isinstance(done, deeds.Done):
                note = self._desk.notes.keep(done.note)
                return RedirectResponse(f"{base_of(request)}{quote(done.page)}?note={note}", 303)
            return self._html(request, ask, done)

        return endpoint

    async def _typed(self, request: Request, most: int) -> Mapping[str, Sequence[str]]:
        body = await body_of(request, most)
        try:
            return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2_000)
        except ValueError as error:
            raise TooLarge from error

    # ── the door ──
    async def _login_page(self, request: Request) -> Response:
        return self._login_form(request, "", 200)

    async def _login(self, request: Request) -> Response:
        try:
            typed = await self._typed(request, _LOGIN_BYTES)
        except TooLarge:
            typed = {}
        token = typed.get("token", [""])[-1].strip()
        access = self._desk.access
        if not shows_token(access, token):
            await asyncio.sleep(0.3)
            return self._login_form(request, "That is not the token.", 403)
        page = typed.get("next", ["/"])[-1]
        safe = page if page.startswith("/") and not page.startswith(("//", "/\\")) and page.isprintable() else "/"
        response = RedirectResponse(base_of(request) + (safe if safe != "/" else "/"), 303)
        response.set_cookie(
            COOKIE,
            session(token, typed.get("name", [""])[-1]),
            max_age=SESSION_SECONDS,
            path=base_of(request) or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def _logout(self, request: Request) -> Response:
        response = RedirectResponse(f"{base_of(request)}/login", 303)
        response.delete_cookie(COOKIE, path=base_of(request) or "/")
        return response

    def _login_form(self, request: Request, error: str, status: int) -> Response:
        there = request.query_params.get("next", "/")
        facts = {"base": base_of(request), "title": self._title, "error": error, "next": there}
        return HTMLResponse(render("login.html", facts), status)

    # ── parts ──
    async def _ask(self, request: Request) -> Ask:
        return self._asked(request, await self._desk.watch.now())

    def _asked(self, request: Request, seen: Seen) -> Ask:
        who = request.scope.get("state", {}).get("who", "")
        return Ask(self._desk, seen, request.path_params, request.query_params, base_of(request), who)

    def _html(self, request: Request, ask: Ask, shown: Shown, live: bool = False) -> Response:
        context = self._context(request, ask, shown) | {"layout": "page.html", "live": live, "note": ask.note}
        return HTMLResponse(render(shown.template, context), shown.status)

    def _fragment(self, request: Request, ask: Ask, shown: Shown) -> str:
        context = self._context(request, ask, shown) | {"layout": "inner.html", "live": True, "note": None}
        return render(shown.template, context)

    def _context(self, request: Request, ask: Ask, shown: Shown) -> dict[str, Any]:
        path = path_of(request)
        access = self._desk.access
        return {
            **shown.facts,
            "base": base_of(request),
            "path": path.removeprefix("/live").replace("/overview", "/", 1) if path.startswith("/live") else path,
            "page_title": shown.title,
            "site": self._title,
            "status": shown.status,
            "seen": ask.seen,
            "settings": self._desk.settings,
            "can_change": not access.read_only,
            "who": ask.who,
            "can_log_out": access.token is not None,
        }

    async def _tell(self, request: Request, refusal: Refusal) -> Response:
        facts = {"base": base_of(request), "title": self._title, "text": refusal.text, "status": refusal.status}
        return HTMLResponse(render("refused.html", facts), refusal.status)

    async def _nowhere(self, request: Request, error: Exception) -> Response:
        text = "There is no such page."
        if wants_json(request):
            return JSONResponse({"error": text}, 404)
        if not request.scope.get("state", {}).get("is_known"):  # and is told nothing
            return await self._tell(request, Refusal(404, text))
        return self._html(request, self._asked(request, self._desk.watch.seen), _failure(404, "Not there", text))

    async def _failed(self, request: Request, error: Exception) -> Response:
        """Our own mistake. Outside of the guard, so the headers are put here; the error itself goes on to the log."""
        text = f"This page failed with a {type(error).__name__}, which is a mistake of the dashboard. The log has all of it."
        if wants_json(request):
            return JSONResponse({"error": text}, 500, HEADERS)
        facts = {"base": base_of(request), "title": self._title, "text": text, "status": 500}
        return HTMLResponse(render("refused.html", facts), 500, HEADERS)


def _failure(status: int, title: str, text: str) -> Shown:
    return Shown("failure.html", title, {"error": text, "title": title}, status)
