"""What systemd is told of this process, by datagrams to the socket that it names; nothing if it names none.

For units of `Type=notify`: when the service is ready, when it stops, how it is, and, with `WatchdogSec=`, that it lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Tells systemd.

    Args:
        environment: where it says how it is told; by default this process's.

    Attributes:
        is_heard: whether anybody listens.
        watchdog: seconds without a sign of life after which systemd ends this process; 0 for never.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self.is_heard = self._address.startswith(("/", "\0"))
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog = int(microseconds) / 1e6 if self.is_heard and for_us and microseconds.isdigit() else 0.0
        self._status = ""

    def ready(self) -> None:
        """The service is ready."""
        self._send("READY=1")

    def stopping(self) -> None:
        """It comes to rest."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """It lives, if somebody wants to know."""
        if self.watchdog:
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """How it is, for `systemctl status`; said again only when it changes."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + " ".join(text.split()))

    def _send(self, words: str) -> None:
        if not self.is_heard:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)  # a manager that does not listen keeps nobody waiting
                out.sendto(words.encode(), self._address)
        except OSError:
            return  # whoever started us is gone, or does not listen: no reason to stop working
