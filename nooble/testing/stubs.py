"""Who stands in for the services that are not there: a worker each, which takes what is sent to them, keeps it for the test
to look at, and answers as the test says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nooble.errors import InvalidResponse
from nooble.models.actions import DomainAction
from nooble.models.payloads import as_result, plain
from nooble.routing import Declared
from nooble.routing.checks import payload_check
from nooble.testing.mistakes import HarnessMistake, Unstubbed, UnusedStub
from nooble.workers.base_worker import BaseWorker

NOTHING: Any = object()
"""Stands for what was not given."""


class Stub:
    """Answers the actions of one type.

    Args:
        action: what is answered: an action of a service that can be imported, or the type of one.
        function: gives the reply; it is handed the payload and, if it takes two arguments, the
            `DomainAction`. Plain or async.
        reply: the reply itself.
        error: what is raised instead.

    Attributes:
        action_type: what is answered.
        payloads: what was sent, in order; payload models, if the action was named by its service.

    Raises:
        HarnessMistake: none or more than one of the three was given, or the reply is not what the action declares.
    """

    def __init__(
        self,
        action: Declared[Any, Any] | str,
        function: Callable[..., Any] | None = None,
        *,
        reply: Any = NOTHING,
        error: BaseException | type[BaseException] | None = None,
    ) -> None:
        self.action_type = type_of(action)
        self.payloads: list[Any] = []
        self._declared = None if isinstance(action, str) else action
        self._read = payload_reader(action)
        self._function, self._reply, self._error = function, reply, error
        given = (function is not None) + (reply is not NOTHING) + (error is not None)
        if given != 1:
            raise HarnessMistake(
                f"stub({self.action_type!r}): {given or 'none'} of a function, reply=… and error=… was given; "
                "give exactly one, reply=None for an empty answer"
            )
        if function is not None and not callable(function):
            raise HarnessMistake(
                f"stub({self.action_type!r}): {function!r} is no function; a reply is given as reply=…"
            )
        if reply is not NOTHING:
            self._checked(reply)

    async def answer(self, action: DomainAction) -> Any:
        """The reply to *action*.

        Raises:
            BaseException: the error that the test wants, or that its function raises.
            HarnessMistake: the reply of its function is not what the action declares.
        """
        payload = self._read(action.data)
        self.payloads.append(payload)
        if self._error is not None:
            raise self._error
        if self._function is None:
            return self._reply
        reply = self._function(*(payload, action)[: _arguments(self._function)])
        return self._checked(await reply if inspect.isawaitable(reply) else reply)

    def _checked(self, reply: Any) -> Any:
        """*reply*, which is what the action declares: a stub must not promise what the service would not keep."""
        try:
            data = on_the_wire(reply)
            if self._declared is not None:
                self._declared.read_answer(data)
        except (InvalidResponse, TypeError, ValueError) as error:
            raise HarnessMistake(f"stub({self.action_type!r}): the reply is none of this action: {error}") from error
        return reply

    def __repr__(self) -> str:
        return f"<Stub {self.action_type} answered={len(self.payloads)}>"


class OutsideWorker(BaseWorker):
    """Stands in for a service that is not in the harness.

    Attributes:
        outside: what was sent to such services, and the stubs.
    """

    outside: Outside

    async def _handle_action(self, action: DomainAction) -> Any:
        return await self.outside.take(action, self.service_name)


class Outside:
    """The services that are not in the harness.

    Args:
        inside: names of those that are.
        admit: starts an `OutsideWorker` for a service.

    Attributes:
        actions: what was sent to them, in order.
        stubs: who answers, by action type.
    """

    def __init__(self, inside: Mapping[str, Any], admit: Callable[[str], None]) -> None:
        self.actions: list[DomainAction] = []
        self.stubs: dict[str, Stub] = {}
        self._inside = inside
        self._admit = admit
        self._known: set[str] = set()
        self._closed = False

    def close(self) -> None:
        """Let nobody else stand in from now on."""
        self._closed = True

    def expect(self, service: str) -> None:
        """Something is on its way to *service*: see that it is taken."""
        if not (self._closed or service in self._inside or service in self._known):
            self._known.add(service)
            self._admit(service)

    def require_answer(self, service: str, action_type: str) -> None:
        """Make sure that somebody answers a call.

        Raises:
            Unstubbed: nobody would.
        """
        if service not in self._inside and action_type not in self.stubs:
            raise _unstubbed(action_type, service, self._inside)

    def refuse_unused(self) -> None:
        """Make sure that every stub was needed.

        Raises:
            UnusedStub: one was not.
        """
        unused = [stub.action_type for stub in self.stubs.values() if not stub.payloads]
        if unused:
            sent = ", ".join(sorted({one.action_type for one in self.actions})) or "nothing"
            raise UnusedStub(
                f"nobody has sent {', '.join(unused)}, which a stub answers; what was sent: {sent}. "
                "Remove the stub, mend its action type, or say strict=False"
            )

    async def take(self, action: DomainAction, service: str) -> Any:
        """Keep *action*, and answer it."""
        self.actions.append(action)
        stub = self.stubs.get(action.action_type)
        if stub is not None:
            return await stub.answer(action)
        if action.callback_queue_name is not None and action.callback_action_type is None:
            raise _unstubbed(action.action_type, service, self._inside)
        return None


def _unstubbed(action_type: str, service: str, inside: Mapping[str, Any]) -> Unstubbed:
    return Unstubbed(
        f"{action_type} is called, its service {service!r} is not in the harness, and no stub answers it: write "
        f"t.stub({action_type!r}, reply=…), or give the service to ServiceHarness, which has {', '.join(sorted(inside))}",
        details={"action_type": action_type, "service": service},
    )


# ── helpers for all that names actions ──
def type_of(action: Declared[Any, Any] | str) -> str:
    """The type of *action*.

    Raises:
        HarnessMistake: it is no action.
    """
    if isinstance(action, str):
        return action
    if not isinstance(action, Declared):
        raise HarnessMistake(
            f"{action!r} is no action: name it by its handler on the class, such as PedidosService.crear, or by its type"
        )
    return action.action_type


def payload_reader(action: Declared[Any, Any] | str, model: Any = None) -> Callable[[Any], Any]:
    """From data to payloads of *action*; data as they are, if nothing is known of it."""
    if model is not None:
        from nooble.routing.readers import reader_of

        return reader_of(model)
    if isinstance(action, str) or action.route.model is None:
        return lambda data: data
    return payload_check(action.route)


def on_the_wire(result: Any) -> Any:
    """*result* of a handler as its caller gets it."""
    return msgspec.to_builtins(as_result(result), enc_hook=plain, str_keys=True)


def _arguments(function: Callable[..., Any]) -> int:
    """How many of payload and action *function* takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return 2
    return min(2, sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters))
