"""The typed client: payloads go in, declared results come out, and what the other service raised is raised again."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from nooble.clients.service_client import ServiceClient
from nooble.errors import (
    ActionExpired,
    ActionTimeout,
    AppValidationError,
    ExternalServiceError,
    ForbiddenCallback,
    InvalidActionError,
    InvalidPayload,
    InvalidResponse,
    NoobleError,
    Reject,
    RemoteError,
    UnknownAction,
)
from nooble.models import ActionContext, DomainAction, DomainActionResponse, ErrorDetail
from nooble.models.payloads import as_payload, as_result, plain
from nooble.routing import ActionRouter, action
from nooble.services import BaseService
from tests.support.settings import make_settings


class Order(BaseModel):
    customer: str


class Receipt(BaseModel):
    number: int
    day: date


class Line(msgspec.Struct):
    sku: str


router = ActionRouter("orders.report")


@router.action("daily")
async def daily(order: Order) -> list[Line]:
    return [Line(order.customer)]


class OrderService(BaseService):
    """Results of every shape."""

    routers = (router,)

    @action("orders.order.create")
    async def create(self, order: Order) -> Receipt:
        return Receipt(number=len(order.customer), day=date(2026, 1, 2))

    @action("orders.order.confirm")
    async def confirm(self, receipt: Receipt) -> None:
        return None

    @action("orders.order.count")
    def count(self) -> int:
        return 3

    @action("orders.order.latest")
    async def latest(self) -> Receipt | None:
        return None

    @action("orders.order.price")
    async def price(self, order: Order) -> int | Receipt:
        return 5 if order.customer == "ada" else Receipt(number=1, day=date(2026, 1, 2))

    @action("orders.order.single")
    async def single(self) -> dict[str, int]:
        return {"result": 1}

    @action("orders.order.free")
    async def free(self):  # type: ignore[no-untyped-def]
        return [1, 2]

    @action("orders.order.answer")
    async def answer(self) -> DomainActionResponse:
        return DomainActionResponse(success=True, data={"as": "it is"})

    @action("orders.order.fail")
    async def fail(self) -> Receipt:
        raise FAILURES["now"]


FAILURES: dict[str, Exception] = {}


class Straight:
    """A client without a wire: everything becomes JSON and back, and the service runs at once."""

    def __init__(self) -> None:
        self.service = OrderService(make_settings("orders"))
        self.sent: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def send(self, action: str, data: Any = None, **options: Any) -> uuid.UUID:
        self.sent.append((action, as_payload(data), options))
        return uuid.uuid4()

    async def call_back(self, action: str, data: Any = None, **options: Any) -> uuid.UUID:
        return await self.send(action, data, **options)

    async def call(self, action: str, data: Any = None, **options: Any) -> DomainActionResponse:
        await self.send(action, data, **options)
        wire = msgspec.json.decode(msgspec.json.encode(as_payload(data), enc_hook=plain))
        try:
            result = await self.service.process_action(DomainAction(action_type=action, data=wire))
        except Exception as error:
            return DomainActionResponse(success=False, error=ErrorDetail.of(error))
        if isinstance(result, DomainActionResponse):
            return result
        told = msgspec.json.decode(msgspec.json.encode(as_result(result), enc_hook=plain))
        return DomainActionResponse(success=True, data=told)


@pytest.fixture
def straight() -> Straight:
    return Straight()


@pytest.fixture
def client(straight: Straight) -> ServiceClient:
    return ServiceClient(straight)


ADA = Order(customer="ada")
RESULTS: list[tuple[Callable[[ServiceClient], Awaitable[Any]], Any]] = [
    (lambda client: client.call(OrderService.create, ADA), Receipt(number=3, day=date(2026, 1, 2))),
    (lambda client: client.call(OrderService.confirm, Receipt(number=3, day=date(2026, 1, 2))), None),
    (lambda client: client.call(OrderService.count), 3),
    (lambda client: client.call(OrderService.latest), None),
    (lambda client: client.call(OrderService.price, ADA), 5),
    (lambda client: client.call(OrderService.price, Order(customer="bob")), Receipt(number=1, day=date(2026, 1, 2))),
    (lambda client: client.call(OrderService.single), {"result": 1}),
    (lambda client: client.call(OrderService.free), [1, 2]),
    (lambda client: client.call(daily, ADA), [Line("ada")]),
    (lambda client: client.of(OrderService).create(ADA), Receipt(number=3, day=date(2026, 1, 2))),
    (lambda client: client.of(OrderService).count(), 3),
]


@pytest.mark.parametrize(("call", "result"), RESULTS)
async def test_a_call_gives_what_the_handler_declares(
    client: ServiceClient, call: Callable[[ServiceClient], Awaitable[Any]], result: Any
) -> None:
    given = await call(client)
    assert given == result
    assert type(given) is type(result)


async def test_a_declared_answer_comes_as_it_is(client: ServiceClient) -> None:
    answer = await client.call(OrderService.answer)
    assert answer.data == {"as": "it is"}


async def test_options_go_beside_the_payload(client: ServiceClient, straight: Straight) -> None:
    await client.call(OrderService.create, ADA, timeout=2.0, tenant_id="t", service="orders_2")
    await client.of(OrderService).create(ADA, timeout=3.0)
    assert straight.sent == [
        ("orders.order.create", {"customer": "ada"}, {"timeout": 2.0, "tenant_id": "t", "service": "orders_2"}),
        ("orders.order.create", {"customer": "ada"}, {"timeout": 3.0}),
    ]


async def test_send_and_call_back_name_actions_by_their_handlers(client: ServiceClient, straight: Straight) -> None:
    assert isinstance(await client.send(OrderService.create, ADA, metadata={"a": 1}), uuid.UUID)
    assert isinstance(await client.call_back(OrderService.create, ADA, to=OrderService.confirm), uuid.UUID)
    assert straight.sent == [
        ("orders.order.create", {"customer": "ada"}, {"metadata": {"a": 1}}),
        ("orders.order.create", {"customer": "ada"}, {"callback_action_type": "orders.order.confirm"}),
    ]


async def test_through_a_context_a_call_inherits_what_the_context_carries() -> None:
    straight, reached = Straight(), []

    class Reach:
        async def call(self, action: DomainAction, **options: Any) -> DomainActionResponse:
            reached.append(action)
            return await straight.call(action.action_type, action.data)

    context = ActionContext(DomainAction(action_type="shop.order.do", data={}, tenant_id="t"), Reach())  # type: ignore[arg-type]
    receipt = await ServiceClient(context).call(OrderService.create, ADA)
    assert receipt.number == 3
    assert reached[0].tenant_id == "t"


async def test_a_caller_need_not_know_the_service_of_a_function(client: ServiceClient, straight: Straight) -> None:
    """The module of the router imports the service only for type checkers, and the caller not at all."""
    router = ActionRouter("orders.report")

    @router.action("weekly")
    async def weekly(order: Order, service: Unheard) -> list[Line]:  # type: ignore[name-defined]  # noqa: F821
        return []

    class Far(Straight):
        async def call(self, action: str, data: Any = None, **options: Any) -> DomainActionResponse:
            return DomainActionResponse(success=True, data={"result": [{"sku": "a"}]})

    assert await ServiceClient(Far()).call(weekly, ADA) == [Line("a")]


# ── errors ──

RAISED: list[tuple[Exception, type[NoobleError]]] = [
    (UnknownAction("x"), UnknownAction),
    (InvalidPayload("x", details={"errors": []}), InvalidPayload),
    (InvalidResponse("x"), InvalidResponse),
    (ActionExpired("x"), ActionExpired),
    (ActionTimeout("x"), ActionTimeout),
    (ForbiddenCallback("x"), ForbiddenCallback),
    (Reject("x", details={"left": 0}), Reject),
    (Reject("x", error_code="OUT_OF_STOCK", details={"left": 0}), Reject),
    (InvalidActionError("x"), InvalidActionError),
    (AppValidationError("x"), AppValidationError),
    (ExternalServiceError("x"), ExternalServiceError),
    (NotImplementedError("x"), UnknownAction),
    (ZeroDivisionError("x"), RemoteError),
]


@pytest.mark.parametrize(("raised", "kind"), RAISED)
async def test_what_the_other_service_raised_is_raised_again_by_its_code(
    client: ServiceClient, raised: Exception, kind: type[NoobleError]
) -> None:
    FAILURES["now"] = raised
    with pytest.raises(NoobleError) as caught:
        await client.call(OrderService.fail)
    error, told = caught.value, ErrorDetail.of(raised)
    assert type(error) is kind
    assert (error.error_code, error.message, error.details) == (told.error_code, told.message, told.details)
    assert error.__notes__ == [f"orders.order.fail answered {told.error_code} ({type(raised).__name__})"]


async def test_an_error_without_a_class_here_says_what_it_was_there(client: ServiceClient) -> None:
    FAILURES["now"] = KeyError("stock")
    with pytest.raises(RemoteError) as caught:
        await client.call(OrderService.fail)
    error = caught.value
    assert (error.action_type, error.error_type, error.error_code) == (
        "orders.order.fail",
        "KeyError",
        "HANDLER_ERROR",
    )


async def test_an_answer_that_is_not_what_is_declared_is_an_invalid_response() -> None:
    class Wrong(Straight):
        async def call(self, action: str, data: Any = None, **options: Any) -> DomainActionResponse:
            return DomainActionResponse(success=True, data={"number": "many"})

    with pytest.raises(InvalidResponse) as caught:
        await ServiceClient(Wrong()).call(OrderService.create, ADA)
    assert [field["path"] for field in caught.value.details["errors"]] == ["$.number", "$.day"]


async def test_an_answer_without_data_is_an_empty_one(client: ServiceClient) -> None:
    class Silent(Straight):
        async def call(self, action: str, data: Any = None, **options: Any) -> DomainActionResponse:
            return DomainActionResponse(success=True)

    assert await ServiceClient(Silent()).call(OrderService.latest) is None
    with pytest.raises(InvalidResponse):
        await ServiceClient(Silent()).call(OrderService.create, ADA)


# ── what is misspelt ──


async def test_an_option_that_nobody_knows_is_refused_before_anything_is_sent(
    client: ServiceClient, straight: Straight
) -> None:
    with pytest.raises(TypeError, match=r"orders.order.create: unknown option 'tenannt_id'; .*tenant_id"):
        await client.call(OrderService.create, ADA, tenannt_id="t")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unknown option 'timeout'"):
        await client.send(OrderService.create, ADA, timeout=1.0)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unknown option 'timeout'"):
        await client.call_back(OrderService.create, ADA, to=OrderService.confirm, timeout=1.0)  # type: ignore[call-overload]
    assert straight.sent == []


async def test_a_payload_given_by_name_is_refused_and_not_lost(client: ServiceClient, straight: Straight) -> None:
    with pytest.raises(TypeError, match="unknown option 'order'; the payload is given without a name"):
        await client.of(OrderService).create(order=ADA)  # type: ignore[call-arg]
    assert straight.sent == []


@pytest.mark.parametrize("wrong", ["orders.order.create", DomainAction(action_type="orders.order.create", data={})])
async def test_what_is_no_declared_action_is_refused(client: ServiceClient, straight: Straight, wrong: Any) -> None:
    for way in (client.call, client.send):
        with pytest.raises(TypeError, match="is no declared action: name it by its handler on the class"):
            await way(wrong, ADA)
    with pytest.raises(TypeError, match="is no declared action"):
        await client.call_back(OrderService.create, ADA, to=straight.service.confirm)  # type: ignore[call-overload]
    assert straight.sent == []


# ── a service from afar ──


def test_a_service_from_afar_lists_its_actions(client: ServiceClient) -> None:
    afar = client.of(OrderService)
    assert repr(afar) == "<OrderService from afar>"
    assert "create" in dir(afar)
    assert "startup" not in dir(afar)


def test_what_is_no_action_cannot_be_reached_from_afar(client: ServiceClient) -> None:
    with pytest.raises(AttributeError, match="'startup' is no action of OrderService; its actions: answer, confirm,"):
        client.of(OrderService).startup  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'create'"):
        client.of(OrderService).creat  # type: ignore[attr-defined]  # noqa: B018


def test_only_the_class_of_a_service_can_be_reached(client: ServiceClient, straight: Straight) -> None:
    for wrong in (straight.service, Order, "orders"):
        with pytest.raises(TypeError, match="name the class of a service, such as PedidosService"):
            client.of(wrong)  # type: ignore[type-var, arg-type]
