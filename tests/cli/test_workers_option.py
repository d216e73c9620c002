"""`-w N`: several workers under one supervisor, which are replaced when they die, and never outlive it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from nooble.cli.supervisor import pause_before
from nooble.cli.worker_process import Limits, how_it_ended
from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import Running, Terminal
from tests.support.servers import Server

STREAM, GROUP = "nooble4:development:pedidos:streams:main", "pedidos-group"
DEAD = "nooble4:development:pedidos:dead_letters:main"


def lines(run: Running, event: str) -> list[dict[str, Any]]:
    """What it has logged of *event*."""
    logged = [json.loads(line) for line in run.lines if line.startswith("{")]
    return [line for line in logged if line["event"] == event]


def pids(run: Running) -> dict[int, int]:
    """The processes of its workers, the latest of each, by their numbers."""
    started = lines(run, "worker_started")
    found = {line["worker"]: re.search(r"-(\d+)-nb", line["consumer"]) for line in started}
    return {worker: int(match[1]) for worker, match in found.items() if match}


@pytest.fixture
def send(pedidos: Terminal, redis_url: str) -> Callable[..., None]:
    """`nooble send …`, on the server."""

    def send(*words: str) -> None:
        assert pedidos.type("send", *words, "--redis-url", redis_url).code == 0

    return send


# ── at work ──


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_workers_share_the_actions_and_a_signal_lets_each_finish(
    pedidos: Terminal, server: Server, send: Callable[..., None], number: signal.Signals
) -> None:
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", server.url) as run:
        run.until("worker_started", times=2)
        for _ in range(4):
            send("pedidos.pedido.dormir", "seconds:=0.5")
        run.until("sleeping", times=2)
        assert run.end(number) == 0
    assert {line["worker"] for line in lines(run, "sleeping")} == {1, 2}
    assert [line["why"] for line in lines(run, "stopping")] == [number.name] * 2
    assert len(lines(run, "service_starting")) == 1
    assert (server.client.xlen(STREAM), server.client.xpending(STREAM, GROUP)["pending"]) == (
        4 - len(lines(run, "sleeping")),
        0,
    )


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    given = {"WORKER_LEASE_SECONDS": "1"}
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", server.url, **given) as run:
        run.until("worker_started", times=2)
        send("pedidos.pedido.dormir", "seconds:=0.3")
        run.until("sleeping")
        (sleeping,) = lines(run, "sleeping")
        os.kill(pids(run)[sleeping["worker"]], signal.SIGKILL)
        run.until("killed by SIGKILL")
        run.until("worker_started", times=3)
        run.until("sleeping", times=2)
        assert run.end(signal.SIGTERM) == 0
    (ended,) = (line for line in lines(run, "worker_ended") if "SIGKILL" in line["how"])
    assert (ended["worker"], ended["level"]) == (sleeping["worker"], "warning")
    assert 0 < ended["again_in"] <= 0.5
    assert [line["action_id"] for line in lines(run, "sleeping")] == [sleeping["action_id"]] * 2
    assert (server.client.xlen(STREAM), server.client.xlen(DEAD)) == (0, 0)


@pytest.mark.leaves_keys("killed workers leave their pending actions")
@pytest.mark.slow
def test_a_second_signal_ends_all_now(pedidos: Terminal, server: Server, send: Callable[..., None]) -> None:
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", server.url) as run:
        run.until("worker_started", times=2)
        for _ in range(2):
            send("pedidos.pedido.dormir", "seconds:=30")
        run.until("sleeping", times=2)
        run.interrupt(signal.SIGINT)
        run.until('"stopping"', times=2)
        assert run.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert not lines(run, "worker_stopped")


@pytest.mark.leaves_keys("a killed worker leaves its pending action")
@pytest.mark.slow
def test_a_worker_that_does_not_stop_is_killed(pedidos: Terminal, server: Server, send: Callable[..., None]) -> None:
    pedidos.write("pedidos.py", "import time\n" + PEDIDOS.replace("await asyncio.sleep", "time.sleep"))
    with pedidos.start("run", "pedidos", "-w", "2", "--grace", "0", "--redis-url", server.url) as run:
        run.until("worker_started", times=2)
        send("pedidos.pedido.dormir", "seconds:=60")
        run.until("sleeping")
        assert run.end(signal.SIGTERM) == 1
    assert len(lines(run, "worker_killed")) == 1


# ── no orphans ──


@pytest.mark.slow
def test_workers_whose_supervisor_was_killed_finish_and_end(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", server.url) as run:
        run.until("worker_started", times=2)
        send("pedidos.pedido.dormir", "seconds:=0.3")
        run.until("sleeping")
        assert run.end(signal.SIGKILL) == -signal.SIGKILL  # and all that it has started
    assert [line["why"] for line in lines(run, "stopping")] == ["the supervisor is gone"] * 2
    assert server.client.xlen(STREAM) == 0


@pytest.mark.leaves_keys("a worker that does not come to rest leaves its pending action")
@pytest.mark.nightly
def test_even_a_worker_whose_loop_is_blocked_does_not_outlive_its_supervisor(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    pedidos.write("pedidos.py", "import time\n" + PEDIDOS.replace("await asyncio.sleep", "time.sleep"))
    with pedidos.start("run", "pedidos", "-w", "2", "--grace", "0", "--redis-url", server.url) as run:
        run.until("worker_started", times=2)
        send("pedidos.pedido.dormir", "seconds:=300")
        run.until("sleeping")
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
    (sleeping,) = lines(run, "sleeping")
    assert [line["worker"] for line in lines(run, "worker_stopped")] == [3 - sleeping["worker"]]


# ── not at work ──


def test_what_keeps_all_from_starting_is_told_once_with_the_code_of_a_single_run(pedidos: Terminal) -> None:
    done = pedidos.run("run", "pedidoss", "-w", "2")
    assert done.code == 2
    told = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert len(told) == 1
    assert told[0].startswith("Error: no module named 'pedidoss'")


@pytest.mark.slow
def test_a_failure_at_the_start_of_a_service_is_told_with_its_traceback_if_asked(
    pedidos: Terminal, redis_url: str
) -> None:
    startup = "    async def startup(self) -> None:\n        raise OSError('no disk')\n"
    pedidos.write("pedidos.py", PEDIDOS + startup)
    done = pedidos.run("run", "pedidos", "-w", "2", "--redis-url", redis_url)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("Error: the worker of pedidos failed: OSError: no disk (pedidos.py:")
    done = pedidos.run("run", "pedidos", "-w", "2", "--redis-url", redis_url, "--traceback")
    assert "Failure: the worker of pedidos failed: OSError" in done.err


@pytest.mark.nightly
def test_workers_that_keep_dying_right_after_their_start_are_given_up(pedidos: Terminal, redis_url: str) -> None:
    dies = "    async def startup(self) -> None:\n        import os\n        os._exit(7)\n"
    pedidos.write("pedidos.py", PEDIDOS + dies)
    with pedidos.start("run", "pedidos", "-w", "2", "--redis-url", redis_url) as run:
        assert run.ended() == 1
    told = [line for line in run.lines if not line.startswith("{")]
    assert len(told) == 1
    assert told[0].startswith("Error: the workers end right after their start, 4 times in a row")
    assert told[0].endswith("the last of them: exit code 7\n")
    assert len(lines(run, "worker_ended")) in {6, 7, 8}
    pauses = [line["again_in"] for line in lines(run, "worker_ended") if line["worker"] == 1]
    assert pauses[0] <= 0.5 < max(pauses)


@pytest.mark.parametrize("words", [["--reload"], ["--watch", "."]])
def test_reload_is_for_one_worker(pedidos: Terminal, words: list[str]) -> None:
    done = pedidos.type("dev", "pedidos", "-w", "2", *words)
    assert done.code == 2
    assert done.err.startswith("Error: --reload and --workers 2 do not go together")


# ── limits ──


@pytest.mark.slow
def test_a_worker_that_has_done_its_share_is_replaced_one_after_the_other(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    with pedidos.start("run", "pedidos", "-w", "2", "--max-actions", "10", "--redis-url", server.url) as run:
        run.until("worker_started", times=2)
        for _ in range(30):
            send("pedidos.pedido.crear", "cliente=acme")
        run.until("worker_replaced")
        run.until("worker_started", times=3)
        send("pedidos.pedido.crear", "cliente=last")
        run.until("last")
        assert run.end(signal.SIGTERM) == 0
    recycled = lines(run, "worker_recycled")
    assert re.fullmatch(r"\d+ actions, of --max-actions 10", recycled[0]["because"])
    order = [
        line["event"] for line in map(json.loads, run.lines) if line["event"] in {"worker_recycled", "worker_replaced"}
    ]
    assert order[: 2 * (len(order) // 2)] == ["worker_recycled", "worker_replaced"] * (len(order) // 2)
    assert len(lines(run, "taking")) == 31
    assert server.client.xlen(STREAM) == 0


HUNGRY = """
    kept = []

    @action("pedidos.pedido.comer")
    async def comer(self) -> None:
        self.kept.append(bytearray(b"x" * 200_000_000))
"""


@pytest.mark.slow
def test_a_worker_that_has_too_much_memory_is_replaced(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    pedidos.write("pedidos.py", PEDIDOS + HUNGRY)
    with pedidos.start("run", "pedidos", "--max-memory", "200", "--redis-url", server.url) as run:
        run.until("worker_started")
        send("pedidos.pedido.comer")
        run.until("worker_replaced")
        run.until("worker_started", times=2)
        assert run.end(signal.SIGTERM) == 0
    (recycled,) = lines(run, "worker_recycled")
    assert re.fullmatch(r"[23]\d\d MB of memory, more than --max-memory 200", recycled["because"])
    assert server.client.xlen(STREAM) == 0


@pytest.mark.slow
def test_a_limit_that_leaves_no_room_to_begin_is_told(pedidos: Terminal, redis_url: str) -> None:
    done = pedidos.run("run", "pedidos", "--max-memory", "10", "--redis-url", redis_url)
    assert done.code == 2
    *_, told = done.err.splitlines()
    assert re.fullmatch(
        r"Error: a worker that has done nothing yet has \d+ MB of memory, more than --max-memory 10: give it more", told
    )


# ── dev ──


@pytest.mark.slow
def test_dev_has_several_workers_too_and_a_server_of_its_own(pedidos: Terminal) -> None:
    with pedidos.start("dev", "pedidos", "-w", "2") as dev:
        dev.until("worker_started", times=2)
        assert len([line for line in dev.lines if "Try in another terminal:  nooble call" in line]) == 1
        done = pedidos.type("call", "pedidos.pedido.crear", "cliente=acme", "--timeout", "10")
        assert json.loads(done.out) == {"numero": 1, "cliente": "acme"}
        dev.until("action_completed")
        assert dev.end() == 0


# ── what is decided ──


def test_pauses_grow_to_a_bound_and_are_spread_by_luck() -> None:
    assert [pause_before(start, 1.0) for start in (1, 2, 3, 7, 50)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert pause_before(3, 0.0) == 1.0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, "exit code 0"),
        (1, "exit code 1"),
        (-11, "killed by SIGSEGV"),
        (-9, "killed by SIGKILL, as the system does when memory is short"),
        (143, "exit code 143, by a second signal (SIGTERM)"),
        (255, "exit code 255"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, told: str) -> None:
    assert how_it_ended(code) == told


def test_limits_are_passed_by_what_a_worker_reports() -> None:
    report = {"rss": 150_000_000, "taken": 95}
    assert Limits().passed_by(report, 0.0) == ""
    assert Limits(memory_mb=150, actions=100).passed_by(report, 0.0) == ""
    assert Limits(memory_mb=149).passed_by(report, 0.0) == "150 MB of memory, more than --max-memory 149"
    assert Limits(actions=100).passed_by(report, 0.1) == "95 actions, of --max-actions 100"
