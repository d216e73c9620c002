"""`nooble run`, as a process among signals and servers that come and go."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import Running, Terminal
from tests.support.servers import Server

STREAM, GROUP = "nooble4:development:pedidos:streams:main", "pedidos-group"
Launch = Callable[..., Server]


def lines(run: Running, event: str) -> list[dict[str, Any]]:
    """What it has logged of *event*."""
    logged = [json.loads(line) for line in run.lines if line.startswith("{")]
    return [line for line in logged if line["event"] == event]


def left(server: Server) -> tuple[int, int]:
    """How many actions are in the stream, and how many of them belong to a worker."""
    return server.client.xlen(STREAM), server.client.xpending(STREAM, GROUP)["pending"]


@pytest.fixture
def send(pedidos: Terminal, redis_url: str) -> Callable[..., None]:
    """`nooble send …`, on the server."""

    def send(*words: str) -> None:
        assert pedidos.type("send", *words, "--redis-url", redis_url).code == 0

    return send


# ── signals ──


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_lets_actions_finish_and_hands_back_the_rest(
    pedidos: Terminal, server: Server, send: Callable[..., None], number: signal.Signals
) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", server.url) as run:
        for _ in range(3):
            send("pedidos.pedido.dormir", "seconds:=0.3")
        run.until("sleeping")
        assert run.end(number) == 0
    (stopping,) = lines(run, "stopping")
    assert (stopping["why"], stopping["grace"]) == (number.name, 10.0)
    assert left(server) == (2, 0)


@pytest.mark.slow
def test_what_does_not_finish_within_the_grace_is_handed_back(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", server.url, "--grace", "0.1") as run:
        send("pedidos.pedido.dormir", "seconds:=30")
        run.until("sleeping")
        assert run.end(signal.SIGTERM) == 0
    assert left(server) == (1, 0)


@pytest.mark.leaves_keys("a killed worker leaves its pending action")
def test_a_second_signal_ends_it_now(pedidos: Terminal, server: Server, send: Callable[..., None]) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", server.url) as run:
        send("pedidos.pedido.dormir", "seconds:=30")
        run.until("sleeping")
        run.interrupt(signal.SIGINT)
        run.until("stopping")
        assert run.end(signal.SIGTERM) == 128 + signal.SIGTERM


@pytest.mark.slow
def test_a_second_signal_ends_it_even_when_a_handler_blocks_the_loop(
    pedidos: Terminal, server: Server, send: Callable[..., None]
) -> None:
    pedidos.write("pedidos.py", "import time\n" + PEDIDOS.replace("await asyncio.sleep", "time.sleep"))
    with pedidos.start("run", "pedidos", "--redis-url", server.url) as run:
        send("pedidos.pedido.dormir", "seconds:=30")
        run.until("sleeping")
        run.interrupt(signal.SIGINT)
        assert run.end(signal.SIGTERM) in {128 + signal.SIGINT, 128 + signal.SIGTERM}


# ── servers that come and go ──


@pytest.mark.slow
def test_a_server_that_is_away_is_waited_for_and_told_once(pedidos: Terminal, launch: Launch) -> None:
    server = launch()
    server.stop()
    with pedidos.start("run", "pedidos", "--redis-url", server.url) as run:
        run.until("server_lost")
        server.start()
        run.until("worker_started")
        server.stop()
        run.until("server_lost", times=2)
        server.start()
        run.until("server_back", times=2)
        done = pedidos.type("call", "pedidos.pedido.crear", "cliente=acme", "--redis-url", server.url)
        assert done.code == 0, done.err
        assert run.end() == 0
    events = [json.loads(line)["event"] for line in run.lines]
    assert [event for event in events if event in {"server_lost", "server_back"}] == ["server_lost", "server_back"] * 2


def test_while_the_server_is_away_a_signal_ends_it_at_once(pedidos: Terminal) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", "redis://127.0.0.1:1") as run:
        run.until("server_lost")
        assert run.end(signal.SIGTERM) == 0


def test_a_server_that_refuses_is_told_and_ends_it(pedidos: Terminal, launch: Launch) -> None:
    server = launch(password="s3cret")
    done = pedidos.run("run", "pedidos", REDIS_URL=server.url.replace("s3cret", "wr0ng"))
    assert done.code == 1
    *_, told = done.err.splitlines()
    assert told.startswith("Error: the server refuses: ")
    assert "Traceback" not in done.err
    assert "wr0ng" not in done.err


@pytest.mark.parametrize(
    ("denied", "mend"),
    [
        pytest.param("-xreadgroup", "ACL SETUSER", id="command"),
        pytest.param("off", "user:password@host", id="user", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_begins_to_refuse_ends_it_with_the_reason_and_the_mend(
    pedidos: Terminal, launch: Launch, denied: str, mend: str
) -> None:
    server = launch()
    server.client.execute_command("ACL", "SETUSER", "worker", "on", ">s3cret", "~*", "&*", "+@all")
    with pedidos.start("run", "pedidos", REDIS_URL=server.url.replace("//", "//worker:s3cret@")) as run:
        run.until("worker_started")
        server.client.execute_command("ACL", "SETUSER", "worker", denied)
        server.client.execute_command("CLIENT", "KILL", "USER", "worker")
        assert run.ended() == 1
    assert run.lines[-1].startswith("Error: the server refuses: ")
    assert mend in run.lines[-1]
    assert "Traceback" not in run.said
    assert "s3cret" not in run.said


# ── services ──

SECOND = """
class StockService(BaseService):
    @action("stock.item.count")
    async def count(self) -> int:
        return 7
"""


def test_all_services_of_a_module_run_in_one_process(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("pedidos.py", PEDIDOS + SECOND)
    with pedidos.start("run", "pedidos", "--redis-url", redis_url) as run:
        run.until("worker_started", times=2)
        done = pedidos.type("call", "stock.item.count", "--redis-url", redis_url)
        assert json.loads(done.out) == {"result": 7}
        assert run.end() == 0
    assert {line["service"] for line in lines(run, "worker_started")} == {"pedidos", "stock"}


def test_a_line_that_a_handler_logs_says_for_which_action(
    pedidos: Terminal, redis_url: str, send: Callable[..., None]
) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", redis_url) as run:
        send("pedidos.pedido.crear", "cliente=acme", "--field", "tenant_id=t1")
        run.until("taking")
        assert run.end() == 0
    (line,) = lines(run, "taking")
    assert (line["action_type"], line["tenant_id"], line["attempt"]) == ("pedidos.pedido.crear", "t1", 1)
    assert {"action_id", "trace_id"} <= line.keys()


BY_HAND = """
from nooble.config.common_app_settings import CommonAppSettings
from nooble.services.base_service import BaseService
from nooble.workers.base_worker import BaseWorker


class MiLogicaService(BaseService):
    def __init__(self, app_settings: CommonAppSettings, direct_redis_conn=None, service_redis_client=None):
        super().__init__(app_settings, service_redis_client=service_redis_client, direct_redis_conn=direct_redis_conn)

    async def process_action(self, action):
        return {"did": action.action_type, "pinged": await self.direct_redis_conn.ping()}


class MiWorker(BaseWorker):
    def __init__(self, app_settings, async_redis_conn, service_instance: MiLogicaService, consumer_id_suffix=None):
        super().__init__(app_settings, async_redis_conn, service_instance, consumer_id_suffix)

    async def _handle_action(self, action):
        return await self.service.process_action(action)
"""


def test_a_service_of_the_standard_runs_as_it_stands(terminal: Terminal, redis_url: str) -> None:
    terminal.write("mi_servicio.py", BY_HAND)
    with terminal.start("run", "mi_servicio", "--redis-url", redis_url, SERVICE_NAME="mi_servicio") as run:
        done = terminal.type("call", "mi_servicio.accion.hacer", "--redis-url", redis_url)
        assert json.loads(done.out) == {"did": "mi_servicio.accion.hacer", "pinged": True}
        assert run.end() == 0


FACTORY = """
async def make(app_settings, async_redis_conn):
    from nooble import ServiceWorker
    return ServiceWorker(app_settings, async_redis_conn, PedidosService(app_settings))

def nothing(app_settings) -> PedidosService: ...
"""


@pytest.mark.slow
def test_a_function_may_make_the_worker_itself(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("pedidos.py", PEDIDOS + FACTORY)
    with pedidos.start("run", "pedidos:make", "--redis-url", redis_url, SERVICE_NAME="pedidos") as run:
        assert pedidos.type("call", "pedidos.pedido.crear", "cliente=acme", "--redis-url", redis_url).code == 0
        assert run.end() == 0


def test_a_function_that_makes_nothing_is_told(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("pedidos.py", PEDIDOS + FACTORY)
    done = pedidos.type("run", "pedidos:nothing", "--redis-url", redis_url)
    assert done.code == 1
    assert done.err.endswith("Error: pedidos:nothing gave None; it is to return a service, or a worker\n")


def test_a_service_that_cannot_start_ends_the_process_and_the_log_says_where(pedidos: Terminal, redis_url: str) -> None:
    startup = "    async def startup(self) -> None:\n        raise OSError('no disk')\n"
    pedidos.write("pedidos.py", PEDIDOS + startup)
    done = pedidos.type("run", "pedidos", "--redis-url", redis_url)
    assert done.code == 1
    *logged, told = done.err.splitlines()
    assert told.startswith("Error: the worker of pedidos failed: OSError: no disk (pedidos.py:")
    failed = next(line for line in map(json.loads, logged) if line["event"] == "worker_failed")
    assert failed["exception"][0]["exc_value"] == "no disk"
