"""Commands go out in order and replies come back in order, to whoever asked, whatever happens to the link."""

from __future__ import annotations

import asyncio
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fakeredis
import hiredis
import pytest
import redis.asyncio as redis_asyncio
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff

from nooble.errors import ConfigurationFault, NoobleError, ReplyLost, ServerRefused, ServerUnavailable
from nooble.wire.channels import Connection, DirectConnection, PlainConnection
from nooble.wire.connection import Endpoint, Link
from nooble.wire.faults import ERROR_REPLIES
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.settings import NOBODY
from tests.support.waiting import wait_until

Launch = Callable[..., Server]
Connect = Callable[[str], Awaitable[Connection]]
SECRET = "s3cret-w0rd"


def pack(*command: Any) -> bytes:
    return hiredis.pack_command(command)


async def ask(connection: Connection, *command: Any, timeout: float = 5.0) -> Any:
    """One command and its reply."""
    return (await connection.submit(pack(*command), 1, timeout))[0]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to an address in one of the two ways: directly, unless it is told `plain`."""
    made: list[Connection] = []

    async def connect(url: str, way: str = "direct") -> Connection:
        client = redis_asyncio.Redis.from_url(url, socket_timeout=0.5)
        if way == "direct":
            made.append(await Endpoint(client).connect())
        else:
            link = client.connection_pool.make_connection()
            await link.connect()
            made.append(PlainConnection(link, "there"))
        return made[-1]

    yield connect
    for connection in made:
        await connection.close()


@pytest.fixture(params=["tcp", "socket", "fake", "plain"])
async def connection(request: pytest.FixtureRequest, connect: Any) -> AsyncIterator[Connection]:
    """A connection of every kind to a server of every kind."""
    if request.param == "fake":
        made = await Endpoint(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())).connect()
        assert isinstance(made, PlainConnection)
        yield made
        await made.close()
    elif request.param == "socket":
        yield await connect(request.getfixturevalue("launch")(unix=True).url)
    else:
        way = "direct" if request.param == "tcp" else "plain"
        yield await connect(request.getfixturevalue("server").url, way)


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def linked() -> AsyncIterator[Callable[..., Link]]:
    """Makes links: `linked(url, password="x")`."""
    links: list[Link] = []

    def linked(url: str, **options: Any) -> Link:
        links.append(Link(Endpoint(redis_asyncio.Redis.from_url(url, **options))))
        return links[-1]

    yield linked
    for link in links:
        await link.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """The link counts as dead after this many seconds."""
    for module in ("channels", "connection"):
        monkeypatch.setattr(f"nooble.wire.{module}.COMMAND_TIMEOUT", 0.2)
    return 0.2


# ── order ──


@pytest.mark.every_loop
async def test_replies_come_in_the_order_of_the_commands(connection: Connection) -> None:
    asked = [asyncio.ensure_future(ask(connection, "ECHO", str(number))) for number in range(500)]
    assert await asyncio.gather(*asked) == [str(number).encode() for number in range(500)]


@pytest.mark.every_loop
async def test_a_batch_is_answered_by_as_many_replies_as_it_has_commands(connection: Connection) -> None:
    commands = [pack("ECHO", "first"), pack("LRANGE", "none", 0, -1), pack("GET", "none"), pack("ECHO", "")]
    replies, after = await asyncio.gather(
        connection.submit(b"".join(commands), 4), connection.submit(pack("ECHO", "after"), 1)
    )
    assert (replies, after) == ([b"first", [], None, b""], [b"after"])


@pytest.mark.every_loop
@pytest.mark.parametrize("seed", range(3))
async def test_replies_are_never_mixed_up_however_many_give_up_waiting(connection: Connection, seed: int) -> None:
    chance = random.Random(seed)
    heard = abandoned = 0

    async def talk() -> None:
        nonlocal heard
        for _ in range(60):
            tokens = [uuid.uuid4().hex * chance.choice((1, 1, 300)) for _ in range(chance.randint(1, 4))]
            replies = await connection.submit(b"".join(pack("ECHO", token) for token in tokens), len(tokens))
            assert replies == [token.encode() for token in tokens]
            heard += 1
            await asyncio.sleep(0)

    async def live() -> None:
        nonlocal abandoned
        for _ in range(8):
            talking = asyncio.create_task(talk())
            await asyncio.sleep(chance.uniform(0, 0.01))
            talking.cancel()
            abandoned += 1
            await asyncio.gather(talking, return_exceptions=True)
            assert talking.cancelled() or talking.exception() is None, talking.exception()

    await asyncio.gather(*(live() for _ in range(12)))
    assert await ask(connection, "ECHO", "still in step") == b"still in step"
    assert heard > 5
    assert abandoned == 96
    assert connection.closed is None


@pytest.mark.every_loop
async def test_an_error_reply_is_a_value_among_the_others(connection: Connection) -> None:
    batch = pack("LPUSH", "nooble4:test:x:streams:main", "a") + pack("INCR", "nooble4:test:x:streams:main")
    pushed, error, pong = await connection.submit(batch + pack("ECHO", "on"), 3)
    assert (pushed, pong) == (1, b"on")
    assert isinstance(error, ERROR_REPLIES)
    assert "WRONGTYPE" in str(error)


@pytest.mark.every_loop
@pytest.mark.parametrize("size", [10_000_000, 65_536, 65_535])
async def test_large_writes_and_large_replies_arrive_whole(connection: Connection, size: int) -> None:
    large = random.Random(size).randbytes(size)
    before, echoed, after = await asyncio.gather(
        ask(connection, "ECHO", "before"), ask(connection, "ECHO", large), ask(connection, "ECHO", "after")
    )
    assert (before, after) == (b"before", b"after")
    assert echoed == large


async def test_what_is_submitted_in_one_turn_leaves_in_one_write(server: Server, connect: Connect) -> None:
    connection = await connect(server.url)
    before = server.client.info("stats")["total_reads_processed"]
    await asyncio.gather(*(ask(connection, "PING") for _ in range(200)))
    assert server.client.info("stats")["total_reads_processed"] - before <= 3


# ── the end of a connection ──


@pytest.mark.every_loop
async def test_a_closed_connection_takes_nothing_and_leaves_nobody_waiting(connection: Connection) -> None:
    waiting = asyncio.ensure_future(ask(connection, "BLPOP", "never", 0))
    await asyncio.sleep(0)
    await connection.close()
    await connection.close()
    with pytest.raises(ReplyLost, match="closed"):
        await waiting
    with pytest.raises(ServerUnavailable, match="is closed"):
        connection.submit(pack("PING"), 1)
    await connection.drained()
    assert "closed" in repr(connection)


@pytest.mark.parametrize("way", ["direct", "plain"])
async def test_a_connection_that_the_server_closes_says_so_to_all_who_wait(
    server: Server, connect: Any, way: str
) -> None:
    connection = await connect(server.url, way)
    number = await ask(connection, "CLIENT", "ID")
    waiting = [asyncio.ensure_future(ask(connection, "BLPOP", "never", 0)) for _ in range(3)]
    await wait_until(lambda: server.client.info("clients")["blocked_clients"] == 1, "it waits")
    server.client.client_kill_filter(_id=number)
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [ReplyLost] * 3
    assert connection.closed is not None


@pytest.mark.every_loop
@pytest.mark.parametrize("way", ["direct", "plain"])
@pytest.mark.parametrize("fault", ["deaf", "mute"])
async def test_a_silent_link_is_given_up_in_time(proxy: Proxy, connect: Any, way: str, fault: str) -> None:
    connection = await connect(proxy.url, way)
    setattr(proxy, fault, True)
    before = time.monotonic()
    with pytest.raises(ReplyLost, match="no reply in time"):
        await ask(connection, "PING", timeout=0.1)
    assert 0.09 <= time.monotonic() - before < 1.0


async def test_a_frozen_server_is_given_up_in_time(launch: Launch, connect: Connect) -> None:
    server = launch()
    connection = await connect(server.url)
    server.freeze()
    with pytest.raises(ReplyLost, match="no reply in time"):
        await ask(connection, "PING", timeout=0.2)


@pytest.mark.parametrize("way", ["direct", "plain"])
async def test_a_command_that_blocks_within_its_time_is_not_given_up(
    server: Server, connect: Any, way: str, hasty: float
) -> None:
    connection = await connect(server.url, way)
    before = time.monotonic()
    assert await ask(connection, "BLPOP", "never", 2 * hasty, timeout=4 * hasty) is None
    assert time.monotonic() - before >= 2 * hasty


async def test_a_reply_that_is_still_arriving_is_not_late(
    server: Server, proxy: Proxy, connect: Connect, hasty: float
) -> None:
    connection = await connect(proxy.url)
    large = random.Random(0).randbytes(1_000_000)
    server.client.set("large", large, ex=60)
    proxy.delay, before = hasty / 4, time.monotonic()
    assert await ask(connection, "GET", "large", timeout=hasty) == large
    assert time.monotonic() - before > 2 * hasty


@pytest.mark.parametrize("way", ["direct", "plain"])
async def test_a_swallowed_reply_is_told_as_lost_not_as_failed(
    server: Server, proxy: Proxy, connect: Any, way: str
) -> None:
    connection = await connect(proxy.url, way)
    proxy.swallow(b"SET")
    with pytest.raises(ReplyLost):
        await ask(connection, "SET", "key", "value", "EX", 60)
    assert (proxy.faults, server.client.get("key")) == (1, "value")


@pytest.mark.parametrize("way", ["direct", "plain"])
async def test_a_reply_cut_anywhere_is_never_taken_for_another(proxy: Proxy, connect: Any, way: str) -> None:
    chance = random.Random(1)
    tokens = [uuid.uuid4().hex for _ in range(8)]
    whole = sum(len(pack("ECHO", token)) for token in tokens)
    outcomes = set()
    for _ in range(40):
        connection = await connect(proxy.url, way)
        proxy.cut(chance.randrange(whole), b"ECHO")
        asked = [connection.submit(pack("ECHO", token), 1) for token in tokens]
        for token, reply in zip(tokens, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            outcomes.add(type(reply))
            assert reply == [token.encode()] or isinstance(reply, ReplyLost)
    assert proxy.faults == 40
    assert outcomes == {list, ReplyLost}


@pytest.mark.parametrize("way", ["direct", "plain"])
async def test_a_reset_ends_all_that_waits(proxy: Proxy, connect: Any, way: str) -> None:
    connection = await connect(proxy.url, way)
    proxy.mute = True
    waiting = [asyncio.ensure_future(ask(connection, "PING")) for _ in range(5)]
    await asyncio.sleep(0)
    proxy.reset()
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [ReplyLost] * 5


@pytest.mark.parametrize(
    "garbage", [b"!nonsense\r\n", b"+PONG\r\n+NOBODY ASKED\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
async def test_a_server_that_does_not_speak_the_protocol_is_left(
    connect: Connect, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"PING" not in (said := await reader.read(1_000)):
            writer.write(b"+OK\r\n" * said.count(b"SETINFO"))
        writer.write(garbage)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as stranger:
        connection = await connect(f"redis://127.0.0.1:{stranger.sockets[0].getsockname()[1]}")
        await asyncio.gather(ask(connection, "PING"), return_exceptions=True)
        await wait_until(lambda: connection.closed, "the connection is given up")
    assert caplog.records == []


async def test_writing_waits_while_the_other_side_takes_nothing(launch: Launch, connect: Connect) -> None:
    server = launch()
    connection = await connect(server.url)
    await connection.drained()
    server.freeze()
    echoes = [connection.submit(pack("ECHO", b"x" * 1_000_000), 1, 30.0) for _ in range(20)]
    await asyncio.sleep(0)
    draining = asyncio.ensure_future(connection.drained())
    assert not (await asyncio.wait({draining}, timeout=0.1))[0]
    server.thaw()
    await draining
    assert all(len(echo) == 1_000_000 for (echo,) in await asyncio.gather(*echoes))


async def test_who_waits_to_write_hears_of_the_end(launch: Launch, connect: Connect) -> None:
    server = launch()
    connection = await connect(server.url)
    server.freeze()
    connection.submit(pack("ECHO", b"x" * 20_000_000), 1)
    await asyncio.sleep(0)
    draining = asyncio.ensure_future(connection.drained())
    await asyncio.sleep(0)
    await connection.close()
    await asyncio.wait_for(draining, 1.0)


# ── links ──


async def test_a_link_opens_one_connection_however_many_need_it_at_once(proxy: Proxy, linked: Any) -> None:
    link = linked(proxy.url)
    assert not link.up
    replies = await asyncio.gather(*(link.execute("ECHO", str(number)) for number in range(50)))
    assert replies == [str(number).encode() for number in range(50)]
    assert (proxy.accepted, link.opened, link.up) == (1, 1, True)


async def test_a_link_opens_again_after_it_broke(proxy: Proxy, linked: Any) -> None:
    link = linked(proxy.url)
    await link.execute("PING")
    proxy.swallow(b"ECHO")
    with pytest.raises(ReplyLost):
        await link.execute("ECHO", "x")
    assert not link.up
    assert await link.execute("ECHO", "y") == b"y"
    assert (link.opened, repr(link)) == (2, f"<Link 127.0.0.1:{proxy.port} up opened=2>")


async def test_a_link_that_was_closed_opens_again_when_it_is_used(server: Server, linked: Any) -> None:
    link = linked(server.url)
    await link.execute("PING")
    await link.close()
    assert not link.up
    assert await link.execute("ECHO", "y") == b"y"


async def test_an_error_reply_is_raised_by_a_link_and_is_a_value_in_its_pipeline(server: Server, linked: Any) -> None:
    link = linked(server.url)
    with pytest.raises(NoobleError, match="unknown command"):
        await link.execute("NONSENSE")
    pong, error = await link.pipeline([("PING",), ("NONSENSE",)])
    assert pong == b"PONG"
    assert isinstance(error, ERROR_REPLIES)


async def test_one_attempt_to_connect_is_shared_by_all_who_wait(hasty: float, linked: Any) -> None:
    """Fifty who need a server that does not answer wait once, not one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # connects, by the kernel's doing, and never answers
        link = linked(f"redis://:x@127.0.0.1:{deaf.getsockname()[1]}")
        before = time.monotonic()
        errors = await asyncio.gather(*(link.execute("PING") for _ in range(50)), return_exceptions=True)
        assert time.monotonic() - before < 5 * hasty
    assert {type(error) for error in errors} == {ServerUnavailable}
    assert len({id(error) for error in errors}) == 50


async def test_who_gives_up_waiting_for_a_connection_disturbs_nobody(proxy: Proxy, linked: Any) -> None:
    proxy.delay = 0.02
    link = linked(proxy.url)
    first, second = (asyncio.ensure_future(link.execute("ECHO", "x")) for _ in range(2))
    await wait_until(lambda: proxy.accepted, "the connection is being opened")
    first.cancel()
    assert await second == b"x"
    assert (proxy.accepted, link.opened) == (1, 1)


async def test_closing_a_link_ends_an_attempt_to_connect(linked: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        link = linked(f"redis://:x@127.0.0.1:{deaf.getsockname()[1]}")
        waiting = asyncio.ensure_future(link.execute("PING"))
        accepted, _ = await asyncio.to_thread(deaf.accept)
        await link.close()
        accepted.close()
        with pytest.raises(ServerUnavailable, match="closed while it was being opened"):
            await waiting


# ── where to ──


HANDED_IN: dict[str, Callable[[Server], Redis]] = {
    "plain": lambda server: Redis.from_url(server.url),
    "decoding": lambda server: Redis.from_url(server.url, decode_responses=True),
    "decoding latin-1": lambda server: Redis.from_url(server.url, decode_responses=True, encoding="latin-1"),
    "protocol 3": lambda server: Redis.from_url(server.url, protocol=3),
    "protocol 3 in the URL": lambda server: Redis.from_url(server.url + "?protocol=3"),
    "a pool of one": lambda server: Redis.from_url(server.url, max_connections=1),
    "a blocking pool": lambda server: Redis(connection_pool=BlockingConnectionPool.from_url(server.url, timeout=1)),
    "a pool of its own": lambda server: Redis.from_pool(ConnectionPool.from_url(server.url)),
    "health checks": lambda server: Redis.from_url(server.url, health_check_interval=1),
    "retries": lambda server: Redis.from_url(server.url, retry=Retry(NoBackoff(), 10), retry_on_error=[OSError]),
    "a timeout of nothing": lambda server: Redis.from_url(server.url, socket_timeout=0.001),
    "no timeout": lambda server: Redis.from_url(server.url, socket_timeout=None, socket_connect_timeout=None),
    "a name": lambda server: Redis.from_url(server.url, client_name="mine"),
    "another database": lambda server: Redis.from_url(server.url.replace("/0", "/3")),
    "one connection": lambda server: Redis.from_url(server.url, single_connection_client=True),
    "keep-alive": lambda server: Redis.from_url(server.url, socket_keepalive=True),
}


@pytest.mark.parametrize("make", HANDED_IN.values(), ids=HANDED_IN)
async def test_whatever_client_is_handed_in_replies_are_bytes_and_it_is_left_alone(
    server: Server, make: Callable[[Server], Redis]
) -> None:
    client = make(server)
    server.client.client_setname("observer")
    link = Link(Endpoint(client))
    assert await link.execute("ECHO", "ñ") == "ñ".encode()
    assert await link.pipeline([("CONFIG", "GET", "port")]) == [[b"port", str(server.port).encode()]]
    assert await link.execute("BLPOP", "never", 0.01) is None
    assert sum(1 for one in server.client.client_list() if one["name"] != "observer") == 1
    await link.close()
    await client.aclose()


async def test_a_fake_client_that_decodes_serves_as_well() -> None:
    link = Link(Endpoint(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), decode_responses=True, protocol=3)))
    assert await link.execute("ECHO", "ñ") == "ñ".encode()
    assert await link.execute("HSET", "nooble4:test:x:streams:main", "a", "b") == 1
    assert await link.execute("HGETALL", "nooble4:test:x:streams:main") == [b"a", b"b"]
    await link.close()


async def test_a_password_and_a_user_are_those_of_the_client(launch: Launch, linked: Any) -> None:
    server = launch(password=SECRET)
    server.client.acl_setuser("ana", enabled=True, passwords=["+pw"], commands=["+ping", "+acl|whoami"])
    assert await linked(server.url).execute("PING") == b"PONG"
    assert await linked(server.url.replace(f":{SECRET}", "ana:pw")).execute("ACL", "WHOAMI") == b"ana"


async def test_no_command_is_ever_repeated_whatever_retries_the_client_was_made_with(
    server: Server, proxy: Proxy, linked: Any
) -> None:
    link = linked(proxy.url, retry=Retry(NoBackoff(), 5), retry_on_timeout=True, retry_on_error=[Exception])
    await link.execute("PING")
    proxy.swallow(b"XADD")
    with pytest.raises(ReplyLost):
        await link.execute("XADD", "nooble4:test:x:streams:main", "*", "a", "b")
    assert server.client.xlen("nooble4:test:x:streams:main") == 1


@pytest.mark.every_loop
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "socket"])
async def test_the_library_still_has_the_transport_that_is_taken_over(
    server: Server, launch: Launch, connect: Connect, unix: bool
) -> None:
    """`Endpoint.connect` reaches for `_writer.transport` of the library's connection, and `DirectConnection` for its
    `_close`. If a new version of redis-py fails this test, look there: without them every command still works, by the
    library's own path, at several times the cost."""
    connection = await connect(launch(unix=True).url if unix else server.url)
    assert type(connection) is DirectConnection
    assert await ask(connection, "PING") == b"PONG"


@pytest.mark.parametrize("stranger", [None, object(), "redis://localhost", Server])
async def test_what_is_no_client_is_refused_at_once(stranger: Any) -> None:
    with pytest.raises(ConfigurationFault, match=r"expected a redis\.asyncio\.Redis, got"):
        Endpoint(stranger)


async def test_a_cluster_client_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationFault, match="cluster clients are not supported yet"):
        Endpoint(RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", 1)]))  # type: ignore[arg-type]


# ── what can be wrong with it ──


async def test_a_server_that_is_not_there_is_unavailable_at_once(linked: Any) -> None:
    """Whatever retries the client was made with: whoever needs the server has patience of its own."""
    before = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1"):
        await linked(NOBODY, retry=Retry(ConstantBackoff(1), 10)).execute("PING")
    assert time.monotonic() - before < 1.0


async def test_a_socket_that_is_not_there_is_unavailable(tmp_path: Path, linked: Any) -> None:
    with pytest.raises(ServerUnavailable, match="no-socket"):
        await linked(f"unix://{tmp_path}/no-socket").execute("PING")


async def test_a_server_that_has_too_many_clients_is_unavailable(launch: Launch, linked: Any) -> None:
    server = launch(maxclients="3")
    links = [linked(server.url) for _ in range(4)]
    with pytest.raises(ServerUnavailable):
        await asyncio.gather(*(link.execute("PING") for link in links))


@pytest.mark.every_server
@pytest.mark.parametrize("url", ["redis://:wrong@", "redis://", "redis://nobody:s3cret-w0rd@", "redis://ana:x@"])
async def test_wrong_credentials_are_refused(launch: Launch, linked: Any, url: str) -> None:
    server = launch(password=SECRET)
    with pytest.raises(ServerRefused):
        await linked(f"{url}127.0.0.1:{server.port}/0").execute("PING")


@pytest.mark.every_server
async def test_a_missing_permission_is_refused(launch: Launch, linked: Any) -> None:
    server = launch()
    server.client.acl_setuser("ana", enabled=True, passwords=["+pw"], commands=["+ping"])
    link = linked(server.url, username="ana", password="pw")
    assert await link.execute("PING") == b"PONG"
    with pytest.raises(ServerRefused, match="permission"):
        await link.execute("GET", "key")


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "socket"])
async def test_no_text_that_a_person_sees_holds_the_password(launch: Launch, linked: Any, unix: bool) -> None:
    server = launch(password=SECRET, unix=unix)
    link = linked(server.url)
    await link.execute("PING")
    connection = await link.connection()
    texts = [repr(link.endpoint), str(link.endpoint), link.endpoint.address, repr(link), repr(connection)]
    await connection.close()
    texts += [repr(connection), str(connection.closed)]
    wrong = linked(server.url.replace(SECRET, SECRET + "-wrong"))
    server.stop()
    for failing in (link, wrong):
        with pytest.raises(NoobleError) as caught:
            await failing.execute("PING")
        texts += _texts(caught.value)
    server.start()
    with pytest.raises(ServerRefused) as caught:
        await wrong.execute("PING")
    texts += _texts(caught.value)
    assert not [text for text in texts if SECRET in text]


def _texts(error: BaseException | None) -> list[str]:
    """Everything that a traceback of *error* says of it and of its causes."""
    texts = []
    while error is not None:
        texts += [repr(error), str(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return texts
