"""From outcome to writes: the table, row by row. Nothing is written here."""

from __future__ import annotations

from typing import Any

import pytest
import redis.asyncio

from nooble.errors import ActionExpired, MalformedAction
from nooble.events import Events, Teller
from nooble.models.outcomes import Answered, Buried, Completed, Expired, Outcome, Post, Released, Reply, Retried
from nooble.wire.connection import Endpoint
from nooble.wire.delivery import Delivery, read_fields
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import OWN, POST, RETRY, ActionStream
from nooble.workers.clock import ServerClock
from nooble.workers.execution import Execution
from nooble.workers.in_flight import InFlight
from nooble.workers.judgement import NO_TERMS
from nooble.workers.outage import Patience
from nooble.workers.reports import Reports
from nooble.workers.settlement import Settlement
from tests.support.settings import NOBODY

KEYS = QueueManager("nooble4", "test")
REPLY = Reply("queue", b"answer")
ERROR = OSError("no")
DELIVERY = Delivery(b"7-0", b'{"action_type": "demo.thing.do"}', 2, 0, {b"first_id": b"5-0", b"v": b"1"})


def an_execution() -> Execution:
    """One that runs nothing."""
    return Execution(
        service_name="demo",
        keys=KEYS,
        handle=lambda action: pytest.fail("nothing is run here"),
        terms_of=lambda action_type: NO_TERMS,
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
