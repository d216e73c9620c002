"""What systemd is told, at a socket as its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nooble.observability.health import Health
from nooble.observability.systemd import Notifier
from tests.observability.test_probes import One
from tests.support.waiting import wait_until


class Manager:
    """Hears as systemd does.

    Args:
        address: of its socket.
    """

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self._heard: list[str] = []

    @property
    def heard(self) -> list[str]:
        """Everything so far."""
        try:
            while True:
                self._heard.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return self._heard


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, str]]:
    """A manager, and the name by which a service finds it."""
    name = str(tmp_path / "n") if request.param == "path" else f"@nooble-test-{os.getpid()}"
    manager = Manager(name.replace("@", "\0"))
    yield manager, name
    manager.socket.close()


def test_it_hears_what_is_told(manager: tuple[Manager, str]) -> None:
    systemd, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
    notifier.ready()
    notifier.status("pedidos is\nwaiting")
    notifier.status("pedidos is\nwaiting")
    notifier.alive()
    notifier.stopping()
    assert systemd.heard == ["READY=1", "STATUS=pedidos is waiting", "WATCHDOG=1", "STOPPING=1"]
    assert notifier.watchdog == 3.0


@pytest.mark.parametrize("usec", ["", "no number", "-5"])
def test_without_a_watchdog_there_are_no_signs_of_life(manager: tuple[Manager, str], usec: str) -> None:
    systemd, name = manager
    Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": usec}).alive()
    assert systemd.heard == []


def test_the_watchdog_of_another_process_is_not_ours(manager: tuple[Manager, str]) -> None:
    systemd, name = manager
    Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).alive()
    assert systemd.heard == []


@pytest.mark.parametrize("name", ["", "vsock:2:1234", "/nowhere/at/all", "/" + "x" * 500])
def test_nobody_who_listens_is_no_reason_to_fail(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"})
    notifier.ready()
    notifier.alive()


async def test_the_beat_tells_it(tmp_path: Path) -> None:
    systemd = Manager(str(tmp_path / "n"))
    worker = One(state="starting")
    health = Health(notifier=Notifier({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "30000"}))
    health.workers = [worker]
    beating = asyncio.create_task(health.beat())
    await wait_until(lambda: systemd.heard.count("WATCHDOG=1") > 2, "it gives signs of life")
    assert "READY=1" not in systemd.heard
    assert "STATUS=pedidos is starting" in systemd.heard
    worker.state = "working"
    await wait_until(lambda: "READY=1" in systemd.heard, "it is ready")
    worker.state = "waiting"
    await wait_until(lambda: "STATUS=pedidos is waiting" in systemd.heard, "it says that it waits")
    worker.state = "working"
    await wait_until(lambda: systemd.heard.count("STATUS=ready") == 2, "it is ready again")
    health.stop()
    health.stop()
    beating.cancel()
    assert systemd.heard.count("READY=1") == 1
    assert systemd.heard[-2:] == ["STOPPING=1", "STATUS=stopping"]
    systemd.socket.close()
