"""Stock: payloads are msgspec Structs; what is not there is refused with a code of the business."""

import msgspec

from nooble import BaseService, CommonAppSettings, Reject, action


class Reservar(msgspec.Struct):
    producto: str
    cantidad: int


class Reserva(msgspec.Struct):
    producto: str
    cantidad: int
    quedan: int


class InventarioService(BaseService):
    def __init__(self, app_settings: CommonAppSettings) -> None:
        super().__init__(app_settings)
        self.existencias = {"café": 10, "té": 1}

    @action("inventario.existencia.reservar")
    async def reservar(self, pedido: Reservar) -> Reserva:
        """Set aside so many of a product."""
        quedan = self.existencias.get(pedido.producto, 0) - pedido.cantidad
        if quedan < 0:
            raise Reject(f"no hay {pedido.cantidad} de {pedido.producto}", error_code="OUT_OF_STOCK")
        self.existencias[pedido.producto] = quedan
        return Reserva(pedido.producto, pedido.cantidad, quedan)
