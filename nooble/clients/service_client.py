"""Calls that are typed by the service that answers them: its payloads go in, its results come out, its errors are raised
again. What is sent and how is the business of the client below."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack, cast, overload

from nooble.errors.remote import raised_again
from nooble.models import DomainActionResponse
from nooble.models.sending import CallOptions, SendOptions

if TYPE_CHECKING:
    from nooble.routing import ActionHost, Declared

Payload = TypeVar("Payload")
Result = TypeVar("Result")
Service = TypeVar("Service", bound="ActionHost")


class Sender(Protocol):
    """What sends: a `BaseRedisClient`, or the `ActionContext` of a handler."""

    @property
    def send(self) -> Callable[..., Awaitable[uuid.UUID]]:
        """Sends an action that nobody waits for."""

    @property
    def call(self) -> Callable[..., Awaitable[DomainActionResponse]]:
        """Sends an action and waits for its answer."""

    @property
    def call_back(self) -> Callable[..., Awaitable[uuid.UUID]]:
        """Sends an action whose result arrives as an action."""


class ServiceClient:
    """A typed client of every service whose class can be imported.

        result = await client.call(PedidosService.crear, CrearPedido(...))
        result = await client.of(PedidosService).crear(CrearPedido(...), timeout=2.0)

    Args:
        client: what sends. Through the `ActionContext` of a handler, ids and deadline of its action are inherited, and
            what is sent joins its commit.
    """

    def __init__(self, client: Sender) -> None:
        self._client = client

    @overload
    async def call(self, action: Declared[None, Result], /, **options: Unpack[CallOptions]) -> Result: ...
    @overload
    async def call(
        self, action: Declared[Payload, Result], payload: Payload, /, **options: Unpack[CallOptions]
    ) -> Result: ...
    async def call(self, action: Declared[Any, Any], payload: Any = None, /, **options: Any) -> Any:
        """Call an action and wait for its result.

        Args:
            action: named by its service: `PedidosService.crear`, or a function of a router.
            payload: what its handler takes; nothing, if it takes none.
            options: see `CallOptions`.

        Returns:
            What its handler declares to return.

        Raises:
            TypeError: *action* is no action, or an option is unknown.
            CallTimeout: no answer in time.
            UnknownAction, InvalidPayload, Reject, …: what the other service raised, by its code.
            RemoteError: the other service failed with an error that has no class here.
            InvalidResponse: the answer is not what the handler declares.
        """
        answer = await self._client.call(_type_of(action, options, _CALL), payload, **options)
        return _result(action, answer)

    @overload
    async def send(self, action: Declared[None, Any], /, **options: Unpack[SendOptions]) -> uuid.UUID: ...
    @overload
    async def send(
        self, action: Declared[Payload, Any], payload: Payload, /, **options: Unpack[SendOptions]
    ) -> uuid.UUID: ...
    async def send(self, action: Declared[Any, Any], payload: Any = None, /, **options: Any) -> uuid.UUID:
        """Send an action that nobody waits for.

        Args:
            action, payload: as for `call`.
            options: see `SendOptions`.

        Returns:
            The id of the action.
        """
        return await self._client.send(_type_of(action, options, _SEND), payload, **options)

    @overload
    async def call_back(
        self, action: Declared[None, Result], /, *, to: Declared[Result, Any], **options: Unpack[SendOptions]
    ) -> uuid.UUID: ...
    @overload
    async def call_back(
        self,
        action: Declared[Payload, Result],
        payload: Payload,
        /,
        *,
        to: Declared[Result, Any],
        **options: Unpack[SendOptions],
    ) -> uuid.UUID: ...
    async def call_back(
        self, action: Declared[Any, Any], payload: Any = None, /, *, to: Declared[Any, Any], **options: Any
    ) -> uuid.UUID:
        """Send an action whose result arrives at this service as the payload of another action.

        Args:
            action, payload: as for `call`.
            to: the action of this service that takes the result.
            options: see `SendOptions`.

        Returns:
            The id of the action.
        """
        action_type = _type_of(action, options, _SEND)
        return await self._client.call_back(
            action_type, payload, callback_action_type=_type_of(to, {}, _SEND), **options
        )

    def of(self, service: type[Service]) -> type[Service]:
        """*service* from afar: its actions by name, awaited like methods, with `CallOptions` beside the payload.

        Args:
            service: the class of the service.

        Raises:
            TypeError: it is no class of a service.
            AttributeError: (on use) it has no such action.
        """
        if not (isinstance(service, type) and hasattr(service, "find_action")):
            raise TypeError(f"client.of({service!r}): name the class of a service, such as PedidosService")
        return cast("type[Service]", _Remote(self, service))


class _Remote:
    """The actions of a service, called through a client."""

    def __init__(self, client: ServiceClient, service: type[ActionHost]) -> None:
        self._client = client
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(self._client.call, self._service.find_action(name))

    def __dir__(self) -> list[str]:
        return self._service.action_names()

    def __repr__(self) -> str:
        return f"<{self._service.__qualname__} from afar>"


_SEND, _CALL = frozenset(SendOptions.__annotations__), frozenset(CallOptions.__annotations__)


def _type_of(action: Declared[Any, Any], options: Mapping[str, Any], known: Set[str]) -> str:
    """The type of *action*. What is wrong is told at once: an option that nobody knows would travel unread."""
    if not hasattr(type(action), "read_answer"):
        raise TypeError(
            f"{action!r} is no declared action: name it by its handler on the class, such as PedidosService.crear; "
            "by text it is called through a BaseRedisClient"
        )
    for name in options:
        if name not in known:
            raise TypeError(
                f"{action.action_type}: unknown option {name!r}; the payload is given without a name, "
                f"and options are {', '.join(sorted(known))}"
            )
    return action.action_type


def _result(action: Declared[Any, Any], answer: DomainActionResponse) -> Any:
    if answer.error is not None:
        raise raised_again(action.action_type, **answer.error.model_dump())
    return answer if action.response_model is DomainActionResponse else action.read_answer(answer.data)
