"""Traces, by the messaging conventions of OpenTelemetry: one trace for everything that a request causes. The context travels
in the metadata of actions, in the words of whichever propagators the process uses."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from nooble._version import __version__
from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault, NoobleError, code_of
from nooble.logger import get_logger
from nooble.models.actions import DomainAction, DomainActionResponse
from nooble.models.context import ActionContext
from nooble.models.redaction import masked

try:
    from opentelemetry.context import Context, attach, get_current
    from opentelemetry.propagate import extract, get_global_textmap, inject
    from opentelemetry.trace import (
        Link,
        Span,
        SpanKind,
        Status,
        StatusCode,
        Tracer,
        TracerProvider,
        get_current_span,
        get_tracer,
        set_span_in_context,
    )
except ImportError as error:
    raise ConfigurationFault(
        f'tracing=True needs OpenTelemetry ({error}): pip install "nooble[otel]", or set tracing=False'
    ) from error

SYSTEM = "redis"
_EMPTY = Context()
_LONGEST_FIELD = 8_192
"""Most characters of a field that is taken for a part of a context; it comes from outside."""
_LONGEST_TRACEBACK = 100_000
_ALWAYS_OFF = "AlwaysOffSampler"
_CallNext = Callable[[DomainAction, ActionContext], Awaitable[Any]]
_T = TypeVar("_T")


class Tracing:
    """Spans of one service: a middleware for its worker, and a watch for clients.

    Args:
        settings: of the service; name where the server is.
        group: consumer group, for spans of a worker.
        stream: action stream, for spans of a worker.
        consumer: gives the name of the consumer; it is new at every start.
        provider: makes the tracer; the global one by default.
    """

    def __init__(
        self,
        settings: CommonAppSettings,
        *,
        group: str = "",
        stream: str = "",
        consumer: Callable[[], str] = str,
        provider: TracerProvider | None = None,
    ) -> None:
        self._tracer = get_tracer("nooble", __version__, provider, "https://opentelemetry.io/schemas/1.44.0")
        self._consumer = consumer
        self._stream = stream
        self._server = server_of(settings.redis_url)
        self._process_name = f"process {stream}"
        self._of_process = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": stream,
            "messaging.consumer.group.name": group,
            **self._server,
        }
        self._fields: frozenset[str] = frozenset()
        self._propagator: Any = None
        self._sampler: Any = None
        self._is_off = False

    # ── of a worker ──
    def middleware(self, action: DomainAction, context: ActionContext, call_next: _CallNext) -> Awaitable[Any]:
        """Makes the span of a run, current in the handler. The handler has context variables of its own, which end with it:
        nothing has to be detached. Whatever goes wrong with the span, the handler runs."""
        span = _safely(self._begin_run, action, context)
        return call_next(action, context) if span is None else _run(span, action, context, call_next)

    def _begin_run(self, action: DomainAction, context: ActionContext) -> Span | None:
        """The span of a run, which is current from now on; `None` if there is nothing to tell it."""
        carrier = self._carrier(action.metadata)
        if not carrier and self._never_samples():
            attach(_EMPTY)
            return None
        parent = _extracted(carrier)
        try:
            span = self._tracer.start_span(
                self._process_name,
                parent,
                SpanKind.CONSUMER,
                self._process_attributes(action, context),
                links=_links(parent),
            )
        except BaseException:
            attach(parent)  # no span of ours: then at least not that of whoever started the worker
            raise
        inner = set_span_in_context(span, parent)
        attach(inner)
        if action.callback_action_type is not None:  # which carries on what is in the metadata
            _safely(_inject, action, inner)
        return span if span.is_recording() else None

    def _process_attributes(self, action: DomainAction, context: ActionContext) -> dict[str, Any]:
        attributes = self._of_process | _of_action(action)
        attributes["messaging.client.id"] = self._consumer()
        attributes["nooble.attempt"] = context.attempt
        attributes["nooble.deliveries"] = context.deliveries
        return attributes

    def _carrier(self, metadata: Mapping[str, Any] | None) -> dict[str, str]:
        """The parts of a context in *metadata*. Anybody may have written there: what is no text is none."""
        if (propagator := get_global_textmap()) is not self._propagator:
            self._propagator, self._fields = propagator, frozenset(propagator.fields)
        if not metadata or self._fields.isdisjoint(metadata):
            return {}
        found = ((name, metadata.get(name)) for name in self._fields)
        return {name: value for name, value in found if type(value) is str and len(value) <= _LONGEST_FIELD}

    def _never_samples(self) -> bool:
        """Whether the sampler is the one that samples nothing. Then a span that nobody sees is not even begun."""
        sampler = getattr(_real(self._tracer), "sampler", None)
        if sampler is not self._sampler:
            self._sampler = sampler
            self._is_off = sampler is not None and sampler.get_description() == _ALWAYS_OFF
        return self._is_off

    # ── of a client ──
    def begin(self, kind: str, action: DomainAction, stream: str) -> Span:
        """*action* is about to go out: its span begins, and its context travels along."""
        attributes = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": stream,
            "nooble.kind": kind,
            **self._server,
        }
        span = self._tracer.start_span(f"send {stream}", None, SpanKind.PRODUCER, attributes)
        if span.is_recording():
            _safely(span.set_attributes, _of_action(action))
        _safely(_inject, action, set_span_in_context(span, get_current()))
        return span

    def end(self, span: Span, error: BaseException | None, answer: DomainActionResponse | None) -> None:
        """It was sent, or answered, or went wrong: for who sends, an answer that says so is an error."""
        if span.is_recording():
            if error is not None:
                _safely(_set_error, span, error)
            elif answer is not None and answer.error is not None:
                _safely(_set_status, span, answer.error.error_code or "HANDLER_ERROR", answer.error.message)
        _safely(span.end)


async def _run(span: Span, action: DomainAction, context: ActionContext, call_next: _CallNext) -> Any:
    """Run what is left, inside of *span*."""
    try:
        result = await call_next(action, context)
    except BaseException as error:
        _safely(_tell_error, span, error)
        raise
    else:
        _safely(_tell_result, span, result)
        return result
    finally:
        _safely(span.end)


def _safely(function: Callable[..., _T], *args: Any) -> _T | None:
    """Call what watches, which must not break what is watched; `None` if it fails, and that is logged."""
    try:
        return function(*args)
    except Exception as broken:
        get_logger().error("watch_failed", watch="tracing", error=f"{type(broken).__name__}: {_text_of(broken)}")
        return None


def _tell_result(span: Span, result: Any) -> None:
    if isinstance(result, DomainActionResponse) and result.error is not None:
        span.set_attribute("error.type", result.error.error_code or "HANDLER_ERROR")


def _tell_error(span: Span, error: BaseException) -> None:
    if is_expected(error):
        span.set_attribute("error.type", _code_of(error))
        return
    if isinstance(error, Exception):
        _safely(_record, span, error)
    _set_error(span, error)


def is_expected(error: BaseException) -> bool:
    """Whether *error* is an answer like another: a refusal, no fault of who refuses."""
    return isinstance(error, NoobleError) and not error.retryable


def _code_of(error: BaseException) -> str:
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else code_of(error)


def _set_error(span: Span, error: BaseException) -> None:
    _set_status(span, _code_of(error), _text_of(error))


def _set_status(span: Span, code: str, message: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, masked(message)))


def _record(span: Span, error: Exception) -> None:
    """Tell of an exception as the library does, but for what nobody should read."""
    kind = type(error)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    span.add_event(
        "exception",
        {
            "exception.type": f"{where}{kind.__qualname__}",
            "exception.message": masked(_text_of(error)),
            "exception.stacktrace": masked("".join(traceback.format_exception(error)), _LONGEST_TRACEBACK),
        },
    )


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the error itself is broken
        return f"{type(error).__name__}, which could not be told"


def _of_action(action: DomainAction) -> dict[str, Any]:
    attributes = {"messaging.message.id": str(action.action_id), "nooble.action": action.action_type}
    if action.correlation_id is not None:
        attributes["messaging.message.conversation_id"] = str(action.correlation_id)
    if action.tenant_id is not None:
        attributes["nooble.tenant_id"] = str(action.tenant_id)
    return attributes


def _inject(action: DomainAction, context: Context) -> None:
    carrier: dict[str, str] = {}
    inject(carrier, context)
    if carrier:
        action.put(metadata={**(action.metadata or {}), **carrier})


def _extracted(carrier: dict[str, str]) -> Context:
    """The context of who has sent. It comes from outside: what cannot be read is none."""
    if not carrier:
        return _EMPTY
    try:
        return extract(carrier, _EMPTY)
    except Exception:
        return _EMPTY


def _links(parent: Context) -> Sequence[Link]:
    """Conventions want a link to who has sent, beside the parent."""
    sender = get_current_span(parent).get_span_context()
    return (Link(sender),) if sender.is_valid else ()


def _real(tracer: Tracer) -> Any:
    """The tracer behind the one that stands in until a provider is set."""
    return getattr(tracer, "_tracer", tracer)


def server_of(url: str) -> dict[str, Any]:
    """Where the server is, as attributes; nothing of its password."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return {"server.address": parts.path}
        if parts.hostname:
            return {"server.address": parts.hostname, "server.port": parts.port or 6379}
    except ValueError:
        pass
    return {}


def watch_client(client: Any) -> None:
    """Make spans of what *client* sends: for those whose settings say `tracing`."""
    client.watches.append(Tracing(client.settings))
