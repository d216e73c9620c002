"""A reading of a large system is quick, and no command of it holds the server up. Each look is by somebody who comes anew;
the best of several counts, as the machine may be busy with something else."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from redis.asyncio import Redis

from nooble.operations import System
from nooble.operations.reading import AtWork, Worker
from tests.support.servers import Server
from tests.support.settings import make_settings

STREAMS, ENTRIES, WORKERS = 100, 10_000, 50
LOOKS = 5
SECONDS, BLOCKED_US = 0.3, 5_000

FILL = """
local group, consumer, letters, retries = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local data = string.rep('x', 200)
for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'data', data, 'v', '1') end
redis.call('XGROUP', 'CREATE', KEYS[1], group, '0')
redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', ARGV[2], 'STREAMS', KEYS[1], '>')
for i = 1, 20 do redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], group, consumer .. i) end
for i = 1, 250 do
  redis.call('XADD', letters, '*', 'reason', 'R' .. i % 3, 'traceback', string.rep('t', 2000), 'data', string.rep('d', 2000))
end
for i = 1, 500 do redis.call('ZADD', retries, 5e12 + i, i .. '-0 v 1' .. data) end
"""


async def fill(redis: Redis) -> None:
    for number in range(STREAMS):
        service = f"s{number}"
        place, consumer = f"nooble4:test:{service}", f"{service}-worker-x-nb0123456789"
        pending = ENTRIES if number == 0 else 500
        keys = (f"{place}:dead_letters:main", f"{place}:retries:main")
        await redis.eval(FILL, 1, f"{place}:streams:main", ENTRIES, pending, f"{service}-group", consumer, *keys)
        if number < WORKERS:
            at_work = tuple(
                AtWork(entry_id=f"{one}-0", action_type="demo.thing.do", action_id="x" * 36) for one in range(20)
            )
            card = Worker(service=service, consumer=consumer, at_work=at_work)
            await redis.set(f"{place}:workers:{consumer}", msgspec.json.encode(card), px=600_000)
            await redis.zadd(f"{place}:workers:main", {consumer: time.time() * 1000})


@pytest.mark.slow
@pytest.mark.every_server
async def test_a_large_system_is_read_quickly_and_without_holding_the_server_up(launch: Callable[..., Server]) -> None:
    server = launch()
    server.client.config_set("slowlog-log-slower-than", 500)
    server.client.config_set("slowlog-max-len", 10_000)
    taken: list[float] = []
    longest: list[int] = []
    async with Redis.from_url(server.url) as redis:
        await fill(redis)
        for _ in range(LOOKS):
            server.client.slowlog_reset()
            async with System(redis, make_settings()) as system:
                began = time.perf_counter()
                reading = await system.read()
                taken.append(time.perf_counter() - began)
            longest.append(max((entry["duration"] for entry in server.client.slowlog_get(10_000)), default=0))
    assert sum(service.stream.length for service in reading.services) == STREAMS * ENTRIES
    assert sum(len(service.workers) for service in reading.services) == WORKERS
    assert all(service.dead.by_reason for service in reading.services)
    assert min(taken) < SECONDS, taken
    assert min(longest) < BLOCKED_US, longest
    print(f"seconds {sorted(taken)}, longest command in µs {sorted(longest)}")
