"""The life of one delivery, from bytes to an outcome. Nothing here touches the server; what is decided here is written by
settlement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

import msgspec

from nooble.errors import ActionExpired, CrashLoop, ForbiddenCallback, MalformedAction, PayloadTooLarge, Reject
from nooble.models.actions import DomainActionResponse, ErrorDetail
from nooble.models.context import TTL, ActionContext, Reach, set_current
from nooble.models.envelope import Envelope, Message
from nooble.models.outcomes import Completed, Effect, Expired, Once, Outcome, Post, Reply, Retried
from nooble.wire.codec import (
    answer_for,
    codec_of,
    decode_envelope,
    encode_callback,
    encode_failure,
    encode_success,
    salvage,
)
from nooble.wire.delivery import Delivery
from nooble.wire.keys import QueueManager
from nooble.workers.clock import ServerClock
from nooble.workers.in_flight import Run
from nooble.workers.isolation import Suspended, begin
from nooble.workers.judgement import Terms, judge

Handle = Callable[[Message, ActionContext], Awaitable[Any]]


class Execution:
    """Gives deliveries their outcomes.

    Args:
        service_name: origin of callbacks.
        keys: judges the names that callers ask answers to be written to.
        handle: the worker's way to the handler.
        terms: retry and timeout by type of action, for every type.
        reach: the client that contexts send and call with.
        clock: the server's time.
        max_deliveries: deliveries without an end after which an action is buried.
        max_payload_bytes: largest action that is decoded.
        once_for: seconds for which the idempotency key of a sender is remembered, if its record has vanished meanwhile.
        sole_stream: the worker's stream, if it runs one action at a time.

    Attributes:
        handle: as given.
    """

    def __init__(
        self,
        *,
        service_name: str,
        keys: QueueManager,
        handle: Handle,
        terms: Mapping[str, Terms],
        reach: Reach | None,
        clock: ServerClock,
        max_deliveries: int,
        max_payload_bytes: int,
        once_for: float = 86_400.0,
        sole_stream: str | None = None,
    ) -> None:
        self._service_name = service_name
        self._keys = keys
        self.handle = handle
        self._terms = terms
        self._reach = reach
        self._clock = clock
        self._max_deliveries = max_deliveries
        self._max_payload_bytes = max_payload_bytes
        self._once_ms = round(once_for * 1000)
        self._sole_stream = sole_stream

    def execute(self, run: Run) -> Outcome | Awaitable[Outcome]:
        """Take one delivery through its run.

        Returns:
            Its outcome; or, if its handler waits for something, what leads to it.
        """
        delivery, data = run.delivery, run.delivery.data
        try:
            if not delivery.is_fresh:
                self._refuse_crash_loop(delivery)
            if data is None or len(data) > self._max_payload_bytes:
                raise self._unfit(data)
            envelope = run.envelope = decode_envelope(
                data, delivery.entry_id if delivery.is_fresh else delivery.first_id
            )
            run.action_type, run.action_id = envelope.action_type, envelope.action_id
            if envelope.metadata:
                self._refuse_late(run, envelope)
            if envelope.callback_queue_name is not None:
                self._keys.accept_callback(envelope.callback_queue_name, envelope.callback_action_type)
            result = self._begin(run, envelope, data)  # middleware, service, handler: the first step
            if type(result) is Suspended:
                return self._go_on(run, result)
            outcome = self._complete(run, result)
        except _NOT_THE_HANDLERS:
            _close(run)
            raise
        except BaseException as error:
            outcome = self.fail(run, error)
        _close(run)
        return outcome

    async def _go_on(self, run: Run, suspended: Suspended) -> Outcome:
        """The further steps of a handler that waits."""
        try:
            return self._complete(run, await suspended.rest())
        except _NOT_THE_HANDLERS:
            raise
        except BaseException as error:
            return self.fail(run, error)
        finally:
            _close(run)

    def fail(self, run: Run, error: BaseException) -> Outcome:
        """The outcome of a delivery that ended with *error*."""
        error = error.with_traceback(without_framework(error.__traceback__))
        try:
            return self._judged(run, error)
        except Exception as broken:  # the error itself is broken: its text, its code or its details
            stand_in = RuntimeError(f"{type(error).__name__}, which could not be told: {type(broken).__name__}")
            return self._judged(run, stand_in.with_traceback(error.__traceback__))

    def _judged(self, run: Run, error: BaseException) -> Outcome:
        delivery, context = run.delivery, run.context
        detail = ErrorDetail.of(error)
        action = _message(run) or salvage(delivery.data)
        waits = action is not None and action.callback_queue_name is not None and action.callback_action_type is None
        outcome = judge(
            error,
            attempt=delivery.attempts + (context is not None),
            terms=run.terms,
            waits=waits,
            time_left=run.time_left if context is None else context.time_left,
            tell=lambda: None if action is None else self._tell(delivery, action, detail),
        )
        if delivery.once is None or action is None or isinstance(outcome, Retried):
            return outcome
        answer = encode_failure(action, detail, codec_of(delivery.data or b""))
        how = "void" if isinstance(outcome, Expired) else ""
        return msgspec.structs.replace(
            outcome, once=Once(delivery.once, self._once_ms, answer, how, str(action.action_id))
        )

    def repeat(self, run: Run, answer: bytes) -> Outcome:
        """The outcome of a delivery whose idempotency key another run has brought to its end, with this *answer*."""
        action = _message(run)
        if action is None or action.callback_queue_name is None or action.callback_action_type is not None:
            return Completed()
        try:
            answer = answer_for(action, answer, codec_of(run.delivery.data or b""))
        except MalformedAction as broken:  # somebody has written into the record
            return msgspec.structs.replace(self.fail(run, broken), once=None)
        return Completed(Reply(action.callback_queue_name, answer))

    # ── before the handler ──
    def _refuse_crash_loop(self, delivery: Delivery) -> None:
        if delivery.deliveries > self._max_deliveries:
            raise CrashLoop(
                f"delivered {delivery.deliveries} times without an end, more than worker_max_deliveries="
                f"{self._max_deliveries}: it probably kills its worker, or takes longer than the lease while blocking it"
            )

    def _unfit(self, data: bytes | None) -> Exception:
        """Why these bytes are not even looked at."""
        if data is None:
            return MalformedAction("the entry has no field 'data'", details={"path": "$"})
        return PayloadTooLarge(
            f"the action has {len(data)} bytes, more than max_payload_bytes={self._max_payload_bytes}; "
            "send a reference to large data instead",
            details={"size": len(data), "limit": self._max_payload_bytes},
        )

    def _refuse_late(self, run: Run, action: Envelope) -> None:
        ttl = (action.metadata or {}).get(TTL)
        if type(ttl) is int and 0 <= ttl <= _LONGEST_TTL:
            left = run.time_left = self._clock.seconds_until(run.delivery.first_id, ttl)
            if left <= 0:
                raise ActionExpired(
                    f"{action.action_type} could be started {-left:.3f} s after the deadline of its caller ({ttl} ms); "
                    "it was not run",
                    details={TTL: ttl},
                )

    # ── the handler ──
    def _begin(self, run: Run, envelope: Envelope, data: bytes) -> Any:
        """Call the handler, and take its first step."""
        delivery = run.delivery
        terms = run.terms = self._terms[run.action_type]
        if terms.timeout:
            run.until = self._clock.monotonic() + terms.timeout
        context = run.context = ActionContext(
            envelope,
            self._reach,
            1 if delivery.is_fresh else delivery.attempts + 1,
            1 if delivery.is_fresh else delivery.deliveries,
            None if run.time_left is None else self._clock.monotonic() + run.time_left,
            True,
            self._sole_stream,
            data,
        )
        set_current(context)  # of the executor; the handler has a copy
        return begin(self.handle, envelope, context)

    # ── after the handler ──
    def _complete(self, run: Run, result: Any) -> Outcome:
        context, delivery, reply = run.context, run.delivery, None
        assert context is not None
        action = context.message  # as the handler has left it
        queue, callback_type = action.callback_queue_name, action.callback_action_type
        failed = type(result) is not dict and is_failure(result)
        if failed and (queue is None or callback_type is not None):
            raise _refusal(result)
        posts: tuple[Post, ...] = ()
        effects: tuple[Effect, ...] = ()
        if (context.outbox or context.written) and not failed:
            posts, effects = tuple(context.outbox or ()), tuple(context.written.gathered if context.written else ())
        if queue is not None:
            codec = codec_of(delivery.data or b"")
            if callback_type is None:
                reply = Reply(queue, encode_success(action, result, codec))
            elif result is not None:
                callback = encode_callback(action, result, self._service_name, codec)
                if self._keys.accept_callback(queue, callback_type) == "streams":
                    posts += (Post(queue, callback),)
                else:
                    reply = Reply(queue, callback)
        if run.terms.once_for or not delivery.is_fresh:
            once = self._remembered(run, action, result, reply)
            return Completed(reply, posts, effects, once=once)
        return Completed(reply, posts, effects, not posts and not effects)

    def _remembered(self, run: Run, action: Message, result: Any, reply: Reply | None) -> Once | None:
        """What is remembered of an action that was done, if its sender or its declaration asks for it."""
        context = run.delivery.once
        if context is None and (is_failure(result) or not run.terms.once_for):
            return None
        if context is None:
            key = run.context.idempotency_key if run.context is not None else str(action.action_id)
            context = self._keys.get_once_context(action.action_type, key, action.tenant_id)
        is_answer = reply is not None and action.callback_action_type is None
        codec = codec_of(run.delivery.data or b"")
        answer = reply.value if reply is not None and is_answer else encode_success(action, result, codec)
        how = "" if is_failure(result) else "ok"
        return Once(context, round(run.terms.once_for * 1000) or self._once_ms, answer, how, str(action.action_id))

    def _tell(self, delivery: Delivery, action: Message, detail: ErrorDetail) -> Reply | None:
        queue = action.callback_queue_name or ""
        try:
            self._keys.accept_callback(queue, None)
        except ForbiddenCallback:  # nothing is written there; the dead letter tells
            return None
        return Reply(queue, encode_failure(action, detail, codec_of(delivery.data or b"")))


def _close(run: Run) -> None:
    """What its handler has left running sends nothing through its context any more."""
    if run.context is not None:
        run.context.is_open = False


def _message(run: Run) -> Message | None:
    """The action of *run*, as its handler has left it; `None` if it could not be read."""
    return run.envelope if run.context is None else run.context.message


def is_failure(result: Any) -> bool:
    """Whether a handler has returned an answer that says failure."""
    return isinstance(result, DomainActionResponse) and not result.success


def _refusal(answer: DomainActionResponse) -> Exception:
    """What a returned answer that says failure comes to where nobody waits for it: it is kept like any refusal."""
    error = answer.error
    if error is None:
        return Reject("the handler returned a failure that does not say what went wrong")
    return Reject(error.message, error_code=error.error_code, details=error.details)


def without_framework(traceback: TracebackType | None) -> TracebackType | None:
    """*traceback* from the first frame on that is not nooble's: where a person's own code begins."""
    frame = traceback
    while frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("nooble."):
        frame = frame.tb_next
    return frame or traceback


_NOT_THE_HANDLERS = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What a handler may raise and does not decide: who ends the task means it for the task."""
_LONGEST_TTL = 10**12
