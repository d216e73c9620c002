"""The kit on the examples: each of their services is tested as a user would, on every kind of server."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import estandar, estandar_declarado, hola
from examples.fastapi_app import SaludosService
from examples.pedidos.inventario import InventarioService, Reserva, Reservar
from examples.pedidos.pagos import Cobrar, PagosService
from examples.pedidos.pedidos import CrearPedido, PedidosService, VerPedido
from nooble import Reject, ServiceWorker
from nooble.errors import InvalidPayload
from nooble.testing import ServiceHarness, verify_contract

pytestmark = pytest.mark.usefixtures("no_tasks")

CAFE = CrearPedido(cliente="Ana", producto="café", cantidad=2)


async def test_hola(place: str) -> None:
    async with ServiceHarness(hola.TiendaService, server=place) as t:
        offer = await t.call(hola.TiendaService.cotizar, hola.Cotizar(producto="café", cantidad=2))
        assert offer.total == 9.0
        with pytest.raises(Reject) as refused:
            await t.call(hola.TiendaService.cotizar, hola.Cotizar(producto="té", cantidad=1))
        assert refused.value.error_code == "UNKNOWN_PRODUCT"


@pytest.mark.parametrize("example", [estandar, estandar_declarado], ids=["estandar", "estandar_declarado"])
async def test_the_service_and_the_worker_of_the_standard(place: str, example) -> None:
    async with ServiceHarness(
        example.MiLogicaService,
        server=place,
        service_name="mi_servicio",
        worker=getattr(example, "MiWorker", ServiceWorker),
    ) as t:
        done = await t.call("mi_servicio.accion.hacer_algo", {})
        assert done["detalle"] == "mi_servicio.accion.hacer_algo"
        assert await t.call("mi_servicio.accion.notificar", {}) == {}
        with pytest.raises(NotImplementedError, match="bailar"):
            await t.call("mi_servicio.accion.bailar", {})


async def test_the_shop_as_a_whole(place: str) -> None:
    async with ServiceHarness(PedidosService, PagosService, InventarioService, server=place) as t:
        pedido = await t.call(PedidosService.crear, CAFE)
        assert pedido.estado == "por cobrar"
        await t.run_until_idle(skip_retries=True)
        pedido = await t.call(PedidosService.ver, VerPedido(numero=1))
        assert (pedido.estado, pedido.recibo[:2]) == ("pagado", "R-")
        assert t.service("pedidos").avisos == ["pedido 1 pagado"]
        assert t.service("inventario").existencias["café"] == 8
        with pytest.raises(Reject) as refused:
            await t.call(PedidosService.crear, CAFE.model_copy(update={"producto": "té"}))
        assert refused.value.error_code == "OUT_OF_STOCK"
        with pytest.raises(InvalidPayload):
            await t.call(PedidosService.crear, {"cliente": "Luis", "producto": "café", "cantidad": 0})
        assert t.dead_letters == t.retries == []


async def test_a_service_of_the_shop_alone_and_the_contract_that_comes_of_it(place: str, tmp_path: Path) -> None:
    path = tmp_path / "pedidos.json"
    async with ServiceHarness(PedidosService, server=place, strict=True) as t:
        t.record(path)
        t.stub(InventarioService.reservar, reply=Reserva("café", 2, 8))
        await t.call(PedidosService.crear, CAFE)
        assert t.sent(PagosService.cobrar) == [Cobrar(pedido=1, importe=9.0)]
        assert t.sent(InventarioService.reservar) == [Reservar("café", 2)]
    assert await verify_contract(path, InventarioService, server=place) == 1


async def test_the_service_of_the_web_application(place: str) -> None:
    async with ServiceHarness(SaludosService, server=place) as t:
        assert await t.call("saludos.saludo.decir", {"nombre": "Ana"}) == "¡Hola, Ana!"
        with pytest.raises(Reject):
            await t.call(SaludosService.decir, {"nombre": "nadie"})
