"""Beside services that run the platform's code: what they write is done and answered as they expect it."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest

from nooble.models import DomainAction
from tests.support.platform import Platform, envelope
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ

pytestmark = pytest.mark.every_server


async def test_an_action_written_by_hand_is_done_and_answered(employ: Employ, platform: Platform) -> None:
    """JSON in the field `data`, ids as text of UUIDs; the answer comes by LPUSH on the queue that was named."""
    await employ(lambda action: {"n": action.data["n"] + 1})
    answer = await platform.ask("demo.thing.do", {"n": 1})
    assert answer["data"] == {"n": 2}
    assert uuid.UUID(answer["action_id"])


async def test_an_answer_has_every_field_that_the_platform_reads(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    answer = await platform.ask("demo.thing.do")
    assert set(answer) == {
        *("action_id", "correlation_id", "trace_id", "task_id", "tenant_id", "session_id"),
        *("success", "timestamp", "data", "error"),
    }


async def test_fields_that_nooble_does_not_know_reach_a_handler_that_asks(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: {"model": action.rag_config["model"]})
    answer = await platform.ask("demo.thing.do", rag_config={"model": "m", "depth": 3})
    assert answer["data"] == {"model": "m"}
    assert worker.service.seen[0].extra == {"rag_config": {"model": "m", "depth": 3}}


async def test_fields_that_nooble_does_not_know_survive_a_retry_byte_for_byte(
    employ: Employ, platform: Platform
) -> None:
    raw = json.dumps(envelope("demo.thing.do", rag_config={"ñ": 1.10}), ensure_ascii=False, indent=3).encode()
    seen: list[bytes] = []

    def fail(action: DomainAction) -> None:
        seen.append(action.model_dump_json().encode())
        raise OSError("no")

    await employ(fail, retry_attempts=2)
    await platform.add(raw)
    await wait_until(platform.is_done, "it has ended")
    assert len(seen) == 2
    assert [letter["data"] for letter in await platform.buried()] == [raw]


async def test_fields_of_an_entry_that_nooble_does_not_know_do_not_disturb(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    queue = platform.queue()
    message = json.dumps(envelope("demo.thing.do", callback_queue_name=queue))
    await platform.add(message, source="cron", first_id="nonsense", attempt="-7", deliveries="many")
    assert (await platform.answer(queue))["success"]


@pytest.mark.parametrize(
    "fields",
    [
        {"correlation_id": None},
        {"metadata": None},
        {"tenant_id": None, "session_id": None, "task_id": None, "user_id": None, "agent_id": None},
        {"tenant_id": "acme", "task_id": "task 1", "session_id": ""},
        {"timestamp": "2025-06-15T12:00:00.123456"},
        {"timestamp": "2025-06-15T12:00:00Z"},
    ],
    ids=",".join,
)
async def test_what_the_platform_leaves_out_or_writes_its_own_way_is_understood(
    employ: Employ, platform: Platform, fields: dict[str, Any]
) -> None:
    await employ(lambda action: None)
    assert (await platform.ask("demo.thing.do", **fields))["success"]


async def test_the_least_that_an_action_can_be(employ: Employ, platform: Platform) -> None:
    """What is missing is made up, and stays the same through retries."""
    ids: set[Any] = set()

    def fail(action: DomainAction) -> None:
        ids.add((action.action_id, action.trace_id, action.timestamp))
        raise OSError("no")

    worker = await employ(fail, retry_attempts=3)
    await platform.add('{"action_type": "demo.thing.do", "data": {}}')
    await wait_until(platform.is_done, "it has ended")
    assert len(worker.service.seen) == 3
    assert len(ids) == 1


async def test_two_hundred_askers_at_once_each_get_their_own_answer(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: action.data, worker_concurrency=10)
    queues = [platform.queue() for _ in range(200)]
    for number, queue in enumerate(queues):
        await platform.send("demo.thing.do", {"n": number}, callback_queue_name=queue)
    await wait_until(platform.is_done, "all are answered")
    answers = [json.loads(await platform.redis.lpop(queue)) for queue in queues]
    assert [answer["data"]["n"] for answer in answers] == list(range(200))


# ── what the platform leaves behind ──


async def history(platform: Platform, *, done: int = 3, failed: int = 2) -> None:
    """A stream as the platform leaves it: what is done was acknowledged and never deleted, what failed stays pending."""
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    for _ in range(done + failed):
        await platform.send("demo.thing.do", {"old": True})
    read = await platform.redis.xreadgroup(platform.group, "demo-worker-instance1", {platform.stream: ">"})
    for entry_id, _ in read[0][1][:done]:
        await platform.redis.xack(platform.stream, platform.group, entry_id)


async def test_a_stream_with_history_is_not_run_again(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """New entries are taken; what was acknowledged and what failed long ago stays where it is, and `run` says so."""
    await history(platform)
    worker = await employ(lambda action: None, worker_lease_seconds=0.1)
    assert (await platform.ask("demo.thing.do"))["success"]
    await asyncio.sleep(0.3)  # several times the lease: nothing of it is taken over either
    assert not [action for action in worker.service.seen if action.data]
    assert len(await platform.pending()) == 2
    logged = capsys.readouterr().out
    assert "stream_with_history" in logged
    assert "pending_entries_of_other_programs" in logged
    assert "demo-worker-instance1" in logged


async def test_history_does_not_run_again_when_the_group_has_to_be_made_anew(
    employ: Employ, platform: Platform
) -> None:
    """The new group begins where the old one had come to."""
    await history(platform, failed=0)
    worker = await employ(lambda action: None)
    assert (await platform.ask("demo.thing.do"))["success"]
    await platform.redis.xgroup_destroy(platform.stream, platform.group)
    assert (await platform.ask("demo.thing.do"))["success"]
    assert not [action for action in worker.service.seen if action.data]


async def test_a_stream_without_history_says_nothing_of_it(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    await platform.send("demo.thing.do")
    await employ(lambda action: None)
    await platform.ask("demo.thing.do")
    assert "history" not in capsys.readouterr().out


async def test_a_worker_of_the_platform_and_one_of_nooble_share_a_stream(employ: Employ, platform: Platform) -> None:
    """A service moves over worker by worker: what the other one has at work is left to it."""
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    await platform.send("demo.thing.do", {"theirs": True})
    await platform.redis.xreadgroup(platform.group, "demo-worker-old", {platform.stream: ">"})
    worker = await employ(lambda action: None, worker_lease_seconds=0.1)
    for _ in range(3):
        assert (await platform.ask("demo.thing.do"))["success"]
    assert len(worker.service.seen) == 3
    (row,) = await platform.pending()
    assert (row["consumer"], row["times_delivered"]) == (b"demo-worker-old", 1)
