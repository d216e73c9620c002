"""Effects are gathered in order, as commands; what could not be made at the end is refused at once."""

from __future__ import annotations

import enum
import inspect
import math
import uuid
from typing import Any

import pytest

from nooble.errors import ContextClosed
from nooble.models import ActionContext, DomainAction
from nooble.models.effects import OWN_KINDS, Effects
from nooble.wire.keys import QueueManager
from tests.support.keys import PERMANENT_KINDS

ACTION = DomainAction(action_type="demo.thing.do", data={})


@pytest.fixture
def effects() -> Effects:
    """Of a handler that is at work."""
    return ActionContext(ACTION, joins_commit=True).effects


def commands(effects: Effects) -> list[tuple[Any, ...]]:
    """The gathered commands, as text where they are text."""
    return [
        tuple(
            part.decode("utf-8", "backslashreplace") if isinstance(part, bytes) else part for part in effect.arguments
        )
        for effect in effects.gathered
    ]


def test_each_effect_is_a_command(effects: Effects) -> None:
    effects.set("a", "text", ttl=1.5)
    effects.set("b", 1.5)
    effects.hash_set("c", {"x": 1, "y": b"\x00"})
    effects.hash_delete("c", "z")
    effects.hash_increment("c", "n", -3)
    effects.increment("d")
    effects.add_to_set("e", "one", 2)
    effects.remove_from_set("e", "three")
    effects.add_to_sorted_set("f", {"member": 0.5})
    effects.remove_from_sorted_set("f", "other")
    effects.append("g", "last")
    effects.prepend("g", "first")
    effects.delete("h", "i")
    effects.expire("d", 60)
    assert commands(effects) == [
        ("SET", "a", "text", "PX", "1500"),
        ("SET", "b", "1.5"),
        ("HSET", "c", "x", "1", "y", "\x00"),
        ("HDEL", "c", "z"),
        ("HINCRBY", "c", "n", "-3"),
        ("INCRBY", "d", "1"),
        ("SADD", "e", "one", "2"),
        ("SREM", "e", "three"),
        ("ZADD", "f", "0.5", "member"),
        ("ZREM", "f", "other"),
        ("RPUSH", "g", "last"),
        ("LPUSH", "g", "first"),
        ("DEL", "h"),
        ("DEL", "i"),
        ("PEXPIRE", "d", "60000"),
    ]


def test_nothing_to_add_is_no_effect(effects: Effects) -> None:
    effects.add_to_set("a")
    effects.hash_set("b", {})
    effects.append("c")
    assert len(effects) == 0


def test_many_members_are_several_commands_of_one_effect_each(effects: Effects) -> None:
    effects.add_to_sorted_set("a", {str(number): number for number in range(1_001)})
    assert sum(len(command) - 2 for command in commands(effects)) == 2_002
    assert max(len(command) for command in commands(effects)) <= 502
    assert all(len(command) % 2 == 0 for command in commands(effects))


@pytest.mark.parametrize("kind", sorted(OWN_KINDS))
def test_keys_of_noobles_own_are_refused(effects: Effects, kind: str) -> None:
    with pytest.raises(ValueError, match="another name"):
        effects.delete(f"nooble4:production:orders:{kind}:main")
    assert len(effects) == 0


def test_every_kind_of_key_that_stays_is_among_those() -> None:
    assert set(PERMANENT_KINDS) <= OWN_KINDS


def test_every_kind_of_key_that_is_made_is_among_those() -> None:
    makers = [getattr(QueueManager(), name) for name in dir(QueueManager) if name.startswith("get_")]
    takes = [(make, inspect.signature(make).parameters.values()) for make in makers if make.__name__ != "get_visited"]
    names = [make(*["demo" for one in parameters if one.default is one.empty]) for make, parameters in takes]
    parts = [name.split(":", 4) for name in names if name.startswith("nooble4:")]
    assert {one[3] for one in parts if len(one) == 5} == OWN_KINDS


@pytest.mark.parametrize(
    "ask",
    [
        lambda effects: effects.set("", "x"),
        lambda effects: effects.set(b"key", "x"),
        lambda effects: effects.set("a", None),
        lambda effects: effects.set("a", True),
        lambda effects: effects.set("a", {"not": "encoded"}),
        lambda effects: effects.set("a", "x", ttl=0),
        lambda effects: effects.expire("a", -1),
        lambda effects: effects.expire("a", math.inf),
        lambda effects: effects.increment("a", 1.5),
        lambda effects: effects.increment("a", True),
        lambda effects: effects.hash_increment("a", "f", 2**60),
        lambda effects: effects.add_to_sorted_set("a", {"x": math.nan}),
        lambda effects: effects.append("a", object()),
        lambda effects: effects.append("a", "\ud800"),
        lambda effects: effects.set("\ud800", 1),
        lambda effects: effects.hash_set("a", {uuid.uuid4(): 1}),
        lambda effects: effects.add_to_sorted_set("a", {uuid.uuid4(): 1.0}),
    ],
)
def test_what_cannot_be_written_is_refused_where_it_is_asked_for(effects: Effects, ask: Any) -> None:
    with pytest.raises(ValueError):  # each has its own words
        ask(effects)
    assert len(effects) == 0


def test_what_only_looks_like_a_number_is_written_as_the_number_it_is(effects: Effects) -> None:
    class Loud(float):
        def __repr__(self) -> str:
            return "Loud(1.5)"

    class Grade(enum.IntEnum):
        GOOD = 2

    effects.add_to_sorted_set("a", {"x": Loud(1.5)})
    effects.increment("b", Grade.GOOD)
    effects.set("c", Grade.GOOD)
    assert commands(effects) == [("ZADD", "a", "1.5", "x"), ("INCRBY", "b", "2"), ("SET", "c", "2")]


def test_what_was_set_is_not_incremented_in_the_same_action(effects: Effects) -> None:
    effects.set("a", "text")
    effects.hash_set("b", {"f": "text", "g": 1})
    with pytest.raises(ValueError, match="sum"):
        effects.increment("a")
    with pytest.raises(ValueError, match="sum"):
        effects.hash_increment("b", "f")
    effects.delete("a")
    effects.increment("a")
    effects.hash_increment("b", "h")


def test_after_the_handler_has_ended_there_is_no_commit_to_join() -> None:
    context = ActionContext(ACTION, joins_commit=True)
    effects = context.effects
    context.close()
    with pytest.raises(ContextClosed, match="ended"):
        effects.increment("a")
    with pytest.raises(ContextClosed, match="ended"):
        _ = ActionContext(ACTION, joins_commit=True), context.effects.set("a", 1)


def test_without_a_worker_there_is_no_commit_to_join() -> None:
    with pytest.raises(ContextClosed, match="worker"):
        _ = ActionContext(ACTION).effects


def test_a_part_of_an_action_shares_its_effects() -> None:
    context = ActionContext(ACTION, joins_commit=True)
    part = context.nested(DomainAction(action_type="demo.other.do", data={}))
    part.effects.increment("a")
    context.effects.increment("b")
    assert [effect.key for effect in context.effects.gathered] == ["a", "b"]


async def test_what_is_for_clients_is_refused_where_it_would_do_nothing() -> None:
    """What a context sends joins the commit: an idempotency key would be carried along and read by nobody."""
    context = ActionContext(ACTION, joins_commit=True)
    for option in ({"idempotency_key": "7"}, {"durability": "fsync"}, {"room_timeout": 1.0}):
        with pytest.raises(TypeError, match="joins the commit"):
            await context.send("a.b", **option)


async def test_a_call_hands_them_on() -> None:
    heard: dict[str, Any] = {}

    class Reach:
        async def call(self, action: DomainAction, **options: Any) -> None:
            heard.update(options, fields=set(action.model_extra or {}))

    context = ActionContext(ACTION, Reach(), joins_commit=True)  # type: ignore[arg-type]
    await context.call("a.b", idempotency_key="7", durability="fsync", room_timeout=1.0, timeout=2.0)
    assert heard == {
        "idempotency_key": "7",
        "durability": "fsync",
        "room_timeout": 1.0,
        "timeout": 2.0,
        "service": None,
        "fields": set(),
    }


async def test_a_part_of_an_action_ends_with_the_whole() -> None:
    """A part that was left behind in a task could not join the commit any more."""
    context = ActionContext(ACTION, joins_commit=True)
    part = context.nested(DomainAction(action_type="demo.other.do", data={}))
    context.close()
    assert part.is_open
    with pytest.raises(ContextClosed, match="ended"):
        await part.send("a.b")
    with pytest.raises(ContextClosed, match="ended"):
        part.effects.increment("a")
