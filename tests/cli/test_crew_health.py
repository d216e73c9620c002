"""What a supervisor says of its workers: one that is silent makes all look dead, one that can work makes all look ready."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nooble.cli import crew_health as module
from nooble.cli import worker_process
from nooble.cli.crew_health import PATIENCE, CrewHealth, crew_probes
from nooble.cli.worker_process import Work, Worker
from nooble.observability.systemd import Notifier
from tests.observability.test_systemd import Manager
from tests.support.settings import make_settings

READY: dict[str, Any] = {"ready": True, "live": True}


def place(number: int, health: dict[str, Any] | None, *, silent_for: float = 0.0, asked: str = "") -> Worker:
    """The place of a worker that has reported *health*; of one that has ended, if that is empty."""
    worker = Worker(number)
    worker.heard_at, worker.last, worker.asked = time.monotonic() - silent_for, {}, asked
    if health != {}:
        worker.process = object()  # type: ignore[assignment]
        worker.last = {} if health is None else {"health": health}
    return worker


STATES: dict[str, tuple[Callable[[], Worker], str, bool]] = {
    "ready": (lambda: place(1, READY), "ready", True),
    "waiting": (
        lambda: place(1, {"ready": False, "live": True, "why": "pedidos is waiting"}),
        "pedidos is waiting",
        True,
    ),
    "has not reported yet": (lambda: place(1, None, silent_for=2 * PATIENCE), "starting", True),
    "has ended": (lambda: place(1, {}, silent_for=2 * PATIENCE), "ended, to be started again", True),
    "is being replaced": (lambda: place(1, READY, asked="10 actions"), "stopping", True),
    "finishes what it has begun": (
        lambda: place(1, READY, silent_for=PATIENCE + 1, asked="10 actions"),
        "stopping",
        True,
    ),
    "has a loop that stands still": (lambda: place(1, {"ready": True, "live": False}), "ready", False),
    "reports no more": (lambda: place(1, READY, silent_for=PATIENCE + 1), "ready", False),
}


@pytest.mark.parametrize(("make", "state", "alive"), STATES.values(), ids=STATES)
def test_a_worker_is_told_as_it_is(make: Callable[[], Worker], state: str, alive: bool) -> None:
    health = CrewHealth([make(), place(2, READY)], Notifier({}))
    live, ready = health.live(), health.ready()
    assert (live.ok, live.facts["silent_workers"]) == (alive, [] if alive else [1])
    assert ready.facts["workers"] == {"1": state, "2": "ready"}
    assert ready.ok


def test_without_any_that_can_work_it_is_not_ready() -> None:
    ok, facts = CrewHealth([place(1, None), place(2, {})], Notifier({})).ready()
    assert (ok, facts["why"], facts["ready"]) == (False, "no worker can take work", "0 of 2 ready")


def test_a_supervisor_that_stands_still_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    health = CrewHealth([place(1, READY)], Notifier({}))
    assert health.live().ok
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + PATIENCE + 1)
    assert not health.live().ok


def test_systemd_hears_of_life_only_while_all_are_alive(tmp_path: Path) -> None:
    systemd = Manager(str(tmp_path / "n"))
    worker = place(1, READY)
    health = CrewHealth([worker], Notifier({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "1000"}))
    health.beat()
    health.beat()
    assert systemd.heard == ["WATCHDOG=1", "READY=1", "STATUS=1 of 1 ready", "WATCHDOG=1"]
    worker.last = {"health": {"ready": False, "live": False}}
    health.beat()
    assert systemd.heard[4:] == ["STATUS=0 of 1 ready"]
    health.stop()
    health.stop()
    assert systemd.heard[5:] == ["STOPPING=1", "STATUS=stopping"]
    systemd.socket.close()


def test_the_folder_of_the_metrics_is_there_for_the_workers_and_gone_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/of/somebody/else")
    with crew_probes(CrewHealth([], Notifier({})), make_settings(metrics=True)) as forget:
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        assert folder.is_dir()
        forget(999_999)
    assert not folder.exists()
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == "/of/somebody/else"


def test_a_probe_that_comes_while_a_process_starts_finds_nothing_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    class Watched(Worker):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "process" and value is not None:
                seen.append(CrewHealth([self]).ready().facts["workers"])

    monkeypatch.setattr(worker_process.subprocess, "Popen", lambda *_, **__: SimpleNamespace(pid=1, returncode=0))
    worker = Watched(1)
    for _ in range(2):
        worker.start(Work(targets=["tienda"]))
        worker.last |= {"health": {"ready": True, "live": True}}
        worker.bury()
    assert seen == [{"1": "starting"}] * 2
