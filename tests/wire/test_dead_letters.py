"""A dead letter says what happened, keeps the bytes as they came, and never fails for what it has to keep."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from nooble.errors import MalformedAction, Reject, RetryLater
from nooble.wire.dead_letters import dead_letter
from nooble.wire.delivery import Delivery

DELIVERY = Delivery(b"7-3", b"\xff{}\x00", 2, 0, {b"first_id": b"5-1", b"deliveries": b"1"})


def letter(error: BaseException, delivery: Delivery = DELIVERY, limit: int = 1_000) -> dict[str, Any]:
    fields = dead_letter(delivery, error, worker="me", attempts=3, max_payload_bytes=limit)
    return {
        name.decode() if isinstance(name, bytes) else name: value
        for name, value in zip(fields[::2], fields[1::2], strict=True)
    }


def failure(error: BaseException) -> BaseException:
    """*error* as one that was raised somewhere."""
    try:
        raise error
    except BaseException as raised:
        return raised


def test_it_says_what_happened_to_whom_and_how_often() -> None:
    kept = letter(failure(ValueError("no such customer")))
    assert (kept["reason"], kept["error"]) == ("HANDLER_ERROR", "ValueError: no such customer")
    assert (kept["attempts"], kept["deliveries"], kept["worker"]) == ("3", "3", "me")
    assert (kept["first_id"], kept["entry_id"]) == (b"5-1", b"7-3")
    assert "raise error\nValueError: no such customer" in kept["traceback"]


def test_the_bytes_are_kept_as_they_came() -> None:
    assert letter(ValueError())["data"] == b"\xff{}\x00"


def test_the_reason_is_the_code_of_the_error() -> None:
    assert letter(MalformedAction("x"))["reason"] == "MALFORMED_ACTION"
    assert letter(Reject("sold out", error_code="OUT_OF_STOCK"))["reason"] == "OUT_OF_STOCK"


def test_errors_that_say_all_in_their_message_have_no_traceback() -> None:
    assert letter(failure(Reject("sold out")))["traceback"] == ""
    assert letter(failure(RetryLater()))["traceback"] != ""


@pytest.mark.parametrize(("size", "whole"), [(999, True), (1_000, True), (1_001, False), (5_000_000, False)])
def test_what_is_too_large_is_kept_by_its_fingerprint(size: int, whole: bool) -> None:
    data = b"a" * size
    kept = letter(ValueError(), Delivery(b"1-1", data))
    assert ("data" in kept) == whole
    if not whole:
        assert (kept["data_size"], kept["data_head"]) == (str(size), b"a" * 1_024 if size > 1_024 else data)
        assert kept["data_sha256"] == hashlib.sha256(data).hexdigest()
    assert sum(len(value) for value in kept.values()) < 20_000


def test_an_entry_without_data_is_kept_without_data() -> None:
    assert not [name for name in letter(ValueError(), Delivery(b"1-1", None)) if name.startswith("data")]


async def test_whatever_the_error_says_can_be_written(redis: redis_asyncio.Redis) -> None:
    """Lone surrogates, megabytes, control characters: an error text comes from anywhere."""
    for text in ("\ud800", "x" * 10_000_000, "\x00\r\n", "ñ" * 5_000, ""):
        kept = letter(failure(ValueError(text)))
        await redis.xadd("nooble4:test:x:dead_letters:main", kept)
        assert len(kept["error"]) <= 4_000
        assert len(kept["traceback"]) <= 4_000
    assert "ValueError: ñññ" in letter(ValueError("ñ" * 5_000))["error"]


def test_of_a_long_traceback_the_end_is_kept() -> None:
    def even(level: int) -> None:
        odd(level - 1)

    def odd(level: int) -> None:
        if level < 0:
            raise ValueError("at the bottom")
        even(level - 1)

    try:
        even(200)
    except ValueError as error:
        kept = letter(error)
    assert len(kept["traceback"]) == 4_000
    assert kept["traceback"].endswith("ValueError: at the bottom\n")


def test_the_name_of_its_record_is_kept_with_all_the_rest() -> None:
    delivery = Delivery(b"7-3", b"{}", 1, 0, {b"once": b"orders.order.create:k-1"})
    kept = letter(ValueError("no"), delivery)
    assert kept["once"] == b"orders.order.create:k-1"
    assert (kept["reason"], kept["data"]) == ("HANDLER_ERROR", b"{}")


def test_of_a_long_message_the_beginning_is_kept_and_what_is_no_text_is_marked() -> None:
    kept = letter(ValueError("first " + "\ud800" + "x" * 10_000))
    assert kept["error"].startswith("ValueError: first ?xxx")
    assert len(kept["error"]) == 4_000
