"""`nooble bench`: figures of a person's own service, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable

import pytest

from nooble.cli.benching_figures import Failures, Round, figures_of, milliseconds, stages_of
from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import Finished, Terminal
from tests.support.servers import Server

MINE = "nooble4:development:pedidos:streams:main"
Type = Callable[..., Finished]


@pytest.fixture
def bench(pedidos: Terminal, server: Server) -> Type:
    """`nooble bench pedidos …`, on the server."""
    return lambda *words: pedidos.run("bench", "pedidos", *words, "--redis-url", server.url)


# ── figures ──


@pytest.mark.slow
def test_calls_are_measured_and_nothing_is_left_or_touched(bench: Type, server: Server) -> None:
    server.client.xadd(MINE, {"data": "somebody else's"})
    done = bench(
        "pedidos.pedido.dormir", "seconds:=0.01", *("--actions", "40", "--in-flight", "4", "--rounds", "2"), "--json"
    )
    assert (done.code, done.err) == (0, "")
    figures = json.loads(done.out)
    assert (figures["service"], figures["mode"], figures["rounds"]) == ("pedidos", "calls", 2)
    assert figures["actions"] == 40
    assert 0 < figures["throughput"]["lowest"] <= figures["throughput"]["median"] <= figures["throughput"]["highest"]
    assert figures["throughput"]["highest"] < 115  # one at a time, 10 ms each, of which a timer may spare one
    latency = figures["latency_ms"]
    assert 9 <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    stages = {one["stage"]: one for one in figures["stages_ms"]}
    assert list(stages) == ["before", "handler", "commit", "answer"]
    assert stages["handler"]["p50"] >= 9
    assert stages["before"]["p50"] >= 9  # of four at a time, three wait
    assert sum(one["share"] for one in stages.values()) == pytest.approx(1)
    assert all(value > 0 for value in figures["cpu_us_per_action"].values())
    assert figures["failures"] == []
    assert server.client.keys() == [MINE]
    assert server.client.xlen(MINE) == 1
    server.client.delete(MINE)


@pytest.mark.slow
def test_sends_are_measured_until_all_is_handled_and_shown_in_tables(bench: Type, server: Server) -> None:
    done = bench("pedidos.pedido.crear", "cliente=acme", "--sends", "--actions", "2000", "--rounds", "3")
    assert (done.code, done.err) == (0, "")
    first, second, *_ = done.out.splitlines()
    assert first == ("pedidos.pedido.crear by pedidos: 2,000 sends in 3 rounds, at most 1000 waiting, concurrency 1")
    assert re.fullmatch(rf"Server: {server.url}; the environment bench-[0-9a-f]{{8}} is removed again", second)
    for row in ("actions/s", "worker", "client", "server", "handler, with validation", "The rounds differ by"):
        assert any(line.startswith(row) for line in done.out.splitlines()), row
    assert "a call, from end to end" not in done.out
    assert "taking" not in done.err
    assert server.client.keys() == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["--calls", "--sends"])
def test_failures_are_counted_by_code_and_fail_the_command(bench: Type, server: Server, mode: str) -> None:
    done = bench("pedidos.pedido.agotar", mode, "--actions", "30", "--rounds", "1", "--json")
    assert done.code == 1
    figures = json.loads(done.out)
    assert figures["actions"] == 30
    assert figures["failures"] == [{"code": "OUT_OF_STOCK", "count": figures["handled"], "message": "none left"}]
    assert figures["throughput"]["spread"] is None
    assert server.client.keys() == []


@pytest.mark.slow
def test_retries_are_no_failures_before_they_are_exhausted(bench: Type, server: Server) -> None:
    done = bench("pedidos.pedido.romper", "--sends", "--actions", "5", "--rounds", "1")
    assert done.code == 1
    assert re.search(r"^HANDLER_ERROR +\d+ +'stock'$", done.out, re.MULTILINE)
    assert "One round: how far rounds differ is not known." in done.out
    assert server.client.keys() == []


@pytest.mark.slow
def test_what_a_handler_prints_is_no_figure(bench: Type, pedidos: Terminal) -> None:
    pedidos.write("pedidos.py", PEDIDOS.replace('"""Take an order."""', 'print("hello")'))
    done = bench("pedidos.pedido.crear", "cliente=acme", "--actions", "5", "--json")
    assert json.loads(done.out)["handled"] >= 5
    assert "hello" in done.err


# ── how it ends otherwise ──


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGKILL, -signal.SIGKILL)])
def test_ended_by_a_signal_it_leaves_nothing(
    pedidos: Terminal, server: Server, number: signal.Signals, code: int
) -> None:
    with pedidos.start(
        *("bench", "pedidos", "pedidos.pedido.dormir", "seconds:=0.01", "--seconds", "60", "--redis-url", server.url)
    ) as run:
        while not server.client.keys("nooble4:bench-*:pedidos:streams:main"):
            assert run.process.poll() is None, run.said
        assert run.end(number) == code  # and all that it has started
    told = "Error: interrupted before it was done; nothing is left of it on the server\n"
    assert run.said == (told if number == signal.SIGINT else "")
    assert server.client.keys() == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["--calls", "--sends"])
def test_a_worker_that_dies_is_told(bench: Type, pedidos: Terminal, server: Server, mode: str) -> None:
    pedidos.write("pedidos.py", "import os\n" + PEDIDOS.replace('raise KeyError("stock")', "os._exit(9)"))
    done = bench("pedidos.pedido.romper", mode, "--actions", "5")
    assert (done.code, done.err) == (1, "Error: the worker has ended: exit code 9\n")
    assert server.client.keys() == []


@pytest.mark.slow
def test_a_service_that_cannot_start_is_told(bench: Type, pedidos: Terminal, server: Server) -> None:
    pedidos.write("pedidos.py", PEDIDOS + "    async def startup(self) -> None:\n        raise OSError('no disk')\n")
    done = bench("pedidos.pedido.agotar")
    assert done.code == 1
    assert done.err.startswith("Error: the worker of pedidos failed: OSError: no disk (pedidos.py:")
    assert server.client.keys() == []


@pytest.mark.slow
def test_without_a_server_it_brings_one(pedidos: Terminal) -> None:
    done = pedidos.run("bench", "pedidos", "pedidos.pedido.crear", "cliente=acme", "--actions", "10")
    assert done.code == 0, done.err
    assert f"Server: unix://{os.path.realpath(pedidos.folder)}/.nooble/server.sock" in done.out


MISTAKES = {
    "an action that it does not have": (
        ["pedidos", "pedidos.pedido.crea"],
        "PedidosService has no action 'pedidos.pedido.crea'; did you mean 'pedidos.pedido.crear'?",
    ),
    "an action of another service": (
        ["pedidos", "stock.item.count"],
        "pedidos has no action 'stock.item.count'; it has",
    ),
    "no payload": (["pedidos", "pedidos.pedido.crear", "{"], "the payload is no JSON"),
    "number and time": (
        ["pedidos", "pedidos.pedido.crear", "--actions", "5", "--seconds", "5"],
        "--actions and --seconds do not go together",
    ),
}


@pytest.mark.parametrize(("words", "told"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_meant_is_told_at_once(pedidos: Terminal, redis_url: str, words: list[str], told: str) -> None:
    done = pedidos.type("bench", *words, "--redis-url", redis_url)
    assert done.code == 2
    assert done.err.startswith(f"Error: {told}")


def test_a_server_that_is_away_has_an_exit_code_of_its_own(pedidos: Terminal) -> None:
    done = pedidos.type("bench", "pedidos", "pedidos.pedido.agotar", "--redis-url", "redis://127.0.0.1:1")
    assert (done.code, done.err[:41]) == (69, "Error: the server cannot be reached: Error"[:41])


# ── what is computed ──


def test_percentiles_are_values_that_occurred() -> None:
    assert milliseconds([value / 1000 for value in range(100, -1, -1)]) == pytest.approx(
        {"mean": 50, "p50": 50, "p90": 90, "p99": 99, "max": 100}
    )
    assert milliseconds([0.002]) == pytest.approx(dict.fromkeys(("mean", "p50", "p90", "p99", "max"), 2))


def test_rounds_are_compared_and_noise_is_told() -> None:
    rounds = [Round(actions=actions, seconds=1.0, worker_cpu=0.5, client_cpu=0.1) for actions in (100, 110, 125)]
    figures = figures_of(rounds)
    assert figures["throughput"] == {"median": 110, "lowest": 100, "highest": 125, "spread": pytest.approx(25 / 110)}
    assert figures["noisy"] is True
    assert figures["cpu_us_per_action"] == {
        "worker": pytest.approx(0.5 / 110 * 1e6),
        "client": pytest.approx(0.1 / 110 * 1e6),
        "server": None,
    }
    assert figures["worker_busy"] == 0.5
    assert figures["latency_ms"] is None
    assert figures_of(rounds[:2])["noisy"] is False


def test_what_the_worker_does_not_see_is_the_way_of_the_answer() -> None:
    stages = stages_of({"handler": {"mean": 6.0}, "commit": {"mean": 2.0}}, [0.010, 0.010])
    assert [one["stage"] for one in stages] == ["handler", "commit", "answer"]
    assert [one["share"] for one in stages] == pytest.approx([0.6, 0.2, 0.2])
    assert [one["share"] for one in stages_of({"handler": {"mean": 6.0}}, [])] == [1.0]


def test_failures_are_shown_the_most_frequent_first_with_what_was_said_first() -> None:
    failures = Failures()
    failures.add("RARE", "x")
    failures.add("OFTEN", "first", 2)
    failures.add("OFTEN", "second")
    assert failures.rows() == [
        {"code": "OFTEN", "count": 3, "message": "first"},
        {"code": "RARE", "count": 1, "message": "x"},
    ]
