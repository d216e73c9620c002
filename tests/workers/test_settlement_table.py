"""From outcome to writes: the table, row by row, and what one call takes of it. Nothing is written here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

from nooble.errors import ActionExpired, MalformedAction, ReplyLost, ServerFault
from nooble.events import Events, Teller
from nooble.models.outcomes import (
    Answered,
    Buried,
    Completed,
    Effect,
    Expired,
    Once,
    Outcome,
    Post,
    Released,
    Reply,
    Retried,
)
from nooble.wire.connection import Endpoint
from nooble.wire.delivery import Delivery, read_fields
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import EFFECT, ONCE, OWN, POST, RETRY, ActionStream, Committed, Ending
from nooble.workers.clock import ServerClock
from nooble.workers.execution import Execution
from nooble.workers.in_flight import InFlight, Run
from nooble.workers.judgement import NO_TERMS
from nooble.workers.outage import Patience
from nooble.workers.reports import Reports
from nooble.workers.settlement import Settlement
from tests.support.settings import NOBODY

KEYS = QueueManager("nooble4", "test")
REPLY = Reply("queue", b"answer")
ERROR = OSError("no")
FIRST: dict[type[Outcome], dict[str, Any]] = {Completed: {}, Buried: {"error": ERROR}}
DELIVERY = Delivery(b"7-0", b'{"action_type": "demo.thing.do"}', 2, 0, {b"first_id": b"5-0", b"v": b"1"})


def an_execution() -> Execution:
    """One that runs nothing."""
    return Execution(
        service_name="demo",
        keys=KEYS,
        handle=lambda action, context: pytest.fail("nothing is run here"),
        terms=defaultdict(lambda: NO_TERMS),
        reach=None,
        clock=ServerClock(),
        max_deliveries=3,
        max_payload_bytes=100,
    )


@pytest.fixture
async def settlement() -> Settlement:
    """A settler whose server is nowhere."""
    teller = Teller(Events(), "demo", "me")
    stream = ActionStream(Endpoint(redis.asyncio.Redis.from_url(NOBODY)), KEYS, "demo", "me")

    async def restore() -> None: ...

    return Settlement(
        stream=stream,
        flight=InFlight(),
        patience=Patience(teller, restore),
        execution=an_execution(),
        reports=Reports(teller),
        max_payload_bytes=100,
    )


def fields_of(arguments: Any) -> dict[bytes, bytes]:
    """The fields of an entry that is to be written, as bytes."""
    plain = [part.encode() if isinstance(part, str) else part for part in arguments]
    return dict(zip(plain[::2], plain[1::2], strict=True))


@pytest.mark.parametrize(
    ("outcome", "kinds"),
    [
        (Completed(), []),
        (Completed(REPLY), []),
        (Completed(REPLY, (Post("elsewhere", b"{}"), Post("there", b"{}"))), [POST, POST]),
        (Answered(ERROR, REPLY), []),
        (Retried(ERROR, 1.0, 1), [RETRY]),
        (Buried(ERROR, 1), [OWN]),
        (Buried(MalformedAction("?"), 0, REPLY), [OWN]),
        (Expired(ActionExpired("late")), [OWN]),
        (Expired(ActionExpired("late"), REPLY), []),
        (Released(), [OWN]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Outcome) else "",
)
def test_each_outcome_writes_what_the_table_says(settlement: Settlement, outcome: Any, kinds: list[bytes]) -> None:
    ending = settlement.ending(DELIVERY, outcome)
    assert ending.delivery is DELIVERY
    assert ending.reply is getattr(outcome, "reply", None)
    assert [write.kind for write in ending.writes] == kinds


def test_the_table_knows_every_outcome(settlement: Settlement) -> None:
    concrete = {kind for kind in _all_outcomes(Outcome) if not kind.__subclasses__()}
    assert set(settlement._writes) == concrete


def _all_outcomes(root: type[Outcome]) -> set[type[Outcome]]:
    return {root}.union(*(_all_outcomes(child) for child in root.__subclasses__()))


def test_a_follow_up_is_an_entry_of_the_stream_it_is_for(settlement: Settlement) -> None:
    (write,) = settlement.ending(DELIVERY, Completed(None, (Post("elsewhere", b"{}"),))).writes
    assert write.key == "elsewhere"
    assert fields_of(write.arguments) == {b"data": b"{}", b"v": b"1"}


def test_a_retry_waits_with_its_data_its_first_id_and_its_attempts(settlement: Settlement) -> None:
    (write,) = settlement.ending(DELIVERY, Retried(ERROR, 1.5, 2)).writes
    milliseconds, member = write.arguments
    line, _, data = member.partition(b"\n")
    assert write.key == KEYS.get_retry_set("demo")
    assert milliseconds == 1500
    assert line.split()[0] == b"5-0"
    assert b"attempt 2" in line
    assert data == DELIVERY.data


def test_what_is_handed_back_is_written_again_and_this_delivery_does_not_count(settlement: Settlement) -> None:
    (write,) = settlement.ending(DELIVERY, Released()).writes
    assert write.key == KEYS.get_service_action_stream("demo")
    data, facts = read_fields(list(sum(fields_of(write.arguments).items(), ())))
    again = Delivery(b"9-0", data, 1, 0, facts)
    assert (again.data, again.first_id, again.attempts) == (DELIVERY.data, b"5-0", 0)
    assert again.deliveries == DELIVERY.deliveries


def test_a_dead_letter_has_the_bytes_and_the_reason(settlement: Settlement) -> None:
    (write,) = settlement.ending(DELIVERY, Buried(ERROR, 3)).writes
    letter = fields_of(write.arguments)
    assert write.key == KEYS.get_dead_letter_stream("demo")
    assert (letter[b"reason"], letter[b"error"]) == (b"HANDLER_ERROR", b"OSError: no")
    assert (letter[b"attempts"], letter[b"deliveries"], letter[b"first_id"]) == (b"3", b"2", b"5-0")
    assert letter[b"data"] == DELIVERY.data


def test_a_dead_letter_refers_to_what_is_too_large(settlement: Settlement) -> None:
    large = Delivery(b"7-0", b"x" * 101)
    (write,) = settlement.ending(large, Buried(ERROR, 0)).writes
    letter = fields_of(write.arguments)
    assert b"data" not in letter
    assert letter[b"data_size"] == b"101"
    assert len(letter[b"data_sha256"]) == 64


def test_what_has_nothing_but_an_answer_is_written_as_such(settlement: Settlement) -> None:
    for outcome in (Completed(REPLY, is_plain=True), Completed(REPLY)):
        ending = settlement.ending(DELIVERY, outcome)
        assert (ending.delivery, ending.reply, ending.writes) == (DELIVERY, REPLY, ())


@pytest.mark.parametrize("posts", [(), (Post("elsewhere", b"{}"),)])
def test_effects_are_written_after_what_is_sent_each_as_its_whole_command(
    settlement: Settlement, posts: tuple[Post, ...]
) -> None:
    effect = Effect("stock", ("HINCRBY", "stock", "tea", "-1"))
    *sent, write = settlement.ending(DELIVERY, Completed(REPLY, posts, (effect,))).writes
    assert [one.kind for one in sent] == [POST] * len(posts)
    assert (write.kind, write.key, write.arguments) == (EFFECT, effect.key, effect.arguments)


@pytest.mark.parametrize("outcome", [Completed, Buried], ids=lambda kind: kind.__name__)
def test_what_is_remembered_of_a_key_comes_before_all_else(settlement: Settlement, outcome: type[Outcome]) -> None:
    once = Once("orders.order.create:k-1", 60_000, b"the answer", "ok", "an id")
    first, *rest = settlement.ending(DELIVERY, outcome(once=once, **FIRST[outcome])).writes
    assert (first.kind, first.key) == (ONCE, KEYS.get_once_record("demo", once.context))
    assert first.arguments == (b"5-0", 60_000, b"the answer", "ok", "an id")
    assert [write.kind for write in rest] == [OWN] * (outcome is Buried)


def test_a_retry_without_a_pause_is_due_now_and_never_earlier(settlement: Settlement) -> None:
    for delay in (0.0, -1.0):
        (write,) = settlement.ending(DELIVERY, Retried(ERROR, delay, 1)).writes
        assert write.arguments[0] == 0


def test_what_expired_unheard_is_kept_with_its_reason_and_the_runs_it_has_had(settlement: Settlement) -> None:
    delivery = Delivery(b"7-0", b"{}", 1, 0, {b"attempt": b"2"})
    (write,) = settlement.ending(delivery, Expired(ActionExpired("late"))).writes
    letter = fields_of(write.arguments)
    assert write.key == KEYS.get_dead_letter_stream("demo")
    assert (letter[b"reason"], letter[b"error"]) == (b"EXPIRED", b"ActionExpired: late")
    assert (letter[b"attempts"], letter[b"worker"]) == (b"2", b"me")


# ── what goes into one call ──


def finished(settlement: Settlement, count: int, outcome: Outcome) -> list[Delivery]:
    """So many that have ended with *outcome*, and wait to be written."""
    made = [Delivery(b"%d-0" % number, b"{}", 1, number) for number in range(count)]
    settlement._flight.finished = [(Run(one), outcome) for one in made]
    return made


@pytest.mark.parametrize(
    ("outcome", "each_call"),
    [
        (Completed(), 256),
        (Completed(Reply("queue", b"x" * 1_000)), 256),
        (Completed(Reply("queue", b"x" * 400_000)), 2),
        (Completed(None, (Post("elsewhere", b"x" * 400_000),)), 2),
        (Completed(Reply("queue", b"x" * 3_000_000)), 1),
    ],
)
def test_a_call_is_bounded_in_number_and_size_and_keeps_the_order(
    settlement: Settlement, outcome: Completed, each_call: int
) -> None:
    made = finished(settlement, 600, outcome)
    first = settlement._next_batch()
    assert [ending.delivery for ending in first] == made[:each_call]
    assert [run.delivery for run, _ in settlement._flight.committing] == made[:each_call]
    assert [run.delivery for run, _ in settlement._flight.finished] == made[each_call:]


# ── one call for many: what the server does not take is cut down to whom it concerns ──

FIVE = [Delivery(b"%d-0" % number, b"{}", 1, number) for number in range(5)]
Serve = Callable[[list[Ending]], Committed]


@pytest.fixture
def endings(settlement: Settlement) -> list[Ending]:
    return [settlement.ending(one, Completed()) for one in FIVE]


@pytest.fixture
def serve(settlement: Settlement, monkeypatch: pytest.MonkeyPatch) -> Callable[[Serve], list[int]]:
    """Puts a function in the place of the server; gives the sizes of the calls that it gets."""

    def put(what: Serve) -> list[int]:
        calls: list[int] = []

        async def commit(endings: list[Ending], held: int) -> Committed:
            calls.append(len(endings))
            return what(endings)

        monkeypatch.setattr(settlement._stream, "commit", commit)
        return calls

    return put


async def test_the_one_that_is_to_blame_is_held_back_and_all_others_are_written(
    settlement: Settlement,
    endings: list[Ending],
    serve: Callable[[Serve], list[int]],
) -> None:
    def picky(part: list[Ending]) -> Committed:
        if any(one.delivery.entry_id == b"2-0" for one in part):
            raise ServerFault("it cannot be written")
        return Committed(count=len(part))

    calls = serve(picky)
    committed = await settlement._commit(endings)
    assert committed.count == 4
    assert [(one.entry_id, why) for one, why in committed.held] == [(b"2-0", "it cannot be written")]
    assert calls == [5, 1, 1, 1, 1, 1]


async def test_what_a_call_without_a_reply_has_written_is_not_told_as_taken_away(
    settlement: Settlement,
    endings: list[Ending],
    serve: Callable[[Serve], list[int]],
) -> None:
    replies = iter([ReplyLost("the link broke"), None, None])

    def forgetful(part: list[Ending]) -> Committed:
        if (lost := next(replies)) is not None:
            raise lost
        return Committed(refused=[(part[0].delivery, b"gone"), (part[1].delivery, b"taken")])

    serve(forgetful)
    with pytest.raises(ReplyLost):
        await settlement._commit(endings)
    again = await settlement._commit(endings)
    assert [(one.entry_id, why) for one, why in again.refused] == [(b"1-0", b"taken")]
    later = await settlement._commit(endings)
    assert [why for _, why in later.refused] == [b"gone", b"taken"]


async def test_a_link_that_breaks_while_one_by_one_is_tried_forgets_nothing_either(
    settlement: Settlement,
    endings: list[Ending],
    serve: Callable[[Serve], list[int]],
) -> None:
    replies = iter([ServerFault("not that one"), Committed(count=1), ReplyLost("the link broke")])

    def breaking(part: list[Ending]) -> Committed:
        reply = next(replies, None)
        if isinstance(reply, Exception):
            raise reply
        return reply or Committed(refused=[(part[0].delivery, b"gone")], count=len(part) - 1)

    serve(breaking)
    with pytest.raises(ReplyLost):
        await settlement._commit(endings)
    again = await settlement._commit(endings)
    assert (again.refused, again.count) == ([], 4)
