"""Every example runs as it stands, and says what it promises to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str, url: str) -> str:
    """What an example prints, run from the root of the project."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hola_calls_a_service_and_is_refused_once(redis_url: str) -> None:
    """The first screen of the README."""
    lines = run("examples/hola.py", url=redis_url).splitlines()
    assert "producto='café' total=9.0" in lines
    assert "UNKNOWN_PRODUCT: no vendemos té" in lines


@pytest.mark.parametrize("name", ["estandar", "estandar_declarado"])
def test_the_service_of_the_standard_and_its_declared_twin_behave_the_same(name: str, redis_url: str) -> None:
    """One test for both: a result, an empty answer, and an action that nobody supports."""
    said = run(f"examples/{name}.py", url=redis_url)
    assert (
        "hacer_algo → {'status': 'completado desde MiLogicaService', 'detalle': 'mi_servicio.accion.hacer_algo'}"
        in said
    )
    assert "notificar → {}" in said
    refused = next(line for line in said.splitlines() if line.startswith("bailar → "))
    assert "mi_servicio.accion.bailar" in refused


def test_the_shop_sells_retries_and_refuses(redis_url: str) -> None:
    """Three services: a call, a callback, a follow-up, a payment that fails once, and two refusals."""
    said = run("-m", "examples.pedidos", url=redis_url)
    assert "creado: numero=1 cliente='Ana' estado='por cobrar' recibo=None" in said
    assert "pagado: numero=1 cliente='Ana' estado='pagado' recibo='R-" in said
    assert "rechazado: OUT_OF_STOCK: no hay 5 de té" in said
    assert "no válido: $.data.cantidad: Input should be greater than 0" in said


def test_the_web_application_serves_what_its_worker_answers(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker and client live in the lifespan of the application."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    from fastapi.testclient import TestClient

    from examples.fastapi_app import app

    with TestClient(app) as web:
        assert web.post("/saludos", json={"nombre": "Ana"}).json() == {"saludo": "¡Hola, Ana!"}
        assert web.post("/saludos", json={"nombre": "nadie"}).status_code == 409
