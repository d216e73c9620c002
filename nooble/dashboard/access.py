"""Who may look, and who may change something: decided from a request's headers alone. Nothing here reads or writes.

Where nobody is asked who they are, it is reached only from this machine and by a name of it, so that no page on the web can
reach it under a name of its own. Whoever is to be reached from elsewhere has to know who is asking."""

from __future__ import annotations

import base64
import hashlib
import hmac
import inspect
import ipaddress
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nooble.errors import ConfigurationFault

COOKIE = "nooble_dashboard"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SESSION_SECONDS = 12 * 3600
SHORTEST_TOKEN = 16
_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a dashboard is protected.

    Attributes:
        token: who knows it is let in: by the login page, or as `Authorization: Bearer`.
        users: names and passwords for basic authentication.
        who: asks the application around it: given the request, the name of who is asking, or `None` for nobody. A plain
            function; whatever else than a text that is not empty it returns lets nobody in.
        hosts: names under which it may be reached; `None` for any, as soon as somebody is asked who they are, and for those
            of this machine otherwise.
        read_only: whether nothing can be changed.

    Raises:
        ConfigurationFault: the token or a password is too short to be one, *who* is no plain function, or *hosts* are
            elsewhere and nobody is asked who they are.
    """

    token: str | None = field(default=None, repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    who: Callable[[Any], str | None] | None = None
    hosts: Sequence[str] | None = None
    read_only: bool = False

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigurationFault(
                f"the dashboard's token has {len(self.token)} characters, fewer than {SHORTEST_TOKEN}; "
                "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one"
            )
        for name, password in self.users.items():
            if not name or ":" in name or len(password) < 8:
                raise ConfigurationFault(
                    f"the dashboard cannot let {name!r} in by basic authentication: a name without a colon, and a password "
                    "of 8 characters or more"
                )
        if inspect.iscoroutinefunction(self.who):
            raise ConfigurationFault(_NO_WAITING)
        for host in () if self.asks else self.hosts or ():
            if not is_loopback(host) and not is_loopback(name_of(host)):
                raise ConfigurationFault(
                    f"the dashboard would be open to everybody who reaches it as {host[:100]}: give it a token (--token, "
                    "NOOBLE_DASHBOARD_TOKEN), users (--user NAME:PASSWORD) or who="
                )

    @property
    def asks(self) -> bool:
        """Whether anybody is asked who they are."""
        return bool(self.token or self.users or self.who)

    @property
    def allowed_hosts(self) -> Sequence[str] | None:
        """Names under which it is reached; `None` for any."""
        return self.hosts if self.hosts is not None else None if self.asks else LOOPBACK


_NO_WAITING = "who= is a plain function: one that has to be awaited cannot say who is there"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: of HTTP.
        text: why, and what to do about it.
        login: whether the login page helps.
    """

    status: int
    text: str
    login: bool = False


def check_bind(host: str, access: Access) -> None:
    """See to it that nobody is let in from elsewhere without being asked.

    Raises:
        ConfigurationFault: *host* is reached from elsewhere, and nobody is asked.
    """
    if is_loopback(host) or access.asks:
        return
    raise ConfigurationFault(
        f"the dashboard would be open to everybody who reaches {host}: give it a token (--token, NOOBLE_DASHBOARD_TOKEN) or "
        "users (--user NAME:PASSWORD), or leave it at 127.0.0.1 and reach it through a tunnel: ssh -L 8420:127.0.0.1:8420"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches *host*."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


# ── who ──
def wrong_place(access: Access, address: str | None) -> Refusal | None:
    """What is wrong with the *address* that asks, `None` for a socket of this machine: from elsewhere nobody comes unasked,
    whatever name is written into `Host`."""
    if access.asks or address is None or is_loopback(address):
        return None
    return Refusal(
        403,
        "This dashboard asks nobody who they are, so it is served to this machine only. To serve it to others, "
        "give it a token, users or who= when it is started.",
    )


def wrong_host(access: Access, host: str) -> Refusal | None:
    """What is wrong with the name under which it was reached."""
    allowed = access.allowed_hosts
    if allowed is None or name_of(host) in allowed or (allowed is LOOPBACK and is_loopback(name_of(host))):
        return None
    return Refusal(
        403,
        f"This dashboard is not served under the name {host[:100]!r}. Reach it as {allowed[0] if allowed else 'nothing'}, "
        "or name that host when it is started (--allow-host, or hosts= of dashboard()), together with a token or users.",
    )


def name_of(host: str) -> str:
    """The name in a `Host` header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def told_by(who: Callable[[Any], Any], request: Any) -> str | None:
    """The name that the application around says, `None` for nobody: only a text that is not empty is a name.

    Raises:
        ConfigurationFault: it would have to be awaited.
    """
    name = who(request)
    if inspect.isawaitable(name):
        if inspect.iscoroutine(name):
            name.close()
        raise ConfigurationFault(_NO_WAITING)
    return name if isinstance(name, str) and name else None


def identity(access: Access, authorization: str, cookie: str, now: float | None = None) -> str | None:
    """The name of who asks, by token, basic authentication or cookie; empty if they did not say it, `None` for nobody."""
    kind, _, value = authorization.partition(" ")
    if access.token is not None:
        if kind.lower() == "bearer" and _equal(value.strip(), access.token):
            return "token"
        if cookie and (name := _name_in(cookie, access.token, time.time() if now is None else now)) is not None:
            return name
    if access.users and kind.lower() == "basic":
        try:
            name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:  # no base64, or no text
            return None
        known = access.users.get(name)
        if _equal(password, known if known is not None else "\0") and known is not None and colon:
            return name
    return None


def session(token: str, name: str, now: float | None = None) -> str:
    """A cookie for who has shown the token. It does not hold the token, and ends after some hours."""
    ends = int((time.time() if now is None else now) + SESSION_SECONDS)
    said = quote(re.sub(r"\s+", " ", name).strip()[:_LONGEST_NAME], safe="")
    return f"{ends}.{said}.{_seal(token, f'{ends}.{said}')}"


def shows_token(access: Access, typed: str) -> bool:
    """Whether *typed* is the token."""
    return access.token is not None and _equal(typed, access.token)


def _name_in(cookie: str, token: str, now: float) -> str | None:
    parts = cookie.split(".")
    if len(parts) < 3 or not parts[0].isascii() or not parts[0].isdigit() or len(parts[0]) > 15:
        return None
    body, _, seal = cookie.rpartition(".")
    if not _equal(seal, _seal(token, body)) or int(parts[0]) < now:
        return None
    return unquote(body.partition(".")[2])


def _seal(token: str, body: str) -> str:
    key = hashlib.sha256(b"nooble dashboard session\0" + token.encode()).digest()
    return hmac.new(key, body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _equal(left: str, right: str) -> bool:
    """Compared in constant time, whatever their lengths."""
    digests = [hashlib.sha256(one.encode("utf-8", "surrogatepass")).digest() for one in (left, right)]
    return hmac.compare_digest(*digests)


# ── what ──
def wrong_change(access: Access, method: str, headers: Mapping[str, str]) -> Refusal | None:
    """What is wrong with a request that wants to change something: it has to come from a page of the dashboard itself."""
    if method in _SAFE:
        return None
    if access.read_only:
        return Refusal(
            403, "This dashboard is read-only: nothing can be changed here. It was started with --read-only."
        )
    site = headers.get("sec-fetch-site")
    if site is not None:
        return None if site == "same-origin" else _foreign(f"Sec-Fetch-Site: {site[:40]}")
    origin = headers.get("origin")
    if origin is not None:
        try:
            there = urlsplit(origin).netloc.lower()
        except ValueError:
            there = ""
        same = there != "" and there == headers.get("host", "").lower()
        return None if same else _foreign(f"Origin: {origin[:100]}")
    if headers.get("authorization", "").lower().startswith("bearer "):
        return None  # no browser sends that by itself
    return _foreign("neither Sec-Fetch-Site nor Origin")


def _foreign(why: str) -> Refusal:
    return Refusal(
        403,
        f"This change did not come from a page of this dashboard ({why}), so nothing was done. Open the page and press the "
        "button there; a program sends `Authorization: Bearer` with the token.",
    )
