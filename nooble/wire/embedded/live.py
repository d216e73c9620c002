"""A server that lives, seen from outside: what is written down of it, and what its socket tells.

The kernel knows whether it lives: a socket whose server is gone refuses connections, whatever a file says.
"""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import quote

import msgspec

ANSWER_TIMEOUT = 1.0
"""Seconds that a server gets to accept a connection or to answer."""


class LiveServer(msgspec.Struct, frozen=True):
    """An embedded server that accepts connections.

    Attributes:
        socket: path of its socket.
        pid: its process.
        version: kind and version of the program, e.g. `valkey 9.1.2`.
        owner: the process that started it and that it ends with.
    """

    socket: str
    pid: int
    version: str
    owner: int

    @property
    def url(self) -> str:
        """Its address, as `redis_url` and the Redis library take it."""
        return url_of(self.socket)

    def __str__(self) -> str:
        return f"{self.version}, process {self.pid}, started by process {self.owner}"


def url_of(place: str | Path) -> str:
    """The address of the server that listens on the socket *place*.

    Raises:
        UnicodeEncodeError: the path is no text, so that no address can say it.
    """
    return f"unix://{quote(str(place))}"


def accepts(place: str | Path) -> bool:
    """Whether a server listens on the socket *place*, be it busy or not."""
    try:
        with _connected(place):
            return True
    except OSError:
        return False


def facts(place: str | Path) -> dict[str, str] | None:
    """What the server on the socket *place* says of itself (INFO); `None` if none answers there."""
    try:
        with _connected(place) as link, link.makefile("rb") as replies:
            link.sendall(b"INFO\r\n")
            size = int(replies.readline()[1:])
            lines = replies.read(size).decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return None
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _connected(place: str | Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(ANSWER_TIMEOUT)
        link.connect(str(place))
    except BaseException:
        link.close()
        raise
    return link
