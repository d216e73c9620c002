"""Metrics: they say what happened, in one process and in several; labels have a bound; nothing hostile gets in."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis.asyncio
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout
from nooble.events import (
    ClockJumped,
    CommitRefused,
    DataLost,
    DeadLettersTrimmed,
    Events,
    Held,
    LeaseLost,
    LoopBlocked,
    Reclaimed,
    ServerBack,
    ServerLost,
    Settled,
    Unwritten,
)
from nooble.models import DomainAction
from nooble.observability import folding, metering, prometheus
from nooble.observability.metering import Metrics
from nooble.operations.reading import Dead, Reading, Retries, Server, Service, Stream, Worker
from nooble.workers import BaseWorker, ServiceWorker
from tests.observability.conftest import Shop
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.support.workers import running

ROOT = Path(__file__).parents[2]
Settings = Callable[..., CommonAppSettings]


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Every sample: name and the values of its labels in the order of their names → value."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """The metrics of this process, new for each test."""
    fresh = Metrics(CollectorRegistry())
    monkeypatch.setattr(prometheus, "metrics", lambda: fresh)
    return fresh


def now(here: Metrics) -> dict[tuple[str, ...], float]:
    return samples(here.exposition()[0])


# ── a worker ──
async def test_what_a_worker_does_is_counted(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    configured = settings(metrics=True, retry_attempts=2)
    async with running(ServiceWorker(configured, redis, Shop(configured))):
        assert (await platform.ask("demo.order.place"))["success"]
        assert not (await platform.ask("demo.order.place", {"do": "refuse"}))["success"]
        await platform.send("demo.order.place", {"do": "fail"})
        await platform.send("demo.order.place", {"do": "pass on"})
        await platform.send("demo.order.steal")
        await platform.add("nonsense")
        await platform.send("demo.order.place", metadata={"ttl_ms": 0})
        await wait_until(platform.is_done, "all is done")
    found = now(here)
    place = "demo.order.place"
    handled = {key[1:3]: value for key, value in found.items() if key[0] == "nooble_messages_handled_total"}
    assert handled == {
        (place, "completed"): 2,
        (place, "failed"): 1,
        (place, "retried"): 1,
        (place, "buried"): 1,
        (place, "expired"): 1,
        ("demo.order.pack", "completed"): 1,
        ("unknown", "buried"): 2,
    }
    assert found["nooble_retries_total", place, "demo"] == 1
    assert found["nooble_buried_total", "unknown", "demo"] == 2
    assert found["nooble_messages_sent_total", "follow_up", "demo", "demo"] == 1
    assert found["nooble_process_duration_seconds_count", place, "demo"] == 5  # what expired never ran
    assert 0 < found["nooble_process_duration_seconds_sum", place, "demo"] < 5
    assert found["nooble_queue_wait_seconds_count", place, "demo"] == 6
    assert 0 < found["nooble_queue_wait_seconds_sum", place, "demo"] < 30
    assert found["nooble_queue_wait_seconds_bucket", place, "+Inf", "demo"] == 6
    assert found["nooble_messages_in_progress", place, "demo"] == 0


async def test_what_is_at_work_is_seen_while_it_is(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    configured = settings(metrics=True, worker_concurrency=3, worker_grace_seconds=0)
    service = Shop(configured)
    async with running(ServiceWorker(configured, redis, service)):
        for _ in range(2):
            await platform.send("demo.order.place", {"do": "wait"})
        await wait_until(lambda: len(service.seen) == 2, "both have begun")
        found = now(here)
        assert found["nooble_messages_in_progress", "demo.order.place", "demo"] == 2
        assert found["nooble_messages_in_progress", "demo.order.pack", "demo"] == 0
    found = now(here)
    assert found["nooble_messages_in_progress", "demo.order.place", "demo"] == 0
    assert found["nooble_messages_handled_total", "demo.order.place", "released", "demo"] == 2


async def test_waiting_is_from_the_entry_to_the_start(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    await platform.redis.xadd(platform.stream, {"data": "x"}, id="1-0")  # 1970
    configured = settings(metrics=True)
    async with running(ServiceWorker(configured, redis, Shop(configured))):
        await wait_until(platform.is_done, "all is done")
    found = now(here)
    assert found["nooble_queue_wait_seconds_sum", "unknown", "demo"] > 1.7e9
    assert found["nooble_queue_wait_seconds_bucket", "unknown", "3600.0", "demo"] == 0


async def test_a_worker_that_is_given_its_service_late_has_labels_all_the_same(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """As the standard writes workers."""

    class Late(BaseWorker):
        async def initialize(self) -> None:
            await super().initialize()
            self.service = Shop(self.app_settings)

        async def _handle_action(self, action: DomainAction) -> Any:
            return await self.service.process_action(action)

    async with running(Late(settings(metrics=True), redis)):
        assert (await platform.ask("demo.order.place"))["success"]
    assert now(here)["nooble_messages_handled_total", "demo.order.place", "completed", "demo"] == 1


async def test_two_workers_of_a_service_count_together_and_an_ended_one_leaves_what_it_counted(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    configured = settings(metrics=True)
    async with running(*(ServiceWorker(configured, redis, Shop(configured)) for _ in range(2))):
        for _ in range(10):
            await platform.ask("demo.order.place")
    assert now(here)["nooble_messages_handled_total", "demo.order.place", "completed", "demo"] == 10


def test_the_garbage_collector_may_come_while_metrics_are_given_out(
    here: Metrics, settings: Settings, redis: redis.asyncio.Redis
) -> None:
    """In the thread that just counts, whatever it holds: workers that are gone end only afterwards."""
    workers = {
        name: ServiceWorker(settings(name, metrics=True), redis, Shop(settings(name))) for name in ("one", "two")
    }
    events, told = Events(), list[int]()

    def at_work() -> list[str]:
        if workers:
            workers.clear()
            gc.collect()
            told.append(len(here.ending))
        return []

    here.observe(events, service="demo", at_work=at_work)
    here.observe(Events(), service="other")
    here.flush()
    assert told == [2]
    here.flush()
    found = samples(generate_latest(here.registry))
    assert {key[-2]: value for key, value in found.items() if key[0] == "nooble_worker_info"} == {
        "one": 0,
        "two": 0,
        "demo": 1,
        "other": 1,
    }
    assert len(here.ending) == 0


def test_a_time_that_goes_wrong_is_not_the_last_one(
    here: Metrics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Enough(BaseException):
        """Ends the thread that has no end."""

    ends = iter([RuntimeError("dictionary changed size"), Enough()])

    def flush() -> None:
        raise next(ends)

    monkeypatch.setattr(metering, "_TOGETHER_EVERY", 0)
    monkeypatch.setattr(here, "flush", flush)
    with pytest.raises(Enough):
        here._keep()
    assert "dictionary changed size" in capsys.readouterr().out


def test_what_happens_rarely_is_counted_as_it_happens(here: Metrics) -> None:
    events, who, which = Events(), {"service": "demo", "consumer": "me"}, {"entry_id": "1-0"}
    end = here.observe(events, service="demo")
    for event in (
        Reclaimed(**who, **which, deliveries=2),
        CommitRefused(**who, **which, why="taken"),
        LeaseLost(**who, **which),
        Held(**who, **which, message=""),
        Unwritten(**who, key="k", message=""),
        DataLost(**who, message=""),
        ServerLost(**who, message=""),
        ServerBack(**who, seconds=2.5),
        ClockJumped(**who, seconds=-3.0),
        LoopBlocked(**who, seconds=4.5, lease=9.0),
        DeadLettersTrimmed(**who, count=7),
    ):
        events.emit(event)
    expected = {
        "redeliveries": 1,
        "commits_refused": 1,
        "leases_lost": 1,
        "held": 1,
        "outputs_unwritten": 1,
        "data_losses": 1,
        "server_outages": 1,
        "server_outage_seconds": 2.5,
        "server_clock_jumps": 1,
        "loop_blocks": 1,
        "loop_blocked_seconds": 4.5,
        "dead_letters_trimmed": 7,
    }
    found = now(here)
    assert {name: found[f"nooble_{name}_total", "demo"] for name in expected} == expected
    end()
    assert events.listeners == {}


def test_an_endpoint_of_ones_own_gives_out_what_has_gathered(here: Metrics) -> None:
    """Nobody has to ask through nooble: the registry of the metrics library is up to date whenever it is asked."""
    events = Events()
    here.observe(
        events, service="demo", declared=lambda: ["demo.a.b"], at_work=lambda: ["demo.a.b", "demo.x.y", "demo.x.z"]
    )
    found = samples(generate_latest(here.registry))
    assert found["nooble_messages_in_progress", "demo.a.b", "demo"] == 1
    assert found["nooble_messages_in_progress", "unknown", "demo"] == 2


def test_what_is_declared_later_is_seen_at_work_by_its_name(here: Metrics) -> None:
    declared = ["demo.a.b"]
    here.observe(Events(), service="demo", declared=lambda: declared, at_work=lambda: ["demo.a.b", "demo.a.c"])
    assert now(here)["nooble_messages_in_progress", "unknown", "demo"] == 1
    declared.append("demo.a.c")
    found = now(here)
    assert found["nooble_messages_in_progress", "demo.a.c", "demo"] == 1
    assert found["nooble_messages_in_progress", "unknown", "demo"] == 0


# ── a client ──
async def test_what_a_client_sends_and_how_its_calls_end_is_counted(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings
) -> None:
    configured = settings(metrics=True)
    async with (
        BaseRedisClient("web", redis, settings("web", metrics=True)) as client,
        running(ServiceWorker(configured, redis, Shop(configured))),
    ):
        await client.send("demo.order.place", {})
        await client.call("demo.order.place", {})
        await client.call("demo.order.place", {"do": "refuse"})
        with pytest.raises(CallTimeout):
            await client.call("other.thing.do", {}, timeout=0.05)
        client.settings = client.settings.model_copy(update={"max_payload_bytes": 1})
        with pytest.raises(Exception, match="max_payload_bytes"):
            await client.send("demo.order.place", {})
    found = now(here)
    place = "demo.order.place"
    assert found["nooble_messages_sent_total", "send", "web", "demo"] == 1
    assert found["nooble_messages_sent_total", "call", "web", "demo"] == 2
    assert found["nooble_messages_not_sent_total", "web", "demo"] == 1
    assert found["nooble_calls_total", place, "ok", "web"] == found["nooble_calls_total", place, "error", "web"] == 1
    assert found["nooble_call_timeouts_total", "other.thing.do", "web"] == 1
    assert found["nooble_call_duration_seconds_count", place, "web"] == 2


async def test_without_the_setting_nobody_listens(redis: redis.asyncio.Redis, settings: Settings) -> None:
    worker = ServiceWorker(settings(), redis, Shop(settings()))
    async with running(worker):
        assert (await worker.redis_client.call("demo.order.place", {})).success
    assert not worker.events.wants(Settled)
    assert worker.redis_client.events.listeners == {}
    assert worker.redis_client.watches == []


# ── the system ──
def reading(lag: int | None = 3) -> Reading:
    service = Service(
        name="demo",
        stream=Stream(key="k", length=9, lag=lag, pending=4, oldest_waiting_ms=1500, oldest_pending_ms=2500),
        retries=Retries(count=2),
        dead=Dead(count=5),
        workers=(
            Worker(service="demo", consumer="a"),
            Worker(service="demo", consumer="b", state="quiet"),
            Worker(service="demo", consumer="c", state='"}\nevil 1'),
        ),
    )
    other = Service(name="other", stream=Stream(key="k", length=99))
    return Reading(at_ms=1, prefix="p", environment="e", services=(other, service), server=Server())


async def test_the_gauges_of_the_system_are_read_when_somebody_asks(here: Metrics) -> None:
    asked = 0

    async def source() -> Reading:
        nonlocal asked
        asked += 1
        return reading()

    end = here.observe(Events(), service="demo", source=source)
    found = samples((await asyncio.to_thread(here.exposition))[0])
    expected = {
        "stream_length": 9,
        "group_lag": 3,
        "group_pending": 4,
        "oldest_waiting_seconds": 1.5,
        "oldest_pending_seconds": 2.5,
        "dead_letters": 5,
        "retries_waiting": 2,
    }
    assert {name: found[f"nooble_{name}", "demo"] for name in expected} == expected
    workers = {key[2]: value for key, value in found.items() if key[0] == "nooble_workers"}
    assert workers == {"starting": 0, "working": 1, "quiet": 1, "waiting": 0, "stopping": 0, "unknown": 1}
    assert ("nooble_stream_length", "other") not in found
    await asyncio.to_thread(here.exposition)
    assert asked == 1  # not again within some seconds
    end()


async def test_a_worker_brings_the_gauges_of_its_own_service_along(
    here: Metrics, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    configured = settings(metrics=True, retry_attempts=1)
    worker = ServiceWorker(configured, redis, Shop(configured))
    async with running(worker):
        await platform.send("demo.order.place", {"do": "fail"})
        await wait_until(platform.is_done, "it is buried")
        found = samples((await asyncio.to_thread(here.exposition))[0])
    assert found["nooble_dead_letters", "demo"] == 1
    assert found["nooble_stream_length", "demo"] == found["nooble_group_pending", "demo"] == 0
    assert found["nooble_reading_timestamp_seconds", "demo"] > 1.7e9


async def test_a_system_that_cannot_be_read_spoils_nothing(here: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    async def source() -> Reading:
        raise OSError("nobody there")

    here.observe(Events(), service="demo", declared=lambda: ["demo.a.b"], source=source)
    found = samples((await asyncio.to_thread(here.exposition))[0])
    assert ("nooble_messages_in_progress", "demo.a.b", "demo") in found
    assert ("nooble_group_lag", "demo") not in found
    assert "nobody there" in capsys.readouterr().out


async def test_asking_inside_of_an_event_loop_does_not_wait_for_the_system(here: Metrics) -> None:
    may_answer = threading.Event()

    async def source() -> Reading:
        await asyncio.to_thread(may_answer.wait, 5)
        return reading(lag=None)

    here.observe(Events(), service="demo", source=source)
    assert ("nooble_stream_length", "demo") not in now(here)
    may_answer.set()
    await wait_until(lambda: now(here).get(("nooble_stream_length", "demo")) == 9, "it is read")
    assert ("nooble_group_lag", "demo") not in now(here)  # the server does not know it


# ── given out ──
async def test_the_application_answers_get_and_nothing_else(here: Metrics) -> None:
    here.observe(Events(), service="demo", declared=lambda: ["demo.a.b"])
    transport = httpx2.ASGITransport(prometheus.metrics_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as web:
        answer = await web.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert ("nooble_messages_in_progress", "demo.a.b", "demo") in samples(answer.content)
        assert (await web.head("/metrics")).content == b""
        assert (await web.post("/metrics")).status_code == 405


async def test_the_application_lives_and_ends_with_its_server() -> None:
    said: list[Any] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        said.append(message["type"])

    await prometheus.metrics_app()({"type": "lifespan"}, receive, send)
    await prometheus.metrics_app()({"type": "websocket"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


PART = """
import sys
from nooble.events import Ended, Events, Settled
from nooble.models.outcomes import Completed
from nooble.observability.prometheus import metrics
events = Events()
metrics().observe(events, service="demo", declared=lambda: ["demo.a.b"], at_work=lambda: ["demo.a.b"])
one = Ended("demo.a.b", b"1-0", 1.0, Completed())
events.emit(Settled(service="demo", consumer="me", ended=(one,) * int(sys.argv[1])))
metrics().flush()
print("counted", flush=True)
sys.stdin.read()
"""
WHOLE = """
from nooble.observability.prometheus import exposition
print(exposition()[0].decode())
"""


def test_several_processes_count_together_and_the_dead_leave_only_what_they_counted(tmp_path: Path) -> None:
    """One ends as it should, one is killed, one lives on."""
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment, "text": True}

    def whole() -> dict[tuple[str, ...], float]:
        done = subprocess.run(
            [sys.executable, "-c", WHOLE], env=environment, capture_output=True, check=True, timeout=30
        )
        return samples(done.stdout)

    parts = [subprocess.Popen([sys.executable, "-c", PART, str(count)], **pipes) for count in (1, 10, 100)]
    try:
        for part in parts:
            assert part.stdout is not None
            assert part.stdout.readline() == "counted\n"
        found = whole()
        handled = ("nooble_messages_handled_total", "demo.a.b", "completed", "demo")
        working, workers = ("nooble_messages_in_progress", "demo.a.b", "demo"), "nooble_worker_info"
        assert (found[handled], found[working]) == (111, 3)
        assert found["nooble_process_duration_seconds_count", "demo.a.b", "demo"] == 111
        parts[0].communicate("", timeout=30)
        parts[1].send_signal(signal.SIGKILL)
        parts[1].wait(30)
        found = whole()
        assert (found[handled], found[working]) == (111, 1)
        assert [value for key, value in found.items() if key[0] == workers] == [1]
    finally:
        for part in parts:
            part.kill()
            part.communicate()


REPLACED = """
import json, os, sys
from nooble.events import Ended, Events, Settled
from nooble.models.outcomes import Completed
from nooble.observability.prometheus import Metrics, exposition, forget_process
folder, sizes = os.environ["PROMETHEUS_MULTIPROC_DIR"], []

def work():
    metrics, events = Metrics(), Events()
    metrics.observe(events, service="demo", declared=lambda: ["demo.a.b"])
    one = Ended("demo.a.b", b"1-0", 1.0, Completed())
    events.emit(Settled(service="demo", consumer="me", ended=(one,) * 5))
    metrics.flush()
    os._exit(0)

for number in range(20):
    pid = os.fork() or work()
    assert os.waitpid(pid, 0) == (pid, 0)
    forget_process(pid)
    sizes.append({name: os.stat(os.path.join(folder, name)).st_size for name in sorted(os.listdir(folder))})
print(json.dumps([sizes, exposition()[0].decode()]))
"""


def test_workers_that_are_replaced_leave_their_totals_and_no_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPLACED],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=30,
        check=True,
    )
    sizes, text = json.loads(done.stdout)
    assert set(sizes[0]) >= {"counter_0.db", "histogram_0.db"}
    assert sizes == [sizes[0]] * 20
    found = samples(text.encode())
    assert found["nooble_messages_handled_total", "demo.a.b", "completed", "demo"] == 100
    assert found["nooble_process_duration_seconds_count", "demo.a.b", "demo"] == 100
    assert found["nooble_process_duration_seconds_bucket", "demo.a.b", "+Inf", "demo"] == 100
    assert ("nooble_messages_in_progress", "demo.a.b", "demo") not in found


KEY = json.dumps(["nooble_x", "nooble_x_total", {}, "x"])


@pytest.fixture
def ended_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process.pid


def left_by(folder: Path, pid: int, count: int) -> Path:
    """What a process has counted."""
    path = folder / f"counter_{pid}.db"
    file = MmapedDict(str(path))
    file.write_value(KEY, count, 0.0)
    file.close()
    return path


def counted(folder: Path) -> dict[str, float]:
    return {path.name: value for path in folder.glob("*.db") for value in folding._read(str(path)).values()}


def test_nothing_is_folded_while_somebody_reads(tmp_path: Path, ended_pid: int) -> None:
    path = left_by(tmp_path, ended_pid, 3)
    with folding.unfolded(str(tmp_path)):
        folding.fold(str(tmp_path))
        assert counted(tmp_path) == {path.name: 3}
    folding.fold(str(tmp_path))
    assert counted(tmp_path) == {"counter_0.db": 3}


def test_who_lives_keeps_its_file_and_who_is_killed_while_folding_spoils_nothing(
    tmp_path: Path, ended_pid: int
) -> None:
    mine = left_by(tmp_path, os.getpid(), 10)
    left_by(tmp_path, ended_pid, 3)
    left_by(tmp_path, 0, 100)
    (tmp_path / "counter_0.db.new").write_bytes(b"half of i")
    folding.forget_the_dead(str(tmp_path))
    assert counted(tmp_path) == {mine.name: 10, "counter_0.db": 103}


def test_a_file_that_nobody_can_read_goes_and_is_told(
    tmp_path: Path, ended_pid: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that is killed at its very beginning leaves an empty one, at which every scrape would fail."""
    (tmp_path / f"counter_{ended_pid}.db").touch()
    folding.fold(str(tmp_path))
    assert counted(tmp_path) == {}
    assert f"counter_{ended_pid}.db" in capsys.readouterr().out


def test_what_cannot_be_folded_stays_and_is_told(
    tmp_path: Path, ended_pid: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = left_by(tmp_path, ended_pid, 3)

    def refuse(*args: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(folding.os, "replace", refuse)
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        prometheus.forget_process(ended_pid)
    assert counted(tmp_path) == {path.name: 3}
    assert "no space left" in capsys.readouterr().out
    folding.fold(str(tmp_path / "gone"))


def test_without_the_extra_a_worker_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('no such module')")
    program = """
import redis.asyncio
from nooble import CommonAppSettings, ServiceWorker
from nooble.services import BaseService
settings = CommonAppSettings(service_name="demo", metrics=True)
ServiceWorker(settings, redis.asyncio.Redis(), BaseService(settings))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert 'pip install "nooble[prometheus]"' in done.stderr.splitlines()[-1]


def test_a_worker_without_metrics_does_not_import_them() -> None:
    program = """
import sys, redis.asyncio
from nooble import CommonAppSettings, ServiceWorker
from nooble.services import BaseService
settings = CommonAppSettings(service_name="demo")
ServiceWorker(settings, redis.asyncio.Redis(), BaseService(settings))
heavy = {"prometheus_client", "nooble.observability.metering", "nooble.observability.opentelemetry"}
print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "[]\n"
