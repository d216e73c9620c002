"""`nooble fuzz`: what it shows, what it exits with, and that its lines can be pasted."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import Terminal

SHARED = '''
from pydantic import BaseModel, Field

from nooble import BaseService, action


class Cuenta(BaseModel):
    total: int = Field(ge=0)
    personas: int = Field(ge=0, le=20)


class CuentasService(BaseService):
    @action("cuentas.cuenta.repartir")
    async def repartir(self, cuenta: Cuenta) -> float:
        """A seeded fault: nobody to share with."""
        return cuenta.total / cuenta.personas

    @action("cuentas.cuenta.sumar")
    async def sumar(self, cuenta: Cuenta) -> int:
        return cuenta.total + cuenta.personas
'''

FEW = ("--examples", "30", "--seed", "1", "--url", "fake")


@pytest.fixture
def cuentas(terminal: Terminal) -> Terminal:
    (terminal.folder / "cuentas.py").write_text(SHARED)
    return terminal


def test_a_fault_is_told_with_a_line_that_shows_it_again(cuentas: Terminal) -> None:
    done = cuentas.type("fuzz", "cuentas", "--examples", "30", "--seed", "1")
    assert done.code == 1, done.err
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.startswith("cuentas.")}
    assert rows["cuentas.cuenta.sumar"] == ["30", "15", "7", "–", "✓"]
    assert "ZeroDivisionError" in done.out
    assert "cuentas.py:16" in done.out
    assert "2 actions, 1 faults; --seed 1 does the same again" in done.out
    (line,) = [line.strip() for line in done.out.splitlines() if line.strip().startswith("$ ")]
    words = shlex.split(line.removeprefix("$ "))
    assert words[:3] == ["nooble", "call", "cuentas.cuenta.repartir"]
    assert json.loads(words[3]) == {"total": 0, "personas": 0}


def test_what_is_sound_exits_with_0(cuentas: Terminal) -> None:
    done = cuentas.type("fuzz", "cuentas", "--action", "cuentas.cuenta.sumar", *FEW)
    assert (done.code, done.err) == (0, "")


def test_as_json_everything_is_told(cuentas: Terminal) -> None:
    done = cuentas.type("fuzz", "cuentas:CuentasService", "--json", *FEW)
    told = json.loads(done.out)
    assert (done.code, told["seed"], told["server"], told["faults"]) == (1, 1, "fake", 1)
    first, second = told["actions"]
    assert (second["counts"], second["findings"]) == ({"valid": 30, "invalid": 15, "hostile": 7}, [])
    (finding,) = first["findings"]
    assert finding["kind"] == "HANDLER_ERROR"
    assert finding["payload"] == {"total": 0, "personas": 0}
    assert finding["call"].startswith("nooble call cuentas.cuenta.repartir ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cuentas", "--action", "cuentas.cuenta.suma", *FEW), "did you mean 'cuentas.cuenta.sumar'?"),
        (("cuentas", "--url", "somewhere"), "--url somewhere is no server; write embedded or fake, or an address"),
        (("cuentos",), "did you mean 'cuentas'?"),
        (("cuentas", "--service", "cuenta"), "no service 'cuenta' in the target"),
    ],
)
def test_what_is_typed_wrongly_is_told(cuentas: Terminal, words: tuple[str, ...], told: str) -> None:
    done = cuentas.type("fuzz", *words)
    assert done.code == 2
    assert told in done.err


def test_a_server_that_is_not_there_is_told(cuentas: Terminal) -> None:
    done = cuentas.type("fuzz", "cuentas", "--url", "redis://127.0.0.1:1/0")
    assert done.code == 69
    assert "the server cannot be reached" in done.err


def test_a_service_that_reads_what_it_does_not_declare_is_found(terminal: Terminal) -> None:
    (terminal.folder / "pedidos.py").write_text(PEDIDOS)
    actions = ("pedidos.pedido.romper", "pedidos.pedido.crear", "pedidos.pedido.agotar", "pedidos.pedido.contar")
    words = [word for one in actions for word in ("--action", one)]
    done = terminal.type("fuzz", "pedidos", "--json", "--examples", "10", "--seed", "1", "--url", "fake", *words)
    found = {one["action_type"]: [f["kind"] for f in one["findings"]] for one in json.loads(done.out)["actions"]}
    assert found == {name: ["HANDLER_ERROR"] if name.endswith("romper") else [] for name in actions}
