"""The door: every request passes here first, and every answer leaves with the headers that keep a browser in bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nooble.dashboard.access import COOKIE, Access, Refusal, identity, told_by, wrong_change, wrong_host, wrong_place

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
"""On every answer. `no-referrer` would make browsers send `Origin: null` with the forms."""

Telling = Callable[[Request, Refusal], Awaitable[Response]]


class Guard:
    """Lets in who may come in.

    Args:
        app: what is behind the door.
        access: who may.
        tell: makes the page that says why not.
    """

    def __init__(self, app: ASGIApp, access: Access, tell: Telling) -> None:
        self._app = app
        self._access = access
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets here
        guarded = _with_headers(scope, send)
        request = Request(scope, receive)
        response = await self._refused(request)
        await (response or self._app)(scope, receive, guarded)

    async def _refused(self, request: Request) -> Response | None:
        headers = request.headers
        path = path_of(request)
        refusal = wrong_place(self._access, request.client.host if request.client else None)
        refusal = refusal or wrong_host(self._access, headers.get("host", ""))
        if refusal is None:
            who = self._who(request)
            login = path == "/login"
            request.scope.setdefault("state", {}).update(who=who or "", is_known=who is not None)
            if who is None and not login and not path.startswith("/static/"):
                return self._ask(request, path)
            refusal = wrong_change(self._access, request.method, headers)
            if path in ("/login", "/logout") and self._access.read_only and refusal is not None:
                refusal = wrong_change(Access(), request.method, headers)  # to come and to go changes nothing
        if refusal is None:
            return None
        return (
            JSONResponse({"error": refusal.text}, refusal.status)
            if wants_json(request)
            else await self._tell(request, refusal)
        )

    def _who(self, request: Request) -> str | None:
        access = self._access
        if access.who is not None and (name := told_by(access.who, request)) is not None:
            return name
        if access.token is None and not access.users:
            return None if access.who is not None else ""
        return identity(access, request.headers.get("authorization", ""), request.cookies.get(COOKIE, ""))

    def _ask(self, request: Request, path: str) -> Response:
        if self._access.token is not None and not wants_json(request):
            back = path + (f"?{request.url.query}" if request.url.query else "")
            next_page = f"?next={quote(back)}" if request.method == "GET" and path != "/" else ""
            return RedirectResponse(f"{base_of(request)}/login{next_page}", 303)
        kinds = [*(["Bearer"] if self._access.token else []), *(['Basic realm="nooble"'] if self._access.users else [])]
        headers = {"WWW-Authenticate": ", ".join(kinds)} if kinds else {}
        return JSONResponse({"error": "Say who you are: send the token, or a name and password."}, 401, headers)


def base_of(connection: HTTPConnection) -> str:
    """The path under which the dashboard is mounted, without a slash at its end."""
    return str(connection.scope.get("root_path", "")).rstrip("/")


def path_of(connection: HTTPConnection) -> str:
    """The path inside of the dashboard."""
    path, base = str(connection.scope["path"]), base_of(connection)
    return (path[len(base) :] if base and path.startswith(f"{base}/") else "/" if path == base else path) or "/"


def wants_json(request: HTTPConnection) -> bool:
    """Whether a program is asking."""
    return path_of(request).startswith(("/api/", "/live"))


def _with_headers(scope: Scope, send: Send) -> Send:
    base = str(scope.get("root_path", "")).rstrip("/")
    static = str(scope["path"]).startswith(f"{base}/static/")

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            versioned = static and b"v=" in scope.get("query_string", b"") and message["status"] == 200
            headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-store"
        await send(message)

    return sending


class TooLarge(Exception):
    """A request has more bytes than anybody may send."""


async def body_of(request: Request, most: int) -> bytes:
    """The body of *request*.

    Raises:
        TooLarge: it has more than *most* bytes; no more are read.
    """
    said = Headers(scope=request.scope).get("content-length", "0")
    if not said.isdigit() or int(said) > most:
        raise TooLarge
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > most:
            raise TooLarge
    return b"".join(parts)
