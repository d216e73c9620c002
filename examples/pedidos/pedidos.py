"""Orders: calls the stock, has the payment call back, and tells whoever listens."""

from pydantic import BaseModel, Field

from examples.pedidos.inventario import InventarioService, Reservar
from examples.pedidos.pagos import Cobrar, Cobro, PagosService
from nooble import ActionContext, BaseService, CommonAppSettings, Reject, ServiceClient, action


class CrearPedido(BaseModel):
    cliente: str = Field(min_length=1)
    producto: str
    cantidad: int = Field(gt=0)


class VerPedido(BaseModel):
    numero: int


class Pedido(BaseModel):
    numero: int
    cliente: str
    estado: str
    recibo: str | None = None


class PedidosService(BaseService):
    def __init__(self, app_settings: CommonAppSettings) -> None:
        super().__init__(app_settings)
        self.pedidos: dict[int, Pedido] = {}
        self.avisos: list[str] = []

    @action("pedidos.pedido.crear")
    async def crear(self, nuevo: CrearPedido, context: ActionContext) -> Pedido:
        """Reserve, charge, answer. The charge goes out with the commit: no order without it, and none twice."""
        otros = ServiceClient(context)
        await otros.call(InventarioService.reservar, Reservar(nuevo.producto, nuevo.cantidad))
        pedido = Pedido(numero=len(self.pedidos) + 1, cliente=nuevo.cliente, estado="por cobrar")
        self.pedidos[pedido.numero] = pedido
        cargo = Cobrar(pedido=pedido.numero, importe=4.5 * nuevo.cantidad)
        await otros.call_back(PagosService.cobrar, cargo, to=PedidosService.cobrado)
        return pedido

    @action("pedidos.pedido.cobrado")
    async def cobrado(self, cobro: Cobro, context: ActionContext) -> None:
        """The callback of the payment."""
        if cobro.pedido not in self.pedidos:
            raise Reject(f"no hay pedido {cobro.pedido}", error_code="NO_SUCH_ORDER")
        self.pedidos[cobro.pedido] = self.pedidos[cobro.pedido].model_copy(
            update={"estado": "pagado", "recibo": cobro.recibo}
        )
        await ServiceClient(context).send(PedidosService.avisar, VerPedido(numero=cobro.pedido))

    @action("pedidos.pedido.avisar")
    async def avisar(self, pedido: VerPedido) -> None:
        """A follow-up: the customer hears of it."""
        self.avisos.append(f"pedido {pedido.numero} pagado")

    @action("pedidos.pedido.ver")
    async def ver(self, pedido: VerPedido) -> Pedido:
        """How an order stands."""
        if pedido.numero not in self.pedidos:
            raise Reject(f"no hay pedido {pedido.numero}", error_code="NO_SUCH_ORDER")
        return self.pedidos[pedido.numero]
