"""What travels beside the data of an entry: read from anybody, believed only where it can be a fact, and handed on."""

from __future__ import annotations

import pytest

from nooble.wire.delivery import Delivery, deliveries_of, read_fields

HUGE = b"9" * 5_000


def delivery(*fields: bytes, token: int = 1) -> Delivery:
    data, facts = read_fields([b"data", b"{}", *fields])
    return Delivery(b"7-3", data, token, 0, facts)


def test_an_entry_with_data_alone_is_in_its_first_run() -> None:
    (one,) = deliveries_of([[b"7-3", [b"data", b"{}"]]], 4)
    assert (one.entry_id, one.data, one.token, one.order, one.facts) == (b"7-3", b"{}", 1, 4, None)
    assert (one.first_id, one.attempts, one.deliveries) == (b"7-3", 0, 1)


def test_facts_are_read_in_any_order() -> None:
    for order in (1, -1):
        fields = [[b"attempt", b"2"], [b"first_id", b"5-1"], [b"deliveries", b"3"], [b"v", b"1"]][::order]
        one = delivery(*(part for pair in fields for part in pair), token=2)
        assert (one.first_id, one.attempts, one.deliveries) == (b"5-1", 2, 5)


def test_entries_are_numbered_in_the_order_of_reading() -> None:
    entries = [
        [b"%d-0" % number, [b"data", b"x"] if number % 2 else [b"v", b"1", b"data", b"x"]] for number in range(6)
    ]
    assert [one.order for one in deliveries_of(entries, 10)] == [10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    "fields",
    [
        [b"attempt", b"-1"],
        [b"attempt", b"1e3"],
        [b"attempt", b""],
        [b"attempt", b"99999999"],
        [b"attempt", HUGE],
        [b"attempt", "²".encode()],
        [b"attempt", b"\xff"],
        [b"attempt", b" 1"],
        [b"deliveries", b"NaN"],
        [b"deliveries", HUGE],
        [b"first_id", b"x"],
        [b"first_id", b""],
        [b"first_id", b"5"],
        [b"first_id", b"5-"],
        [b"first_id", b"-5"],
        [b"first_id", b"5-1-2"],
        [b"first_id", b"5-1\n"],
        [b"first_id", HUGE + b"-1"],
        [b"first_id", b"5-" + HUGE],
        [b"v", HUGE],
        [b"v", b"one"],
        [b"unknown", b"x"],
        [b"odd one out"],
        [],
    ],
)
def test_what_cannot_be_a_fact_is_no_fact(fields: list[bytes]) -> None:
    one = delivery(*fields)
    assert one.facts is None
    assert (one.data, one.first_id, one.attempts, one.deliveries) == (b"{}", b"7-3", 0, 1)


def test_the_largest_counts_stay_counts() -> None:
    one = delivery(b"attempt", b"9999999", b"deliveries", b"9999999")
    assert one.attempts == 1_000_000
    assert one.deliveries == 1_000_001


@pytest.mark.parametrize("fields", [None, [], [b"x", b"y"], [b"v", b"1"], [b"data"]])
def test_an_entry_without_data_has_none(fields: list[bytes] | None) -> None:
    (one,) = deliveries_of([[b"7-3", fields]], 0)
    assert one.data is None


def test_of_a_field_that_comes_twice_the_last_counts() -> None:
    (one,) = deliveries_of([[b"7-3", [b"data", b"1", b"data", b"2", b"attempt", b"1", b"attempt", b"x"]]], 0)
    assert (one.data, one.attempts) == (b"2", 0)


# ── written again ──


def test_an_entry_goes_on_as_it_came_without_counting_this_delivery() -> None:
    assert delivery().onward() == [b"data", b"{}", b"first_id", b"7-3"]
    one = delivery(b"attempt", b"2", b"first_id", b"5-1", b"deliveries", b"3", b"v", b"1", token=2)
    again = Delivery(b"9-0", *_read(one.onward()))
    assert (again.data, again.first_id, again.attempts, again.deliveries) == (b"{}", b"5-1", 2, 5)
    assert again.facts is not None
    assert again.facts[b"v"] == b"1"


def test_a_failed_run_is_counted_when_it_is_said() -> None:
    assert Delivery(b"9-0", *_read(delivery().onward(attempts=3))).attempts == 3
    assert Delivery(b"9-0", *_read(delivery(b"attempt", b"2").onward(attempts=0))).attempts == 0


def test_going_round_and_round_changes_nothing() -> None:
    one = delivery(b"attempt", b"2", b"v", b"1", token=3)
    again = one
    for number in range(10):
        data, facts = read_fields(again.onward())
        again = Delivery(b"%d-0" % number, data, 1, 0, facts)
    assert again.onward() == one.onward()


def _read(fields: list[bytes]) -> tuple[bytes | None, int, int, dict[bytes, bytes] | None]:
    data, facts = read_fields(fields)
    return data, 1, 0, facts
