"""The registry of workers: one call a beat, everything with a lifetime, wishes that are neither lost nor fulfilled twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import fakeredis
import pytest
import redis.asyncio as redis_asyncio

from nooble.errors import QueueManagerError, ServerRefused, ServerUnavailable
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager
from nooble.wire.registry import MISSED_MS, Registry, digest_of, leave_wish
from tests.support.servers import Server

INDEX = "nooble4:test:orders:workers:main"
SERVICES = "nooble4:test:services"
BEAT = 2.0
LIFE = 6_000

Enrol = Callable[..., Registry]


@pytest.fixture
async def link(redis: redis_asyncio.Redis) -> AsyncIterator[Link]:
    made = Link(Endpoint(redis))
    yield made
    await made.close()


@pytest.fixture
def enrol(link: Link, keys: QueueManager) -> Enrol:
    """The place of a worker: `enrol("a")`."""

    def enrol(consumer: str = "a", *, beat: float = BEAT, at: Link | None = None) -> Registry:
        return Registry(at or link, keys, "orders", consumer, beat)

    return enrol


def card(consumer: str) -> str:
    return f"nooble4:test:orders:workers:{consumer}"


def wish(consumer: str) -> str:
    return f"nooble4:test:orders:wishes:{consumer}"


# ── a sign of life ──


@pytest.mark.every_server
async def test_a_beat_leaves_a_card_that_dies_three_beats_later(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    assert await enrol("a").beat(b"{}") == ("", False)
    assert await redis.get(card("a")) == b"{}"
    assert LIFE - 1_000 < await redis.pttl(card("a")) <= LIFE


@pytest.mark.every_server
async def test_a_worker_and_its_service_are_found_without_looking_at_all_keys(
    redis: redis_asyncio.Redis, enrol: Enrol
) -> None:
    seconds, _ = await redis.time()
    for consumer in ("a", "b"):
        await enrol(consumer).beat(b"{}")
    found = dict(await redis.zrange(INDEX, 0, -1, withscores=True))
    assert set(found) == {b"a", b"b"}
    assert all(seconds * 1000 <= moment < (seconds + 5) * 1000 for moment in found.values())
    assert await redis.zrange(SERVICES, 0, -1) == [b"orders"]


async def test_everything_in_the_registry_has_a_lifetime(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    await enrol("a").beat(b"{}", digest="d", routes=b"[]")
    names = await redis.keys("*")
    assert len(names) == 5
    for name in names:
        assert await redis.pttl(name) > 0, name


async def test_a_beat_is_one_call_of_one_script(server: Server, enrol: Enrol) -> None:
    """The server's own count of what came over the wire."""
    worker = enrol("a")
    await worker.beat(b"{}", digest="d", routes=b"[]")

    def calls() -> dict[str, int]:
        return {name: facts["calls"] for name, facts in server.client.info("commandstats").items()}

    before = calls()
    await worker.beat(b"{}", digest="d")
    after = calls()
    assert after["cmdstat_evalsha"] == before["cmdstat_evalsha"] + 1
    assert after["cmdstat_zadd"] == before["cmdstat_zadd"] + 2


async def test_who_leaves_in_good_order_is_not_missed(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    worker = enrol("a")
    await worker.beat(b"{}")
    await redis.set(wish("a"), "quiet")
    await worker.leave()
    assert await redis.exists(card("a"), wish("a"), INDEX) == 0


@pytest.mark.every_server
async def test_who_vanishes_is_missed_for_a_while_and_then_forgotten(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    seconds, _ = await redis.time()
    long_ago = seconds * 1000 - MISSED_MS - 1_000
    await redis.zadd(INDEX, {"lately": seconds * 1000 - 60_000, "long ago": long_ago, "slow": long_ago})
    await redis.set(card("slow"), "{}", px=60_000)
    await enrol("a").beat(b"{}")
    assert set(await redis.zrange(INDEX, 0, -1)) == {b"lately", b"slow", b"a"}


async def test_a_worker_that_beats_slowly_is_not_forgotten_with_one_that_beats_fast(
    redis: redis_asyncio.Redis, enrol: Enrol
) -> None:
    await enrol("slow", beat=3_600.0).beat(b"{}")
    await enrol("fast", beat=0.1).beat(b"{}")
    assert await redis.pttl(INDEX) > 3 * 3_500_000


async def test_a_service_that_nobody_has_seen_for_months_is_forgotten(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    await redis.zadd(SERVICES, {"old": 1})
    await enrol("a").beat(b"{}")
    assert await redis.zrange(SERVICES, 0, -1) == [b"orders"]


async def test_a_name_that_is_made_up_of_anything_has_its_place(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    name = "a b\n\x1b[31m:" + "ñ" * 400
    await enrol(name).beat(b"{}")
    assert await redis.get(card(name)) == b"{}"
    assert await redis.zrange(INDEX, 0, -1) == [name.encode()]


async def test_it_works_on_a_server_of_python_objects(fake_redis: fakeredis.FakeAsyncRedis, keys: QueueManager) -> None:
    link = Link(Endpoint(fake_redis))
    worker = Registry(link, keys, "orders", "a", BEAT)
    assert await worker.beat(b"{}", digest="d") == ("", True)
    assert await leave_wish(link, keys, "orders", "a", "quiet")
    assert await worker.beat(b"{}", digest="d", routes=b"[]") == ("quiet", False)
    assert await worker.beat(b"{}", fulfilled="quiet") == ("", False)
    await worker.leave()
    assert await fake_redis.exists(card("a")) == 0
    await link.close()


# ── routes ──


@pytest.mark.every_server
async def test_routes_are_written_when_they_are_missing_and_kept_alive_by_beats(
    redis: redis_asyncio.Redis, enrol: Enrol
) -> None:
    routes = b'[{"action_type":"orders.order.make"}]'
    digest = digest_of(routes)
    key = f"nooble4:test:orders:routes:{digest}"
    worker = enrol("a")
    assert await worker.beat(b"{}", digest=digest) == ("", True)
    assert await redis.exists(key) == 0
    assert await worker.beat(b"{}", digest=digest, routes=routes) == ("", False)
    assert await redis.get(key) == routes
    await redis.pexpire(key, 1_000)
    assert await worker.beat(b"{}", digest=digest) == ("", False)
    assert await redis.pttl(key) > LIFE


@pytest.mark.every_server
async def test_the_routes_that_were_declared_last_outlive_the_workers(redis: redis_asyncio.Redis, enrol: Enrol) -> None:
    last, month = "nooble4:test:orders:routes:last", 30 * 24 * 3_600_000
    worker = enrol("a")
    await worker.beat(b"{}", digest="old", routes=b"[1]")
    await worker.beat(b"{}", digest="new", routes=b"[2]")
    await worker.leave()
    assert await redis.get(last) == b"[2]"
    assert month - 60_000 < await redis.pttl(last) <= month
    await redis.pexpire(last, 1_000)
    assert await worker.beat(b"{}", digest="new") == ("", False)
    assert await redis.pttl(last) > month - 60_000
    await redis.delete(last)
    assert await worker.beat(b"{}", digest="new") == ("", True)  # as after an update of nooble: they are written again


def test_equal_routes_have_one_name_and_others_another() -> None:
    assert digest_of(b"[]") == digest_of(bytes([91, 93])) != digest_of(b"[ ]")


# ── wishes ──


@pytest.mark.every_server
async def test_a_wish_comes_back_with_beats_until_it_is_fulfilled(
    redis: redis_asyncio.Redis, link: Link, keys: QueueManager, enrol: Enrol
) -> None:
    worker = enrol("a")
    await worker.beat(b"{}")
    assert await leave_wish(link, keys, "orders", "a", "quiet")
    assert await redis.pttl(wish("a")) > LIFE
    assert [await worker.beat(b"{}") for _ in range(2)] == [("quiet", False)] * 2  # as if the first reply had been lost
    assert await worker.beat(b"{}", fulfilled="quiet") == ("", False)
    assert await redis.exists(wish("a")) == 0


async def test_a_newer_wish_is_not_taken_away_with_the_older_one(link: Link, keys: QueueManager, enrol: Enrol) -> None:
    worker = enrol("a")
    await worker.beat(b"{}")
    await leave_wish(link, keys, "orders", "a", "quiet")
    await worker.beat(b"{}")
    await leave_wish(link, keys, "orders", "a", "stop")
    assert await worker.beat(b"{}", fulfilled="quiet") == ("stop", False)


async def test_nothing_can_be_wanted_of_who_is_not_there(
    redis: redis_asyncio.Redis, link: Link, keys: QueueManager
) -> None:
    assert not await leave_wish(link, keys, "orders", "nobody", "stop")
    assert await redis.keys("*") == []
    with pytest.raises(QueueManagerError):
        await leave_wish(link, keys, "or:ders", "nobody", "stop")


# ── servers that do not let us ──


async def as_guest(server: Server, *rights: str) -> Link:
    server.client.execute_command("ACL", "SETUSER", "guest", "reset", "on", "nopass", *rights)
    return Link(Endpoint(redis_asyncio.Redis.from_url(server.url, username="guest", password="x")))


@pytest.mark.every_server
async def test_a_worker_without_a_right_to_the_index_of_services_beats_all_the_same(
    launch: Callable[..., Server], enrol: Enrol
) -> None:
    server = launch()
    link = await as_guest(server, "~nooble4:test:orders:*", "+@all")
    assert await enrol("a", at=link).beat(b"{}") == ("", False)
    assert set(server.client.keys("*")) == {INDEX, card("a")}
    await link.close()


@pytest.mark.every_server
async def test_a_missing_right_is_for_a_person_to_mend(launch: Callable[..., Server], enrol: Enrol) -> None:
    link = await as_guest(launch(), "~nooble4:test:orders:streams:*", "+@all")
    with pytest.raises(ServerRefused, match="ACL SETUSER"):
        await enrol("a", at=link).beat(b"{}")
    await link.close()


@pytest.mark.every_server
async def test_a_server_that_cannot_be_written_to_just_now_is_waited_for(
    launch: Callable[..., Server], enrol: Enrol
) -> None:
    server = launch()
    link = Link(Endpoint(redis_asyncio.Redis.from_url(server.url)))
    server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(ServerUnavailable):
        await enrol("a", at=link).beat(b"{}")
    server.client.execute_command("REPLICAOF", "NO", "ONE")
    assert await enrol("a", at=link).beat(b"{}") == ("", False)
    await link.close()


async def test_a_server_without_memory_hears_of_its_workers(launch: Callable[..., Server], enrol: Enrol) -> None:
    """As everything else that a worker does: what fails here would look like an outage."""
    server = launch(maxmemory_policy="noeviction")
    link = Link(Endpoint(redis_asyncio.Redis.from_url(server.url)))
    await enrol("a", at=link).beat(b"{}")
    server.client.config_set("maxmemory", 1)
    assert await enrol("a", at=link).beat(b"{}") == ("", False)
    server.client.config_set("maxmemory", 0)
    await link.close()


@pytest.mark.leaves_keys("keys of the wrong type")
@pytest.mark.parametrize("key", [INDEX, wish("a")])
async def test_a_key_of_the_wrong_type_is_told(redis: redis_asyncio.Redis, enrol: Enrol, key: Any) -> None:
    await redis.rpush(key, "in the way")
    with pytest.raises(ServerRefused, match="holds something else"):
        await enrol("a").beat(b"{}")
