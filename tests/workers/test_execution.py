"""The life of one delivery, with plain values and no server: every road from bytes to an outcome."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import redis.asyncio
from pydantic import BaseModel

from nooble.clients import BaseRedisClient
from nooble.errors import (
    ActionExpired,
    CrashLoop,
    ForbiddenCallback,
    InvalidResponse,
    MalformedAction,
    NoobleError,
    PayloadTooLarge,
    Reject,
    RetryLater,
    SelfCall,
)
from nooble.models import ActionContext, DomainAction, DomainActionResponse, ErrorDetail, current_context
from nooble.models.context import shown
from nooble.models.envelope import Message
from nooble.models.outcomes import Answered, Buried, Completed, Expired, Failed, Outcome, Reply, Retried
from nooble.retry import Retry
from nooble.wire.delivery import Delivery
from nooble.wire.keys import QueueManager
from nooble.workers.clock import ServerClock
from nooble.workers.execution import Execution
from nooble.workers.in_flight import Run
from nooble.workers.judgement import Terms
from tests.support.platform import envelope
from tests.support.settings import NOBODY, make_settings

QUEUE = "nooble4:test:platform:responses:ask:1"
LIST = "nooble4:test:platform:callbacks:platform_thing_done:1"
STREAM = "nooble4:test:platform:streams:main"
TERMS = Terms(Retry(attempts=3, backoff=1.0, jitter=0.0))

What = Callable[[DomainAction], Any]


def execution(what: What, **options: Any) -> Execution:
    """An execution whose handler does *what*."""

    async def handle(message: Message, context: ActionContext) -> Any:
        result = what(shown(message, context))
        return await result if asyncio.iscoroutine(result) else result

    keys = QueueManager("nooble4", "test")
    reach = BaseRedisClient("demo", redis.asyncio.Redis.from_url(NOBODY), make_settings())
    settled: dict[str, Any] = {
        "service_name": "demo",
        "keys": keys,
        "handle": handle,
        "terms": defaultdict(lambda: TERMS),
        "reach": reach,
        "clock": ServerClock(),
        "max_deliveries": 3,
        "max_payload_bytes": 10_000,
    }
    return Execution(**settled | options)


def delivery(entry_id: bytes | None = None, *, token: int = 1, facts: Any = None, **fields: Any) -> Delivery:
    """A delivery of `demo.thing.do`, just written."""
    data = json.dumps(envelope("demo.thing.do", **fields)).encode()
    return Delivery(entry_id or f"{int(time.time() * 1000)}-0".encode(), data, token, 0, facts)


async def outcome_of(what: What, of: Delivery | None = None, **options: Any) -> Outcome:
    return await executed(execution(what, **options), Run(of or delivery()))


async def executed(execution: Execution, run: Run) -> Outcome:
    outcome = execution.execute(run)
    return outcome if isinstance(outcome, Outcome) else await outcome


async def failure_of(what: What, of: Delivery | None = None, **options: Any) -> Failed:
    outcome = await outcome_of(what, of, **options)
    assert isinstance(outcome, Failed)
    return outcome


def raising(error: BaseException) -> What:
    def fail(action: DomainAction) -> None:
        raise error

    return fail


def answer(outcome: Any) -> dict[str, Any]:
    assert isinstance(outcome.reply, Reply)
    message: dict[str, Any] = json.loads(outcome.reply.value)
    return message


async def never(action: DomainAction) -> None:
    pytest.fail("the handler was called")


# ── it ends well ──


async def test_fire_and_forget_ends_with_nothing_to_write() -> None:
    assert await outcome_of(lambda action: {"n": 1}) == Completed()


async def test_a_result_for_who_waits_is_a_reply() -> None:
    outcome = await outcome_of(lambda action: {"n": 1}, delivery(callback_queue_name=QUEUE))
    assert isinstance(outcome, Completed)
    assert outcome.reply is not None
    assert outcome.reply.queue == QUEUE
    assert (answer(outcome)["success"], answer(outcome)["data"]) == (True, {"n": 1})


async def test_without_correlation_the_id_of_the_action_serves() -> None:
    of = delivery(callback_queue_name=QUEUE, correlation_id=None)
    assert answer(await outcome_of(lambda action: 1, of))["correlation_id"] == json.loads(of.data or b"")["action_id"]


async def test_what_a_handler_has_changed_of_its_action_holds_for_the_answer() -> None:
    other = f"{QUEUE}9"

    def change(action: DomainAction) -> Any:
        action.callback_queue_name, action.tenant_id = other, "acme"
        return {"n": 1}

    outcome = await outcome_of(change, delivery(callback_queue_name=QUEUE))
    assert isinstance(outcome, Completed)
    assert outcome.reply is not None
    assert (outcome.reply.queue, answer(outcome)["tenant_id"]) == (other, "acme")


async def test_a_failure_that_says_nothing_is_kept_where_nobody_waits() -> None:
    outcome = await failure_of(lambda action: DomainActionResponse.model_construct(success=False, error=None))
    assert isinstance(outcome, Buried)
    assert "does not say what went wrong" in str(outcome.error)


async def test_an_answer_speaks_the_language_of_the_request() -> None:
    packed = msgspec.msgpack.encode(envelope("demo.thing.do", callback_queue_name=QUEUE))
    outcome = await outcome_of(lambda action: {"n": 1}, Delivery(b"1-0", packed))
    assert isinstance(outcome, Completed)
    assert outcome.reply is not None
    assert msgspec.msgpack.decode(outcome.reply.value)["data"] == {"n": 1}


async def test_a_callback_for_a_list_is_a_reply() -> None:
    of = delivery(callback_queue_name=LIST, callback_action_type="platform.thing.done")
    outcome = await outcome_of(lambda action: {"n": 1}, of)
    assert answer(outcome)["action_type"] == "platform.thing.done"


async def test_a_callback_for_a_stream_is_a_post() -> None:
    of = delivery(callback_queue_name=STREAM, callback_action_type="platform.thing.done")
    outcome = await outcome_of(lambda action: {"n": 1}, of)
    assert isinstance(outcome, Completed)
    assert outcome.reply is None
    assert [post.stream for post in outcome.posts] == [STREAM]


async def test_none_sends_no_callback() -> None:
    of = delivery(callback_queue_name=STREAM, callback_action_type="platform.thing.done")
    assert await outcome_of(lambda action: None, of) == Completed()


async def test_what_the_handler_sends_joins_the_outcome_in_order() -> None:
    async def send(action: DomainAction) -> None:
        await current_context().send("first.thing.do")
        await current_context().send("second.thing.do")

    outcome = await outcome_of(send)
    assert isinstance(outcome, Completed)
    assert [post.stream.split(":")[2] for post in outcome.posts] == ["first", "second"]


async def test_a_returned_answer_is_the_answer() -> None:
    returned = DomainActionResponse(success=False, error=ErrorDetail(error_type="Own", message="mine"))
    outcome = await outcome_of(lambda action: returned, delivery(callback_queue_name=QUEUE))
    assert isinstance(outcome, Completed)
    assert answer(outcome)["error"]["message"] == "mine"


# ── the handler fails ──


async def test_a_failure_nobody_waits_for_is_retried() -> None:
    outcome = await failure_of(raising(OSError("no")))
    assert outcome == Retried(outcome.error, 1.0, 1)


async def test_the_attempts_before_count() -> None:
    outcome = await failure_of(raising(OSError("no")), delivery(facts={b"attempt": b"2"}))
    assert outcome == Buried(outcome.error, 3)


async def test_a_failure_somebody_waits_for_is_answered() -> None:
    outcome = await failure_of(raising(OSError("no")), delivery(callback_queue_name=QUEUE))
    assert isinstance(outcome, Answered)
    assert answer(outcome)["error"]["error_code"] == "HANDLER_ERROR"


async def test_a_failed_action_with_a_callback_is_retried_and_then_buried() -> None:
    fields = {"callback_queue_name": LIST, "callback_action_type": "platform.thing.done"}
    assert isinstance(await failure_of(raising(OSError("no")), delivery(**fields)), Retried)
    last = await failure_of(raising(OSError("no")), delivery(facts={b"attempt": b"2"}, **fields))
    assert last == Buried(last.error, 3)


async def test_what_a_failing_handler_has_sent_is_dropped() -> None:
    async def send_and_fail(action: DomainAction) -> None:
        await current_context().send("first.thing.do")
        raise OSError("no")

    assert not hasattr(await outcome_of(send_and_fail), "posts")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(1),
        BaseExceptionGroup("several", [SystemExit(1)]),
        ExceptionGroup("several", [OSError("no")]),
        RuntimeError("coroutine raised StopIteration"),
        MemoryError(),
        RecursionError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_nothing_a_handler_raises_gets_out(error: BaseException) -> None:
    outcome = await failure_of(raising(error), delivery(callback_queue_name=QUEUE))
    assert outcome.error is error
    assert answer(outcome)["error"]["error_type"] == type(error).__name__


async def test_a_cancellation_is_for_the_executor_to_judge() -> None:
    with pytest.raises(asyncio.CancelledError):
        await outcome_of(raising(asyncio.CancelledError()))


async def test_ctrl_c_is_not_the_handlers_to_decide() -> None:
    with pytest.raises(KeyboardInterrupt):
        await outcome_of(raising(KeyboardInterrupt()))


async def test_the_traceback_begins_where_the_users_code_does() -> None:
    error = OSError("no")
    await outcome_of(raising(error))
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames == ["handle", "fail"]


# ── errors that are broken themselves ──


class Speechless(Exception):
    def __str__(self) -> str:
        raise LookupError("no words")


class NumberedCode(NoobleError):
    error_code = 5  # type: ignore[assignment]


class NoCode(NoobleError):
    error_code = None  # type: ignore[assignment]


class WrongDetails(NoobleError):
    def __init__(self) -> None:
        super().__init__("wrong details")
        self.details = "text"  # type: ignore[assignment]


class UnspeakableDetails(NoobleError):
    def __init__(self) -> None:
        super().__init__("told all the same", details={"what": object()})


@dataclass(frozen=True)
class Frozen(Exception):
    reason: str = "frozen"


@pytest.mark.parametrize("error", [Speechless, NumberedCode, NoCode, WrongDetails, UnspeakableDetails, Frozen])
async def test_an_error_that_cannot_be_told_is_told_of(error: type[Exception]) -> None:
    """It comes from a handler: it must not be what ends the worker."""
    outcome = await failure_of(raising(error()), delivery(callback_queue_name=QUEUE))
    assert isinstance(outcome, Answered)
    assert answer(outcome)["success"] is False
    assert error.__name__ in answer(outcome)["error"]["error_type"] + answer(outcome)["error"]["message"]


# ── the result cannot be told ──


class Stubborn(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    what: object = object()


@pytest.mark.parametrize(
    "result",
    [object(), {"deep": object()}, {1j: 2}, Stubborn(), "\ud800"],
    ids=["an object", "an object within", "a key that is no text", "a model with an object", "half a character"],
)
async def test_a_result_that_cannot_be_encoded_is_the_handlers_fault(result: Any) -> None:
    outcome = await failure_of(lambda action: result, delivery(callback_queue_name=QUEUE))
    assert isinstance(outcome, Answered)
    assert isinstance(outcome.error, InvalidResponse)


async def test_a_result_that_nobody_wants_is_not_even_looked_at() -> None:
    assert await outcome_of(lambda action: object()) == Completed()


async def test_a_returned_failure_that_nobody_waits_for_is_kept() -> None:
    returned = DomainActionResponse(
        success=False, error=ErrorDetail(error_type="Own", error_code="CLOSED", message="mine", details={"n": 1})
    )
    outcome = await failure_of(lambda action: returned)
    assert isinstance(outcome, Buried)
    assert isinstance(outcome.error, Reject)
    assert (outcome.error.error_code, outcome.error.details) == ("CLOSED", {"n": 1})


# ── the handler is not even called ──


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (None, MalformedAction),
        (b"", MalformedAction),
        (b"not json", MalformedAction),
        (b'{"action_type": 7, "data": {}}', MalformedAction),
        (b'{"action_type": "demo.thing.do"}', MalformedAction),
        (b'{"action_type": "demo.thing.do", "data": "\xff"}', MalformedAction),
        (b'{"action_type": "nothing dotted", "data": {}}', MalformedAction),
        (b"[]", MalformedAction),
        (b"\x80", MalformedAction),
        (b"\xc1\xff", MalformedAction),
        (b'{"a":' * 10_000, PayloadTooLarge),
        (b'{"a":' * 1_900, MalformedAction),
        (b"x" * 10_001, PayloadTooLarge),
    ],
    ids=lambda value: repr(value)[:30] if not isinstance(value, type) else value.__name__,
)
async def test_what_is_no_action_is_buried(data: bytes | None, kind: type[Exception]) -> None:
    outcome = await failure_of(never, Delivery(b"1-0", data))
    assert isinstance(outcome, Buried)
    assert isinstance(outcome.error, kind)
    assert outcome.reply is None


@pytest.mark.parametrize("fields", [{"data": 7}, {"data": None}, {"metadata": []}, {"user_id": {}}], ids=repr)
async def test_who_waits_for_a_malformed_action_is_told(fields: dict[str, Any]) -> None:
    message = envelope("demo.thing.do", callback_queue_name=QUEUE) | fields
    outcome = await failure_of(never, Delivery(b"1-0", json.dumps(message).encode()))
    assert isinstance(outcome, Buried)
    assert answer(outcome)["error"]["error_code"] == "MALFORMED_ACTION"
    assert answer(outcome)["correlation_id"] == message["correlation_id"]


async def test_who_waits_for_an_action_that_is_too_large_is_told() -> None:
    outcome = await failure_of(never, delivery(data={"text": "x" * 10_000}, callback_queue_name=QUEUE))
    assert answer(outcome)["error"]["error_code"] == "PAYLOAD_TOO_LARGE"
    assert answer(outcome)["error"]["details"]["limit"] == 10_000


async def test_what_was_delivered_too_often_is_buried_unseen() -> None:
    outcome = await failure_of(never, delivery(token=4))
    assert isinstance(outcome, Buried)
    assert isinstance(outcome.error, CrashLoop)


async def test_the_last_delivery_that_is_allowed_is_run() -> None:
    assert await outcome_of(lambda action: None, delivery(token=3)) == Completed()


async def test_deliveries_of_entries_before_it_count() -> None:
    """It was handed back in between: the count travels with it."""
    outcome = await failure_of(never, delivery(token=2, facts={b"deliveries": b"2"}))
    assert isinstance(outcome.error, CrashLoop)


@pytest.mark.parametrize(
    "queue",
    [
        "sessions",
        "nooble4:production:platform:responses:ask:1",
        "other:test:platform:responses:ask:1",
        "nooble4:test:platform:retries:main",
        "nooble4:test:platform:streams:main",
        "nooble4:test:platform:responses:" + "x" * 2_000,
        "nooble4:test:platform:responses:a b\n",
        "",
    ],
)
async def test_a_place_that_is_no_ones_queue_is_refused_before_the_handler_runs(queue: str) -> None:
    outcome = await failure_of(never, delivery(callback_queue_name=queue))
    assert isinstance(outcome, Buried)
    assert isinstance(outcome.error, ForbiddenCallback)
    assert outcome.reply is None


async def test_a_callback_into_the_stream_of_another_service_is_refused() -> None:
    of = delivery(callback_queue_name=STREAM, callback_action_type="billing.account.empty")
    outcome = await failure_of(never, of)
    assert isinstance(outcome.error, ForbiddenCallback)


# ── deadlines ──


def written(seconds_ago: float, ttl_ms: Any, **fields: Any) -> Delivery:
    entry_id = f"{int((time.time() - seconds_ago) * 1000)}-0".encode()
    return delivery(entry_id, metadata={"ttl_ms": ttl_ms}, **fields)


async def test_what_nobody_awaits_any_more_is_not_run() -> None:
    outcome = await failure_of(never, written(2, 1_000, callback_queue_name=QUEUE))
    assert isinstance(outcome, Expired)
    assert isinstance(outcome.error, ActionExpired)
    assert answer(outcome)["error"]["error_code"] == "EXPIRED"


async def test_what_is_in_time_knows_how_long_it_has() -> None:
    left: list[float | None] = []
    await outcome_of(lambda action: left.append(current_context().time_left), written(1, 3_000))
    assert left[0] == pytest.approx(2.0, abs=0.1)


async def test_the_time_counts_from_the_first_entry() -> None:
    """A retry does not give a caller's deadline a new start."""
    old = delivery(facts={b"first_id": f"{int((time.time() - 5) * 1000)}-0".encode()}, metadata={"ttl_ms": 4_000})
    assert isinstance(await failure_of(never, old), Expired)


@pytest.mark.parametrize("ttl", ["soon", -1, True, None, 1.5, 10**13, {}], ids=repr)
async def test_what_is_no_time_to_live_sets_no_deadline(ttl: Any) -> None:
    assert await outcome_of(lambda action: None, written(60, ttl)) == Completed()


async def test_no_retry_is_planned_past_the_deadline() -> None:
    late = RetryLater(after=5)
    assert isinstance(await failure_of(raising(late), written(0, 10_000)), Retried)
    assert isinstance(await failure_of(raising(late), written(0, 4_000)), Buried)


# ── what the handler knows ──


async def test_the_context_counts_attempts_and_deliveries() -> None:
    seen: list[tuple[int, int]] = []

    def look(action: DomainAction) -> None:
        seen.append((current_context().attempt, current_context().deliveries))

    await outcome_of(look)
    await outcome_of(look, delivery(token=2, facts={b"attempt": b"1", b"deliveries": b"1"}))
    assert seen == [(1, 1), (2, 3)]


async def test_a_call_into_the_own_service_is_refused_where_nobody_else_could_answer() -> None:
    async def call(action: DomainAction) -> None:
        await current_context().call("demo.other.do")

    outcome = await failure_of(call, sole_stream="nooble4:test:demo:streams:main")
    assert isinstance(outcome.error, SelfCall)


async def test_the_timeout_of_its_terms_is_set_before_the_handler_runs() -> None:
    run = Run(delivery())
    moments: list[float] = []
    terms = defaultdict(lambda: Terms(timeout=5.0))
    await executed(execution(lambda action: moments.append(run.until), terms=terms), run)
    assert moments[0] - time.monotonic() == pytest.approx(5.0, abs=0.2)
