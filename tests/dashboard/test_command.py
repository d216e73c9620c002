"""`nooble dashboard` and the dashboard beside `nooble dev`, as they are typed."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request

import pytest

from tests.cli.conftest import pedidos, terminal
from tests.cli.terminal import Running, Terminal

__all__ = ["pedidos", "terminal"]
TOKEN = "a-token-that-is-long-enough"


def address(running: Running) -> str:
    """Where the dashboard is, once it says so."""
    running.until("Dashboard: http")
    return re.findall(r"Dashboard: (http://\S+)", running.said)[-1]


def status(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
def test_it_says_where_it_is_and_ends_with_a_signal_though_somebody_watches(terminal: Terminal, redis_url: str) -> None:
    words = ("dashboard", "--port", "0", "--redis-url", redis_url, "--token", TOKEN)
    with terminal.start(*words) as running:
        home = address(running)
        assert status(f"{home}api/overview") == 401
        assert status(f"{home}api/overview", Authorization=f"Bearer {TOKEN}") == 200
        assert status(f"{home}login", Host="evil.example") == 403
        watching = urllib.request.Request(f"{home}live/overview", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(watching, timeout=20) as stream:
            assert stream.readline().startswith(b"retry:")
            assert running.end() == 0, running.said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "0.0.0.0"), "--token"),
        (("--host", "example.invalid"), "--token"),
        (("--allow-host", "ops.example.com"), "--token"),
        (("--port", "tcp://10.0.0.7:80"), "is no port"),
        (("--port", "65536"), "is no port"),
        (("--token", "short"), "fewer than 16"),
        (("--user", "ana"), "NAME:PASSWORD"),
        (("--user", "ana:short"), "8 characters"),
    ],
)
def test_what_cannot_be_protected_is_not_started(terminal: Terminal, words: tuple[str, ...], told: str) -> None:
    done = terminal.type("dashboard", "--port", "0", "--redis-url", "redis://127.0.0.1:1", *words)
    assert done.code != 0
    assert told in done.err


def test_a_port_that_kubernetes_sets_is_not_meant(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOOBLE_DASHBOARD_PORT", "tcp://10.0.0.7:80")
    done = terminal.type("dashboard", "--host", "0.0.0.0", "--redis-url", "redis://127.0.0.1:1")
    assert "is ignored" in done.err
    assert "open to everybody who reaches 0.0.0.0" in done.err
    monkeypatch.setenv("NOOBLE_DASHBOARD_PORT", "many")
    assert "is no port" in terminal.type("dashboard").err


def test_a_port_that_is_taken_is_told(terminal: Terminal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = terminal.type("dashboard", "--port", port, "--redis-url", "redis://127.0.0.1:1")
    assert done.code == 1
    assert "--port names another" in done.err


@pytest.mark.slow
def test_beside_dev_it_is_there_and_can_be_left_out(pedidos: Terminal, redis_url: str) -> None:
    with pedidos.start("dev", "pedidos", "--redis-url", redis_url) as running:
        home = address(running)
        assert status(f"{home}api/overview") == 200
    with pedidos.start("dev", "pedidos", "--redis-url", redis_url, "--no-dashboard") as running:
        running.until("Try in another terminal")
        assert "Dashboard" not in running.said
