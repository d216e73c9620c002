"""Ids are random version 4 UUIDs, drawn in lots, and no two processes draw the same."""

from __future__ import annotations

import multiprocessing
import pickle
import uuid

from nooble.models.ids import new_id


def test_an_id_is_a_random_uuid_like_any_other() -> None:
    one = new_id()
    assert type(one) is uuid.UUID
    assert (one.version, one.variant) == (4, uuid.RFC_4122)
    assert uuid.UUID(str(one)) == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(uuid.UUID(int=one.int))


def test_ids_do_not_repeat_across_lots() -> None:
    assert len({new_id() for _ in range(2_000)}) == 2_000


def test_every_random_bit_is_used() -> None:
    ones, zeros = 0, 0
    for _ in range(1_000):
        number = new_id().int
        ones, zeros = ones | number, zeros | ~number
    fixed = uuid.UUID(int=((1 << 128) - 1) & ~(ones & zeros))
    assert str(fixed) == "00000000-0000-f000-c000-000000000000"


def test_a_forked_process_draws_ids_of_its_own() -> None:
    new_id()
    fork = multiprocessing.get_context("fork")
    with fork.Pool(1) as pool:
        theirs = set(pool.apply(_draw))
    assert not theirs & set(_draw())


def _draw() -> list[uuid.UUID]:
    return [new_id() for _ in range(300)]
