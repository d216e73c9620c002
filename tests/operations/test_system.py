"""One reading of the system: everything that is there, by bounded reads, whatever others have written there, and while all
of it moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerFault, ServerRefused, ServerUnavailable
from nooble.operations import System
from nooble.operations.finding import Finder
from nooble.operations.reading import AtWork, Reading, Route, Service, Worker
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager
from nooble.wire.registry import digest_of
from tests.support.servers import Server
from tests.support.settings import NOBODY, make_settings

Launch = Callable[..., Server]
Settings = Callable[..., CommonAppSettings]
READS = {
    *("ping", "time", "info", "config|get", "scan", "zrevrange", "zrange", "zcard", "getrange", "type"),
    *("evalsha", "eval", "xinfo|stream", "xinfo|groups", "xinfo|consumers", "xpending", "xrange", "xrevrange"),
}
"""All that a reading may ask a server."""


@pytest.fixture
async def system(redis: Redis) -> AsyncIterator[System]:
    async with System(redis, make_settings()) as system:
        yield system


def key(service: str, kind: str = "streams", context: str = "main") -> str:
    return f"nooble4:test:{service}:{kind}:{context}"


def name_of(service: str, nonce: str = "0123456789") -> str:
    return f"{service}-worker-x-nb{nonce}"


def only(reading: Reading) -> Service:
    (service,) = reading.services
    return service


def codes(reading: Reading) -> list[str]:
    return [problem.code for problem in reading.problems if problem.service]


async def enrol(redis: Redis, service: str, consumer: str, **facts: Any) -> Worker:
    """A worker as it says of itself."""
    worker = Worker(service=service, consumer=consumer, **facts)
    await redis.set(key(service, "workers", consumer), msgspec.json.encode(worker), px=60_000)
    await redis.zadd(key(service, "workers"), {consumer: time.time() * 1000})
    return worker


# ── what there is ──


@pytest.mark.every_server
async def test_where_nothing_is_nothing_is_found_and_nothing_is_made(
    redis: Redis, system: System, server_kind: str
) -> None:
    reading = await system.read()
    assert (reading.services, reading.cut, reading.prefix, reading.environment) == ((), False, "nooble4", "test")
    assert reading.server.kind == server_kind
    assert reading.server.version[0].isdigit()
    assert (reading.server.role, reading.server.unread) == ("master", "")
    assert reading.server.memory_used
    assert reading.server.clients
    assert reading.server.round_trip_ms > 0
    assert await redis.keys("*") == []


@pytest.mark.every_server
async def test_all_of_a_service_is_read_at_one_moment(redis: Redis, system: System) -> None:
    stream, group, me = key("demo"), "demo-group", name_of("demo")
    ids = [await redis.xadd(stream, {"data": "{}"}) for _ in range(5)]
    await redis.xgroup_create(stream, group, "0")
    await redis.xreadgroup(group, me, {stream: ">"}, count=2)
    await redis.xclaim(stream, group, me, 0, [ids[0]], idle=5_000, retrycount=4)
    await redis.zadd(key("demo", "retries"), {"a": 5_000_000_000_000, "b": 4_000_000_000_000})
    for reason in ("HANDLER_ERROR", "HANDLER_ERROR", "EXPIRED"):
        letter = await redis.xadd(key("demo", "dead_letters"), {"reason": reason, "data": "{}"})
    await redis.set(key("demo", "limits", "backlog"), 1_000)
    worker = await enrol(redis, "demo", me, host="here", started_ms=5, lease_ms=1_000)

    reading = await system.read()
    service = only(reading)
    now = reading.at_ms
    stands = service.stream
    assert (service.name, stands.key, stands.length, stands.lag, stands.pending) == ("demo", stream, 5, 3, 2)
    assert (stands.added, stands.delivered, stands.bound, stands.has_group) == (5, 2, 1_000, True)
    assert stands.oldest_waiting_ms == max(0, now - int(ids[2].split(b"-")[0]))
    assert stands.oldest_pending_ms == max(0, now - int(ids[0].split(b"-")[0]))
    assert 5_000 <= stands.longest_idle_ms < 15_000
    assert stands.most_deliveries == 4
    assert [(row.entry_id, row.consumer, row.deliveries) for row in stands.pendings] == [
        (ids[0].decode(), me, 4),
        (ids[1].decode(), me, 1),
    ]
    (consumer,) = stands.consumers
    assert (consumer.name, consumer.ours, consumer.alive, consumer.pending) == (me, True, True, 2)
    assert (service.retries.count, service.retries.next_due_ms) == (2, 4_000_000_000_000)
    assert (service.dead.count, service.dead.buried, service.dead.recent) == (3, 3, 3)
    assert list(service.dead.by_reason.items()) == [("HANDLER_ERROR", 2), ("EXPIRED", 1)]
    assert service.dead.newest_ms == int(letter.split(b"-")[0])
    (seen,) = service.workers
    assert msgspec.structs.replace(seen, beat_ms=0) == worker
    assert abs(seen.beat_ms - now) < 5_000
    assert service.unread == ""
    assert codes(reading) == ["delivered_often", "dead_letters"]


@pytest.mark.every_server
async def test_a_stream_of_the_platform_is_found_though_nobody_has_told_of_it(redis: Redis, system: System) -> None:
    await redis.xadd(key("billing"), {"data": "{}"})
    service = only(await system.read())
    assert (service.name, service.stream.has_group, service.stream.lag) == ("billing", False, 1)
    assert service.stream.oldest_waiting_ms is not None


async def test_old_platform_workers_are_told_from_ours(redis: Redis, system: System) -> None:
    stream = key("demo")
    for _ in range(2):
        await redis.xadd(stream, {"data": "{}"})
    await redis.xgroup_create(stream, "demo-group", "0")
    names = ["demo-worker-1", "demo-worker-1-nb01234567", "other-worker-1-nb0123456789", name_of("demo")]
    for name in names:
        await redis.xgroup_createconsumer(stream, "demo-group", name)
    await redis.xreadgroup("demo-group", names[0], {stream: ">"}, count=1)
    consumers = only(await system.read()).stream.consumers
    assert consumers[0].name == names[0]  # who holds most comes first
    assert {one.name: one.ours for one in consumers} == {name: name == names[-1] for name in names}


async def test_a_lag_that_the_server_cannot_tell_is_missing(redis: Redis, system: System) -> None:
    """It counts on from the last entry, and knows no more when one in the middle was deleted."""
    stream = key("demo")
    ids = [await redis.xadd(stream, {"data": "{}"}) for _ in range(5)]
    await redis.xgroup_create(stream, "demo-group", "0")
    await redis.xreadgroup("demo-group", name_of("demo"), {stream: ">"}, count=1)
    await redis.xdel(stream, ids[3])
    stands = only(await system.read()).stream
    assert (stands.lag, stands.length) == (None, 4)
    assert stands.oldest_waiting_ms is not None
    await redis.xreadgroup("demo-group", name_of("demo"), {stream: ">"}, count=10)
    stands = only(await system.read()).stream
    assert (stands.lag, stands.oldest_waiting_ms, stands.pending) == (0, None, 4)


async def test_a_lag_that_the_server_cannot_tell_is_none_if_nothing_waits(redis: Redis, system: System) -> None:
    stream = key("demo")
    ids = [await redis.xadd(stream, {"data": "{}"}) for _ in range(5)]
    await redis.xgroup_create(stream, "demo-group", ids[3])
    await redis.xdel(stream, ids[4])
    assert (await redis.xinfo_groups(stream))[0]["lag"] is None
    stands = only(await system.read()).stream
    assert (stands.lag, stands.oldest_waiting_ms, stands.length) == (0, None, 4)


async def test_a_worker_lives_by_its_card_or_by_what_it_asks_the_server(redis: Redis) -> None:
    """One that is quiet or blocked has asked for nothing for longer than a lease; one may not be in the registry."""
    await redis.xadd(key("demo"), {"data": "{}"})
    await redis.xgroup_create(key("demo"), "demo-group", "0")
    names = [name_of("demo", f"012345678{number}") for number in range(2)]
    for name in names:
        await redis.xgroup_createconsumer(key("demo"), "demo-group", name)
    await enrol(redis, "demo", names[0], lease_ms=1)
    await asyncio.sleep(0.01)
    for lease, alive in ((0.005, [True, False]), (60, [True, True])):
        async with System(redis, make_settings(worker_lease_seconds=lease)) as system:
            consumers = only(await system.read()).stream.consumers
        assert [(one.name, one.alive) for one in consumers] == list(zip(names, alive, strict=True))


async def test_only_those_that_were_asked_for_are_looked_at(redis: Redis, system: System) -> None:
    for service in ("a", "b", "c"):
        await redis.xadd(key(service), {"data": "{}"})
    reading = await system.read(["c", "a", "a", "nobody", "a:b", ""])
    assert [service.name for service in reading.services] == ["a", "c"]
    assert not reading.cut
    assert [service.name for service in (await system.read()).services] == ["a", "b", "c"]


@pytest.mark.leaves_keys("streams of names that nobody should give")
async def test_those_of_another_environment_are_none_of_ours(redis: Redis, system: System) -> None:
    for stream in (
        "nooble4:production:a:streams:main",
        "nooble5:test:a:streams:main",
        "nooble4:test:a:b:streams:main",
        "nooble4:test::streams:main",
    ):
        await redis.xadd(stream, {"data": "{}"})
    assert (await system.read()).services == ()


async def test_a_service_whose_stream_is_gone_is_known_by_what_is_left(redis: Redis, system: System) -> None:
    await redis.zadd("nooble4:test:services", {"demo": 1})
    assert (await system.read()).services == ()
    await redis.xadd(key("demo", "dead_letters"), {"reason": "X"})
    service = only(await system.read())
    assert (service.dead.count, service.stream.length, service.stream.has_group) == (1, 0, False)
    await redis.expire("nooble4:test:services", 60)


# ── bounds ──


@pytest.mark.every_server
async def test_nothing_is_asked_that_could_take_long(launch: Launch) -> None:
    server = launch()
    async with Redis.from_url(server.url) as redis, System(redis, make_settings()) as system:
        await redis.xadd(key("demo"), {"data": "{}"})
        await redis.xgroup_create(key("demo"), "demo-group", "0")
        await redis.xreadgroup("demo-group", name_of("demo"), {key("demo"): ">"})
        await redis.xadd(key("demo", "dead_letters"), {"reason": "X"})
        await redis.zadd(key("demo", "retries"), {"a": 1})
        await enrol(redis, "demo", name_of("demo"))
        await redis.config_resetstat()
        reading = await system.read()
        asked = {name.removeprefix("cmdstat_") for name in server.client.info("commandstats")}
    assert (only(reading).dead.count, only(reading).retries.count, len(only(reading).workers)) == (1, 1, 1)
    connecting = {"auth", "hello", "select", "client|setinfo", "config|resetstat"}
    assert asked - connecting <= READS


async def test_what_is_large_stays_in_the_server(server: Server, redis: Redis, system: System) -> None:
    """Payloads, letters and retries of a megabyte each."""
    large = "x" * 1_000_000
    for kind in ("streams", "dead_letters"):
        await redis.xadd(key("demo", kind), {"reason": "X", "data": large})
        await redis.xadd(key("demo", kind), {"reason": "X", "data": large})
    await redis.xgroup_create(key("demo"), "demo-group", "0")
    await redis.zadd(key("demo", "retries"), {f"1-0\n{large}": 1})
    await redis.set(key("demo", "limits", "backlog"), large)
    await system.read()
    before = int(server.client.info("stats")["total_net_output_bytes"])
    reading = await system.read()
    assert only(reading).stream.length == 2
    assert int(server.client.info("stats")["total_net_output_bytes"]) - before < 30_000


async def test_what_has_not_changed_is_not_read_again(server: Server, redis: Redis, system: System) -> None:
    letters = key("demo", "dead_letters")
    for _ in range(3):
        await redis.xadd(letters, {"reason": "X"})

    def looks() -> int:
        return int(server.client.info("commandstats").get("cmdstat_xrevrange", {"calls": 0})["calls"])

    assert only(await system.read(["demo"])).dead.by_reason == {"X": 3}
    before = looks()
    assert only(await system.read(["demo"])).dead.by_reason == {"X": 3}
    assert looks() == before
    await redis.xadd(letters, {"reason": "Y"})
    assert only(await system.read(["demo"])).dead.by_reason == {"X": 3, "Y": 1}
    await redis.xtrim(letters, maxlen=1, approximate=False)
    assert only(await system.read(["demo"])).dead.by_reason == {"Y": 1}


async def test_among_many_keys_services_are_found_step_by_step(redis: Redis, system: System) -> None:
    """Those that have told of themselves at once, the others sooner or later; and each reading says whether it is all."""
    fill = "for i = 1, 60000 do redis.call('SET', 'other:' .. i, '', 'PX', 60000) end"
    await redis.eval(fill, 0)
    for service in ("told", "untold"):
        await redis.xadd(key(service), {"data": "{}"})
    await redis.zadd("nooble4:test:services", {"told": 1})
    await redis.expire("nooble4:test:services", 60)
    first = await system.read()
    assert first.cut
    assert "told" in [service.name for service in first.services]
    for _ in range(50):
        reading = await system.read()
        if not reading.cut:
            break
    assert [service.name for service in reading.services] == ["told", "untold"]
    await redis.delete(key("told"), key("untold"))
    for _ in range(50):
        last = await system.read()
    assert (last.services, last.cut) == ((), False)


async def test_names_that_are_not_there_any_more_are_forgotten(redis: Redis) -> None:
    """Others may make and delete streams for ever."""
    link = Link(Endpoint(redis))
    finder = Finder(QueueManager("nooble4", "test"))
    await redis.xadd(key("demo"), {"data": "{}"})
    assert await finder.find(link, []) == [b"demo"]
    await redis.delete(key("demo"))
    assert await finder.find(link, [b"told", b"no:name", b""]) == [b"told"]
    assert (finder.cut, finder.why) == (False, "")
    await link.close()


async def test_a_group_of_too_many_consumers_is_told_and_not_walked_through(redis: Redis, system: System) -> None:
    await redis.xadd(key("demo"), {"data": "{}"})
    await redis.xgroup_create(key("demo"), "demo-group", "0")
    many = "for i = 1, 1001 do redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], 'demo-group', 'c' .. i) end"
    await redis.eval(many, 1, key("demo"))
    reading = await system.read()
    assert only(reading).stream.consumers == ()
    assert only(reading).unread == "1001 consumers are in the group, too many to be looked at"
    assert "crowded" in codes(reading)


async def test_two_who_look_at_once_do_not_disturb_each_other(redis: Redis, system: System) -> None:
    await redis.xadd(key("demo"), {"data": "{}"})
    readings = await asyncio.gather(*(system.read() for _ in range(5)))
    assert [only(reading).stream.length for reading in readings] == [1] * 5


# ── what others have written ──


@pytest.mark.every_server
@pytest.mark.leaves_keys("keys of the wrong type")
@pytest.mark.parametrize(
    ("kind", "context"),
    [("streams", "main"), ("retries", "main"), ("dead_letters", "main"), ("workers", "main"), ("limits", "backlog")],
)
async def test_a_key_of_the_wrong_type_is_told_and_the_rest_is_read(
    redis: Redis, system: System, kind: str, context: str
) -> None:
    await redis.xadd(key("demo", "dead_letters" if kind == "streams" else "streams"), {"reason": "X"})
    await redis.delete(wrong := key("demo", kind, context))
    await redis.rpush(wrong, "in the way")
    reading = await system.read()
    service = only(reading)
    assert f"{wrong} is a list, not a " in service.unread
    assert service.stream.length + service.dead.count == 1
    (problem,) = [one for one in reading.problems if one.code == "wrong_type"]
    assert (problem.service, problem.grave) == ("demo", True)


@pytest.mark.leaves_keys("keys of the wrong type")
async def test_an_index_of_services_that_is_none_is_told(redis: Redis, system: System) -> None:
    await redis.set("nooble4:test:services", "in the way")
    await redis.xadd(key("demo"), {"data": "{}"})
    reading = await system.read()
    assert only(reading).stream.length == 1
    (problem,) = [one for one in reading.problems if one.code == "unread" and not one.service]
    assert "WRONGTYPE" in problem.text


HOSTILE = [b"\xff\xfe", b"a\nb\x00c\x1b[31m", "\u202egnp.exe".encode(), b"x" * 1_024, b"%s{0}*?[a]", b" "]


@pytest.mark.every_server
@pytest.mark.leaves_keys("streams of names that nobody should give")
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_service_of_any_name_is_shown_as_text(redis: Redis, system: System, name: bytes) -> None:
    await redis.xadd(b"nooble4:test:" + name + b":streams:main", {"data": "{}"})
    reading = await system.read()
    service = only(reading)
    assert (service.name, service.stream.length) == (name.decode("utf-8", "backslashreplace"), 1)
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
    assert await system.routes(service.name) == ()
    assert await system.steer(service.name, "x", "stop") is False


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_consumer_of_any_name_is_shown_as_text(redis: Redis, system: System, name: bytes) -> None:
    await redis.xadd(key("demo"), {"data": "{}"})
    await redis.xgroup_create(key("demo"), "demo-group", "0")
    await redis.xreadgroup("demo-group", name, {key("demo"): ">"})
    await redis.set(key("demo", "workers", "").encode() + name, b"{", px=60_000)
    await redis.zadd(key("demo", "workers"), {name: time.time() * 1000})
    service = only(await system.read())
    text = name.decode("utf-8", "backslashreplace")
    assert [consumer.name for consumer in service.stream.consumers] == [text]
    assert [row.consumer for row in service.stream.pendings] == [text]
    assert [(worker.consumer, worker.state) for worker in service.workers] == [(text, "unknown")]


CARDS = {
    "nothing": b"",
    "no JSON": b"\xff\x00",
    "another thing": b"[1,2]",
    "too little": b"{}",
    "a wrong type": b'{"service":"demo","consumer":"w","pid":"x"}',
    "nested": b'{"service":' + b"[" * 30_000,
    "too large": b'{"service":"demo","consumer":"w","host":"' + b"x" * 200_000 + b'"}',
}


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
async def test_a_card_that_cannot_be_read_is_that_of_a_worker_of_whom_nothing_is_known(
    redis: Redis, system: System, card: bytes
) -> None:
    await redis.set(key("demo", "workers", "w"), card, px=60_000)
    await redis.zadd(key("demo", "workers"), {"w": time.time() * 1000})
    workers = only(await system.read(["demo"])).workers
    assert [(one.consumer, one.state) for one in workers] == ([("w", "unknown")] if card else [])


async def test_a_card_cannot_pass_for_that_of_another(redis: Redis, system: System) -> None:
    many = tuple(AtWork(entry_id=f"{number}-0") for number in range(100))
    forged = Worker(service="other", consumer="other", host="x" * 5_000, beat_ms=1, at_work=many)
    await redis.set(key("demo", "workers", "w"), msgspec.json.encode(forged), px=60_000)
    await redis.zadd(key("demo", "workers"), {"w": time.time() * 1000})
    (worker,) = only(await system.read(["demo"])).workers
    assert (worker.service, worker.consumer, len(worker.host), len(worker.at_work)) == ("demo", "w", 300, 20)
    assert worker.beat_ms > 1


@pytest.mark.leaves_keys("a card of the wrong type")
async def test_odd_numbers_are_missing_or_as_they_are(redis: Redis, system: System) -> None:
    await redis.zadd(key("demo", "retries"), {"a": float("-inf")})
    await redis.zadd(key("demo", "workers"), {"w": float("inf"), "list": 5})
    await redis.set(key("demo", "workers", "w"), b"{", px=60_000)
    await redis.rpush(key("demo", "workers", "list"), "x")
    await redis.set(key("demo", "limits", "backlog"), "-5e9")
    await redis.xadd(key("demo", "dead_letters"), {"reason": b"\xff" * 500, "data": "x"}, id=f"{2**64 - 1}-{2**64 - 1}")
    await redis.xadd(key("demo"), {"data": "x"}, id=f"{2**64 - 1}-{2**64 - 1}")
    reading = await system.read()
    service = only(reading)
    assert (service.retries.count, service.retries.next_due_ms) == (1, None)
    assert (service.stream.bound, service.stream.oldest_waiting_ms) == (0, 0)
    assert [worker.consumer for worker in service.workers] == ["list", "w"]
    assert list(service.dead.by_reason) == ["\\xff" * 100]
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading


# ── while everything moves ──


@pytest.mark.every_server
async def test_a_service_that_vanishes_while_it_is_looked_at_is_left_out(
    redis: Redis, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in ("gone", "here"):
        await redis.xadd(key(service), {"data": "{}"})
    find = system._finder.find

    async def find_and_delete(*given: Any) -> list[bytes]:
        found = await find(*given)
        await redis.delete(key("gone"))
        return found

    monkeypatch.setattr(system._finder, "find", find_and_delete)
    assert [service.name for service in (await system.read()).services] == ["here"]


async def test_what_vanishes_between_two_looks_is_missing_and_nothing_else(
    redis: Redis, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream, the dead letters and one of two workers, after the survey has seen them."""
    await redis.xadd(key("demo"), {"data": "{}"})
    await redis.xadd(key("demo", "dead_letters"), {"reason": "X"})
    for consumer in ("dies", "lives"):
        await enrol(redis, "demo", consumer)
    cards = system._cards

    async def delete_and_look(*given: Any) -> Any:
        await redis.delete(key("demo"), key("demo", "dead_letters"), key("demo", "workers", "dies"))
        return await cards(*given)

    monkeypatch.setattr(system, "_cards", delete_and_look)
    service = only(await system.read())
    assert (service.stream.length, service.dead.count, service.dead.by_reason) == (1, 1, {})
    assert ([worker.consumer for worker in service.workers], service.vanished) == (["lives"], ("dies",))


async def test_a_worker_without_a_card_has_vanished_until_it_is_forgotten(redis: Redis, system: System) -> None:
    now = time.time() * 1000
    await redis.zadd(key("demo", "workers"), {"lately": now - 60_000, "long ago": now - 3_600_000})
    reading = await system.read(["demo"])
    assert only(reading).vanished == ("lately",)
    (problem,) = [problem for problem in reading.problems if problem.code == "worker_vanished"]
    assert "lately" in problem.text


# ── servers that do not let us ──


async def guest(server: Server, *rights: str) -> Redis:
    server.client.execute_command("ACL", "SETUSER", "guest", "reset", "on", "nopass", *rights)
    return Redis.from_url(server.url, username="guest", password="x")


@pytest.mark.every_server
@pytest.mark.parametrize(
    "right", ["-info", "-config", "-time", "-scan", "-eval", "-evalsha", "-xinfo", "-xpending", "-get"]
)
async def test_a_missing_right_is_told_and_the_rest_is_read(launch: Launch, right: str) -> None:
    server = launch()
    server.client.xadd(key("demo"), {"data": "{}"})
    server.client.xgroup_create(key("demo"), "demo-group", "0")
    server.client.zadd("nooble4:test:services", {"demo": 1})
    async with await guest(server, "~*", "+@all", right) as redis, System(redis, make_settings()) as system:
        reading = await system.read()
    service = only(reading)
    if right in ("-info", "-config"):
        assert "NOPERM" in reading.server.unread
        assert [problem.service for problem in reading.problems if problem.code == "unread"] == [""]
    elif right == "-scan":
        assert reading.cut
        assert [problem.service for problem in reading.problems if problem.code == "unread"] == [""]
    elif right in ("-eval", "-evalsha", "-xinfo"):
        assert service.unread
        assert "unread" in codes(reading)
    if right not in ("-eval", "-evalsha", "-xinfo"):
        assert (service.stream.length, service.stream.lag) == (1, 1)
    assert abs(reading.at_ms - time.time() * 1000) < 60_000


@pytest.mark.every_server
async def test_who_may_see_one_service_sees_that_one(launch: Launch) -> None:
    server = launch()
    for name in ("mine", "theirs"):
        server.client.xadd(key(name), {"data": "{}"})
    async with await guest(server, "~nooble4:test:mine:*", "+@all") as redis, System(redis, make_settings()) as system:
        reading = await system.read(["theirs", "mine"])  # what is refused first does not stand in the way of the rest
    mine, theirs = reading.services
    assert (mine.stream.length, mine.unread) == (1, "")
    assert (theirs.stream.length, bool(theirs.unread)) == (0, True)


async def test_who_may_see_the_streams_only_sees_those(launch: Launch) -> None:
    server = launch()
    server.client.xadd(key("demo"), {"data": "{}"})
    async with await guest(server, "~*:streams:main", "+@all") as redis, System(redis, make_settings()) as system:
        service = only(await system.read(["demo"]))
    assert service.stream.length == 1
    assert key("demo", "retries") in service.unread


async def test_only_a_server_that_cannot_be_reached_is_no_reading(redis_url: str) -> None:
    async with Redis.from_url(NOBODY) as nobody, System(nobody, make_settings()) as system:
        with pytest.raises(ServerUnavailable):
            await system.read()
        with pytest.raises(ServerUnavailable):
            await system.routes("demo")
        with pytest.raises(ServerUnavailable):
            await system.steer("demo", "x", "stop")
    async with Redis.from_url(redis_url, password="wrong") as stranger, System(stranger, make_settings()) as system:
        with pytest.raises(ServerRefused):
            await system.read()


@pytest.mark.every_server
async def test_a_server_that_cannot_serve_just_now_is_no_reading_either(launch: Launch) -> None:
    server = launch(replica_serve_stale_data="no")
    server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    async with Redis.from_url(server.url) as redis, System(redis, make_settings()) as system:
        for services in ([], ["demo"]):
            with pytest.raises(ServerUnavailable, match="MASTERDOWN"):
                await system.read(services)


async def test_a_server_that_comes_back_is_read_again(launch: Launch) -> None:
    server = launch()
    async with Redis.from_url(server.url) as redis, System(redis, make_settings()) as system:
        await redis.xadd(key("demo"), {"data": "{}"})
        assert len((await system.read()).services) == 1
        server.kill()
        with pytest.raises(ServerUnavailable):
            await system.read()
        server.start()
        assert (await system.read()).services == ()


@pytest.mark.every_server
async def test_a_replica_is_read_as_well(launch: Launch) -> None:
    server = launch()
    server.client.xadd(key("demo"), {"data": "{}"})
    server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    async with Redis.from_url(server.url) as redis, System(redis, make_settings()) as system:
        reading = await system.read()
    assert (only(reading).stream.length, reading.server.role) == (1, "slave")
    assert reading.problems[0].grave


async def test_a_server_of_python_objects_is_read_as_far_as_it_goes(fake_redis: Any) -> None:
    await fake_redis.xadd(key("demo"), {"data": "{}"})
    async with System(fake_redis, make_settings()) as system:
        assert only(await system.read()).stream.length == 1


# ── routes ──


async def declare(redis: Redis, *routes: Route) -> str:
    encoded = msgspec.json.encode(routes)
    digest = digest_of(encoded)
    await redis.set(key("demo", "routes", digest), encoded, px=60_000)
    return digest


async def test_the_routes_of_a_service_are_those_of_its_living_workers_the_newest_first(
    redis: Redis, system: System
) -> None:
    old = [Route(action_type="demo.a.do", doc="old"), Route(action_type="demo.b.do")]
    new = [Route(action_type="demo.a.do", doc="new", payload={"type": "object"}), Route(action_type="demo.c.do")]
    await enrol(redis, "demo", "1", started_ms=1, routes=await declare(redis, *old))
    await enrol(redis, "demo", "2", started_ms=2, routes=await declare(redis, *new))
    routes = {route.action_type: route for route in await system.routes("demo")}
    assert set(routes) == {"demo.a.do", "demo.b.do", "demo.c.do"}
    assert (routes["demo.a.do"].doc, routes["demo.a.do"].payload) == ("new", {"type": "object"})


@pytest.mark.parametrize("written", [None, b"", b"{", b'{"a":1}', b"[1]", b"[" * 50_000])
async def test_routes_that_cannot_be_read_are_none(redis: Redis, system: System, written: Any) -> None:
    await enrol(redis, "demo", "1", routes="d")
    place = key("demo", "routes", "d")
    if written is not None:
        await redis.set(place, written, px=60_000)
    assert await system.routes("demo") == ()
    assert await system.routes("nobody") == ()


@pytest.mark.leaves_keys("routes of the wrong type")
async def test_routes_that_the_server_does_not_give_are_not_taken_for_none(redis: Redis, system: System) -> None:
    """What is sensitive would be shown."""
    await enrol(redis, "demo", "1", routes="d")
    await redis.rpush(key("demo", "routes", "d"), "x")
    with pytest.raises(ServerFault):
        await system.routes("demo")


async def test_where_no_worker_lives_routes_are_those_that_were_declared_last(redis: Redis, system: System) -> None:
    last, living = Route(action_type="demo.a.do", options={"sensitive": "card"}), Route(action_type="demo.b.do")
    await redis.set(key("demo", "routes", "last"), msgspec.json.encode([last]), px=60_000)
    assert await system.routes("demo") == (last,)
    await enrol(redis, "demo", "silent")
    assert await system.routes("demo") == (last,)
    await enrol(redis, "demo", "1", routes=await declare(redis, living))
    assert await system.routes("demo") == (living,)


# ── wishes ──


async def test_a_wish_is_left_for_who_is_there(redis: Redis, system: System) -> None:
    await enrol(redis, "demo", "w")
    assert await system.steer("demo", "w", "quiet") is True
    assert await redis.get(key("demo", "wishes", "w")) == b"quiet"
    assert await redis.pttl(key("demo", "wishes", "w")) > 0
    for service, consumer in [
        ("demo", "x"),
        ("other", "w"),
        ("demo", "main"),
        ("demo", ""),
        ("a:b", "w"),
        ("demo", "\ud800"),
    ]:
        assert await system.steer(service, consumer, "stop") is False
    with pytest.raises(ConfigurationFault, match="quiet, resume or stop"):
        await system.steer("demo", "w", "explode")  # type: ignore[arg-type]
