"""What travels beside the data of an entry: read from anybody, believed only where it can be a fact, and handed on."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nooble.wire.delivery import Delivery, deliveries_of, delivery_of, read_fields

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


# ── the quick way ──

FIELDS = st.lists(
    st.sampled_from([b"data", b"v", b"1", b"{}", b"first_id", b"5-1", b"attempt", b"once", b"a:b"]), max_size=6
)


SENT = st.sampled_from([[b"data", b"{}"], [b"data", b"{}", b"v", b"1"]])


@given(st.lists(st.none() | SENT | FIELDS, max_size=5), st.integers(0, 1_000))
@example([[b"data", b"{}", b"v", b"1"], [b"data", b"{}"], [b"v", b"1", b"data", b"{}"], None], 7)
def test_what_is_read_quickly_is_read_as_everything_else_is(entries: list[list[bytes] | None], order: int) -> None:
    """The entries that most are have a way of their own; it leads to the same."""
    ids = [b"%d-0" % number for number in range(len(entries))]
    quick = deliveries_of(list(map(list, zip(ids, entries, strict=True))), order)
    for number, (made, entry_id, fields) in enumerate(zip(quick, ids, entries, strict=True)):
        plain = delivery_of(entry_id, fields, 1, order + number)
        assert [made.entry_id, made.data, made.token, made.order, made.facts] == [
            *(entry_id, plain.data, 1, order + number, plain.facts)
        ]


def test_what_was_just_sent_is_known_to_be_fresh_and_nothing_else_is() -> None:
    sent = [[b"data", b"{}"], [b"data", b"{}", b"v", b"1"]]
    others = [[b"data", b"{}", b"v", b"2"], [b"data", b"{}", b"attempt", b"1"], [b"v", b"1", b"data", b"{}"], [], None]
    made = deliveries_of([[b"7-3", fields] for fields in sent + others], 0)
    assert [one.is_fresh for one in made] == [True] * 2 + [False] * 5
    assert [one.facts for one in made[:2]] == [None, {b"v": b"1"}]


def test_one_that_was_taken_over_says_how_often_it_was_delivered() -> None:
    one = delivery_of(b"7-3", [b"data", b"{}", b"deliveries", b"2"], 4)
    assert (one.entry_id, one.data, one.token, one.order, one.deliveries) == (b"7-3", b"{}", 4, -1, 6)


@pytest.mark.parametrize(("length", "is_one"), [(41, True), (42, False)])
def test_an_id_is_no_longer_than_a_server_makes_them(length: int, is_one: bool) -> None:
    assert (delivery(b"first_id", b"5-" + b"1" * (length - 2)).facts is not None) == is_one


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(b"orders.order.create:k-1", True), (b"x" * 400, True), (b"x" * 401, False), (b"a b", False), (b"", False)],
)
def test_the_name_of_a_record_is_one_or_is_left_out(value: bytes, is_one: bool) -> None:
    one = delivery(b"once", value)
    assert one.once == (value.decode() if is_one else None)
    assert (b"once" in one.onward()) == is_one


def test_an_entry_that_had_no_data_goes_on_with_none() -> None:
    assert Delivery(b"7-3", None).onward() == [b"data", b"", b"first_id", b"7-3"]
