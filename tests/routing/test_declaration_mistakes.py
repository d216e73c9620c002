"""Every mistake in a declaration is found when the class is made, and told with file, class, method and the mend."""

# ruff: noqa: F811  # two methods of one name are among the mistakes

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic import BaseModel

from nooble.errors import ConfigurationFault, DeclarationError
from nooble.models import ActionContext, DomainAction
from nooble.retry import Retry
from nooble.routing import ActionRouter, action
from nooble.services import BaseService
from tests.support.settings import make_settings

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers


class Order(BaseModel):
    number: int


class Elsewhere:
    """No type that could come out of JSON."""


def forgetful(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that hides what it wraps."""

    async def wrapper(*args: Any, **named: Any) -> Any:
        return await function(*args, **named)

    return wrapper


def mindful(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that says what it wraps."""
    return functools.wraps(function)(forgetful(function))


# ── what is said to the decorator ──


def one_segment() -> None:
    class OrderService(BaseService):
        @action("orders")
        async def create(self, order: Order) -> None: ...


def capitals() -> None:
    class OrderService(BaseService):
        @action("Orders.create")
        async def create(self, order: Order) -> None: ...


def no_text() -> None:
    class OrderService(BaseService):
        @action(7)  # type: ignore[arg-type]
        async def create(self, order: Order) -> None: ...


def no_parentheses() -> None:
    class OrderService(BaseService):
        @action  # type: ignore[arg-type]
        async def create(self, order: Order) -> None: ...


def unknown_option() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", retrys=Retry())  # type: ignore[call-arg]
        async def create(self, order: Order) -> None: ...


def unknown_option_like_no_other() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", colour="red")  # type: ignore[call-arg]
        async def create(self, order: Order) -> None: ...


def retry_by_number() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", retry=5)  # type: ignore[arg-type]
        async def create(self, order: Order) -> None: ...


def negative_timeout() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", timeout=-1)
        async def create(self, order: Order) -> None: ...


def tags_without_order() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", tags={"orders"})  # type: ignore[arg-type]
        async def create(self, order: Order) -> None: ...


def tags_in_one_text() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", tags="orders")
        async def create(self, order: Order) -> None: ...


def sensitive_field_that_is_none() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", sensitive=["nomber"])
        async def create(self, order: Order) -> None: ...


def not_a_function() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        @staticmethod
        async def create(order: Order) -> None: ...


# ── what the method asks for ──


def not_even_a_wrapper() -> None:
    class OrderService(BaseService):
        create = action("orders.order.create")(functools.partial(print, "order"))


def outside_of_a_class() -> None:
    source = "@action('orders.order.create')\nasync def create(order: Order) -> None: ..."
    exec(compile(source, __file__, "exec"), globals())


def no_self() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")  # type: ignore[arg-type]
        async def create() -> None: ...


def no_annotation() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order) -> None: ...  # type: ignore[no-untyped-def]


def no_annotation_further_on() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", model=Order)
        async def create(self, order, context) -> None: ...  # type: ignore[no-untyped-def]


def unresolvable_annotation() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: NowhereDefined) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def annotation_only_for_checkers() -> None:
    class OrderService(BaseService):
        @action("orders.order.price")
        async def price(self, order: Order) -> OnlyForCheckers: ...  # type: ignore[empty-body]


def payload_that_is_no_mapping() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, number: int) -> None: ...


def parameter_that_nobody_fills() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order, urgent: bool) -> None: ...


def context_that_cannot_be_reached() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, dry: bool = True, context: ActionContext = ..., /) -> None: ...


def two_payloads() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order, customer: dict[str, Any]) -> None: ...


def payload_after_the_context() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, context: ActionContext, order: Order) -> None: ...


def model_that_nobody_takes() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", model=Order)
        async def create(self, context: ActionContext) -> None: ...


def model_that_is_no_mapping() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", model=list[int])
        async def create(self, order): ...  # type: ignore[no-untyped-def]


def kind_of_action() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Urgent) -> None: ...


class Urgent(DomainAction):
    """An action is made by the wire, which knows no kinds of it."""


def action_or_payload() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order | DomainAction) -> None: ...


def model_against_annotation() -> None:
    class OrderService(BaseService):
        @action("orders.order.create", model=Order)
        async def create(self, order: DomainActionLike) -> None: ...


class DomainActionLike(BaseModel):
    name: str


def result_that_is_no_data() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> Elsewhere: ...  # type: ignore[empty-body]


def result_to_be_awaited() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        def create(self, order: Order) -> Awaitable[int]: ...  # type: ignore[empty-body]


def structs_that_cannot_be_told_apart() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Cat | Dog) -> None: ...


class Cat(msgspec.Struct):
    lives: int


class Dog(msgspec.Struct):
    name: str


def payload_of_what_is_no_data() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: dict[str, Elsewhere]) -> None: ...


def payload_of_what_is_not_defined_yet() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Half) -> None: ...


class Half(BaseModel):
    other: OtherHalf  # type: ignore[name-defined]  # noqa: F821


def generator() -> None:
    class OrderService(BaseService):
        @action("orders.order.list")
        async def list_orders(self) -> AsyncIterator[Order]:
            yield Order(number=1)


# ── other decorators ──


def hidden_signature() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        @forgetful
        async def create(self, order: Order) -> None: ...


def hidden_action() -> None:
    class OrderService(BaseService):
        @forgetful
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...


def hidden_action_under_a_mindful_decorator() -> None:
    class OrderService(BaseService):
        @mindful
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...


def hidden_action_under_a_classmethod() -> None:
    class OrderService(BaseService):
        @classmethod
        @action("orders.order.create")
        async def create(cls, order: Order) -> None: ...


def hidden_action_under_a_property() -> None:
    class OrderService(BaseService):
        @property
        @action("orders.order.create")
        async def create(self) -> None: ...


# ── handlers beside each other ──


def two_methods() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...

        @action("orders.order.create")
        async def make(self, order: Order) -> None: ...


def two_methods_of_one_name() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...

        @action("orders.order.make")  # type: ignore[no-redef]
        async def create(self, order: Order) -> None: ...


def action_under_a_method_of_its_name() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...

        async def create(self, order: Order) -> None: ...  # type: ignore[no-redef]


def two_catch_alls() -> None:
    class OrderService(BaseService):
        @action("*")
        async def others(self, action: DomainAction) -> None: ...

        @action("*")
        async def rest(self, action: DomainAction) -> None: ...


def another_method_of_a_subclass() -> None:
    class Orders(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...

    class OrderService(Orders):
        @action("orders.order.create")
        async def make(self, order: Order) -> None: ...


def method_and_router() -> None:
    router = ActionRouter("orders.order")

    @router.action("create")
    async def made(order: Order) -> None: ...

    class OrderService(BaseService):
        routers = (router,)

        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...


def attribute_over_an_action() -> None:
    class Orders(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...

    class OrderService(Orders):
        create = None  # type: ignore[assignment]


def override_of_another_model() -> None:
    class Orders(BaseService):
        @action("orders.order.create")
        async def create(self, order: Order) -> None: ...

    class OrderService(Orders):
        async def create(self, order: DomainActionLike) -> None: ...  # type: ignore[override]


def name_of_the_framework() -> None:
    class OrderService(BaseService):
        @action("orders.order.retry")
        async def retry(self, order: Order) -> None: ...  # type: ignore[override]


# ── routers and attributes ──


def router_with_a_wrong_prefix() -> None:
    ActionRouter("Orders.")


def router_with_a_prefix_of_no_text() -> None:
    ActionRouter(None)  # type: ignore[arg-type]


def router_with_a_name_of_no_text() -> None:
    router = ActionRouter("orders.order")

    @router.action(7)  # type: ignore[arg-type]
    async def create(order: Order) -> None: ...


def method_on_a_router() -> None:
    router = ActionRouter("orders.order")

    class OrderService(BaseService):
        routers = (router,)

        @router.action("create")
        async def create(self, order: Order) -> None: ...


def router_with_a_wrong_timeout() -> None:
    ActionRouter("orders", timeout="2 s")  # type: ignore[arg-type]


def router_without_parentheses() -> None:
    router = ActionRouter("orders.order")

    @router.action  # type: ignore[arg-type]
    async def create(order: Order) -> None: ...


def router_catch_all_with_prefix() -> None:
    router = ActionRouter("orders.order")

    @router.action("*")
    async def others(action: DomainAction) -> None: ...


def two_functions() -> None:
    router = ActionRouter("orders.order")

    @router.action("create")
    async def create(order: Order) -> None: ...

    @router.action("create")
    async def make(order: Order) -> None: ...


def function_for_another_service() -> None:
    class Invoices(BaseService):
        pass

    router = ActionRouter("orders.order")

    @router.action("create")
    async def create(order: Order, service: Invoices) -> None: ...

    class OrderService(BaseService):
        routers = (router,)


def function_added_too_late() -> None:
    router = ActionRouter("orders.order")

    class OrderService(BaseService):
        routers = (router,)

    @router.action("create")
    async def create(order: Order) -> None: ...


def including_what_is_no_router() -> None:
    BaseService(make_settings()).include("orders")  # type: ignore[arg-type]


def routers_that_are_none() -> None:
    class OrderService(BaseService):
        routers = ActionRouter("orders")  # type: ignore[assignment]


def middleware_without_a_list() -> None:
    class OrderService(BaseService):
        middleware = forgetful  # type: ignore[assignment]


def service_retry_by_number() -> None:
    class OrderService(BaseService):
        retry = 3  # type: ignore[assignment]


MISTAKES: dict[Callable[[], None], tuple[str, str, str]] = {
    one_segment: ("OrderService.create", "'orders' is no action type", "such as 'pedidos.pedido.crear'"),
    capitals: (
        "OrderService.create",
        "'Orders.create' is no action type",
        "a-z, 0-9, '_' and '-', such as 'pedidos.pedido.crear'",
    ),
    no_text: (
        "OrderService.create",
        "7 is no action type",
        "write two segments or more of a-z, 0-9, '_' and '-', such as 'pedidos.pedido.crear'",
    ),
    no_parentheses: ("OrderService.create", "@action without parentheses", 'write @action("service.entity.verb")'),
    unknown_option: ("OrderService.create", "unknown option 'retrys'", "did you mean 'retry'?"),
    unknown_option_like_no_other: (
        "OrderService.create",
        "unknown option 'colour'",
        "known: model, response_model, retry, timeout, once_for, title, description, tags, deprecated, "
        "version, sensitive",
    ),
    retry_by_number: ("OrderService.create", "retry=5 cannot be meant", "a policy such as Retry(attempts=5)"),
    negative_timeout: ("OrderService.create", "timeout=-1 cannot be meant", "give it seconds, 0 for no limit"),
    tags_without_order: ("OrderService.create", "cannot be meant", "give it a list of names"),
    tags_in_one_text: ("OrderService.create", "tags='orders' cannot be meant", "give it a list of names"),
    sensitive_field_that_is_none: ("OrderService.create", "'nomber' is no field of Order", "did you mean 'number'?"),
    not_a_function: (
        "OrderService.create",
        "is not a function",
        "put @action directly above def or async def, under no other decorator of a method",
    ),
    not_even_a_wrapper: (
        "a partial",
        "is not a function",
        "put @action directly above def or async def, under no other decorator of a method",
    ),
    outside_of_a_class: ("create", "@action outside of a class", "a function of an ActionRouter: @router.action(...)"),
    no_self: ("OrderService.create", "takes no self", "write self as its first parameter, or use an ActionRouter"),
    no_annotation: (
        "OrderService.create",
        "parameter 'order' has no annotation",
        "annotate it with its model, DomainAction or ActionContext, or give model=… to the decorator",
    ),
    no_annotation_further_on: ("OrderService.create", "parameter 'context' has no annotation", "or ActionContext"),
    unresolvable_annotation: (
        "OrderService.create",
        "the annotation of 'order', 'NowhereDefined', cannot be resolved (NameError",
        "import or define the type, at run time and not only for type checkers, before the class",
    ),
    annotation_only_for_checkers: (
        "OrderService.price",
        "the return annotation, 'OnlyForCheckers', cannot be resolved",
        "at run time and not only for type checkers, before the class",
    ),
    payload_that_is_no_mapping: (
        "OrderService.create",
        "'number' (int) cannot be filled",
        "a payload is a mapping: annotate it with a pydantic model, a Struct, a dataclass, a TypedDict or dict",
    ),
    parameter_that_nobody_fills: (
        "OrderService.create",
        "'urgent' (bool) cannot be filled",
        "give anything else a default",
    ),
    context_that_cannot_be_reached: (
        "OrderService.create",
        "'context' (ActionContext) cannot be filled",
        "by name, or put it first",
    ),
    two_payloads: ("OrderService.create", "'customer' (dict[str, Any]) cannot be filled", "join both in one model"),
    payload_after_the_context: (
        "OrderService.create",
        "'order' (Order) cannot be filled",
        "it comes first: join both in one model",
    ),
    model_that_nobody_takes: (
        "OrderService.create",
        "no parameter takes the payload",
        "add one, before all other parameters",
    ),
    model_that_is_no_mapping: (
        "OrderService.create",
        "model=list[int] is no mapping",
        "give a pydantic model, a Struct, a dataclass, a TypedDict or dict",
    ),
    kind_of_action: (
        "OrderService.create",
        "'order' (Urgent) cannot be filled",
        "annotate it with DomainAction or ActionContext itself, and nothing else",
    ),
    action_or_payload: ("OrderService.create", "'order' (Order | DomainAction) cannot be filled", "and nothing else"),
    model_against_annotation: (
        "OrderService.create",
        "model=Order, but the payload is annotated DomainActionLike",
        "say it once: drop model=…",
    ),
    result_that_is_no_data: (
        "OrderService.create",
        "the result is declared Elsewhere, but Elsewhere is no data",
        "response_model=None leaves it unchecked",
    ),
    result_to_be_awaited: (
        "OrderService.create",
        "Awaitable is no data",
        "declare a pydantic model, a Struct, a dataclass, a TypedDict or plain types; response_model=None "
        "leaves it unchecked",
    ),
    payload_of_what_is_no_data: (
        "OrderService.create",
        "the payload is declared dict[str, Elsewhere], but Elsewhere is no data",
        "declare a pydantic model, a Struct, a dataclass, a TypedDict or plain types",
    ),
    payload_of_what_is_not_defined_yet: (
        "OrderService.create",
        "Half names OtherHalf, which is not defined",
        "define it before the class",
    ),
    structs_that_cannot_be_told_apart: (
        "OrderService.create",
        "all Struct types must be tagged",
        "declare a pydantic model, a Struct, a dataclass, a TypedDict or plain types",
    ),
    generator: ("OrderService.list_orders", "is a generator", "return a list instead of yielding"),
    hidden_signature: ("OrderService.create", "takes *args or **kwargs", "@functools.wraps(function)"),
    hidden_action: ("OrderService.create", "a decorator above @action('orders.order.create')", "put @action on top"),
    hidden_action_under_a_mindful_decorator: ("OrderService.create", "a decorator above @action", "put @action on top"),
    hidden_action_under_a_classmethod: ("OrderService.create", "a decorator above @action", "put @action on top"),
    hidden_action_under_a_property: ("OrderService.create", "a decorator above @action", "put @action on top"),
    two_methods: (
        "OrderService.make",
        "a second handler of OrderService for the action 'orders.order.create', which OrderService.create handles",
        "give one of the two another action type, or remove it; to override a method, give it the same name",
    ),
    two_methods_of_one_name: (
        "OrderService.create",
        "the action 'orders.order.create' is lost: a method of the same name replaces it",
        "give one of the two another name",
    ),
    action_under_a_method_of_its_name: (
        "OrderService.create",
        "the action 'orders.order.create' is lost: a method of the same name replaces it",
        "give one of the two another name",
    ),
    two_catch_alls: (
        "OrderService.rest",
        "for the action '*', which OrderService.others handles",
        "or remove it; to override a method, give it the same name",
    ),
    another_method_of_a_subclass: (
        "OrderService.make",
        "which Orders.create handles",
        "to override a method, give it the same name",
    ),
    method_and_router: ("made", "a second handler", "or remove it; to override a method, give it the same name"),
    attribute_over_an_action: (
        "OrderService.create",
        "is a NoneType, and hides the action 'orders.order.create' of Orders.create",
        "override the method by a method",
    ),
    override_of_another_model: (
        "OrderService.create",
        "model=Order, but the payload is annotated",
        "say it once: drop model=…",
    ),
    name_of_the_framework: ("OrderService.retry", "its name hides ActionHost.retry", "give the method another name"),
    router_with_a_wrong_prefix: ("ActionRouter('Orders.')", "cannot begin an action type", "joined by dots"),
    router_with_a_prefix_of_no_text: ("ActionRouter(None)", "None cannot begin an action type", "joined by dots"),
    router_with_a_wrong_timeout: (
        "ActionRouter('orders')",
        "timeout='2 s' cannot be meant",
        "give it seconds, 0 for no limit",
    ),
    router_without_parentheses: ("create", "@router.action without parentheses", 'write @router.action("verb")'),
    router_catch_all_with_prefix: (
        "others",
        "'orders.order.*' is no action type",
        "write two segments or more of a-z, 0-9, '_' and '-', such as 'pedidos.pedido.crear'",
    ),
    router_with_a_name_of_no_text: (
        "create",
        "7 is no action type",
        "write two segments or more of a-z, 0-9, '_' and '-', such as 'pedidos.pedido.crear'",
    ),
    method_on_a_router: (
        "OrderService.create",
        "parameter 'self' has no annotation",
        "declare methods with @action, or take the service by its annotated class",
    ),
    two_functions: (
        "make",
        "for the action 'orders.order.create', which create handles",
        "or remove it; to override a method, give it the same name",
    ),
    function_for_another_service: ("create", "asks for Invoices, but", "include its router in Invoices"),
    function_added_too_late: (
        "create",
        "OrderService has already included",
        "import this module before the class that includes its router",
    ),
    including_what_is_no_router: ("BaseService", "include('orders') cannot be meant", "give it an ActionRouter"),
    routers_that_are_none: ("OrderService", "routers=<ActionRouter orders: 0 actions>", "a list of ActionRouters"),
    middleware_without_a_list: (
        "OrderService",
        "middleware=<function",
        "a list of functions async def (action, context, call_next)",
    ),
    service_retry_by_number: ("OrderService", "retry=3 cannot be meant", "a policy such as Retry(attempts=5)"),
}


@pytest.mark.parametrize(("mistake", "where", "problem", "mend"), [(one, *told) for one, told in MISTAKES.items()])
def test_a_mistake_is_told_with_whose_it_is_and_how_it_is_mended(
    mistake: Callable[[], None], where: str, problem: str, mend: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        mistake()
    told = caught.value.message
    assert where in told
    assert f" {problem}" in told
    assert told.partition(problem)[2].endswith(mend)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_the_file_in_which_it_stands(mistake: Callable[[], None]) -> None:
    with pytest.raises(DeclarationError, match=r"test_declaration_mistakes\.py"):
        mistake()


def test_every_mistake_of_this_file_is_tried() -> None:
    mistakes = [one for one in globals().values() if getattr(one, "__annotations__", None) == {"return": "None"}]
    tried = {one.__name__ for one in MISTAKES}
    assert {one.__name__ for one in mistakes if not one.__name__.startswith("test_")} == tried


def test_a_mistake_names_the_line_of_the_method() -> None:
    with pytest.raises(DeclarationError) as caught:
        unknown_option()
    line = unknown_option.__code__.co_firstlineno + 2
    assert caught.value.message.startswith(f"{__file__}:{line}, OrderService.create: ")
    assert caught.value.details == {"file": __file__, "line": line, "declaration": "OrderService.create"}


def test_a_mistake_is_a_fault_of_configuration_and_a_type_error() -> None:
    assert issubclass(DeclarationError, ConfigurationFault)
    assert issubclass(DeclarationError, TypeError)


def test_a_decorator_that_says_what_it_wraps_may_stand_below() -> None:
    class OrderService(BaseService):
        @action("orders.order.create")
        @mindful
        async def create(self, order: Order) -> None: ...

    [route] = OrderService.routes
    assert route.model is Order
