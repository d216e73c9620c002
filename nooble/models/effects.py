"""What a handler writes inside Redis: gathered here, made by the commit of its action together with the acknowledgement, or
not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from nooble.models.outcomes import Effect

Value: TypeAlias = str | bytes | int | float

OWN_KINDS = frozenset(
    {"streams", "retries", "dead_letters", "responses", "callbacks", "once", "limits"}
    | {"workers", "wishes", "routes", "audit"}
)
"""Fourth part of the names of nooble's own keys, which no effect may touch."""

_CHUNK = 500
_LARGEST = 2**53


class Effects:
    """Writes that join the commit of an action.

    They are made in the order in which they were asked for, in the same step as the acknowledgement. If the handler fails,
    if its worker is killed, or if its lease is lost to another run, none of them is made. An effect that does not fit what
    its key holds at that moment fails the action with `EffectRefused`; then none of its effects is made either.

    Keys are the service's own: any name but those of nooble's keys. Values are text, bytes and numbers.

    Args:
        check: called before each effect is taken; raises if the handler has ended.
    """

    __slots__ = ("_check", "_touched", "gathered")

    def __init__(self, check: Callable[[], object]) -> None:
        self._check = check
        self._touched: dict[tuple[str, str | None], bool] = {}
        self.gathered: list[Effect] = []

    def set(self, key: str, value: Value, *, ttl: float | None = None) -> None:
        """Set *key* to *value*, whatever it held; with *ttl*, for so many seconds.

        Raises (as every method here):
            ContextClosed: the handler has ended, or there is no commit to join.
            ValueError: the key is one of nooble's own, or the value cannot be written.
        """
        lifetime: list[Value] = [] if ttl is None else ["PX", _milliseconds(ttl)]
        self._note(key, None, is_set=True)
        self._take("SET", key, [value, *lifetime])

    def hash_set(self, key: str, mapping: Mapping[str, Value]) -> None:
        """Set fields of the hash *key*."""
        pairs: list[Value] = []
        for field, value in mapping.items():
            self._note(key, field, is_set=True)
            pairs += (field, value)
        self._take("HSET", key, pairs)

    def hash_delete(self, key: str, *fields: str) -> None:
        """Delete fields of the hash *key*."""
        self._take("HDEL", key, list(fields))

    def increment(self, key: str, amount: int = 1) -> None:
        """Add *amount*, which may be negative, to the whole number that *key* holds; a missing one counts as 0."""
        self._note(key, None, is_set=False)
        self._take("INCRBY", key, [_whole(amount)])

    def hash_increment(self, key: str, field: str, amount: int = 1) -> None:
        """Add *amount* to the whole number in a field of the hash *key*."""
        self._note(key, field, is_set=False)
        self._take("HINCRBY", key, [field, _whole(amount)])

    def add_to_set(self, key: str, *members: Value) -> None:
        """Add members to the set *key*."""
        self._take("SADD", key, [*members])

    def remove_from_set(self, key: str, *members: Value) -> None:
        """Remove members from the set *key*."""
        self._take("SREM", key, [*members])

    def add_to_sorted_set(self, key: str, scores: Mapping[str, float]) -> None:
        """Add members with their scores to the sorted set *key*, or give them new ones."""
        pairs: list[Value] = []
        for member, score in scores.items():
            if not math.isfinite(score):
                raise ValueError(f"effect on {key!r}: the score of {member!r} is {score!r}; give it a finite number")
            pairs += (float(score), member)
        self._take("ZADD", key, pairs)

    def remove_from_sorted_set(self, key: str, *members: Value) -> None:
        """Remove members from the sorted set *key*."""
        self._take("ZREM", key, [*members])

    def append(self, key: str, *values: Value) -> None:
        """Add values at the end of the list *key*."""
        self._take("RPUSH", key, [*values])

    def prepend(self, key: str, *values: Value) -> None:
        """Add values at the beginning of the list *key*; the last one given comes to stand first."""
        self._take("LPUSH", key, [*values])

    def delete(self, *keys: str) -> None:
        """Delete *keys*, whatever they hold."""
        for key in keys:
            self._take("DEL", key, [])
            self._touched = {place: is_set for place, is_set in self._touched.items() if place[0] != key}

    def expire(self, key: str, seconds: float) -> None:
        """Give *key* a lifetime, as it is after the effects before this one."""
        self._take("PEXPIRE", key, [_milliseconds(seconds)])

    def _take(self, command: str, key: str, values: list[Value]) -> None:
        self._check()
        arguments = [_written(value) for value in values]
        _refuse_own(key)
        if not arguments and command != "DEL":
            return  # nothing to add, nothing to remove
        for at in range(0, max(1, len(arguments)), _CHUNK):
            self.gathered.append(Effect(key, (command, key, *arguments[at : at + _CHUNK])))

    def _note(self, key: str, field: str | None, *, is_set: bool) -> None:
        """A number that this very action has set cannot be looked at before the commit: whether it can be added to is not
        known, and there is no way back in the middle of a commit."""
        was_set = self._touched.get((key, field), False)
        if was_set and not is_set:
            where = key if field is None else f"{key}[{field}]"
            raise ValueError(f"effects set and then increment {where!r} in one action; set it to the sum at once")
        self._touched[key, field] = is_set

    def __len__(self) -> int:
        return len(self.gathered)

    def __repr__(self) -> str:
        return f"<Effects {[effect.arguments[:2] for effect in self.gathered]}>"


def _refuse_own(key: str) -> None:
    if not isinstance(key, str) or not key:
        raise ValueError(f"the key of an effect is text, not {key!r}")
    key.encode()
    parts = key.split(":", 4)
    if len(parts) == 5 and parts[3] in OWN_KINDS:
        raise ValueError(
            f"{key!r} is named like a key of nooble's own, which no effect may touch; give it another name"
        )


def _written(value: Value) -> str | bytes:
    """*value* as it is written. Whatever it is a subclass of, and however it shows itself: a commit cannot refuse it."""
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    if isinstance(value, str):
        return str.encode(value)  # raises a ValueError for what is no Unicode
    if isinstance(value, bytes):
        return bytes(value)
    raise ValueError(f"{value!r} cannot be written by an effect: text, bytes and numbers can; encode it first")


def _whole(amount: int) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int) or abs(amount) > _LARGEST:
        raise ValueError(f"an effect increments by a whole number up to 2**53, not by {amount!r}")
    return amount


def _milliseconds(seconds: float) -> int:
    if not 0.001 <= seconds <= 10**10:
        raise ValueError(f"the lifetime of a key is from 0.001 to 10**10 seconds, not {seconds!r}")
    return round(seconds * 1000)
