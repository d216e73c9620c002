"""Whatever is put away for later comes back with the same bytes and the same facts, through a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis as redis_library
import redis.asyncio as redis_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nooble.wire.connection import Endpoint
from nooble.wire.delivery import Delivery, read_fields
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import ActionStream, retry_member
from tests.support.servers import Server

ids = st.builds(lambda first, second: b"%d-%d" % (first, second), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
counts = st.integers(0, 1_000_000)
facts = st.fixed_dictionaries(
    {},
    optional={
        b"first_id": ids,
        b"v": st.integers(0, 9_999_999).map(lambda n: b"%d" % n),
        b"attempt": counts.map(lambda n: b"%d" % n),
        b"deliveries": counts.map(lambda n: b"%d" % n),
    },
)
deliveries = st.builds(
    Delivery, ids, st.binary(), st.integers(1, 1_000), st.just(-1), st.none() | facts.map(lambda found: found or None)
)
NASTY = Delivery(b"1-0", b"\n\n first_id 9-9\n\x00%s\xff", 1, -1, {b"v": b"1"})


@given(deliveries, counts)
@example(NASTY, 1)
def test_the_member_of_a_retry_begins_with_its_first_id(delivery: Delivery, attempts: int) -> None:
    member = retry_member(delivery, attempts)
    assert member.startswith(delivery.first_id)
    assert member.partition(b"\n")[2] == delivery.data


@given(deliveries, deliveries)
def test_different_actions_never_share_a_member(one: Delivery, other: Delivery) -> None:
    same = (one.first_id, one.data) == (other.first_id, other.data)
    assert same or retry_member(one, 1) != retry_member(other, 1)


@given(deliveries, st.none() | counts)
@example(NASTY, None)
def test_what_goes_on_keeps_bytes_and_facts(delivery: Delivery, attempts: int | None) -> None:
    data, found = read_fields(delivery.onward(attempts=attempts))
    again = Delivery(b"2-2", data, 1, -1, found)
    assert (again.data, again.first_id) == (delivery.data, delivery.first_id)
    assert again.attempts == (delivery.attempts if attempts is None else attempts)
    assert again.deliveries == min(delivery.deliveries, 1_000_001)
    assert (again.facts or {}).get(b"v") == (delivery.facts or {}).get(b"v")


@given(st.lists(st.binary()))
def test_fields_of_any_kind_are_read_without_an_error(fields: list[bytes]) -> None:
    data, found = read_fields(fields)
    one = Delivery(b"1-1", data, 1, 0, found)
    assert one.attempts >= 0
    assert one.deliveries >= 1
    one.onward()


@pytest.fixture
def moving(server: Server) -> Iterator[tuple[asyncio.Runner, ActionStream, redis_library.Redis]]:
    keys = QueueManager(environment="test")
    with asyncio.Runner() as runner, redis_library.Redis.from_url(server.url) as client:
        stream = ActionStream(Endpoint(redis_asyncio.Redis.from_url(server.url)), keys, "orders", "me")
        runner.run(stream.ensure_group())
        yield runner, stream, client
        runner.run(stream.close())


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(deliveries, min_size=1, max_size=10, unique_by=lambda one: (one.first_id, one.data)))
@example(batch=[NASTY])
def test_a_retry_comes_back_through_the_server_as_it_would_have_gone_on(
    moving: tuple[asyncio.Runner, ActionStream, redis_library.Redis], batch: list[Delivery]
) -> None:
    runner, stream, client = moving
    for number, delivery in enumerate(batch):
        client.zadd(stream.retry_set, {retry_member(delivery, 5): number})
    assert runner.run(stream.move_retries()) == (len(batch), None)
    moved = runner.run(stream.read(100, 1))
    for delivery, again in zip(batch, moved, strict=True):
        data, found = read_fields(delivery.onward(attempts=5))
        assert (again.data, again.facts) == (data, found)
    client.xtrim(stream.stream, maxlen=0)
