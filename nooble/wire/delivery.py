"""One entry of a stream in the hands of one consumer, and the transport facts that travel beside its `data`.

Facts are entry fields of their own, so that a reader who knows only `data` is undisturbed."""

from __future__ import annotations

import re
from typing import Any

import msgspec

WIRE_VERSION = b"1"
DATA, VERSION, FIRST_ID, ATTEMPT, DELIVERIES = b"data", b"v", b"first_id", b"attempt", b"deliveries"
ONCE = b"once"
_KNOWN = frozenset({VERSION, FIRST_ID, ATTEMPT, DELIVERIES, ONCE})
_ONCE = re.compile(rb"[A-Za-z0-9_.:@-]{1,400}")
_SENT, _SENT_FIELDS = {VERSION: WIRE_VERSION}, [VERSION, WIRE_VERSION]
_MOST = 1_000_000


class Delivery(msgspec.Struct, eq=False, gc=False):
    """An entry that this consumer has been given.

    Attributes:
        entry_id: id of the entry.
        data: the encoded action; `None` if the entry has no field `data`.
        token: how often the pending list says it was delivered. Together with the consumer's name it is the fence:
            whoever takes the entry over changes it.
        order: place in the order of reading; entries taken over from others have -1.
        facts: transport facts, if it came with any.
        is_fresh: whether it is known that this is its first delivery, in the entry as which it was sent.
    """

    entry_id: bytes
    data: bytes | None
    token: int = 1
    order: int = -1
    facts: dict[bytes, bytes] | None = None
    is_fresh: bool = False

    @property
    def first_id(self) -> bytes:
        """Id of the entry as which the action was first written; begins with the server's time in milliseconds."""
        return self.facts.get(FIRST_ID, self.entry_id) if self.facts else self.entry_id

    @property
    def attempts(self) -> int:
        """Runs that ended with an error, before this one."""
        return _number(self.facts, ATTEMPT)

    @property
    def deliveries(self) -> int:
        """Deliveries that had no end, this one included."""
        return self.token + _number(self.facts, DELIVERIES)

    @property
    def once(self) -> str | None:
        """Context of the record that was made when it was sent with an idempotency key; `None` without one."""
        context = self.facts.get(ONCE) if self.facts else None
        return None if context is None else context.decode()

    def onward(self, *, attempts: int | None = None) -> list[bytes]:
        """The fields with which this entry is written again: same data, same first id, this delivery not counted.

        Args:
            attempts: runs that have ended with an error by now; unchanged by default.
        """
        fields = [DATA, self.data or b"", FIRST_ID, self.first_id]
        for name in (VERSION, ONCE):
            if self.facts and name in self.facts:
                fields += (name, self.facts[name])
        runs = self.attempts if attempts is None else attempts
        for name, count in ((ATTEMPT, runs), (DELIVERIES, self.deliveries - 1)):
            if count:
                fields += (name, str(count).encode())
        return fields


def deliveries_of(entries: list[Any], order: int) -> list[Delivery]:
    """The deliveries in a reply to XREADGROUP: `[id, [field, value, …]]` each, numbered from *order*."""
    made = []
    for entry_id, fields in entries:
        if fields is not None and len(fields) == 2 and fields[0] == DATA:
            made.append(Delivery(entry_id, fields[1], 1, order, None, True))
        elif fields is not None and len(fields) == 4 and fields[0] == DATA and fields[2:] == _SENT_FIELDS:
            made.append(Delivery(entry_id, fields[1], 1, order, _SENT, True))
        else:
            made.append(delivery_of(entry_id, fields, 1, order))
        order += 1
    return made


def delivery_of(entry_id: bytes, fields: list[bytes] | None, token: int, order: int = -1) -> Delivery:
    """The delivery of one entry, whatever its fields are."""
    data, facts = read_fields(fields)
    return Delivery(entry_id, data, token, order, facts)


def read_fields(fields: list[bytes] | None) -> tuple[bytes | None, dict[bytes, bytes] | None]:
    """Encoded action and facts in the fields of an entry. Anybody may write there: what is no fact is left out."""
    if not fields:
        return None, None
    pairs = dict(zip(fields[::2], fields[1::2], strict=False))
    facts = {name: pairs[name] for name in _KNOWN if name in pairs and _is_fact(name, pairs[name])}
    return pairs.get(DATA), facts or None


def _is_fact(name: bytes, value: bytes) -> bool:
    if name == FIRST_ID:
        first, _, second = value.partition(b"-")
        return first.isdigit() and second.isdigit() and len(value) <= 41
    if name == ONCE:
        return _ONCE.fullmatch(value) is not None
    return value.isdigit() and len(value) <= 7


def _number(facts: dict[bytes, bytes] | None, name: bytes) -> int:
    return min(int(facts.get(name, 0)), _MOST) if facts else 0
