"""Run, start, stop and initialize, in every order and at every moment; also while the server is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import redis.asyncio

from nooble.config import CommonAppSettings
from nooble.errors import ServerRefused
from nooble.models import DomainAction
from nooble.services import BaseService
from nooble.workers import ServiceWorker
from tests.support.platform import Platform
from tests.support.servers import Server
from tests.support.settings import NOBODY, make_settings
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running
from tests.workers.conftest import Employ

Settings = Callable[..., CommonAppSettings]
Launch = Callable[..., Server]


def idle(redis: redis.asyncio.Redis, settings: Settings, **values: float) -> ServiceWorker:
    """A worker that is not started and whose service has little to do."""
    return ServiceWorker(settings(**values), redis, Doing(lambda action: None))


@pytest.fixture
async def nowhere() -> ServiceWorker:
    """A worker whose server is away."""
    settings = make_settings()
    return ServiceWorker(settings, redis.asyncio.Redis.from_url(NOBODY), Doing(lambda action: None))


async def connections(platform: Platform) -> int:
    return len(await platform.redis.client_list()) - 1


# ── stop, at any time ──


async def test_stop_before_run_leaves_no_trace(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    worker = idle(redis, settings)
    await worker.stop()
    async with running(worker):
        assert (await platform.ask("demo.thing.do"))["success"]


async def test_stop_twice_and_at_once_is_as_good_as_once(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: None)
    await platform.ask("demo.thing.do")
    await asyncio.gather(worker.stop(), worker.stop())
    await worker.stop()


async def test_stop_right_after_start_ends_it(redis: redis.asyncio.Redis, settings: Settings) -> None:
    worker = idle(redis, settings)
    await worker.start()
    await worker.stop()
    assert "stopped" in repr(worker)


async def test_stop_does_not_wait_for_a_server_that_is_away(nowhere: ServiceWorker) -> None:
    """Neither before the group was made sure of, nor in the middle of it."""
    await nowhere.start()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(1):
        await nowhere.stop()


@pytest.mark.parametrize(
    ("mishap", "last_words"), [(Server.kill, 0.2), pytest.param(Server.freeze, 2.0, marks=pytest.mark.slow)]
)
async def test_stop_ends_in_time_when_the_server_went_away(
    launch: Launch,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    mishap: Callable[[Server], None],
    last_words: float,
) -> None:
    """What had no end stays pending; the worker does not wait for it beyond the grace and its last words."""
    monkeypatch.setattr("nooble.workers.engine._LAST_WORDS", last_words)
    server = launch()
    client = redis.asyncio.Redis.from_url(server.url)
    going = asyncio.Event()

    async def work(action: DomainAction) -> None:
        going.set()
        await asyncio.sleep(60)

    async with running(ServiceWorker(settings(worker_grace_seconds=0.1), client, Doing(work))):
        await Platform(client).send("demo.thing.do")
        await going.wait()
        mishap(server)
        before = time.monotonic()
    assert time.monotonic() - before < 4 + last_words
    await client.aclose()


async def test_a_handler_can_stop_its_worker(employ: Employ, platform: Platform) -> None:
    """It is not kept waiting for its own end, and its result is written."""

    async def last_one(action: DomainAction) -> str:
        await worker.stop()
        return "goodbye"

    worker = await employ(last_one)
    assert (await platform.ask("demo.thing.do"))["data"] == {"result": "goodbye"}
    await wait_until(lambda: "stopped" in repr(worker), "it has stopped")


async def test_a_task_of_a_handler_can_stop_its_worker(employ: Employ, platform: Platform) -> None:
    async def last_one(action: DomainAction) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.stop())
        return "goodbye"

    worker = await employ(last_one, worker_grace_seconds=60)
    assert (await platform.ask("demo.thing.do"))["data"] == {"result": "goodbye"}
    await wait_until(lambda: "stopped" in repr(worker), "it has stopped")


async def test_a_handler_that_stops_another_worker_waits_for_it(
    employ: Employ, redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    other = idle(redis, settings)

    async def stop_other(action: DomainAction) -> str:
        await other.stop()
        return repr(other)

    await employ(stop_other, "demo")
    async with running(other):
        await wait_until(lambda: "Engine" in repr(other), "it runs")
        for _ in range(20):  # whoever waits first takes it
            answer = await platform.ask("demo.thing.do")
            if "stopped" in str(answer["data"]):
                break
    assert "stopped" in str(answer["data"])


async def test_a_worker_can_be_stopped_while_it_starts(redis: redis.asyncio.Redis, settings: Settings) -> None:
    """By what it calls itself; it does not wait for its own end then."""

    class Reluctant(ServiceWorker):
        async def initialize(self) -> None:
            await super().initialize()
            await self.stop()

    await asyncio.wait_for(Reluctant(settings(), redis, Doing(lambda action: None)).run(), 5)


# ── run and cancellation ──


async def test_cancelling_run_lets_the_running_action_finish(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    going = asyncio.Event()

    async def work(action: DomainAction) -> str:
        going.set()
        await asyncio.sleep(0.1)
        return "done"

    run = asyncio.create_task(ServiceWorker(settings(), redis, Doing(work)).run())
    queue = platform.queue()
    await platform.send("demo.thing.do", callback_queue_name=queue)
    await going.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await platform.answer(queue))["data"] == {"result": "done"}


async def test_cancelling_run_again_ends_the_grace(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """The handler is cancelled and its action handed back, properly."""
    service = Doing(lambda action: asyncio.sleep(60))
    run = asyncio.create_task(ServiceWorker(settings(worker_grace_seconds=60), redis, service).run())
    first = await platform.send("demo.thing.do")
    await wait_until(lambda: service.seen, "it has begun")
    run.cancel()
    await asyncio.sleep(0.05)
    assert not run.done()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 2)
    assert await platform.pending() == []
    ((_, fields),) = await platform.redis.xrange(platform.stream)
    assert fields[b"first_id"] == first


async def test_a_worker_runs_again_under_a_new_name(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """An old run can never end anything as the new one."""
    worker = idle(redis, settings)
    names = set()
    for _ in range(2):
        async with running(worker):
            assert (await platform.ask("demo.thing.do"))["success"]
            names.add(worker.consumer_name)
    assert len(names) == 2


async def test_a_worker_that_runs_is_not_run_again(employ: Employ) -> None:
    worker = await employ(lambda action: None)
    with pytest.raises(RuntimeError, match="running already"):
        await worker.run()


async def test_start_returns_at_once_though_the_server_is_away(nowhere: ServiceWorker) -> None:
    async with asyncio.timeout(0.5):
        await nowhere.start()
        await nowhere.stop()


async def test_a_worker_starts_when_the_server_comes(launch: Launch, settings: Settings) -> None:
    server = launch()
    server.stop()
    client = redis.asyncio.Redis.from_url(server.url)
    async with running(idle(client, settings)):
        await asyncio.sleep(0.1)
        server.start()
        assert (await Platform(client).ask("demo.thing.do"))["success"]
    await client.aclose()


def test_the_same_worker_runs_in_one_event_loop_after_the_other(server: Server) -> None:
    settings = make_settings(redis_url=server.url)
    worker = ServiceWorker(settings, redis.asyncio.Redis.from_url(server.url), Doing(lambda action: None))

    async def once() -> bool:
        async with redis.asyncio.Redis.from_url(server.url) as client, running(worker):
            return bool((await Platform(client).ask("demo.thing.do"))["success"])

    assert asyncio.run(once())
    assert asyncio.run(once())


def test_a_program_that_ends_without_stopping_its_worker_hands_back_what_it_had(server: Server) -> None:
    """`asyncio.run` cancels every task in the end; the worker comes to rest even so, and soon."""
    settings = make_settings(redis_url=server.url, worker_grace_seconds=60)

    async def forgetful() -> None:
        async with redis.asyncio.Redis.from_url(server.url) as client:
            service = Doing(lambda action: asyncio.sleep(60))
            worker = ServiceWorker(settings, client, service)
            for _ in range(3):
                await Platform(client).send("demo.thing.do")
            await worker.start()
            await wait_until(lambda: service.seen, "it has begun")

    before = time.monotonic()
    asyncio.run(forgetful())
    assert time.monotonic() - before < 5
    stream = "nooble4:test:demo:streams:main"
    assert server.client.xpending(stream, "demo-group")["pending"] == 0
    assert server.client.xlen(stream) == 3


# ── what cannot go on ──


async def test_a_fault_that_a_person_must_mend_ends_run_and_says_what(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    await redis.set(platform.stream, "no stream", ex=60)
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await asyncio.wait_for(idle(redis, settings).run(), 5)


async def test_in_the_background_such_a_fault_is_logged(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    await redis.set(platform.stream, "no stream", ex=60)
    worker = idle(redis, settings)
    await worker.start()
    logged = ""

    def has_said_why() -> bool:
        nonlocal logged
        logged += capsys.readouterr().out
        return "worker_failed" in logged and "WRONGTYPE" in logged

    await wait_until(has_said_why, "it is logged")
    await worker.stop()


async def test_a_fault_in_the_middle_of_work_ends_it_too(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = await employ(lambda action: None)
    await platform.ask("demo.thing.do")
    await platform.redis.set(platform.stream, "no stream", ex=60)
    await wait_until(lambda: "WRONGTYPE" in capsys.readouterr().out, "it is logged", timeout=10)
    assert "stopped" in repr(worker)


# ── what is left behind ──


async def test_a_stopped_worker_leaves_no_task_and_no_connection(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    worker = idle(redis, settings)
    before = asyncio.all_tasks(), await connections(platform)
    async with running(worker):
        await worker.redis_client.call("demo.thing.do", timeout=5)
        assert await connections(platform) > before[1]
    assert asyncio.all_tasks() == before[0]
    await wait_until(lambda: _as_many(platform, before[1]), "its connections are closed")


async def test_initialize_alone_opens_what_stop_closes(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    """As some workers of the platform do it before they run; running uses what was opened."""
    worker = idle(redis, settings)
    name, before = worker.consumer_name, await connections(platform)
    await worker.initialize()
    assert worker.initialized
    await worker.stop()
    await wait_until(lambda: _as_many(platform, before), "its connection is closed")
    async with running(worker):
        assert (await platform.ask("demo.thing.do"))["success"]
        assert worker.consumer_name == name


async def _as_many(platform: Platform, number: int) -> bool:
    return await connections(platform) <= number


async def test_the_service_starts_before_and_ends_after_its_actions(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    steps: list[str] = []

    class Service(BaseService):
        async def startup(self) -> None:
            steps.append("startup")

        async def process_action(self, action: DomainAction) -> None:
            steps.append("action")

        async def shutdown(self) -> None:
            steps.append("shutdown")

    service = Service(settings())
    async with running(*(ServiceWorker(settings(), redis, service) for _ in range(2))):
        await platform.ask("demo.thing.do")
    assert steps == ["startup", "action", "shutdown"]


async def test_what_fails_while_closing_keeps_nothing_open(
    redis: redis.asyncio.Redis, settings: Settings, platform: Platform
) -> None:
    class Service(BaseService):
        async def process_action(self, action: DomainAction) -> None: ...

        async def shutdown(self) -> None:
            raise OSError("the pool does not close")

    worker = ServiceWorker(settings(), redis, Service(settings()))
    before = await connections(platform)
    run = asyncio.create_task(worker.run())
    await platform.ask("demo.thing.do")
    await worker.stop()
    with pytest.raises(OSError, match="does not close"):
        await run
    await wait_until(lambda: _as_many(platform, before), "its connections are closed")
