"""`nooble routes` and `nooble check`: what there is, how it is, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.cli.terminal import Finished, Terminal
from tests.support.servers import Server

Launch = Callable[..., Server]
STREAM = "nooble4:development:pedidos:streams:main"


def findings(done: Finished) -> dict[str, list[dict[str, Any]]]:
    """What was found, by what was looked at."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.out):
        found.setdefault(finding["what"], []).append(finding)
    return found


def states(done: Finished) -> dict[str, list[str]]:
    return {what: [one["state"] for one in every] for what, every in findings(done).items()}


# ── routes ──


def test_routes_are_shown_as_a_table(pedidos: Terminal) -> None:
    done = pedidos.type("routes", "pedidos")
    assert done.code == 0
    assert [line.split()[:4] for line in done.out.splitlines()[2:4]] == [
        ["pedidos", "pedidos.pedido.crear", "Nuevo", "Pedido"],
        ["pedidos", "pedidos.pedido.agotar", "None", "pedidos.py:26"],
    ]
    assert "Take an order" in done.out


def test_routes_are_shown_as_json(pedidos: Terminal) -> None:
    first, *_ = json.loads(pedidos.type("routes", "pedidos", "--json").out)
    assert first["action"] == "pedidos.pedido.crear"
    assert first["handler"] == "PedidosService.crear"
    assert first["source"].startswith("pedidos.py:")


def test_a_service_without_routes_says_so(terminal: Terminal) -> None:
    terminal.write("byhand.py", "from nooble import BaseService\nclass Shop(BaseService): ...\n")
    done = terminal.type("routes", "byhand", SERVICE_NAME="shop")
    assert done.out == "shop (Shop) declares no action: its process_action is written by hand.\n"


# ── check ──


def test_all_is_well(pedidos: Terminal, launch: Launch) -> None:
    server = launch(appendonly="yes")
    done = pedidos.type("check", "pedidos", "--redis-url", server.url, "--json")
    assert done.code == 0, done.out
    assert {state for every in states(done).values() for state in every} == {"ok"}
    found = findings(done)
    assert found["server"][0]["found"] == f"{server.url}, by the option --redis-url"
    assert found["version"][0]["found"].startswith("valkey ")
    assert found["stream of pedidos"][0]["found"] == "no worker has served it yet"


def test_it_is_shown_as_a_table(pedidos: Terminal, redis_url: str) -> None:
    done = pedidos.type("check", "pedidos", "--redis-url", redis_url)
    assert done.code == 0
    assert "✓   import pedidos" in done.out
    assert "!   persistence" in done.out
    assert "appendonly yes keeps what it has acknowledged" in done.out


def test_a_server_that_keeps_nothing_is_a_warning_and_in_production_a_failure(
    pedidos: Terminal, redis_url: str
) -> None:
    words = ("check", "pedidos", "--redis-url", redis_url, "--json")
    done = pedidos.type(*words)
    assert (done.code, states(done)["persistence"]) == (0, ["warning"])
    done = pedidos.type(*words, ENVIRONMENT="production")
    assert (done.code, states(done)["persistence"]) == (1, ["failed"])


def test_snapshots_keep_only_what_came_before(pedidos: Terminal, launch: Launch) -> None:
    done = pedidos.type("check", "pedidos", "--redis-url", launch(save="60 1").url, "--json")
    assert "snapshots only (60 1)" in findings(done)["persistence"][0]["found"]


def test_a_server_that_deletes_what_it_was_trusted_with_is_a_failure(pedidos: Terminal, launch: Launch) -> None:
    server = launch(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    done = pedidos.type("check", "pedidos", "--redis-url", server.url, "--json")
    assert (done.code, states(done)["eviction"]) == (1, ["failed"])
    assert "maxmemory-policy noeviction" in findings(done)["eviction"][0]["mend"]


def test_a_server_that_is_away_has_an_exit_code_of_its_own(pedidos: Terminal) -> None:
    done = pedidos.type("check", "pedidos", "--redis-url", "redis://127.0.0.1:1", "--json")
    assert (done.code, states(done)["server"]) == (69, ["failed"])
    assert "127.0.0.1:1, by the option --redis-url: " in findings(done)["server"][0]["found"]


def test_a_wrong_password_is_a_failure_and_is_not_shown(pedidos: Terminal, launch: Launch) -> None:
    url = launch(password="s3cret").url.replace("s3cret", "wr0ng")
    done = pedidos.type("check", "pedidos", "--redis-url", url, "--json")
    assert (done.code, states(done)["server"]) == (1, ["failed"])
    assert "wr0ng" not in done.out


def test_broken_code_is_told_and_the_server_is_looked_at_all_the_same(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("broken.py", "import nowhere\n")
    done = pedidos.type("check", "pedidos", "broken", "nothing", "--redis-url", redis_url, "--json")
    assert done.code == 1
    found = states(done)
    assert (found["import pedidos"], found["import broken"], found["import nothing"]) == (
        ["ok"],
        ["failed"],
        ["failed"],
    )
    assert found["version"] == ["ok"]


def test_settings_that_are_missing_are_told(pedidos: Terminal, redis_url: str) -> None:
    pedidos.write("byhand.py", "from nooble import BaseService\nclass Shop(BaseService): ...\n")
    done = pedidos.type("check", "byhand", "--redis-url", redis_url, "--json")
    assert done.code == 1
    assert "service_name is missing: set SERVICE_NAME" in findings(done)["settings of Shop"][0]["found"]


def test_callers_who_would_look_elsewhere_are_thought_of(pedidos: Terminal, redis_url: str) -> None:
    words = ("check", "pedidos", "--redis-url", redis_url, "--json")
    done = pedidos.type(*words, SERVICE_NAME="orders")
    (fine, astray) = findings(done)["actions of orders"]
    assert (fine["state"], astray["state"]) == ("ok", "warning")
    assert "a service called 'pedidos'; this one is called 'orders'" in astray["found"]
    assert "SERVICE_ALIASES=pedidos=orders" in astray["mend"]
    done = pedidos.type(*words, SERVICE_NAME="orders", SERVICE_ALIASES="pedidos=orders")
    assert states(done)["actions of orders"] == ["ok"]


@pytest.fixture
def history(server: Server) -> redis.Redis:
    """A stream that the platform's code has used: one entry acknowledged, one left pending, one not read."""
    client = server.client
    client.xgroup_create(STREAM, "pedidos-group", id="0", mkstream=True)
    ids = [client.xadd(STREAM, {"data": "{}"}) for _ in range(3)]
    client.xreadgroup("pedidos-group", "pedidos-worker-7d3f", {STREAM: ">"}, count=2)
    client.xack(STREAM, "pedidos-group", ids[0])
    return client


def test_a_stream_with_history_says_how_to_take_it_over(
    pedidos: Terminal, redis_url: str, history: redis.Redis
) -> None:
    done = pedidos.type("check", "pedidos", "--redis-url", redis_url, "--json")
    entries, foreign, acknowledged = findings(done)["stream of pedidos"]
    assert entries["found"] == "3 entries, 1 of them at work"
    assert "pedidos-worker-7d3f (1)" in foreign["found"]
    assert "acknowledged and never deleted" in acknowledged["found"]
    assert {foreign["mend"], acknowledged["mend"]} == {"nooble adopt pedidos"}


@pytest.mark.leaves_keys("a key of the wrong type")
def test_a_key_of_the_wrong_type_is_a_failure(pedidos: Terminal, server: Server) -> None:
    server.client.set(STREAM, "in the way")
    done = pedidos.type("check", "pedidos", "--redis-url", server.url, "--json")
    assert (done.code, states(done)["stream of pedidos"]) == (1, ["failed"])


# ── adopt ──


@pytest.mark.parametrize("name", ["pedidos", "pedidos:PedidosService"])
def test_a_stream_is_adopted_once_that_is_confirmed(
    pedidos: Terminal, redis_url: str, history: redis.Redis, name: str
) -> None:
    words = ("adopt", name, "--idle", "0", "--redis-url", redis_url)
    done = pedidos.type(*words)
    assert done.code == 2
    assert "1 left pending by pedidos-worker-7d3f: are kept in the dead letters, if idle for 0 s" in done.err
    assert done.err.endswith("Error: nobody is here to confirm it; say --yes\n")
    assert history.xlen(STREAM) == 3

    done = pedidos.type(*words, "--yes")
    assert (done.code, done.out) == (0, "Adopted: 1 pending entries ended, 0 were gone, 1 old entries deleted.\n")
    assert history.xlen(STREAM) == 1
    assert json.loads(pedidos.type(*words, "--json").out) == {"ended": 0, "gone": 0, "deleted": 0}


def test_a_service_that_nobody_knows_has_nothing_to_adopt(terminal: Terminal, redis_url: str) -> None:
    done = terminal.type("adopt", "email", "--redis-url", redis_url)
    assert (done.code, done.out) == (0, "There is nothing to adopt in the stream of email.\n")


@pytest.mark.parametrize(("typed", "code"), [("pedidos", 0), ("pedido", 1)])
def test_a_person_confirms_by_the_name_of_the_service(
    pedidos: Terminal,
    redis_url: str,
    history: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    code: int,
) -> None:
    monkeypatch.setattr("nooble.cli.adopt.is_somebody_here", lambda: True)
    done = pedidos.type("adopt", "pedidos", "--idle", "0", "--redis-url", redis_url, stdin=f"{typed}\n")
    assert done.code == code
    assert history.xlen(STREAM) == (1 if code == 0 else 3)
