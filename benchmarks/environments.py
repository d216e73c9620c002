"""The peers and their environments: one virtual environment for each, made by package name, kept in a cache folder.

    python -m benchmarks.environments [--environments DIR] [NAME ...]

A peer that cannot be installed is told as such; the others go on without it."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """One framework that does similar work.

    Attributes:
        name: also that of its module in `benchmarks/peers/`.
        packages: what is installed, by name; nothing if it runs in our own environment.
        calls: whether it has request and reply.
        options: for its subject.
        title: as reports show it.
    """

    name: str
    packages: tuple[str, ...]
    calls: bool = True
    title: str = ""
    answers: bool = True
    batch: bool = False

    @property
    def module(self) -> str:
        """What is run."""
        return f"benchmarks.peers.{self.name}" + (" batch" if self.batch else "")


_FASTSTREAM = ("faststream[redis]", "uvloop", "hiredis", "pydantic")
PEERS = (
    Peer("faststream", _FASTSTREAM, title="FastStream"),
    Peer("faststream", _FASTSTREAM, title="FastStream, batch=True", calls=False, answers=False, batch=True),
    Peer("taskiq", ("taskiq[orjson]", "taskiq-redis", "uvloop", "hiredis", "pydantic"), title="taskiq"),
    Peer("arq", ("arq", "uvloop", "hiredis", "pydantic"), title="arq"),
    Peer("saq", ("saq[redis,hiredis]", "uvloop", "pydantic"), title="saq"),
    Peer("streaq", ("streaq", "uvloop", "pydantic"), title="streaq"),
    Peer("docket", ("pydocket", "uvloop", "hiredis", "pydantic"), title="docket"),
    Peer("dramatiq", ("dramatiq[redis]", "hiredis", "pydantic"), title="dramatiq"),
    Peer("platform_style", (), title="platform's worker"),
)
PATIENCE = 300
_ADDRESS = re.compile(r"\w+://\S+|(?<![\w/])/\S+")
"""Where packages come from, and where they go, is nobody's business but the machine's: a report does not name it."""


class NotInstalled(Exception):
    """A peer's environment cannot be made."""


def default_folder() -> Path:
    """Where environments are kept: the user's cache folder, or the one for temporary files."""
    cache = os.environ.get("XDG_CACHE_HOME") or (str(Path.home() / ".cache") if Path.home().is_dir() else "")
    return Path(cache or tempfile.gettempdir()) / "nooble-benchmarks"


def python_of(peer: Peer, folder: Path) -> str:
    """The interpreter of a peer's environment, which is made if it is not there.

    Raises:
        NotInstalled: it cannot be made; the message says why.
    """
    if not peer.packages:
        return sys.executable
    place = folder / f"{peer.name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = place / "installed"
    wanted = " ".join(peer.packages)
    if python.exists() and done.exists() and done.read_text() == wanted:
        return str(python)
    shutil.rmtree(place, ignore_errors=True)
    try:
        if uv := shutil.which("uv"):
            _run(uv, "venv", "-q", "--python", sys.executable, str(place))
            _run(uv, "pip", "install", "-q", "--python", str(python), *peer.packages)
        else:
            venv.create(place, with_pip=True)
            _run(str(python), "-m", "pip", "install", "-q", *peer.packages)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalled(f"cannot install {wanted}: {_why(error)}") from None
    done.write_text(wanted)
    return str(python)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE)


def _why(error: BaseException) -> str:
    said = _ADDRESS.sub("…", str(getattr(error, "stderr", "") or error)).strip().splitlines()
    return said[-1].strip()[:200] if said else type(error).__name__


def main() -> int:
    """Make them all, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--environments", type=Path, default=default_folder())
    options = parser.parse_args()
    failed = 0
    for peer in {peer.name: peer for peer in PEERS if not options.names or peer.name in options.names}.values():
        try:
            print(f"{peer.name}: {python_of(peer, options.environments)}")
        except NotInstalled as error:
            failed += 1
            print(f"{peer.name}: {error}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
