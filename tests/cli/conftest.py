"""What the tests of the command line share: a terminal in an empty folder, and a small service to write into it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.terminal import Terminal

PEDIDOS = '''
import asyncio

from pydantic import BaseModel

from nooble import ActionContext, BaseService, Reject, action


class Nuevo(BaseModel):
    cliente: str
    cantidad: int = 1


class Pedido(BaseModel):
    numero: int
    cliente: str


class PedidosService(BaseService):
    @action("pedidos.pedido.crear")
    async def crear(self, nuevo: Nuevo) -> Pedido:
        """Take an order."""
        self._logger.info("taking", cliente=nuevo.cliente)
        return Pedido(numero=1, cliente=nuevo.cliente)

    @action("pedidos.pedido.agotar")
    async def agotar(self) -> None:
        raise Reject("none left", error_code="OUT_OF_STOCK", details={"left": 0})

    @action("pedidos.pedido.romper")
    async def romper(self) -> None:
        raise KeyError("stock")

    @action("pedidos.pedido.contar")
    async def contar(self, data: dict, context: ActionContext) -> dict:
        return {"data": data, "tenant": context.action.tenant_id}

    @action("pedidos.pedido.dormir")
    async def dormir(self, data: dict) -> str:
        self._logger.info("sleeping", seconds=data["seconds"])
        await asyncio.sleep(data["seconds"])
        return "awake"
'''
"""A service with an action of each kind."""


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal in an empty folder. What a command changes of this process is put back."""
    for name in [name for name in os.environ if name.startswith("NOOBLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    root = logging.getLogger()
    handlers, level, showwarning = list(root.handlers), root.level, warnings.showwarning
    yield Terminal(tmp_path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:], root.level, warnings.showwarning = handlers, level, showwarning


@pytest.fixture
def pedidos(terminal: Terminal) -> Terminal:
    """A terminal beside `pedidos.py`."""
    terminal.write("pedidos.py", PEDIDOS)
    return terminal
