"""What a worker tells: every event with the right facts, in words a person can read, and no listener can harm it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
import structlog

from nooble.errors import Reject
from nooble.events import (
    ActionEvent,
    Buried,
    Completed,
    DeadLettersTrimmed,
    Event,
    Expired,
    Failed,
    Reclaimed,
    Released,
    Retried,
    Started,
)
from nooble.models import DomainAction
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tests.support.workers import TellingWorker
from tests.workers.conftest import Employ


def fail(action: DomainAction) -> None:
    raise OSError("no")


async def only(worker: TellingWorker, kind: type[Any]) -> Any:
    """The one event of *kind*, once it is told."""
    (event,) = await wait_until(lambda: [one for one in worker.told if type(one) is kind], f"{kind.__name__} is told")
    return event


async def test_an_action_that_ends_well_is_told_of_when_it_begins_and_when_it_ends(
    employ: Employ, platform: Platform
) -> None:
    worker = await employ(lambda action: asyncio.sleep(0.02))
    entry = await platform.send("demo.thing.do", action_id=(action_id := "11111111-0000-4000-8000-000000000000"))
    ended, begun = await only(worker, Completed), await only(worker, Started)
    assert begun.entry_id == ended.entry_id == entry.decode()
    assert (ended.action_type, ended.action_id, ended.attempt) == ("demo.thing.do", action_id, 1)
    assert 0.02 <= ended.seconds < 1
    assert (ended.service, ended.consumer) == ("demo", worker.consumer_name)


async def test_a_failure_that_somebody_was_told_of(employ: Employ, platform: Platform) -> None:
    worker = await employ(fail)
    await platform.ask("demo.thing.do")
    told = await only(worker, Failed)
    assert (told.code, told.message, type(told.error)) == ("HANDLER_ERROR", "no", OSError)
    assert told.action_type == "demo.thing.do"


async def test_each_attempt_and_the_end_of_them(employ: Employ, platform: Platform) -> None:
    worker = await employ(fail, retry_attempts=3)
    await platform.send("demo.thing.do")
    buried = await only(worker, Buried)
    assert [event.attempt for event in worker.heard(Retried)] == [1, 2]
    assert all(0 < event.delay < 0.1 for event in worker.heard(Retried))
    assert (buried.attempt, buried.code, buried.message) == (3, "HANDLER_ERROR", "no")


async def test_what_could_not_be_read_is_told_of_without_a_name(employ: Employ, platform: Platform) -> None:
    worker = await employ(fail)
    await platform.add("nonsense")
    told = await only(worker, Buried)
    assert (told.action_type, told.action_id, told.code) == ("", "", "MALFORMED_ACTION")


async def test_what_came_too_late(employ: Employ, platform: Platform) -> None:
    await platform.send("demo.thing.do", metadata={"ttl_ms": 0})
    worker = await employ(fail)
    assert (await only(worker, Expired)).code == "EXPIRED"


async def test_what_was_handed_back(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: asyncio.sleep(60), worker_grace_seconds=0)
    entry = await platform.send("demo.thing.do")
    await wait_until(lambda: worker.service.seen, "it has begun")
    await worker.stop()
    assert (await only(worker, Released)).entry_id == entry.decode()


async def test_dead_letters_that_fell_off(employ: Employ, platform: Platform) -> None:
    for _ in range(5):
        await platform.redis.xadd(platform.dead_letters, {"reason": "old"})
    worker = await employ(fail, dead_letter_max_length=3)
    assert (await only(worker, DeadLettersTrimmed)).count == 2
    assert len(await platform.buried()) == 3


async def test_dead_letters_that_are_too_old_fall_off(employ: Employ, platform: Platform) -> None:
    await platform.redis.xadd(platform.dead_letters, {"reason": "old"}, id="1-0")
    await platform.redis.xadd(platform.dead_letters, {"reason": "new"})
    worker = await employ(fail)
    assert (await only(worker, DeadLettersTrimmed)).count == 1
    assert [letter["reason"] for letter in await platform.buried()] == ["new"]


# ── listeners ──


async def test_a_listener_that_fails_breaks_nothing(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    def bad(event: Event) -> None:
        raise LookupError("bad listener")

    worker = await employ(lambda action: None)
    worker.events.subscribe(bad)
    for _ in range(3):
        assert (await platform.ask("demo.thing.do"))["success"]
    assert "bad listener" in capsys.readouterr().out


async def test_a_listener_hears_only_what_it_asked_for_and_until_it_has_enough(
    employ: Employ, platform: Platform
) -> None:
    heard: list[Any] = []
    worker = await employ(lambda action: None)
    enough = worker.events.subscribe(heard.append, [Completed])
    await platform.ask("demo.thing.do")
    await wait_until(lambda: heard, "it is heard")
    enough()
    await platform.ask("demo.thing.do")
    await wait_until(lambda: len(worker.heard(Completed)) == 2, "it is told")
    assert [type(event) for event in heard] == [Completed]


async def test_whoever_asks_for_all_about_actions_gets_all_kinds(employ: Employ, platform: Platform) -> None:
    heard: list[type[Any]] = []
    worker = await employ(lambda action: None)
    worker.events.subscribe(lambda event: heard.append(type(event)), [ActionEvent])
    await platform.ask("demo.thing.do")
    await wait_until(lambda: heard == [Started, Completed], "both are heard")


# ── logs ──


async def logged(capsys: pytest.CaptureFixture[str], what: str) -> str:
    """Everything that was logged, up to the line with *what*."""
    text = ""

    def has_come() -> bool:
        nonlocal text
        text += capsys.readouterr().out
        return what in text

    await wait_until(has_come, f"{what} is logged")
    return text


async def test_a_worker_says_when_it_starts_and_stops_and_where(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = await employ(lambda action: None)
    text = await logged(capsys, "worker_started")
    assert f"consumer={worker.consumer_name}" in text
    assert f"stream={platform.stream}" in text
    await worker.stop()
    assert "worker_stopped" in capsys.readouterr().out


async def test_an_action_that_ends_well_is_not_worth_a_line_until_somebody_debugs(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    await employ(lambda action: None, "demo")
    await platform.ask("demo.thing.do")
    await employ(lambda action: None, "other", log_level="DEBUG")
    await Platform(platform.redis, "other").ask("other.thing.do")
    text = await logged(capsys, "action_completed")
    assert "other.thing.do" in text
    assert "demo.thing.do" not in text


async def test_an_incident_is_logged_with_its_traceback_and_nothing_of_the_payload(
    employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """Local variables can hold secrets."""
    await employ(fail, retry_attempts=1)
    await platform.send("demo.thing.do", {"password": "s3cret"})
    text = await logged(capsys, "OSError: no")
    assert "action_buried" in text
    assert "in fail" in text
    assert "s3cret" not in text


async def test_a_refusal_is_no_incident(employ: Employ, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(action: DomainAction) -> None:
        raise Reject("only 3 left", error_code="OUT_OF_STOCK")

    await employ(refuse)
    await platform.ask("demo.thing.do")
    text = await logged(capsys, "OUT_OF_STOCK")
    assert "only 3 left" in text
    assert "Traceback" not in text


async def test_logs_go_where_structlog_is_configured_to_write_them(employ: Employ, platform: Platform) -> None:
    lines: list[Any] = []

    def keep(_: Any, level: str, line: Any) -> Any:
        lines.append(line | {"level": level})
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        await employ(fail, retry_attempts=1)
        await platform.send("demo.thing.do")
        await wait_until(lambda: lines[-1:] and lines[-1]["event"] == "action_buried", "it is logged")
    finally:
        structlog.reset_defaults()
    line = lines[-1]
    assert (line["level"], line["service"], line["action_type"]) == ("error", "demo", "demo.thing.do")
    assert (line["code"], line["attempt"]) == ("HANDLER_ERROR", 1)


async def test_what_was_taken_over_is_told(employ: Employ, platform: Platform) -> None:
    await platform.redis.xgroup_create(platform.stream, platform.group, id="0", mkstream=True)
    entry = await platform.send("demo.thing.do")
    dead = "demo-worker-dead-nb0123456789"
    await platform.redis.xreadgroup(platform.group, dead, {platform.stream: ">"})
    worker = await employ(lambda action: None, worker_lease_seconds=0.2)
    told = await only(worker, Reclaimed)
    assert (told.entry_id, told.deliveries) == (entry.decode(), 2)
