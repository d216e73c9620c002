"""A worker in the registry: it shows what it is and does, is forgotten when it dies, is quiet, goes on and ends when
somebody wants it, and none of that ever costs an action."""

from __future__ import annotations

import asyncio
import os
import platform as machine
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import redis.asyncio
from pydantic import BaseModel, Field

from nooble import __version__
from nooble.config import CommonAppSettings
from nooble.events import Released, ServerLost, Unwritten
from nooble.models import DomainAction
from nooble.operations import System
from nooble.operations.reading import Reading, Service, Worker
from nooble.retry import Retry
from nooble.routing import action
from nooble.services import BaseService
from nooble.wire.registry import MOST_ROUTES
from nooble.workers import ServiceWorker
from nooble.workers.declared import encoded_routes, route_of, schema_of
from tests.chaos.crew import Crew
from tests.cli.terminal import Terminal
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.waiting import wait_until
from tests.support.workers import Doing, TellingWorker, running
from tests.workers.conftest import Employ

Settings = Callable[..., CommonAppSettings]
BEAT = 0.1


@pytest.fixture
async def system(redis: redis.asyncio.Redis, settings: Settings) -> AsyncIterator[System]:
    async with System(redis, settings()) as system:
        yield system


async def service_in(system: System, name: str = "demo") -> Service:
    (service,) = (await system.read([name])).services
    return service


async def card_of(system: System, worker: ServiceWorker) -> Worker | None:
    """What *worker* says of itself, if it says anything."""
    reading = await system.read([worker.service_name])
    every = [one for service in reading.services for one in service.workers]
    return next((one for one in every if one.consumer == worker.consumer_name), None)


async def shows(system: System, worker: ServiceWorker, state: str) -> Worker:
    async def look() -> Worker | None:
        card = await card_of(system, worker)
        return card if card is not None and card.state == state else None

    return await wait_until(look, f"its card says {state}")


class Gate:
    """A handler that waits until it is let go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, action: DomainAction) -> dict[str, Any]:
        await self.open.wait()
        return {"n": action.data.get("n")}


# ── what it says of itself ──


@pytest.mark.every_server
async def test_a_worker_says_where_it_is_and_what_it_does(system: System, employ: Employ, platform: Platform) -> None:
    gate = Gate()
    worker = await employ(
        gate, worker_beat_seconds=BEAT, worker_concurrency=2, worker_lease_seconds=7, service_version="1.2.3"
    )
    entry = (await platform.send("demo.thing.do")).decode()

    async def busy() -> Worker | None:
        card = await card_of(system, worker)
        return card if card is not None and card.busy else None

    card = await wait_until(busy, "it is busy")
    now = (await system.read()).at_ms
    assert (card.service, card.host, card.pid) == ("demo", machine.node(), os.getpid())
    assert (card.version, card.nooble, card.python) == ("1.2.3", __version__, machine.python_version())
    assert (card.state, card.concurrency, card.lease_ms) == ("working", 2, 7_000)
    assert (card.busy, card.held, card.taken) == (1, 1, 1)
    assert card.rss > 1_000_000
    assert now - 10_000 < card.started_ms <= now
    assert now - 2_000 < card.beat_ms <= now
    (at_work,) = card.at_work
    assert (at_work.entry_id, at_work.action_type, at_work.attempt) == (entry, "demo.thing.do", 1)
    assert len(at_work.action_id) == 36
    assert now - 10_000 < at_work.since_ms <= now
    gate.open.set()
    await wait_until(platform.is_done, "it has ended")


@pytest.mark.every_server
async def test_who_ends_in_good_order_is_gone_from_the_registry(
    redis: redis.asyncio.Redis, system: System, settings: Settings
) -> None:
    worker = TellingWorker(settings(worker_beat_seconds=BEAT), redis, Doing(lambda action: None))
    async with running(worker):
        await shows(system, worker, "working")
    assert await redis.keys("*:workers:*") == []
    assert (await service_in(system)).vanished == ()


async def test_a_worker_that_is_not_in_the_registry_works_all_the_same(
    redis: redis.asyncio.Redis, employ: Employ, platform: Platform
) -> None:
    worker = await employ(lambda action: {"n": 1}, worker_beat_seconds=0)
    assert (await platform.ask("demo.thing.do"))["data"] == {"n": 1}
    assert worker.state == "working"
    assert not any(b":workers:" in key or b":services" in key for key in await redis.keys("*"))


async def test_only_the_longest_running_actions_are_shown(system: System, employ: Employ, platform: Platform) -> None:
    gate = Gate()
    worker = await employ(gate, worker_beat_seconds=BEAT, worker_concurrency=30)
    await platform.send("demo.thing.do")
    first = await wait_until(lambda: worker._engine and list(worker._engine.flight.running.values()), "one runs")
    for _ in range(29):
        await platform.send("demo.thing.do")

    async def full() -> Worker | None:
        card = await card_of(system, worker)
        return card if card is not None and card.busy == 30 else None

    card = await wait_until(full, "all run")
    assert len(card.at_work) == 20
    assert card.at_work[0].entry_id == first[0].delivery.entry_id.decode()
    gate.open.set()
    await wait_until(platform.is_done, "all have ended")


# ── its states ──


async def test_a_worker_goes_through_its_states(redis: redis.asyncio.Redis, settings: Settings) -> None:
    starting = asyncio.Event()
    go_on = asyncio.Event()

    class Slow(TellingWorker):
        async def initialize(self) -> None:
            starting.set()
            await go_on.wait()
            await super().initialize()

    worker = Slow(settings(), redis, Doing(lambda action: None))
    states = [worker.state]
    await worker.start()
    await starting.wait()
    states.append(worker.state)
    assert not worker.is_ready
    go_on.set()
    await wait_until(lambda: worker.is_ready, "it can take actions")
    states.append(worker.state)
    await worker.quiet()
    states.append(worker.state)
    assert not worker.is_ready
    await worker.resume()
    states.append(worker.state)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    states.append(worker.state)
    await stopping
    states.append(worker.state)
    assert states == ["stopped", "starting", "working", "quiet", "working", "stopping", "stopped"]
    assert not worker.is_ready


@pytest.mark.every_server
async def test_a_worker_without_its_server_waits_and_is_seen_again(launch: Callable[..., Server]) -> None:
    from tests.support.settings import make_settings

    server = launch()
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        worker = TellingWorker(
            make_settings(redis_url=server.url, worker_beat_seconds=BEAT), connection, Doing(lambda action: None)
        )
        async with System(connection, worker.app_settings) as system, running(worker):
            await shows(system, worker, "working")
            server.kill()
            await wait_until(lambda: worker.state == "waiting", "it has noticed")
            assert not worker.is_ready
            await asyncio.wait_for(worker.quiet(), 1.0)
            await worker.resume()
            server.start()
            await shows(system, worker, "working")
            assert worker.is_ready
            assert len(worker.heard(ServerLost)) == 1


# ── quiet ──


@pytest.mark.every_server
async def test_a_quiet_worker_takes_nothing_finishes_what_runs_and_hands_back_the_rest(
    redis: redis.asyncio.Redis, employ: Employ, platform: Platform
) -> None:
    gate = Gate()
    worker = await employ(gate, worker_concurrency=1, worker_block_ms=30_000)
    running_id = await platform.send("demo.thing.do", {"n": 1}, callback_queue_name=platform.queue())
    await wait_until(lambda: worker.taken == 1, "it runs")
    more = [await platform.send("demo.thing.do", {"n": number}) for number in (2, 3)]
    await worker.quiet()
    assert worker.state == "quiet"

    async def holds_one() -> bool:
        return [row["message_id"] for row in await platform.pending()] == [running_id]

    await wait_until(holds_one, "what had not started is handed back")
    later = await platform.send("demo.thing.do", {"n": 4})
    gate.open.set()

    async def waits() -> bool:
        return await platform.pending() == [] and await platform.backlog() == 3

    await wait_until(waits, "what ran has ended")
    groups = await redis.xinfo_groups(platform.stream)
    assert groups[0]["lag"] == 3
    assert len(worker.service.seen) == 1
    assert later in [entry_id for entry_id, _ in await redis.xrange(platform.stream)]
    assert {told.entry_id for told in worker.heard(Released)} <= {entry.decode() for entry in more}

    await worker.resume()
    await wait_until(platform.is_done, "all is done")
    assert sorted(one.data["n"] for one in worker.service.seen) == [1, 2, 3, 4]


async def test_a_worker_that_waits_for_actions_is_quiet_at_once(
    redis: redis.asyncio.Redis, employ: Employ, platform: Platform
) -> None:
    """Not only when its read has ended."""
    worker = await employ(lambda action: None, worker_block_ms=60_000, worker_lease_seconds=240)
    await wait_until(lambda: worker.is_ready and worker._stream.reader.up, "it reads")
    await asyncio.wait_for(worker.quiet(), 5)
    await platform.send("demo.thing.do")
    assert (await redis.xinfo_groups(platform.stream))[0]["lag"] == 1
    await worker.resume()
    await wait_until(platform.is_done, "it is done")


async def test_nothing_is_started_once_a_worker_is_quiet(employ: Employ, platform: Platform) -> None:
    """What it has read ahead is handed back, however soon it could be started."""
    gate, waits = Gate(), asyncio.Event()

    async def stop_in_the_middle(action: DomainAction) -> None:
        if action.data["n"] == 50:
            waits.set()
            await gate(action)

    for number in range(100):
        await platform.send("demo.thing.do", {"n": number})
    worker = await employ(stop_in_the_middle)
    await waits.wait()
    await wait_until(lambda: worker._engine and worker._engine.flight.ready, "it has read ahead")
    await worker.quiet()
    gate.open.set()

    async def holds_nothing() -> bool:
        return await platform.pending() == []

    await wait_until(holds_nothing, "what had begun has ended")
    assert worker.taken == 51
    await worker.resume()
    await wait_until(platform.is_done, "all is done")
    assert sorted(one.data["n"] for one in worker.service.seen) == list(range(100))


async def test_what_the_server_gives_to_a_read_that_was_cut_off_is_handed_back(
    redis: redis.asyncio.Redis, employ: Employ, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if an action had come before the server noticed."""
    monkeypatch.setattr("nooble.workers.consumer._AFTER_ALL", 0.1)
    worker = await employ(lambda action: None)
    await wait_until(lambda: worker.is_ready, "it works")
    await worker.quiet()
    await platform.send("demo.thing.do")
    await redis.xreadgroup(platform.group, worker.consumer_name, {platform.stream: ">"})

    async def is_handed_back() -> bool:
        return await platform.pending() == [] and await platform.backlog() == 1

    await wait_until(is_handed_back, "it is handed back")
    assert worker.taken == 0


async def test_a_quiet_worker_takes_nothing_over(
    redis: redis.asyncio.Redis, employ: Employ, platform: Platform
) -> None:
    """Not even if it was about to, and waited only for what it runs to prove harmless, which takes half a lease."""
    gate = Gate()
    worker = await employ(gate, worker_concurrency=3, worker_lease_seconds=60)
    await platform.send("demo.thing.do", {"n": 1})
    await wait_until(lambda: worker.taken == 1, "it runs")
    left = await platform.send("demo.thing.do", {"n": 2})
    dead = "demo-worker-dead-nb0123456789"
    await wait_until(lambda: worker.taken == 2, "the other runs, too")
    await redis.xclaim(platform.stream, platform.group, dead, 0, [left], idle=3_600_000, justid=True)
    assert worker._engine is not None
    consumer, looked = worker._engine._consumer, asyncio.Event()
    abandoned = worker._stream.abandoned

    async def look(lease_ms: int) -> int:
        found = await abandoned(lease_ms)
        looked.set()
        return found

    worker._stream.abandoned = look  # type: ignore[method-assign]
    consumer._next_claim = 0.0
    await looked.wait()
    await asyncio.wait_for(worker.quiet(), 5)
    rows = {row["message_id"]: row["consumer"] for row in await platform.pending()}
    assert rows[left] == dead.encode()
    gate.open.set()


async def test_others_do_what_a_quiet_worker_leaves(employ: Employ, platform: Platform) -> None:
    quiet = await employ(lambda action: {"who": "quiet"})
    await wait_until(lambda: quiet.is_ready, "it works")
    await quiet.quiet()
    await employ(lambda action: {"who": "other"})
    assert [(await platform.ask("demo.thing.do"))["data"]["who"] for _ in range(5)] == ["other"] * 5


async def test_a_quiet_worker_keeps_its_leases_and_moves_retries(employ: Employ, platform: Platform) -> None:
    """Another one, with the same lease, would take over what is not renewed, and starts what was retried."""
    gate = Gate()
    quiet = await employ(gate, worker_lease_seconds=0.3)
    await platform.send("demo.thing.do", {"n": 1})
    await wait_until(lambda: quiet.taken == 1, "it runs")
    await quiet.quiet()
    other = await employ(lambda action: None, worker_lease_seconds=0.3)
    await platform.redis.zadd(platform.retries, {b"1-0\n" + msgspec.json.encode({"action_type": "demo.thing.do"}): 1})
    await wait_until(lambda: other.taken == 1, "the retry has run")
    await asyncio.sleep(0.7)  # two leases
    assert [row["times_delivered"] for row in await platform.pending()] == [1]
    gate.open.set()
    await wait_until(platform.is_done, "it has ended")
    assert (quiet.taken, other.taken) == (1, 1)


async def test_what_comes_in_the_very_moment_of_falling_quiet_is_not_kept(employ: Employ, platform: Platform) -> None:
    """Actions come all the time while a worker falls quiet and goes on, again and again: when it is quiet it holds nothing,
    and in the end each was done once."""
    worker = await employ(lambda action: None, worker_concurrency=4)
    await wait_until(lambda: worker.is_ready, "it works")
    stop, sent = asyncio.Event(), 0

    async def send() -> None:
        nonlocal sent
        while not stop.is_set():
            await platform.send("demo.thing.do", {"n": sent})
            sent += 1

    async def holds_nothing() -> bool:
        return await platform.pending() == []

    sending = asyncio.create_task(send())
    for _ in range(15):
        await worker.quiet()
        await wait_until(holds_nothing, "it holds nothing")
        taken = worker.taken
        await asyncio.sleep(0.01)
        assert worker.taken == taken
        await worker.resume()
        await wait_until(lambda since=taken: worker.taken > since, "it goes on")
    stop.set()
    await sending
    await wait_until(platform.is_done, "all is done", timeout=20)
    assert sorted(one.data["n"] for one in worker.service.seen) == list(range(sent))
    assert worker.heard(ServerLost) == []


async def test_who_is_asked_to_be_quiet_before_it_begins_begins_quiet(employ: Employ, platform: Platform) -> None:
    await platform.send("demo.thing.do")
    worker = await employ(lambda action: None)
    await worker.quiet()
    await wait_until(lambda: worker.state == "quiet", "it is there")
    await asyncio.sleep(0.1)
    assert (worker.taken, await platform.pending()) == (0, [])
    await worker.resume()
    await wait_until(platform.is_done, "it is done")


async def test_a_worker_that_does_not_run_is_neither_quiet_nor_is_its_next_run(
    redis: redis.asyncio.Redis, settings: Settings
) -> None:
    worker = TellingWorker(settings(), redis, Doing(lambda action: None))
    await worker.quiet()
    await worker.resume()
    assert worker.state == "stopped"
    async with running(worker):
        await wait_until(lambda: worker.state == "working", "it works")
        await worker.quiet()
    async with running(worker):
        await wait_until(lambda: worker.state == "working", "it works again")


async def test_a_quiet_worker_can_be_stopped(redis: redis.asyncio.Redis, settings: Settings) -> None:
    worker = TellingWorker(settings(), redis, Doing(lambda action: None))
    await worker.start()
    await wait_until(lambda: worker.is_ready, "it works")
    await worker.quiet()
    await asyncio.wait_for(worker.stop(), 1.5)
    assert worker.state == "stopped"


# ── wishes ──


@pytest.mark.every_server
async def test_somebody_can_have_it_quiet_let_it_go_on_and_end_it(
    redis: redis.asyncio.Redis, system: System, settings: Settings
) -> None:
    worker = TellingWorker(settings(worker_beat_seconds=BEAT), redis, Doing(lambda action: None))
    run = asyncio.create_task(worker.run())
    await shows(system, worker, "working")
    for wish, state in (("quiet", "quiet"), ("resume", "working"), ("quiet", "quiet")):
        assert await system.steer("demo", worker.consumer_name, wish)  # type: ignore[arg-type]
        await shows(system, worker, state)
        assert worker.state == state
    assert await system.steer("demo", worker.consumer_name, "stop")
    await asyncio.wait_for(run, 5)  # without an error, as after `stop`
    assert worker.state == "stopped"
    assert await system.steer("demo", worker.consumer_name, "resume") is False
    assert await redis.keys("*:wishes:*") == []


async def test_a_wish_that_was_fulfilled_does_not_come_back(
    redis: redis.asyncio.Redis, system: System, employ: Employ
) -> None:
    worker = await employ(lambda action: None, worker_beat_seconds=BEAT)
    await shows(system, worker, "working")
    await system.steer("demo", worker.consumer_name, "quiet")
    await shows(system, worker, "quiet")

    async def is_forgotten() -> bool:
        return await redis.keys("*:wishes:*") == []

    await wait_until(is_forgotten, "the wish is taken away")
    await worker.resume()
    first = await shows(system, worker, "working")

    async def later() -> Worker | None:
        card = await card_of(system, worker)
        return card if card is not None and card.beat_ms > first.beat_ms + 300 else None

    assert (await wait_until(later, "some beats later")).state == "working"


async def test_an_unknown_wish_is_passed_over(redis: redis.asyncio.Redis, system: System, employ: Employ) -> None:
    worker = await employ(lambda action: None, worker_beat_seconds=BEAT)
    await shows(system, worker, "working")
    await redis.set(f"nooble4:test:demo:wishes:{worker.consumer_name}", b"\xff explode", px=60_000)

    async def is_forgotten() -> bool:
        return await redis.keys("*:wishes:*") == []

    await wait_until(is_forgotten, "it is taken away")
    assert worker.state == "working"


async def test_a_running_action_may_finish_when_somebody_ends_its_worker(
    system: System, employ: Employ, platform: Platform
) -> None:
    gate = Gate()
    worker = await employ(gate, worker_beat_seconds=BEAT)
    queue = platform.queue()
    await platform.send("demo.thing.do", {"n": 1}, callback_queue_name=queue)
    await wait_until(lambda: worker.taken == 1, "it runs")
    await shows(system, worker, "working")
    await system.steer("demo", worker.consumer_name, "stop")
    card = await shows(system, worker, "stopping")
    assert card.busy == 1
    gate.open.set()
    assert (await platform.answer(queue))["data"] == {"n": 1}
    await wait_until(lambda: worker.state == "stopped", "it has ended")


TWO_SERVICES = """
from nooble import BaseService, action

class One(BaseService):
    service_name = "one"
    @action("one.thing.do")
    async def do(self) -> None: ...

class Two(BaseService):
    service_name = "two"
    @action("two.thing.do")
    async def do(self) -> None: ...
"""


async def test_a_process_ends_well_when_all_its_workers_were_asked_to(
    redis: redis.asyncio.Redis, server: Server, settings: Settings, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path)
    terminal.write("two.py", TWO_SERVICES)
    options = {"ENVIRONMENT": "test", "WORKER_BEAT_SECONDS": str(BEAT)}
    with terminal.start("run", "two:One", "two:Two", "--redis-url", server.url, **options) as process:
        async with System(redis, settings()) as system:

            async def all_there() -> dict[str, str]:
                workers = [one for service in (await system.read()).services for one in service.workers]
                return {one.service: one.consumer for one in workers} if len(workers) == 2 else {}

            names = await wait_until(all_there, "both are there", timeout=20)
            await system.steer("one", names["one"], "stop")

            async def one_left() -> bool:
                return [bool(service.workers) for service in (await system.read()).services] == [False, True]

            await wait_until(one_left, "the first has ended")
            assert process.process.poll() is None
            await system.steer("two", names["two"], "stop")
            assert await asyncio.to_thread(process.ended) == 0


# ── death ──


@pytest.mark.every_server
async def test_who_is_killed_is_forgotten_and_missed(
    server: Server, redis: redis.asyncio.Redis, settings: Settings, tmp_path: Path
) -> None:
    async with System(redis, settings()) as system:
        with Crew(server.url, tmp_path / "ledger", worker_beat_seconds=BEAT) as crew:
            first, second = crew.hire(2)

            async def pids() -> dict[int, str]:
                services = (await system.read()).services
                return {one.pid: one.consumer for service in services for one in service.workers}

            async def both() -> dict[int, str]:
                seen = await pids()
                return seen if len(seen) == 2 else {}

            names = await wait_until(both, "both are there", timeout=20)
            crew.kill(first)

            async def one() -> Reading | None:
                reading = await system.read()
                return reading if len(reading.services[0].workers) == 1 else None

            reading = await wait_until(one, "its card is gone")
            (service,) = reading.services
            assert [worker.pid for worker in service.workers] == [second.pid]
            assert service.vanished == (names[first.pid],)
            (problem,) = [problem for problem in reading.problems if problem.service]
            assert (problem.code, problem.grave) == ("worker_vanished", False)
            assert names[first.pid] in problem.text


async def test_a_registry_that_was_emptied_is_filled_again(
    redis: redis.asyncio.Redis, system: System, settings: Settings
) -> None:
    worker = ServiceWorker(settings(worker_beat_seconds=BEAT), redis, Declared(settings()))
    async with running(worker):
        await wait_until(lambda: system.routes("demo"), "its routes are there")
        await redis.flushall()
        await wait_until(lambda: system.routes("demo"), "its routes are there again")
        await shows(system, worker, "working")


async def test_a_worker_that_may_not_write_there_works_and_says_so_once(
    launch: Callable[..., Server], settings: Settings
) -> None:
    server = launch()
    rights = ["~nooble4:test:demo:streams:*", "~nooble4:test:demo:[rdl]*", "~nooble4:test:platform:*", "+@all"]
    server.client.execute_command("ACL", "SETUSER", "guest", "on", "nopass", *rights)
    guest = redis.asyncio.Redis.from_url(server.url, username="guest", password="x")
    async with guest, redis.asyncio.Redis.from_url(server.url) as ours:
        platform, beats = Platform(ours), 0
        worker = TellingWorker(settings(worker_beat_seconds=0.02), guest, Doing(lambda action: {"n": 1}))
        async with running(worker):
            await wait_until(lambda: worker.heard(Unwritten), "it has said so")
            beat = worker._engine._beat  # type: ignore[union-attr]
            attempt = beat._beat

            async def counted() -> str:
                nonlocal beats
                beats += 1
                return await attempt()

            beat._beat = counted  # type: ignore[method-assign]
            await wait_until(lambda: beats > 3, "it has tried again")
            assert (await platform.ask("demo.thing.do"))["data"] == {"n": 1}
            (told,) = worker.heard(Unwritten)
            assert told.key == f"nooble4:test:demo:workers:{worker.consumer_name}"
            assert "ACL SETUSER" in told.message
            assert (worker.state, worker.heard(ServerLost)) == ("working", [])


async def test_nothing_in_a_card_can_end_a_worker(
    employ: Employ, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await employ(lambda action: {"n": 1}, worker_beat_seconds=0.02)
    await wait_until(lambda: worker.is_ready, "it works")
    engine = worker._engine
    assert engine is not None
    monkeypatch.setattr(engine._beat, "_card", lambda digest: 1 / 0)
    told = await wait_until(lambda: worker.heard(Unwritten), "it has said so")
    assert "division" in told[0].message
    assert (await platform.ask("demo.thing.do"))["data"] == {"n": 1}


# ── routes ──


class Thing(BaseModel):
    n: int = Field(ge=1)


class Packed(msgspec.Struct):
    n: int


class Odd:
    """A class of which nobody can make a schema."""


class Declared(BaseService):
    @action("demo.thing.do", retry=Retry(attempts=5), timeout=2, sensitive=["n"], tags=["a", "b"], version="2")
    async def do(self, thing: Thing) -> Packed:
        """Does a thing.

        And says nothing more of it here.
        """
        return Packed(thing.n)

    @action("demo.thing.undo", deprecated=True, title="Undo it")
    async def undo(self) -> None: ...


@pytest.mark.every_server
async def test_what_can_be_asked_of_a_service_is_in_the_registry(
    redis: redis.asyncio.Redis, system: System, settings: Settings
) -> None:
    worker = ServiceWorker(settings(worker_beat_seconds=BEAT), redis, Declared(settings()))
    async with running(worker):
        do, undo = await wait_until(lambda: system.routes("demo"), "its routes are there")
    assert (do.action_type, do.doc) == ("demo.thing.do", "Does a thing.")
    assert do.payload == Thing.model_json_schema()
    assert do.response == msgspec.json.schema(Packed)
    assert do.options["retry"].startswith("5 attempts")
    expected = {"timeout": "2 s", "sensitive": "n", "tags": "a, b", "version": "2", "takes": "Thing", "gives": "Packed"}
    assert expected.items() <= do.options.items()
    assert (undo.doc, undo.payload, undo.response) == ("Undo it", None, {"type": "null"})
    assert undo.options["deprecated"] == "yes"


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (Thing, "object"),
        (dict[str, int], "object"),
        (list[Packed], "array"),
        (Annotated[int, Field(ge=1)], "integer"),
        (bytes, "string"),
    ],
)
def test_a_schema_is_made_by_whoever_reads_the_type(declared: Any, kind: str) -> None:
    schema = schema_of(declared)
    assert schema is not None
    assert schema["type"] == kind


@pytest.mark.parametrize("declared", [None, Any, object, Odd, list[Odd], "no type", 5, Callable[[], int]])
def test_a_schema_that_cannot_be_made_is_none(declared: Any) -> None:
    assert schema_of(declared) is None


async def test_routes_take_no_more_room_than_they_may() -> None:
    """What is too much loses its schemas first; and whatever is no route is left out."""
    routes = Declared.routes
    wide = {f"field_{number}": (int, Field(description="x" * 1_000)) for number in range(100)}
    from pydantic import create_model

    model = create_model("Wide", **wide)  # type: ignore[call-overload]
    many = [msgspec.structs.replace] * 3 + [
        type(routes[0])(action_type=f"demo.thing.a{number}", handler="x", model=model) for number in range(50)
    ]
    encoded = await encoded_routes(lambda: many)  # type: ignore[arg-type]
    assert MOST_ROUTES / 2 < len(encoded) <= MOST_ROUTES
    read = msgspec.json.decode(encoded)
    assert [route["action_type"] for route in read] == [f"demo.thing.a{number}" for number in range(50)]
    with_schema = [route["payload"] is not None for route in read]
    assert with_schema == [True] * 2 + [False] * 48
    assert await encoded_routes(lambda: 1 / 0) == await encoded_routes(lambda: 5) == b""  # type: ignore[arg-type,return-value]


def test_words_about_an_action_are_cut() -> None:
    route = type(Declared.routes[0])(action_type="a.b", handler="h" * 1_000, description="d" * 5_000)
    told = route_of(route)
    assert (len(told.doc), len(told.options["handler"])) == (1_000, 300)
