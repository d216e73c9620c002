"""Calling and sending: what is answered is shown, what goes wrong is told, and the exit code says which."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import Finished, Terminal
from tests.support.servers import Server

Type = Callable[..., Finished]

pytestmark = pytest.mark.server  # the one of the shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service `pedidos`, running for all tests here. The address of its server."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "pedidos.py").write_text(PEDIDOS)
    with Server() as server, Terminal(folder).start("run", "pedidos", "--redis-url", server.url) as run:
        run.until("worker_started")
        yield server.url
        assert run.end() == 0


@pytest.fixture
def call(shop: str, terminal: Terminal) -> Type:
    """`nooble call …`, on the server of the shop."""
    return lambda *words, **more: terminal.type("call", *words, "--redis-url", shop, **more)


# ── answers ──


def test_the_data_of_the_answer_are_shown(call: Type) -> None:
    done = call("pedidos.pedido.crear", "cliente=acme")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {"numero": 1, "cliente": "acme"}


@pytest.mark.parametrize("words", [['{"n": 2, "to": ["ana"]}'], ["n:=2", 'to:=["ana"]']])
def test_a_payload_is_typed_in_either_form(call: Type, words: list[str]) -> None:
    assert json.loads(call("pedidos.pedido.contar", *words).out)["data"] == {"n": 2, "to": ["ana"]}


def test_a_payload_comes_through_standard_input(call: Type) -> None:
    assert json.loads(call("pedidos.pedido.contar", "-", stdin='{"n": 2}').out)["data"] == {"n": 2}


def test_fields_of_the_action_can_be_given(call: Type) -> None:
    assert json.loads(call("pedidos.pedido.contar", "--field", "tenant_id=acme").out)["tenant"] == "acme"


def test_the_whole_answer_is_for_programs(call: Type) -> None:
    answer = json.loads(call("pedidos.pedido.crear", "cliente=acme", "--json").out)
    assert answer["success"] is True
    assert answer["data"] == {"numero": 1, "cliente": "acme"}
    refused = call("pedidos.pedido.agotar", "--json")
    assert (refused.code, refused.err) == (1, "")
    assert json.loads(refused.out)["error"]["error_code"] == "OUT_OF_STOCK"


def test_another_process_does_the_same(shop: str, terminal: Terminal) -> None:
    done = terminal.run("call", "pedidos.pedido.crear", "cliente=acme", REDIS_URL=shop)
    assert (done.code, json.loads(done.out)) == (0, {"numero": 1, "cliente": "acme"})


def test_sending_shows_the_id(shop: str, terminal: Terminal) -> None:
    sent = terminal.type("send", "pedidos.pedido.crear", "cliente=acme", "--redis-url", shop)
    assert re.fullmatch(r"[0-9a-f-]{36}\n", sent.out)
    sent = terminal.type("send", "pedidos.pedido.crear", "cliente=acme", "--redis-url", shop, "--json")
    assert list(json.loads(sent.out)) == ["action_id"]


# ── answers that are errors ──


def test_a_refusal_is_told_with_its_code_and_details(call: Type) -> None:
    done = call("pedidos.pedido.agotar")
    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: pedidos.pedido.agotar answered OUT_OF_STOCK: none left\n  left: 0\n"


def test_every_failing_field_is_told_once(call: Type) -> None:
    done = call("pedidos.pedido.crear", "cantidad=many")
    assert done.code == 1
    assert done.err.startswith("Error: pedidos.pedido.crear answered INVALID_PAYLOAD: the payload is no Nuevo: ")
    assert done.err.count("$.data.cliente") == done.err.count("$.data.cantidad") == 1


def test_a_handler_that_breaks_is_told(call: Type) -> None:
    assert call("pedidos.pedido.romper").err.startswith("Error: pedidos.pedido.romper answered HANDLER_ERROR: 'stock'")


def test_an_unknown_action_is_told_by_the_service_with_what_may_be_meant(call: Type) -> None:
    done = call("pedidos.pedido.crea")
    assert done.code == 1
    assert "answered UNKNOWN_ACTION" in done.err
    assert "did you mean pedidos.pedido.crear" in done.err


# ── no answer ──


def test_a_call_that_nobody_answers_says_whether_anybody_serves_it(call: Type) -> None:
    done = call("pedido.pedido.crear", "--timeout", "0.05")
    assert done.code == 1
    assert "no answer to pedido.pedido.crear from pedido within 0.05 s: nobody has ever served it" in done.err


def test_known_code_says_what_may_be_meant(call: Type, pedidos: Terminal) -> None:
    done = call("pedido.pedido.crear", "--timeout", "0.05", "--target", "pedidos")
    assert done.err.endswith("did you mean 'pedidos.pedido.crear'?\n")


def test_a_server_that_is_away_is_told_with_an_exit_code_of_its_own(terminal: Terminal) -> None:
    for command in ("call", "send"):
        done = terminal.type(command, "a.b", "--redis-url", "redis://127.0.0.1:1")
        assert done.code == 69
        assert done.err.startswith("Error: the server cannot be reached: ")
        assert "127.0.0.1:1" in done.err
        assert "`nooble dev` brings one of its own" in done.err


def test_a_wrong_password_is_told(terminal: Terminal, launch: Callable[..., Server]) -> None:
    server = launch(password="s3cret")
    done = terminal.type("call", "a.b", "--redis-url", server.url.replace("s3cret", "wr0ng"))
    assert done.code == 1
    assert done.err.startswith("Error: the server refuses: ")
    assert "wr0ng" not in done.err
    done = terminal.type("call", "a.b", "--redis-url", server.url.replace(":s3cret@", ""))
    assert (done.code, done.err[:28]) == (1, "Error: the server refuses: A")


# ── nothing is sent ──

MISTAKES = {
    "no action type": (["Pedidos"], "'Pedidos' is no action type: dotted text of two segments or more"),
    "no JSON": (["a.b", "{"], r"the payload is no JSON"),
    "no field": (
        ["a.b", "--field", "tenant=x"],
        r"--field tenant=x: write --field name=value; did you mean 'tenant_id'\?",
    ),
    "a field without a value": (["a.b", "--field", "tenant_id"], "write --field name=value"),
    "a field that cannot be": (["a.b", "--field", "trace_id=x"], "trace_id: Input should be a valid UUID"),
    "an action that the code does not have": (
        ["pedidos.pedido.crea", "--target", "pedidos"],
        r"PedidosService has no action 'pedidos.pedido.crea'; did you mean 'pedidos.pedido.crear'\?",
    ),
    "no service": (["a.b", "--service", "a b"], "service 'a b' cannot be part of a key"),
    "no address": (["a.b", "--redis-url", "localhost"], "redis_url: begins with redis://"),
}


@pytest.mark.parametrize(("words", "told"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_meant_is_not_sent(pedidos: Terminal, words: list[str], told: str) -> None:
    done = pedidos.type("call", *words)
    assert done.code == 2
    assert re.search(told, done.err), done.err


def test_code_says_which_service_does_it(terminal: Terminal, shop: str) -> None:
    """An action whose first segment is not the name of its service."""
    terminal.write("orders.py", PEDIDOS)
    done = terminal.type(
        *(
            "call",
            "pedidos.pedido.crear",
            "cliente=acme",
            "--target",
            "orders",
            "--redis-url",
            shop,
            "--timeout",
            "0.05",
        ),
        SERVICE_NAME="orders",
    )
    assert "no answer to pedidos.pedido.crear from orders" in done.err
