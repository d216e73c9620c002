"""Whatever strangers write, a worker goes on: others are served, nobody else's keys are touched, the entry ends, and a
trace of it remains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nooble.config import CommonAppSettings
from nooble.events import DataLost, Held, Unwritten
from nooble.operations.dead_letters import DeadLetters
from tests.properties.hostility import (
    ONLY_PYTHON_READS,
    Fields,
    callbacks,
    entries,
    envelopes,
    members,
    names,
    scores,
    sound,
)
from tests.properties.workplace import Workplace, some
from tests.support.waiting import wait_until

Settings = Callable[..., CommonAppSettings]
LIMIT = 1_048_576

pytestmark = [
    pytest.mark.every_server,
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.leaves_keys("strangers' keys, which must stay as they are"),
]


# ── entries ──


@some(60)
@given(batch=st.lists(entries, min_size=1, max_size=3))
@example(batch=[[(b"", b"")], [(b"data", sound()), (b"data", b"")], [(b"data", b""), (b"data", sound())]])
@example(batch=[[(b"data", sound()), (b"first_id", b"9" * 20 + b"-" + b"9" * 20), (b"deliveries", b"9999999")]])
def test_any_bytes_in_any_field_of_an_entry(workplace: Workplace, batch: list[Fields]) -> None:
    async def attack() -> list[bytes]:
        return [await workplace.add(fields) for fields in batch]

    workplace.survives(attack)


@some(60)
@given(batch=st.lists(envelopes, min_size=1, max_size=4))
def test_any_envelope_that_is_nearly_right(workplace: Workplace, batch: list[bytes]) -> None:
    async def attack() -> list[bytes]:
        return [await workplace.add([(b"data", data)]) for data in batch]

    workplace.survives(attack)


@some(60)
@given(callback=callbacks, action_type=st.sampled_from(["demo.thing.do", "demo.thing.fail", "demo", None]))
def test_any_place_that_an_answer_may_be_wanted_at(
    workplace: Workplace, callback: tuple[str, Any], action_type: str | None
) -> None:
    queue, callback_type = callback
    fields = {"callback_queue_name": queue, "callback_action_type": callback_type, "action_type": action_type}

    async def attack() -> list[bytes]:
        return [await workplace.add([(b"data", sound(**fields))])]

    workplace.survives(attack, callback)


@pytest.mark.parametrize("kind", ["string", "hash", "stream", "set"])
def test_an_answer_for_a_key_of_another_type_is_told_and_the_key_stays(workplace: Workplace, kind: str) -> None:
    redis, queue = workplace.redis, workplace.platform.queue()
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: redis.set(queue, "x"),
        "hash": lambda: redis.hset(queue, "x", "x"),
        "stream": lambda: redis.xadd(queue, {"x": "x"}),
        "set": lambda: redis.sadd(queue, "x"),
    }

    async def attack() -> list[bytes]:
        entry_id = await workplace.add([(b"data", sound(callback_queue_name=queue))])
        await workplace.ends(entry_id.decode())
        assert [one.key for one in workplace.worker.heard(Unwritten)] == [queue]
        return [entry_id]

    workplace.runner.run(_awaited(makers[kind]))
    workplace.survives(attack)


@some(20)
@given(data=envelopes, times=st.integers(2, 5))
def test_what_is_replayed_comes_to_its_end_every_time(workplace: Workplace, data: bytes, times: int) -> None:
    """A stranger who writes down what he has seen, and writes it again."""

    async def attack() -> list[bytes]:
        return [await workplace.add([(b"data", data), (b"v", b"1")]) for _ in range(times)]

    workplace.survives(attack)


def test_an_entry_from_the_future_holds_nobody_up(workplace: Workplace) -> None:
    """An id beyond all clocks: whatever comes later is numbered after it."""
    future = b"9999999999999-7"

    async def attack() -> list[bytes]:
        data = sound(timestamp="9999-12-31T23:59:59Z", metadata={"ttl_ms": 60_000})
        await workplace.redis.xadd(workplace.platform.stream, {"data": data}, id=future)
        return [future]

    workplace.survives(attack)


# ── the retry set, the dead letters ──


@some(60)
@given(batch=st.dictionaries(members, scores, min_size=1, max_size=4))
@example(batch={b"first_id 1-1\n" + sound(): float("-inf")})
def test_any_bytes_that_wait_for_a_retry(workplace: Workplace, batch: dict[bytes, float]) -> None:
    """What is due goes back to the stream and comes to an end there; it is all kept, or done."""

    async def attack() -> list[bytes]:
        await workplace.redis.zadd(workplace.platform.retries, batch)
        workplace.worker._engine.flight.retried.ring()  # else it is looked for once a second
        await wait_until(lambda: len(workplace.ended()) >= len(batch), "each has come to an end")
        return []

    workplace.survives(attack)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks for retries ten times a second, though none is due; to be asked for before it."""
    monkeypatch.setattr("nooble.workers.upkeep._LONGEST_PAUSE", 0.1)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("score", [float("inf"), 1e308, 2.0**63])
def test_a_retry_that_is_never_due_holds_up_nobody(workplace: Workplace, score: float) -> None:
    async def attack() -> list[bytes]:
        retries = workplace.platform.retries
        await workplace.redis.zadd(retries, {b"never": score, b"1-1\n" + sound(): 0})

        async def moved() -> bool:
            return list(await workplace.redis.zrange(retries, 0, -1)) == [b"never"]

        await wait_until(moved, "what is due has gone")
        await workplace.redis.zrem(retries, b"never")
        return []

    workplace.survives(attack)


@some(30)
@given(letters=st.lists(entries, min_size=1, max_size=4))
def test_any_bytes_among_the_dead_letters(workplace: Workplace, letters: list[Fields]) -> None:
    """They lie beside the worker's own, which come and go as ever."""

    async def attack() -> list[bytes]:
        for fields in letters:
            flat = [part for pair in fields for part in pair]
            await workplace.redis.execute_command("XADD", workplace.platform.dead_letters, "*", *flat)
        return [await workplace.add([(b"data", b"no action")])]

    workplace.survives(attack)


@some(30)
@given(letters=st.lists(entries | st.builds(lambda data: [(b"data", data)], envelopes), min_size=1, max_size=4))
def test_any_bytes_among_the_dead_letters_can_be_looked_at_and_told(
    workplace: Workplace, letters: list[Fields]
) -> None:
    async def look() -> None:
        key = workplace.platform.dead_letters
        for fields in letters:
            flat = [part for pair in fields for part in pair]
            await workplace.redis.execute_command("XADD", key, "*", *flat)
        async with DeadLetters(workplace.redis, workplace.settings) as dead:
            told = [json.loads(line) async for line in dead.export()]
            found = [await dead.show(one["id"]) for one in told]
        assert len(told) == len(letters) == await workplace.redis.xlen(key)
        assert [one.as_dict() for one in found if one] == told
        await workplace.redis.delete(key)

    workplace.runner.run(look())


@pytest.mark.parametrize("value", ONLY_PYTHON_READS[:-1], ids=lambda value: repr(value[:9]))
def test_whoever_waits_for_an_action_with_something_unreadable_inside_is_told(
    workplace: Workplace, value: bytes
) -> None:
    """As whoever waits for what is nested too deeply."""
    queue = workplace.platform.queue()

    async def attack() -> list[bytes]:
        data = sound(callback_queue_name=queue, data={"n": "#"}).replace(b'"#"', value)
        entry_id = await workplace.add([(b"data", data)])
        await workplace.ends(entry_id.decode())
        answer = await workplace.platform.answer(queue, timeout=0.5)
        assert answer["error"]["error_code"] == "MALFORMED_ACTION"
        return [entry_id]

    workplace.survives(attack)


# ── keys of the wrong type ──


@pytest.mark.parametrize("kind", ["string", "hash"])
def test_what_cannot_be_kept_is_held_and_told_while_others_are_served(
    workplace: Workplace, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nooble.workers.settlement._HELD_PAUSE", 0.1)
    redis, letters, retries = workplace.redis, workplace.platform.dead_letters, workplace.platform.retries

    async def attack() -> list[bytes]:
        for key in (letters, retries):
            await redis.delete(key)
            await (redis.set(key, "x") if kind == "string" else redis.hset(key, "x", "x"))
        ids = [
            await workplace.add([(b"data", data)])
            for data in (b"no action", sound(action_type="demo.thing.fail"), sound(callback_queue_name="*"))
        ]

        def held() -> set[bytes]:
            return {one.entry_id.encode() for one in workplace.worker.heard(Held)}

        await wait_until(lambda: held() == set(ids), "each is held and told")
        assert (await workplace.platform.ask("demo.thing.do"))["success"]
        assert {row["message_id"] for row in await workplace.platform.pending()} == set(ids)
        await redis.delete(letters, retries)
        return ids

    workplace.survives(attack)


def test_a_group_that_is_destroyed_again_and_again_is_made_anew_and_told(workplace: Workplace) -> None:
    async def attack() -> list[bytes]:
        ids = []
        for _ in range(5):
            before = len(workplace.worker.heard(DataLost))
            await workplace.redis.xgroup_destroy(workplace.platform.stream, workplace.platform.group)
            ids.append(await workplace.add([(b"data", sound())]))
            await wait_until(lambda: len(workplace.worker.heard(DataLost)) > before, "it is told")  # noqa: B023
        return ids

    workplace.survives(attack)


# ── size ──


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 20_000_000])
def test_what_is_too_large_is_kept_by_reference_and_the_rest_is_done(workplace: Workplace, size: int) -> None:
    async def attack() -> list[bytes]:
        data = sound(data={"text": ""}).replace(b'"text": ""', b'"text": "%s"')
        data %= b"x" * (size - len(data) + 2)
        assert len(data) == size
        entry_id = await workplace.add([(b"data", data)])
        await workplace.ends(entry_id.decode())
        letters = await workplace.platform.buried()
        assert [int(letter["data_size"]) for letter in letters] == ([size] if size > LIMIT else [])
        assert await workplace.redis.memory_usage(workplace.platform.dead_letters) in (None, *range(20_000))
        return [entry_id]

    workplace.survives(attack)


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_memory_stays_flat_under_a_flood_of_nonsense(workplace: Workplace) -> None:
    """Names, types and errors come from outside: what is remembered of them is bounded."""

    @settings(some(150), database=None)
    @given(
        batch=st.lists(envelopes | st.binary(max_size=200), min_size=1, max_size=5), queue=names, wait=st.none() | names
    )
    def flood(batch: list[bytes], queue: str, wait: str | None) -> None:
        async def attack() -> list[bytes]:
            ids = [await workplace.add([(b"data", data)]) for data in batch * 5]
            for number in range(20):
                action_type = f"demo.thing{hash(queue) % 1_000_000}.n{number}"
                asked = {"callback_queue_name": wait} if wait else {}
                ids.append(await workplace.add([(b"data", sound(action_type=action_type, **asked))]))
            return ids

        workplace.survives(attack, (wait or "", None))

    flood()
    before = resident()
    flood()
    flood()
    assert resident() - before < 30_000_000


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


async def _awaited(make: Callable[[], Any]) -> Any:
    return await make()
