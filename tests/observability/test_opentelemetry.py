"""Traces: one for everything that a request causes, in the words of the conventions, and none from waiting for work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind, StatusCode

from nooble.clients import BaseRedisClient
from nooble.config import CommonAppSettings
from nooble.errors import CallTimeout, Reject
from nooble.models import ActionContext, DomainAction
from nooble.models.actions import DomainActionResponse, ErrorDetail
from nooble.observability import opentelemetry as module
from nooble.observability.opentelemetry import Tracing, server_of
from nooble.workers import ServiceWorker
from tests.observability.conftest import Shop
from tests.support.platform import Platform
from tests.support.settings import make_settings
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
STREAM = "nooble4:test:demo:streams:main"
SENT_BY = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Settings = Callable[..., CommonAppSettings]


@pytest.fixture(scope="module")
def _exporter() -> InMemorySpanExporter:
    """Takes the spans of the whole process; the library lets nobody set its provider twice."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(_exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    _exporter.clear()
    return _exporter


@asynccontextmanager
async def at_work(redis: redis.asyncio.Redis, settings: Settings, **values: Any) -> AsyncIterator[tuple[Shop, Any]]:
    """A worker and a client, both traced."""
    configured = settings(tracing=True, **values)
    service = Shop(configured)
    async with (
        BaseRedisClient("web", redis, settings("web", tracing=True)) as client,
        ServiceWorker(configured, redis, service),
    ):
        yield service, client


async def ended(spans: InMemorySpanExporter, count: int) -> list[ReadableSpan]:
    """All spans, once so many have ended, in the order of their beginning."""
    found = await wait_until(
        lambda: len(spans.get_finished_spans()) >= count and spans.get_finished_spans(), f"{count} spans have ended"
    )
    assert len(found) == count
    return sorted(found, key=lambda span: span.start_time or 0)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


async def test_a_send_and_its_run_are_one_trace_in_the_words_of_the_conventions(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings) as (service, client):
        action_id = await client.send("demo.order.place", {}, tenant_id="acme")
        sent, run = await ended(spans, 2)
    assert (sent.name, sent.kind, sent.parent) == (f"send {STREAM}", SpanKind.PRODUCER, None)
    assert (run.name, run.kind, parent_of(run)) == (f"process {STREAM}", SpanKind.CONSUMER, sent.context.span_id)
    assert run.context.trace_id == sent.context.trace_id
    assert [link.context.span_id for link in run.links] == [sent.context.span_id]
    shared = {
        "messaging.system": "redis",
        "messaging.destination.name": STREAM,
        "messaging.message.id": str(action_id),
        "server.address": "127.0.0.1",
        "nooble.action": "demo.order.place",
        "nooble.tenant_id": "acme",
    }
    assert shared.items() <= sent.attributes.items()
    assert shared.items() <= run.attributes.items()
    assert (sent.attributes["messaging.operation.name"], sent.attributes["messaging.operation.type"]) == (
        "send",
        "send",
    )
    assert run.attributes["messaging.operation.name"] == run.attributes["messaging.operation.type"] == "process"
    assert run.attributes["messaging.consumer.group.name"] == "demo-group"
    assert run.attributes["messaging.client.id"].startswith("demo-worker-")
    assert (run.attributes["nooble.attempt"], run.attributes["nooble.deliveries"]) == (1, 1)
    assert sent.status.status_code is run.status.status_code is StatusCode.UNSET
    assert service.seen[0].metadata["traceparent"].split("-")[2] == f"{sent.context.span_id:016x}"


async def test_what_a_handler_sends_goes_on_with_its_trace(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings) as (_, client):
        await client.send("demo.order.place", {"do": "pass on"})
        sent, run, follow_up, second = await ended(spans, 4)
    assert len({span.context.trace_id for span in (sent, run, follow_up, second)}) == 1
    assert (parent_of(follow_up), parent_of(second)) == (run.context.span_id, follow_up.context.span_id)
    assert (follow_up.attributes["nooble.kind"], second.attributes["nooble.action"]) == ("follow_up", "demo.order.pack")


async def test_every_run_of_an_action_is_in_its_trace(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings) as (_, client):
        await client.send("demo.order.place", {"do": "fail once"})
        sent, first, second = await ended(spans, 3)
    assert parent_of(first) == parent_of(second) == sent.context.span_id
    assert [run.attributes["nooble.attempt"] for run in (first, second)] == [1, 2]
    assert (first.status.status_code, first.attributes["error.type"]) == (StatusCode.ERROR, "HANDLER_ERROR")
    assert [event.name for event in first.events] == ["exception"]
    assert first.events[0].attributes["exception.type"] == "OSError"
    assert (second.status.status_code, second.events) == (StatusCode.UNSET, ())


async def test_a_refusal_is_no_exception_of_who_refuses_and_an_error_of_who_called(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings) as (_, client):
        await client.call("demo.order.place", {"do": "refuse"})
        call, run = await ended(spans, 2)
    assert (run.status.status_code, run.attributes["error.type"], run.events) == (StatusCode.UNSET, "SOLD_OUT", ())
    assert (call.status.status_code, call.attributes["error.type"]) == (StatusCode.ERROR, "SOLD_OUT")
    assert (call.status.description, call.attributes["nooble.kind"]) == ("sold out", "call")
    assert call.end_time >= run.end_time
    correlation = call.attributes["messaging.message.conversation_id"]
    assert run.attributes["messaging.message.conversation_id"] == correlation


async def test_a_call_that_nobody_answers_has_the_code_of_its_error(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with BaseRedisClient("web", redis, settings("web", tracing=True)) as client:
        with pytest.raises(CallTimeout):
            await client.call("demo.order.place", {}, timeout=0.05)
    (call,) = spans.get_finished_spans()
    assert (call.status.status_code, call.attributes["error.type"], call.events) == (
        StatusCode.ERROR,
        "CALL_TIMEOUT",
        (),
    )


async def test_what_is_cancelled_at_the_end_has_a_span_that_says_so(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings, worker_grace_seconds=0) as (service, client):
        await client.send("demo.order.place", {"do": "wait"})
        await wait_until(lambda: service.seen, "it has begun")
    _, run = await ended(spans, 2)
    assert (run.status.status_code, run.attributes["error.type"], run.events) == (StatusCode.ERROR, "CANCELLED", ())


async def test_baggage_travels_along(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings) as (service, client):
        token = attach(baggage.set_baggage("customer", "ada"))
        await client.send("demo.order.place", {})
        detach(token)
        await ended(spans, 2)
    assert service.seen[0].metadata["baggage"] == "customer=ada"


async def test_a_worker_that_was_started_inside_of_a_span_does_not_go_on_with_it(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter, platform: Platform
) -> None:
    with trace.get_tracer("test").start_as_current_span("start"):
        async with at_work(redis, settings):
            await platform.send("demo.order.place")
            await ended(spans, 1)
    run = next(span for span in spans.get_finished_spans() if span.kind is SpanKind.CONSUMER)
    assert run.parent is None


async def test_waiting_for_work_makes_no_spans(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter, platform: Platform
) -> None:
    """Reads that end empty, leases that are renewed, retries that are looked for."""
    async with at_work(redis, settings, worker_block_ms=5, worker_lease_seconds=0.1):
        calls = int((await redis.info("stats"))["total_commands_processed"])

        async def has_polled() -> bool:
            return int((await redis.info("stats"))["total_commands_processed"]) > calls + 60

        await wait_until(has_polled, "it has asked the server many times")
    assert spans.get_finished_spans() == ()


async def test_two_actions_side_by_side_do_not_see_each_others_spans(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with at_work(redis, settings, worker_concurrency=5) as (_, client):
        for _ in range(20):
            await client.send("demo.order.place", {"do": "pass on"})
        every = await ended(spans, 80)
    by_id = {span.context.span_id: span for span in every}
    traces: dict[int, list[str]] = {}
    for span in every:
        traces.setdefault(span.context.trace_id, []).append(span.kind.name)
        assert span.parent is None or by_id[span.parent.span_id].context.trace_id == span.context.trace_id
    assert [sorted(kinds) for kinds in traces.values()] == [["CONSUMER"] * 2 + ["PRODUCER"] * 2] * 20


async def test_a_callback_goes_on_with_the_trace(
    redis: redis.asyncio.Redis, settings: Settings, spans: InMemorySpanExporter, platform: Platform
) -> None:
    async with at_work(redis, settings) as (service, _):
        await platform.send(
            "demo.order.place",
            metadata={"traceparent": SENT_BY},
            callback_queue_name=platform.stream,
            callback_action_type="demo.order.pack",
        )
        first, second = await ended(spans, 2)
    assert [action.action_type for action in service.seen] == ["demo.order.place", "demo.order.pack"]
    assert f"{first.context.trace_id:032x}" == SENT_BY.split("-")[1]
    assert (second.context.trace_id, parent_of(second)) == (first.context.trace_id, first.context.span_id)


# ── what comes from outside ──
@pytest.mark.parametrize(
    "hostile",
    [7, None, ["00"], {"a": 1}, "", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 100_000, "\x1b[31m"],
)
async def test_a_context_that_makes_no_sense_is_none(
    redis: redis.asyncio.Redis,
    settings: Settings,
    spans: InMemorySpanExporter,
    platform: Platform,
    hostile: Any,
) -> None:
    async with at_work(redis, settings):
        answer = await platform.ask("demo.order.place", metadata={"traceparent": hostile, "tracestate": hostile})
        (run,) = await ended(spans, 1)
    assert answer["success"]
    assert (run.parent, run.links) == (None, ())


anything = st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=3)


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage", "own"]), anything | st.just(SENT_BY)))
def test_no_metadata_breaks_a_run(metadata: dict[str, Any]) -> None:
    provider = TracerProvider()
    tracing = Tracing(make_settings(), stream=STREAM, provider=provider)
    action = DomainAction(action_type="demo.a.b", data={}, metadata=metadata)
    assert drive(tracing, action) == "done"


# ── samplers ──
def drive(
    tracing: Tracing,
    action: DomainAction,
    seen: list[Any] | None = None,
    result: Any = "done",
    fail: Exception | None = None,
) -> Any:
    """Run the middleware as a worker does, with context variables of its own, around a handler that never waits."""

    async def handle(action: DomainAction, context: ActionContext) -> Any:
        if seen is not None:
            seen.append(trace.get_current_span().get_span_context())
        if fail is not None:
            raise fail
        return result

    def run() -> Any:
        work: Any = tracing.middleware(action, ActionContext(action), handle)
        try:
            work.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it waits")

    return copy_context().run(run)


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBasedTraceIdRatio(0.0)])
def test_what_is_not_sampled_is_run_without_a_span(sampler: Any) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing, seen = Tracing(make_settings(), stream=STREAM, provider=provider), list[Any]()
    assert drive(tracing, DomainAction(action_type="demo.a.b", data={}), seen) == "done"
    assert exporter.get_finished_spans() == ()
    assert not seen[0].trace_flags.sampled


@pytest.mark.parametrize(("flags", "count"), [("01", 1), ("00", 0)])
def test_a_sampler_that_asks_the_parent_hears_what_it_said(flags: str, count: int) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(0.0))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing, seen = Tracing(make_settings(), stream=STREAM, provider=provider), list[Any]()
    action = DomainAction(action_type="demo.a.b", data={}, metadata={"traceparent": SENT_BY[:-2] + flags})
    assert drive(tracing, action, seen) == "done"
    assert len(exporter.get_finished_spans()) == count
    assert f"{seen[0].trace_id:032x}" == SENT_BY.split("-")[1]  # of whoever is called from here


def test_an_answer_that_says_failure_is_told() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(make_settings(), stream=STREAM, provider=provider)
    action = DomainAction(action_type="demo.a.b", data={})
    failed = DomainActionResponse(success=False, error=ErrorDetail.of(Reject("no", error_code="NOT_NOW")))

    assert drive(tracing, action, result=failed) is failed
    (run,) = exporter.get_finished_spans()
    assert (run.attributes["error.type"], run.status.status_code) == ("NOT_NOW", StatusCode.UNSET)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise LookupError("even this fails")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("no way to redis://ada:s3cret@db/0"), "no way to redis://ada:***@db/0"),
        (Unspeakable(), "Unspeakable, which could not be told"),
    ],
)
def test_an_exception_is_told_without_passwords_and_even_if_it_is_broken(error: Exception, message: str) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(make_settings(), stream=STREAM, provider=provider)
    with pytest.raises(type(error)) as raised:
        drive(tracing, DomainAction(action_type="demo.a.b", data={}), fail=error)
    assert raised.value is error
    (run,) = exporter.get_finished_spans()
    told = run.events[0].attributes
    assert told["exception.message"] == run.status.description == message
    assert type(error).__name__ in told["exception.type"]
    assert "s3cret" not in told["exception.stacktrace"]


class Broken(SpanProcessor):
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        self._where = where

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self._where == "attributes":
            span.set_attribute = span.set_status = span.add_event = self._fail
        elif self._where == "start":
            self._fail()

    def on_end(self, span: ReadableSpan) -> None:
        if self._where == "end":
            self._fail()

    def _fail(self, *args: Any) -> None:
        raise LookupError("the collector is gone")


@pytest.mark.parametrize("where", ["start", "attributes", "end"])
@pytest.mark.parametrize("fail", [None, OSError("mine"), Reject("mine")])
def test_what_breaks_in_tracing_is_no_matter_of_the_action(
    where: str, fail: Exception | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done stays done, and an error is the handler's own."""
    provider, seen = TracerProvider(), list[Any]()
    provider.add_span_processor(Broken(where))
    tracing = Tracing(make_settings(), stream=STREAM, provider=provider)
    refused = DomainActionResponse(success=False, error=ErrorDetail.of(Reject("no")))
    action = DomainAction(action_type="demo.a.b", data={}, metadata={"traceparent": SENT_BY})
    if fail is None:
        assert drive(tracing, action, seen, result=refused) is refused
    else:
        with pytest.raises(type(fail)) as raised:
            drive(tracing, action, seen, fail=fail)
        assert raised.value is fail
    assert [f"{context.trace_id:032x}" for context in seen] == [
        SENT_BY.split("-")[1]
    ]  # run once, in the sender's trace
    told = capsys.readouterr().out
    assert "watch_failed" in told
    assert "the collector is gone" in told


def test_a_propagator_that_breaks_stops_neither_a_run_nor_a_send(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: Any) -> None:
        raise LookupError("no such header")

    monkeypatch.setattr(module, "inject", refuse)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(make_settings(), stream=STREAM, provider=provider)
    action = DomainAction(action_type="demo.a.b", data={}, callback_action_type="demo.a.c", callback_queue_name="q")
    assert drive(tracing, action) == "done"
    tracing.end(tracing.begin("send", action, STREAM), OSError("gone"), None)
    assert [span.name for span in exporter.get_finished_spans()] == [f"process {STREAM}", f"send {STREAM}"]
    assert capsys.readouterr().out.count("no such header") == 2


@pytest.mark.parametrize(
    ("url", "attributes"),
    [
        ("redis://user:s3cret@cache.example:6380/1", {"server.address": "cache.example", "server.port": 6380}),
        ("rediss://cache.example", {"server.address": "cache.example", "server.port": 6379}),
        ("unix:///run/redis.sock", {"server.address": "/run/redis.sock"}),
        ("embedded://", {}),
        ("redis://[broken", {}),
    ],
)
def test_where_the_server_is_says_nothing_of_its_password(url: str, attributes: dict[str, Any]) -> None:
    assert server_of(url) == attributes


def test_without_the_extra_a_worker_says_what_to_install(tmp_path: Path) -> None:
    program = """
import sys
import redis.asyncio
from nooble import CommonAppSettings, ServiceWorker
from nooble.services import BaseService
for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
    del sys.modules[name]
sys.modules["opentelemetry.context"] = None
settings = CommonAppSettings(service_name="demo", tracing=True)
ServiceWorker(settings, redis.asyncio.Redis(), BaseService(settings))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert 'pip install "nooble[otel]"' in done.stderr.splitlines()[-1]
