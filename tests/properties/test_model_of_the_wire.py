"""The wire's scripts against a model of them, in any order: after every step each action is in exactly one place, and the
server holds what the model says, no more and no less."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from nooble.models.outcomes import Reply
from nooble.wire import redis_stream
from nooble.wire.redis_stream import Ending
from tests.properties.machine import QUEUES, Bench, Wire
from tests.support.servers import Server


@pytest.fixture
def bench(server: Server) -> Iterator[Bench]:
    made = Bench(server)
    yield made
    made.close()


def drive(bench: Bench, examples: int, steps: int, **options: Any) -> None:
    quiet = {"suppress_health_check": list(HealthCheck), "deadline": None} | options
    limits = settings(max_examples=examples, stateful_step_count=steps, **quiet)
    run_state_machine_as_test(lambda: Wire(bench), settings=limits)


@pytest.mark.every_server
def test_the_scripts_do_what_the_model_says(bench: Bench) -> None:
    drive(bench, 50, 40, derandomize=True, database=None)


@pytest.mark.every_server
def test_what_is_in_one_batch_twice_ends_once(bench: Bench) -> None:
    """Once a group was made anew, a worker that lived on has an entry in its hands twice, under one name and one count."""

    async def twice() -> int:
        await bench.stream.ensure_group()
        bench.client.xadd(bench.stream.stream, {"data": "{}"})
        (first,) = await bench.stream.read(1, 1)
        bench.client.xgroup_destroy(bench.stream.stream, bench.stream.group)
        await bench.stream.ensure_group()
        (again,) = await bench.stream.read(1, 1)
        ends = [Ending(one, Reply(QUEUES[0], b"%d" % number)) for number, one in enumerate((first, again))]
        return (await bench.stream.commit(ends, 2)).count

    assert bench.runner.run(twice()) == 1
    assert bench.client.llen(QUEUES[0]) == 1


FENCE = r"if count and count == tonumber\(ARGV\[a \+ 1\]\) then"
WITHOUT = {
    "a fence": ("COMMIT", FENCE, "if true then"),
    "a look at the count": ("COMMIT", FENCE, "if count then"),
    "a fence around the renewal": ("RENEW", r"if count == tonumber\(ARGV\[a \+ 1\]\) then", "if true then"),
    "taking moved retries away": ("MOVE_RETRIES", r"redis\.call\('ZREM', retries, member\)", ""),
}


LATE = "a look at the count"
"""Breaks the law in few examples only: it takes many to find one."""


@pytest.mark.parametrize(
    ("script", "part", "instead"),
    [pytest.param(*WITHOUT[what], id=what, marks=[pytest.mark.slow] * (what == LATE)) for what in WITHOUT],
)
def test_the_model_sees_what_a_script_does_without(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, script: str, part: str, instead: str
) -> None:
    """The control: a test that cannot fail shows nothing."""
    crippled = copy.copy(getattr(redis_stream, script))
    crippled.text, cut = re.subn(part, instead, crippled.text)
    assert cut == 1, f"{script} has changed: say here where its protection stands now"
    crippled.digest = hashlib.sha1(crippled.text.encode()).hexdigest()
    monkeypatch.setattr(redis_stream, script, crippled)
    with pytest.raises(AssertionError):
        drive(bench, 200, 30, phases=[Phase.generate], database=None, derandomize=True, report_multiple_bugs=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.every_server
def test_the_scripts_do_what_the_model_says_for_long(bench: Bench) -> None:
    drive(bench, 100, 60)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@pytest.mark.every_server
def test_the_scripts_do_what_the_model_says_for_a_night(bench: Bench) -> None:
    drive(bench, 5_000, 100)
