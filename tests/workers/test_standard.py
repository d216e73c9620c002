"""The standard, sentence by sentence: §2.1 what a worker is made of, §2.2 what it does, §2.3 its one contract, §4 what runs
side by side."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

from nooble.clients import BaseRedisClient, QueueManager
from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault
from nooble.models import DomainAction
from nooble.workers import BaseWorker, ServiceWorker
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.support.workers import Doing, running
from tests.workers.conftest import Employ

Settings = Callable[..., CommonAppSettings]
IDLE = Doing(lambda action: None)


# ── §2.1: what a worker is made of ──


class MiWorker(BaseWorker):
    """A worker as the standard writes it."""

    async def _handle_action(self, action: DomainAction) -> Any:
        return await self.service.process_action(action)


def test_the_constructor_takes_what_the_standard_names_in_its_order() -> None:
    parameters = list(inspect.signature(BaseWorker.__init__).parameters)
    assert parameters == ["self", "app_settings", "async_redis_conn", "service_instance", "consumer_id_suffix"]


def test_a_worker_has_what_the_standard_names(redis: redis.asyncio.Redis, settings: Settings) -> None:
    worker = MiWorker(settings("mi_servicio"), redis, IDLE, "instance1")
    assert isinstance(worker.queue_manager, QueueManager)
    assert isinstance(worker.redis_client, BaseRedisClient)
    assert worker.service_name == "mi_servicio"
    assert worker.service is IDLE
    assert callable(worker._logger.info)
    assert worker.action_stream_name == "nooble4:test:mi_servicio:streams:main"
    assert worker.consumer_group_name == "mi_servicio-group"
    assert worker.consumer_name.startswith("mi_servicio-worker-instance1-")


@pytest.mark.parametrize(
    "method",
    ["run", "start", "stop", "initialize", "_process_action_loop", "_ensure_consumer_group_exists", "_handle_action"],
)
def test_a_worker_can_what_the_standard_names(method: str) -> None:
    assert inspect.iscoroutinefunction(getattr(BaseWorker, method))


def test_handle_action_is_the_one_method_that_has_to_be_written() -> None:
    assert BaseWorker.__abstractmethods__ == {"_handle_action"}
    with pytest.raises(TypeError, match="_handle_action"):
        BaseWorker(None, None)  # type: ignore[abstract, arg-type]


def test_text_as_third_argument_is_the_suffix(redis: redis.asyncio.Redis, settings: Settings) -> None:
    """As six workers of the platform pass it, which make their service themselves."""
    worker = MiWorker(settings("mi_servicio"), redis, "instance1")
    assert worker.service is None
    assert worker.consumer_name.startswith("mi_servicio-worker-instance1-")


def test_the_same_suffix_twice_names_two_consumers(redis: redis.asyncio.Redis, settings: Settings) -> None:
    """The standard's example says `instance1` at every start; an old run must not be able to end as the new one."""
    first, second = (MiWorker(settings("mi_servicio"), redis, IDLE, "instance1") for _ in range(2))
    assert first.consumer_name != second.consumer_name


def test_a_worker_without_a_connection_says_what_is_missing(settings: Settings) -> None:
    with pytest.raises(ConfigurationFault, match="RedisManager"):
        MiWorker(settings("mi_servicio"), None, IDLE)  # type: ignore[arg-type]


def test_a_service_worker_without_a_service_says_what_is_missing(
    redis: redis.asyncio.Redis, settings: Settings
) -> None:
    with pytest.raises(ConfigurationFault, match="no process_action"):
        ServiceWorker(settings("mi_servicio"), redis, "instance1")


async def test_a_worker_can_be_a_client_of_other_services(employ: Employ) -> None:
    await employ(lambda action: {"price": 2}, "prices")
    orders = await employ(lambda action: None, "orders")
    answer = await orders.redis_client.call("prices.price.get", timeout=5)
    assert answer.data == {"price": 2}


# ── §2.2, 1–4: the way of a run ──


async def test_run_makes_sure_of_the_group_and_then_takes_actions(
    redis: redis.asyncio.Redis, settings: Settings
) -> None:
    steps: list[str] = []

    class Stepping(MiWorker):
        async def _ensure_consumer_group_exists(self) -> None:
            steps.append("group")
            await super()._ensure_consumer_group_exists()

        async def _process_action_loop(self) -> None:
            steps.append("loop")
            await super()._process_action_loop()

    async with running(Stepping(settings(), redis, IDLE)):
        await wait_until(lambda: steps == ["group", "loop"], "both steps are done")


async def test_stream_and_group_are_created_at_start(employ: Employ, platform: Platform) -> None:
    assert not await platform.redis.exists(platform.stream)
    await employ(lambda action: None)
    await wait_until(lambda: platform.redis.exists(platform.stream), "the stream is there")
    (group,) = await platform.redis.xinfo_groups(platform.stream)
    assert group["name"] == platform.group.encode()


async def test_a_group_that_is_there_is_left_as_it_is(employ: Employ, platform: Platform) -> None:
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    await employ(lambda action: {})
    assert (await platform.ask("demo.thing.do"))["success"]


async def test_what_came_before_the_group_is_taken(employ: Employ, platform: Platform) -> None:
    """The group begins at the first entry, not at the last."""
    await platform.send("demo.thing.do")
    worker = await employ(lambda action: None)
    await wait_until(lambda: worker.service.seen, "it is seen")


async def test_workers_of_a_service_compete(employ: Employ, platform: Platform) -> None:
    """Each action goes to one of them."""
    seen: Counter[str] = Counter()

    async def count(action: DomainAction) -> None:
        await asyncio.sleep(0.001)
        seen[str(action.action_id)] += 1

    workers = [await employ(count) for _ in range(3)]
    for _ in range(60):
        await platform.send("demo.thing.do")
    await wait_until(platform.is_done, "all is done")
    assert list(seen.values()) == [1] * 60
    assert all(worker.service.seen for worker in workers)


# ── §2.2, 5: what happens to a message ──


async def test_an_action_is_decoded_with_all_its_fields(employ: Employ, platform: Platform) -> None:
    """Ids come as text of UUIDs; those of the business stay text."""
    worker = await employ(lambda action: None)
    tenant = "0b0e9a5e-0000-4000-8000-000000000001"
    await platform.ask("demo.thing.do", {"n": 1}, tenant_id=tenant, metadata={"source": "web"})
    action = worker.service.seen[0]
    assert isinstance(action, DomainAction)
    assert (action.action_type, action.data, action.metadata) == ("demo.thing.do", {"n": 1}, {"source": "web"})
    assert action.tenant_id == tenant
    assert action.trace_id is not None
    assert action.timestamp.tzinfo is not None


async def test_an_action_is_validated_before_it_is_handled(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: None)
    answer = await platform.ask("demo.thing.do", data=["no", "mapping"])
    assert answer["error"]["error_code"] == "MALFORMED_ACTION"
    assert worker.service.seen == []


async def test_handle_action_gets_it(redis: redis.asyncio.Redis, settings: Settings, platform: Platform) -> None:
    """The worker's own method stands between stream and service."""

    class Shouting(MiWorker):
        async def _handle_action(self, action: DomainAction) -> Any:
            return {"loud": str(await super()._handle_action(action)).upper()}

    async with running(Shouting(settings(), redis, Doing(lambda action: "hello"))):
        assert (await platform.ask("demo.thing.do"))["data"] == {"loud": "HELLO"}


async def test_a_pseudo_synchronous_action_is_answered_on_its_queue(employ: Employ, platform: Platform) -> None:
    """A `DomainActionResponse` in the list, with the ids of the action."""
    await employ(lambda action: {"n": 1})
    correlation, trace = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
    answer = await platform.ask("demo.thing.do", correlation_id=correlation, trace_id=trace, task_id="t", tenant_id="a")
    assert (answer["success"], answer["data"], answer["error"]) == (True, {"n": 1}, None)
    assert (answer["correlation_id"], answer["trace_id"]) == (correlation, trace)
    assert (answer["task_id"], answer["tenant_id"]) == ("t", "a")


async def test_an_answer_has_a_lifetime(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None, response_ttl_seconds=20)
    queue = platform.queue()
    await platform.send("demo.thing.do", callback_queue_name=queue)
    await wait_until(lambda: platform.redis.llen(queue), "the answer is there")
    assert 15_000 < await platform.redis.pttl(queue) <= 20_000


async def test_an_asynchronous_callback_is_a_new_action_that_carries_on_the_ids(
    employ: Employ, platform: Platform
) -> None:
    """Receivers that run the platform's code require these fields."""
    await employ(lambda action: {"n": 1})
    queue = "nooble4:test:platform:callbacks:platform_thing_done:1"
    await platform.send(
        "demo.thing.do",
        callback_queue_name=queue,
        callback_action_type="platform.thing.done",
        correlation_id=(correlation := "11111111-0000-4000-8000-000000000000"),
        trace_id=(trace := "22222222-0000-4000-8000-000000000000"),
        **(ids := {"tenant_id": "a", "session_id": "b", "task_id": "c", "user_id": "d", "agent_id": "e"}),
    )
    callback = await platform.answer(queue)
    assert (callback["action_type"], callback["data"]) == ("platform.thing.done", {"n": 1})
    assert callback.items() >= ids.items()
    assert (callback["correlation_id"], callback["trace_id"]) == (correlation, trace)
    assert callback["origin_service"] == "demo"
    assert callback["callback_queue_name"] is None
    assert DomainAction.model_validate(callback).action_id


async def test_a_callback_into_an_action_stream_is_an_entry_like_any_other(employ: Employ, platform: Platform) -> None:
    """Written together with the acknowledgement; the receiver needs no reader of lists."""
    await employ(lambda action: {"n": 1})
    shop = await employ(lambda action: None, "shop")
    await platform.send(
        "demo.thing.do", callback_queue_name=shop.action_stream_name, callback_action_type="shop.thing.done"
    )
    await wait_until(lambda: shop.service.seen, "the callback is handled")
    assert shop.service.seen[0].data == {"n": 1}


async def test_a_message_is_acknowledged_in_the_end(employ: Employ, platform: Platform) -> None:
    """And deleted, so that the length of the stream is what is left to do."""
    await employ(lambda action: None)
    await platform.ask("demo.thing.do")
    assert await platform.pending() == []
    assert await platform.backlog() == 0


# ── §2.2, 6: errors, retries, pending messages ──


async def test_retries_are_configurable(employ: Employ, platform: Platform) -> None:
    def fail(action: DomainAction) -> None:
        raise OSError("no")

    for attempts in (1, 4):
        service = f"demo{attempts}"
        worker = await employ(fail, service, retry_attempts=attempts, retry_backoff_seconds=0.001)
        elsewhere = Platform(platform.redis, service)
        await elsewhere.send(f"{service}.thing.do")
        await wait_until(elsewhere.is_done, "it is given up")
        assert len(worker.service.seen) == attempts
        assert [letter["attempts"] for letter in await elsewhere.buried()] == [str(attempts)]


async def test_what_a_crashed_worker_had_taken_is_done_by_another(employ: Employ, platform: Platform) -> None:
    """Its entries are taken over a lease after its last sign of life."""
    dead = "demo-worker-host-nb0123456789"
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    entry = await platform.send("demo.thing.do")
    await platform.redis.xreadgroup(platform.group, dead, {platform.stream: ">"})
    worker = await employ(lambda action: None, worker_lease_seconds=0.2)
    await wait_until(lambda: worker.service.seen, "it is done")
    await wait_until(platform.is_done, "it has ended")
    assert entry


# ── §2.3: the contract of _handle_action ──


async def test_none_is_success_without_data_for_who_waits(employ: Employ, platform: Platform) -> None:
    """The standard leaves a caller of such an action waiting; here it is told."""
    await employ(lambda action: None)
    answer = await platform.ask("demo.thing.do")
    assert (answer["success"], answer["data"]) == (True, {})


async def test_none_sends_no_callback(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    queue = "nooble4:test:platform:callbacks:platform_thing_done:1"
    await platform.send("demo.thing.do", callback_queue_name=queue, callback_action_type="platform.thing.done")
    await platform.ask("demo.thing.do")
    assert not await platform.redis.exists(queue)


async def test_an_exception_is_answered_and_logged(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(action: DomainAction) -> None:
        raise LookupError("no such thing")

    await employ(fail)
    answer = await platform.ask("demo.thing.do")
    assert (answer["success"], answer["error"]["error_type"]) == (False, "LookupError")
    assert answer["error"]["message"] == "no such thing"
    lines: list[str] = []

    def logged() -> bool:
        lines.extend(capsys.readouterr().out.splitlines())
        return bool(lines) and lines[-1].strip() == "LookupError: no such thing"

    await wait_until(logged, "it is logged with its traceback")
    assert any("action_failed" in line and "action_type=demo.thing.do" in line for line in lines)


# ── §4: what runs side by side ──


async def test_a_worker_handles_one_action_at_a_time(employ: Employ, platform: Platform) -> None:
    at_once = Counter[str]()

    async def work(action: DomainAction) -> None:
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        await asyncio.sleep(0.005)
        at_once["now"] -= 1

    for _ in range(10):
        await platform.send("demo.thing.do")
    await employ(work)
    await wait_until(platform.is_done, "all is done")
    assert at_once["most"] == 1


async def test_a_service_may_gather_within_one_action(employ: Employ, platform: Platform) -> None:
    async def square(n: int) -> int:
        await asyncio.sleep(0)
        return n * n

    async def gather(action: DomainAction) -> list[int]:
        return await asyncio.gather(*(square(n) for n in range(4)))

    await employ(gather)
    assert (await platform.ask("demo.thing.do"))["data"] == {"result": [0, 1, 4, 9]}


async def test_workers_run_side_by_side_as_tasks_of_one_program(employ: Employ, platform: Platform) -> None:
    """Two slow actions take as long as one."""
    meet = asyncio.Barrier(2)

    async def work(action: DomainAction) -> None:
        async with asyncio.timeout(5):
            await meet.wait()

    for _ in range(2):
        await employ(work)
    first, second = await asyncio.gather(platform.ask("demo.thing.do"), platform.ask("demo.thing.do"))
    assert first["success"]
    assert second["success"]
