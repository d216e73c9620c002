"""Bad input: anybody can write into a stream. The worker lives, the entry leaves the stream, the reason is kept with the
original bytes, whoever waits is told at once, and everybody else is served as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.wire.codec import salvage
from tests.support.platform import Platform, envelope
from tests.support.waiting import wait_until
from tests.workers.conftest import Employ


def action(**fields: Any) -> bytes:
    """A sound action, but for *fields*."""
    return json.dumps(envelope("demo.thing.do") | fields).encode()


def without(name: str) -> bytes:
    fields = envelope("demo.thing.do")
    del fields[name]
    return json.dumps(fields).encode()


BAD: dict[str, bytes] = {
    "nothing": b"",
    "not json": b"{action_type: demo.thing.do}",
    "half of it": action()[:40],
    "something after it": action() + b" {}",
    "no object": b'["demo.thing.do"]',
    "a number": b"7",
    "invalid utf-8": action().replace(b"platform", b"pl\xfftform"),
    "a lone surrogate": action().replace(b"platform", b"\\ud800"),
    "utf-16": action().decode().encode("utf-16"),
    "nul bytes": b"\x00" * 100,
    "no action type": without("action_type"),
    "no data": without("data"),
    "action type of the wrong type": action(action_type=7),
    "action type without a dot": action(action_type="demo"),
    "action type in capitals": action(action_type="Demo.Thing.Do"),
    "action type with a newline": action(action_type="demo.thing.do\n"),
    "action type without an end": action(action_type="demo." + "x" * 100_000),
    "data of the wrong type": action(data="text"),
    "metadata of the wrong type": action(metadata="text"),
    "an id that is none": action(action_id="seven"),
    "a trace that is none": action(trace_id=7),
    "a time that is none": action(timestamp="yesterday"),
    "a time beyond all years": action(timestamp="99999-01-01T00:00:00Z"),
    "a tenant that is an object": action(tenant_id={"id": 1}),
    "a million digits": action(data={"n": "#"}).replace(b'"#"', b"9" * 500_000),
    "depth 10,000": action(data="#").replace(b'"#"', b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "depth 10,000 in what nobody knows": action(rag="#").replace(b'"#"', b"[" * 10_000 + b"]" * 10_000),
    "broken messagepack": b"\x81\xa4data",
    "messagepack that says it is long": b"\xdf\xff\xff\xff\xff",
    "deep messagepack": b"\x81\xa4data" + b"\x91" * 10_000 + b"\xc0",
    "messagepack with keys that are no text": msgspec.msgpack.encode({1: 2}),
}


@pytest.mark.every_server
@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
async def test_what_is_no_action_is_kept_and_disturbs_nobody(employ: Employ, platform: Platform, data: bytes) -> None:
    worker = await employ(lambda action: None)
    entry = await platform.add(data)
    assert (await platform.ask("demo.thing.do"))["success"]
    await wait_until(platform.is_done, "it has left the stream")
    (letter,) = await platform.buried()
    assert letter["reason"] == "MALFORMED_ACTION"
    assert letter["error"].startswith("MalformedAction: not a readable action: $")
    assert letter["data"] == data
    assert letter["entry_id"] == entry.decode()
    assert len(worker.service.seen) == 1


async def test_an_entry_without_the_field_is_kept(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    await platform.redis.xadd(platform.stream, {"datos": "{}", "x": "\xff"})
    assert (await platform.ask("demo.thing.do"))["success"]
    await wait_until(platform.is_done, "it has left the stream")
    (letter,) = await platform.buried()
    assert "no field 'data'" in letter["error"]


async def test_an_entry_with_a_thousand_fields_is_kept(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    await platform.redis.xadd(platform.stream, {f"field {n}": "x" for n in range(1_000)})
    assert (await platform.ask("demo.thing.do"))["success"]
    await wait_until(platform.is_done, "it has left the stream")


TOLD: dict[str, dict[str, Any]] = {
    "no data": {"data": None},
    "data of the wrong type": {"data": [1]},
    "an id that is none": {"action_id": "seven"},
    "a time that is none": {"timestamp": "yesterday"},
    "metadata of the wrong type": {"metadata": 7},
    "action type without a dot": {"action_type": "demo"},
    "action type of the wrong type": {"action_type": 7},
}


@pytest.mark.parametrize("fields", TOLD.values(), ids=TOLD)
async def test_whoever_waits_for_what_is_no_action_is_told_at_once(
    employ: Employ, platform: Platform, fields: dict[str, Any]
) -> None:
    """And told where the mistake is; the dead letter is kept as well."""
    await employ(lambda action: None)
    queue = platform.queue()
    message = envelope("demo.thing.do", callback_queue_name=queue) | fields
    await platform.add(json.dumps(message))
    answer = await platform.answer(queue, timeout=1)
    assert (answer["success"], answer["error"]["error_code"]) == (False, "MALFORMED_ACTION")
    assert answer["error"]["details"]["path"] == f"$.{next(iter(fields))}"
    assert answer["correlation_id"] == message["correlation_id"]
    assert len(await platform.buried()) == 1


@pytest.mark.parametrize("where", ["before", "behind"])
async def test_whoever_waits_for_what_is_nested_too_deeply_is_told_at_once(
    employ: Employ, platform: Platform, where: str
) -> None:
    """Wherever in the message it says who waits."""
    await employ(lambda action: None)
    queue, message = platform.queue(), envelope("demo.thing.do")
    deep = b'"data": ' + b'{"a":[' * 5_000 + b"1" + b"]}" * 5_000
    rest = json.dumps(message | {"callback_queue_name": queue}).encode()[1:-1].replace(b'"data": {}, ', b"")
    await platform.add(b"{" + b", ".join([rest, deep] if where == "before" else [deep, rest]) + b"}")
    answer = await platform.answer(queue, timeout=1)
    assert answer["error"]["error_code"] == "MALFORMED_ACTION"
    assert answer["correlation_id"] == message["correlation_id"]


async def test_what_is_said_inside_of_the_data_is_not_taken_for_who_waits(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    queue = platform.queue()
    inner = json.dumps({"callback_queue_name": queue}).encode()
    await platform.add(b'{"action_type": "demo.thing.do", "data": [' + inner + b"[" * 5_000 + b"]" * 5_000 + b"]}")
    await wait_until(platform.is_done, "it has left the stream")
    assert not await platform.redis.exists(queue)


@pytest.mark.parametrize("size", [1_048_576 + 1, 10_000_000])
async def test_what_is_too_large_is_kept_by_reference(employ: Employ, platform: Platform, size: int) -> None:
    """Size, digest and beginning; who waits is told, and the handler is not asked."""
    worker = await employ(lambda action: None)
    queue = platform.queue()
    data = action(data={"text": ""}, callback_queue_name=queue)
    data = data.replace(b'"text": ""', b'"text": "' + b"x" * (size - len(data)) + b'"')
    assert len(data) == size
    await platform.add(data)
    answer = await platform.answer(queue)
    assert answer["error"]["error_code"] == "PAYLOAD_TOO_LARGE"
    assert answer["error"]["details"] == {"size": size, "limit": 1_048_576}
    await wait_until(platform.is_done, "it has left the stream")
    (letter,) = await platform.buried()
    assert "data" not in letter
    assert letter["data_size"] == str(size).encode()
    assert letter["data_sha256"] == hashlib.sha256(data).hexdigest().encode()
    assert data.startswith(letter["data_head"])
    assert worker.service.seen == []


async def test_what_is_just_small_enough_is_done(employ: Employ, platform: Platform) -> None:
    worker = await employ(lambda action: None)
    data = action(data={"text": ""})
    await platform.add(data.replace(b'"text": ""', b'"text": "' + b"x" * (1_048_576 - len(data)) + b'"'))
    await wait_until(lambda: worker.service.seen, "it is done")


HOSTILE = [
    "",
    "*",
    "sessions:of:everybody",
    "nooble4:production:platform:responses:a:1",
    "nooble5:test:platform:responses:a:1",
    "nooble4:test:platform:responses",
    "nooble4:test:platform:responses:",
    "nooble4:test::responses:a:1",
    "nooble4:test:demo:streams:main",
    "nooble4:test:platform:streams:main",
    "nooble4:test:demo:retries:main",
    "nooble4:test:demo:dead_letters:main",
    "nooble4:test:platform:responses:a\nFLUSHALL",
    "nooble4:test:platform:responses:a\x00b",
    "nooble4:test:platform:responses:{slot}",
    "nooble4:test:platform:responses:ñ",
    "nooble4:test:platform:responses:" + "x" * 1_000_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:45]))
async def test_nothing_is_written_where_nobody_may_ask_for_it(employ: Employ, platform: Platform, name: str) -> None:
    """Neither answer nor error, and the handler is not even asked."""
    worker = await employ(lambda action: {"n": 1}, worker_beat_seconds=0)
    await platform.send("demo.thing.do", callback_queue_name=name)
    await wait_until(platform.is_done, "it has left the stream")
    (letter,) = await platform.buried()
    assert letter["reason"] in ("FORBIDDEN_CALLBACK", "MALFORMED_ACTION", "PAYLOAD_TOO_LARGE")
    assert worker.service.seen == []
    keys = set(await platform.redis.keys("*"))
    assert keys <= {platform.stream.encode(), platform.dead_letters.encode()}


@pytest.mark.parametrize("callback", ["shop.thing.done", "demo", "Other.Thing", "", "other.thing.done\n"])
async def test_no_callback_goes_into_the_stream_of_another_service(
    employ: Employ, platform: Platform, callback: str
) -> None:
    """An action of `shop` is no way to write into the stream of `billing`."""
    worker = await employ(lambda action: {"n": 1})
    name = "nooble4:test:billing:streams:main"
    await platform.send("demo.thing.do", callback_queue_name=name, callback_action_type=callback)
    (letter,) = await wait_until(platform.buried, "it is buried")
    assert letter["reason"] == "FORBIDDEN_CALLBACK"
    assert not await platform.redis.exists(name)
    assert worker.service.seen == []


async def test_facts_that_a_stranger_has_made_up_harm_nobody(employ: Employ, platform: Platform) -> None:
    """The fields beside `data` are the framework's, and anybody can write them all the same."""
    worker = await employ(lambda action: None)
    for facts in (
        {"first_id": "9" * 40 + "-1"},
        {"first_id": "0-0", "attempt": "999999", "deliveries": "0"},
        {"first_id": "-", "attempt": "-1"},
        {"attempt": "9" * 500},
        {"deliveries": "\x00", "v": "\xff" * 1_000},
        {"data2": "x", "v": "99"},
    ):
        await platform.add(action(metadata={"ttl_ms": 60_000}), **facts)
        assert (await platform.ask("demo.thing.do"))["success"]
    await wait_until(platform.is_done, "all has left the stream")
    assert worker.service.seen


async def test_a_flood_of_nonsense_does_not_stop_the_service(employ: Employ, platform: Platform) -> None:
    await employ(lambda action: None)
    for data in BAD.values():
        for _ in range(10):
            await platform.add(data[:1_000])
    assert (await platform.ask("demo.thing.do"))["success"]
    await wait_until(platform.is_done, "all has left the stream")
    assert len(await platform.buried()) == 10 * len(BAD)


@given(st.binary(max_size=200) | st.from_regex(rb'\{("[a-z_]{1,20}": ("?[a-z0-9.]{1,9}"?|\{\}|\[\]), ?){0,5}\}'))
def test_looking_for_who_waits_never_fails(data: bytes) -> None:
    """Whatever the bytes are."""
    found = salvage(data)
    assert found is None or isinstance(found.action_type, str)
