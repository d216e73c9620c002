"""`--probe-port`: one process, or many under a supervisor, asked how they are: beginning, working, stuck, stopping."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import PATIENCE, Running, Terminal
from tests.cli.test_workers_option import lines, pids
from tests.observability.test_systemd import Manager
from tests.support.servers import Server

Launch = Callable[..., Server]


def ask(run: Running, page: str) -> tuple[int, Any]:
    """Status and body of a probe of *run*."""
    place = json.loads(run.until("probes_listening"))["url"].removesuffix("readyz")
    try:
        with urllib.request.urlopen(place + page, timeout=PATIENCE) as answer:
            return answer.status, read(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, read(refused.read())


def read(body: bytes) -> Any:
    """JSON as data, all else as text."""
    return json.loads(body) if body.startswith(b"{") else body.decode()


def until(run: Running, page: str, status: int) -> Any:
    """Ask until the status is *status*. Returns the body."""
    deadline = time.monotonic() + PATIENCE
    while (found := ask(run, page))[0] != status:
        assert time.monotonic() < deadline, f"{page} stayed at {found}:\n{run.said}"
        time.sleep(0.02)
    return found[1]


# ── one process ──


def test_a_process_that_works_is_alive_and_ready(pedidos: Terminal, redis_url: str) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", redis_url, "--probe-port", "0") as run:
        assert until(run, "readyz", 200) == {"workers": {"pedidos": "working"}}
        assert ask(run, "livez")[1]["beat_age"] < 30
        status, hint = ask(run, "metrics")
        assert (status, "METRICS=true" in hint) == (404, True)
        assert run.end(signal.SIGTERM) == 0


def test_without_the_option_nothing_listens(pedidos: Terminal, redis_url: str) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", redis_url) as run:
        run.until("worker_started")
        assert run.end() == 0
    assert not lines(run, "probes_listening")


@pytest.mark.slow
def test_what_waits_for_its_server_is_alive_and_not_ready_and_so_is_what_loses_it(
    pedidos: Terminal, launch: Launch
) -> None:
    server = launch()
    server.stop()
    with pedidos.start("run", "pedidos", REDIS_URL=server.url, PROBE_PORT="0") as run:
        run.until("server_lost")
        assert ask(run, "livez")[0] == 200
        assert ask(run, "readyz") == (503, {"why": "starting", "workers": {}})
        server.start()
        until(run, "readyz", 200)
        server.stop()
        assert until(run, "readyz", 503)["why"] == "pedidos is waiting"
        assert ask(run, "livez")[0] == 200
        server.start()
        until(run, "readyz", 200)
        assert run.end() == 0


@pytest.mark.slow
def test_while_it_drains_it_is_alive_and_not_ready(pedidos: Terminal, redis_url: str) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", redis_url, "--probe-port", "0") as run:
        assert pedidos.type("send", "pedidos.pedido.dormir", "seconds:=1", "--redis-url", redis_url).code == 0
        run.until("sleeping")
        run.interrupt(signal.SIGTERM)
        assert until(run, "readyz", 503)["why"] == "stopping"
        assert ask(run, "livez")[0] == 200
        assert run.ended() == 0


@pytest.mark.slow
def test_a_loop_that_stands_still_for_a_lease_is_dead_and_its_probe_says_so(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("pedidos.py", "import time\n" + PEDIDOS.replace("await asyncio.sleep", "time.sleep"))
    given = {"WORKER_LEASE_SECONDS": "0.5", "PROBE_PORT": "0"}
    with pedidos.start("run", "pedidos", "--redis-url", redis_url, **given) as run:
        assert pedidos.type("send", "pedidos.pedido.dormir", "seconds:=2", "--redis-url", redis_url).code == 0
        run.until("sleeping")
        dead = until(run, "livez", 503)
        assert dead["beat_age"] >= dead["limit"] == 0.5
        until(run, "livez", 200)
        assert run.end() == 0


@pytest.mark.parametrize("words", [(), ("-w", "2")])
def test_a_port_that_is_taken_is_told_before_anything_runs(
    pedidos: Terminal, redis_url: str, words: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = pedidos.run("run", "pedidos", *words, "--redis-url", redis_url, "--probe-port", port)
    assert done.code == 1
    told = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert len(told) == 1
    assert re.match(rf"Error: the probes cannot listen on port {port} of 127\.0\.0\.1: .*--probe-port", told[0])
    assert "worker_started" not in done.err


# ── many processes ──


@pytest.mark.slow
def test_workers_share_one_port_and_one_that_can_work_is_enough(pedidos: Terminal, redis_url: str) -> None:
    given = {"METRICS": "true"}
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", redis_url, "--probe-port", "0", **given) as run:
        assert ask(run, "readyz")[1]["why"] == "no worker can take work"
        run.until("worker_started", times=2)
        deadline = time.monotonic() + PATIENCE
        while ask(run, "readyz")[1]["ready"] != "2 of 2 ready":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(6):
            assert pedidos.type("call", "pedidos.pedido.crear", "cliente=a", "--redis-url", redis_url).code == 0
        while counted(until(run, "metrics", 200)) < 6:  # each gives out what it has counted in its own time
            assert time.monotonic() < deadline + PATIENCE
            time.sleep(0.05)
        os.kill(pids(run)[1], signal.SIGKILL)
        run.until("killed by SIGKILL")
        assert ask(run, "livez")[1]["silent_workers"] == []
        run.until("worker_started", times=3)
        assert counted(ask(run, "metrics")[1]) == 6  # what was counted by those who are gone still counts
        assert run.end(signal.SIGTERM) == 0
    assert len(lines(run, "probes_listening")) == 1


def counted(metrics: str) -> float:
    """How many actions were handled, by what /metrics says."""
    found = re.findall(r"^nooble_messages_handled_total\{[^}]*pedidos\.pedido\.crear[^}]*\} (\S+)", metrics, re.M)
    return sum(map(float, found))


@pytest.mark.slow
def test_a_worker_whose_loop_stands_still_makes_the_whole_crew_look_dead(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("pedidos.py", "import time\n" + PEDIDOS.replace("await asyncio.sleep", "time.sleep"))
    given = {"WORKER_LEASE_SECONDS": "0.5", "PROBE_PORT": "0"}
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", redis_url, **given) as run:
        run.until("worker_started", times=2)
        until(run, "readyz", 200)
        assert pedidos.type("send", "pedidos.pedido.dormir", "seconds:=2", "--redis-url", redis_url).code == 0
        run.until("sleeping")
        (sleeping,) = lines(run, "sleeping")
        assert until(run, "livez", 503)["silent_workers"] == [sleeping["worker"]]
        until(run, "livez", 200)
        assert run.end(signal.SIGTERM) == 0


# ── systemd ──


@pytest.mark.parametrize("words", [(), pytest.param(("-w", "2"), marks=pytest.mark.slow)])
def test_systemd_is_told_once_by_whoever_it_has_started(
    pedidos: Terminal, redis_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    systemd = Manager(str(tmp_path / "notify"))
    given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
    with pedidos.start("run", "pedidos", *words, "--redis-url", redis_url, **given) as run:
        deadline = time.monotonic() + PATIENCE
        while not {"READY=1", "WATCHDOG=1"} <= set(systemd.heard):
            assert time.monotonic() < deadline, systemd.heard
            time.sleep(0.05)
        assert run.end(signal.SIGTERM) == 0
    assert systemd.heard.count("READY=1") == systemd.heard.count("STOPPING=1") == 1
    assert systemd.heard.index("READY=1") < systemd.heard.index("STOPPING=1")
    systemd.socket.close()
