"""The private directory of an embedded server: what lies in it, whose it is, and who may start a server there.

Its lock is held by who starts a server, and from then on by the server itself and its keeper: who gets it knows that no
server lives here and none is being started, and that whatever lies around was left by a dead one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nooble.errors import EmbeddedServerFault
from nooble.wire.embedded.live import LiveServer, accepts, url_of

DEFAULT = ".nooble"
"""Where a server lives if nobody says otherwise, below the working directory."""

_SOCKET = "server.sock"
_PREFIX = re.compile(r"\d+:[A-Z] \S+ \S+ \S+ \S+ [-.*#] ")
_ABOUT_DATA = re.compile(r"\bAOF\b|append only file|\bRDB\b|manifest", re.IGNORECASE)


class Home:
    """One such directory.

    Args:
        path: where it is or will be; `.nooble` below the working directory if not given.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path or DEFAULT).expanduser().absolute()
        self.log = self.path / "server.log"
        self._state = self.path / "server.json"

    def prepare(self) -> None:
        """Make the directory if there is none yet, for this user alone and out of sight of git.

        Raises:
            EmbeddedServerFault: it belongs to somebody else.
            OSError: it cannot be made.
        """
        with contextlib.suppress(FileExistsError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
            (self.path / ".gitignore").write_text("*\n")
        if not _is_ours(self.path):
            raise EmbeddedServerFault(
                f"no embedded server can live in {self.path}: it belongs to user {self.path.stat().st_uid}, "
                f"and you are user {os.geteuid()}; name another directory with embedded:///path/to/it"
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[int | None]:
        """The right to start a server here, as an open file to be inherited by it; `None` if somebody has it."""
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield file if _is_locked(file) else None
        finally:
            os.close(file)

    def living(self) -> LiveServer | None:
        """The server that lives here, if one of this user does."""
        try:
            live = msgspec.json.decode(self._state.read_bytes(), type=LiveServer)
            ours = _is_ours(self.path) and _is_ours(Path(live.socket).parent)
        except (OSError, msgspec.DecodeError):
            return None
        return live if ours and accepts(live.socket) else None

    def announce(self, live: LiveServer) -> None:
        """Write down that *live* lives here, for those who look for it."""
        draft = self._state.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(live))
        draft.replace(self._state)

    def tidy(self) -> None:
        """Remove what a server has left that lives no more, but for its data and its log. For who holds the lock."""
        self._state.unlink(missing_ok=True)
        for folder in self._folders_for_the_socket():
            with contextlib.suppress(OSError):
                (folder / _SOCKET).unlink(missing_ok=True)
                if folder != self.path and _is_ours(folder):
                    folder.rmdir()

    def place_socket(self) -> Path:
        """Where the next server can listen: here, or, if the path is too long or the file system knows no sockets, in a
        private folder for temporary files.

        Raises:
            EmbeddedServerFault: nowhere.
        """
        for folder in self._folders_for_the_socket():
            place = folder / _SOCKET
            with contextlib.suppress(OSError, UnicodeError):
                folder.mkdir(mode=0o700, exist_ok=True)
                with socket.socket(socket.AF_UNIX) as trial:
                    trial.bind(str(place))
                place.unlink()
                if _is_ours(folder) and url_of(place):
                    return place
        raise EmbeddedServerFault(
            f"the embedded server of {self.path} has no place for its socket, neither there nor in "
            f"{tempfile.gettempdir()}; name a directory with a shorter path with embedded:///path/to/it"
        )

    def failure(self) -> str:
        """Why the last server ended before it could answer, as its log has it, and what to do."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        reason = _PREFIX.sub("", lines[-1]) if lines else "it says nothing"
        mend = f"its log is {self.log}"
        if _ABOUT_DATA.search(reason):
            mend = (
                f"the data are damaged, or a newer server wrote them: move {self.path / 'appendonlydir'} away "
                f"to begin with none; {mend}"
            )
        return f"the embedded server of {self.path} does not start: {reason}; {mend}"

    def _folders_for_the_socket(self) -> Iterator[Path]:
        name = f"nooble-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]}"
        yield self.path
        yield Path(tempfile.gettempdir(), name)
        yield Path("/tmp", name)  # noqa: S108 - private by its mode, and looked at before it is used


def _is_locked(file: int) -> bool:
    """Lock *file* for as long as anybody has it open; whether that could be done."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_ours(folder: Path) -> bool:
    return folder.stat().st_uid == os.geteuid()
