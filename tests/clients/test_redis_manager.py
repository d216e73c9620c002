"""One connection, made from the settings, handed out and closed; what is wrong is told without the password."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from nooble.clients import RedisManager
from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, ServerRefused, ServerUnavailable
from tests.support.servers import Server
from tests.support.settings import NOBODY, make_settings
from tests.support.waiting import wait_until

SECRET = "s3cret-w0rd"


async def test_it_connects_once_and_hands_out_the_same_connection(
    settings: Callable[..., CommonAppSettings], server: Server
) -> None:
    manager = RedisManager(settings())
    await manager.initialize()
    before = server.client.info("stats")["total_connections_received"]
    await manager.initialize()
    connection = await manager.get_redis_connection()
    assert await manager.get_client() is connection
    assert await connection.ping()
    assert server.client.info("stats")["total_connections_received"] == before
    await manager.close()


async def test_all_who_ask_at_once_get_the_same_connection(settings: Callable[..., CommonAppSettings]) -> None:
    async with RedisManager(settings()) as manager:
        await manager.close()
        connections = await asyncio.gather(*(manager.get_redis_connection() for _ in range(10)))
        assert len({id(connection) for connection in connections}) == 1


async def test_asking_for_the_connection_is_enough_to_connect(settings: Callable[..., CommonAppSettings]) -> None:
    manager = RedisManager(settings())
    assert await (await manager.get_redis_connection()).ping()
    await manager.close()


async def test_it_can_be_closed_at_any_time_and_opened_again(
    settings: Callable[..., CommonAppSettings], server: Server
) -> None:
    manager = RedisManager(settings())
    await manager.close()
    await manager.initialize()
    assert "connected" in repr(manager)
    await manager.close()
    await manager.close()
    assert "closed" in repr(manager)
    assert await (await manager.get_redis_connection()).ping()
    await manager.close()
    await wait_until(lambda: len(server.client.client_list()) == 1, "only the connection that looks is left")


@pytest.mark.parametrize(("decode", "expected"), [(True, "ñ"), (False, "ñ".encode())])
async def test_replies_are_text_or_bytes_as_the_settings_say(
    settings: Callable[..., CommonAppSettings], decode: bool, expected: str | bytes
) -> None:
    async with RedisManager(settings(redis_decode_responses=decode)) as manager:
        assert await (await manager.get_client()).execute_command("ECHO", "ñ") == expected


async def test_the_password_of_its_own_setting_is_used(launch: Callable[..., Server]) -> None:
    server = launch(password=SECRET)
    url = server.url.replace(f":{SECRET}@", "")
    async with RedisManager(make_settings(redis_url=url, redis_password=SECRET)) as manager:
        assert await (await manager.get_client()).ping()


async def test_a_socket_serves_as_well(launch: Callable[..., Server]) -> None:
    options = {"redis_socket_keepalive_options": {4: 10}, "redis_health_check_interval": 1.5}
    async with RedisManager(make_settings(redis_url=launch(unix=True).url, **options)) as manager:
        assert await (await manager.get_client()).ping()


async def test_keep_alive_can_be_tuned(settings: Callable[..., CommonAppSettings]) -> None:
    async with RedisManager(settings(redis_socket_keepalive_options={4: 10})) as manager:
        assert await (await manager.get_client()).ping()


# ── what is wrong ──


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "socket"])
@pytest.mark.parametrize("password", [f"{SECRET}-wrong", ""])
async def test_wrong_credentials_are_refused_without_being_told(
    launch: Callable[..., Server], unix: bool, password: str
) -> None:
    server = launch(password=SECRET, unix=unix)
    manager = RedisManager(make_settings(redis_url=server.url.replace(SECRET, password)))
    with pytest.raises(ServerRefused) as caught:
        await manager.initialize()
    assert SECRET not in _everything(caught.value) + repr(manager)


async def test_nobody_there_is_told_at_once_with_the_address() -> None:
    manager = RedisManager(make_settings(redis_url=NOBODY.replace("//", f"//:{SECRET}@")))
    before = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1") as caught:
        await manager.initialize()
    assert time.monotonic() - before < 2.0
    assert SECRET not in _everything(caught.value) + repr(manager)
    with pytest.raises(ServerUnavailable):
        await manager.get_redis_connection()
    await manager.close()


@pytest.mark.parametrize(
    "url", [f"redis://:{SECRET}#x@localhost:6379", f"redis://:a/{SECRET}@localhost", "redis://x:y"]
)
async def test_an_address_that_cannot_be_understood_is_told_with_the_mend(url: str) -> None:
    manager = RedisManager(make_settings(redis_url=url))
    with pytest.raises(ConfigurationFault, match="'#', '/', '\\?', '@' and '%' are written") as caught:
        await manager.initialize()
    assert SECRET not in _everything(caught.value) + repr(manager)


async def test_giving_up_while_connecting_leaves_nothing_open(launch: Callable[..., Server]) -> None:
    server = launch()
    server.freeze()
    manager = RedisManager(make_settings(redis_url=server.url))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(manager.initialize(), 0.1)
    server.thaw()
    await manager.initialize()
    await wait_until(lambda: len(server.client.client_list()) == 2, "what was given up is closed")
    await manager.close()


def _everything(error: BaseException | None) -> str:
    """All that a traceback of *error* says of it and of its causes."""
    texts = []
    while error is not None:
        texts += [repr(error), str(error), *getattr(error, "__notes__", [])]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)
