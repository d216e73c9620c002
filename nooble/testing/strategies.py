"""Hypothesis strategies for what travels to a service: sound payloads, payloads with one thing wrong, actions, envelopes
that are nearly right, entries that are nothing.

Payloads are made as JSON brings them, from the schema of the declared type, and every one of them has gone through the
reader that production uses: what `payloads` gives, a route accepts; what `invalid_payloads` gives, it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, Phase, currently_in_test_context, find, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample, Unsatisfiable

from nooble.models import DomainAction
from nooble.routing import ActionHost, Route
from nooble.routing.origin import did_you_mean, plain_name
from nooble.routing.readers import Reader, Unreadable, reader_of
from nooble.routing.route import name_of
from nooble.routing.shapes import OPEN_MAPPINGS
from nooble.testing import _hostility
from nooble.testing._breaking import Breakage, breakages, written
from nooble.testing._leaves import LETTERS, anything
from nooble.testing._making import Maker, Site
from nooble.testing._schemas import Root, Unmakeable

__all__ = [
    "Invalid",
    "NothingInvalid",
    "Unmakeable",
    "actions",
    "envelopes",
    "hostile_entries",
    "invalid_payloads",
    "payloads",
    "payloads_of",
    "register",
    "unregister",
]

Value = TypeVar("Value")

_PATIENCE = 30
"""How many examples are tried, if none fits, until a model counts as one that cannot be made."""
_TRIES = 20
"""How many payloads are tried for one example."""

_CHOICES = st.integers(0, 2**16)
_ALL_FIT = "no payload is wrong for {model}: it accepts every mapping"

_registered: dict[Any, st.SearchStrategy[Any]] = {}


class NothingInvalid(Unmakeable):
    """There is no mapping that a type refuses."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A payload that is sound but for one thing.

    Attributes:
        payload: the data.
        broken: the constraint that they break: `missing`, `extra`, `null`, `wrong_type`, `too_short`, `too_long`,
            `pattern`, `format`, `out_of_minimum`, `out_of_maximum`, `not_a_multiple`, `nan`, `not_a_member`, `too_few`,
            `too_many`.
        path: where, as errors write it: `$.data.lines[0].quantity`.
    """

    payload: dict[str, Any]
    broken: str
    path: str


def register(declared: type[Value] | Any, strategy: st.SearchStrategy[Any]) -> None:
    """Make values of a type by a strategy of your own, wherever the type stands: as a payload, in a field, in a list.

    Args:
        declared: a class, or a type under a name of its own (`NewType`, `Annotated[...]`).
        strategy: gives values of it, or what JSON would bring for them.

    Raises:
        TypeError: *strategy* is none.
    """
    if not isinstance(strategy, st.SearchStrategy):
        raise TypeError(f"register({name_of(declared)}, {strategy!r}): give it a strategy, such as st.builds(...)")
    _registered[declared] = strategy


def unregister(declared: Any) -> None:
    """Forget what was registered for a type; nothing happens if nothing was."""
    _registered.pop(declared, None)


# ── payloads ──
def payloads(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Data that the reader of *model* accepts, as JSON brings them; edge values come often.

    Args:
        model: what a handler can declare: a pydantic model, a Struct, a dataclass, a TypedDict, a mapping, a union of such;
            `None` for a handler that takes none.

    Raises:
        Unmakeable: nothing can be made for it; says why, and how to register a strategy.
    """
    if model in (None, Any, object):
        return st.just({}) | st.dictionaries(st.text(LETTERS, max_size=8), anything(), max_size=3)
    return _Recipe(model).sound()


def invalid_payloads(model: Any) -> st.SearchStrategy[Invalid]:
    """Data that the reader of *model* refuses, because of one thing.

    Args:
        model: as of `payloads`.

    Raises:
        NothingInvalid: nothing can be wrong with it, as with `dict`.
        Unmakeable: as `payloads`.
    """
    if model in (None, Any, object, *OPEN_MAPPINGS):
        raise NothingInvalid(_ALL_FIT.format(model="a handler that takes none" if model is None else name_of(model)))
    return _Recipe(model).broken()


class _Recipe:
    """How payloads of one model are made."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.root = Root(model, _registered)
        self.maker = Maker(self.root)
        self.misfits = 0
        self.last: BaseException | None = None
        try:
            self.read: Reader = reader_of(model)
        except Unreadable as error:
            raise self.root.unmakeable(str(error)) from error

    def sound(self) -> st.SearchStrategy[dict[str, Any]]:
        made = st.composite(lambda draw: self._sound(draw, []))()
        if not _gives_something(made):
            last = " ".join(str(self.last).split())[:300]
            raise self.root.unmakeable(
                f"its validators refused all of {self.misfits} that fit its schema; the last: {last}"
            )
        return made

    def broken(self) -> st.SearchStrategy[Invalid]:
        made = st.composite(self._broken)()
        if not _gives_something(made):
            self.sound()
            raise NothingInvalid(_ALL_FIT.format(model=name_of(self.model)))
        return made

    def _sound(self, draw: st.DrawFn, sites: list[Site]) -> Any:
        for _ in range(_TRIES):
            sites.clear()
            made = self.maker.make(draw, sites)
            error = self._refusal(made)
            if error is None:
                return made
            self.misfits += 1
            self.last = error
        return reject()

    def _broken(self, draw: st.DrawFn) -> Invalid:
        which, where = draw(_CHOICES), draw(_CHOICES)  # first: what is drawn last is often the simplest there is
        sites: list[Site] = []
        payload = self._sound(draw, sites)
        ways = [way for way in breakages(payload, sites) if self._is_refused(way)]
        if not ways:
            return reject()
        kinds = sorted({way.broken for way in ways})
        ways = [way for way in ways if way.broken == kinds[which % len(kinds)]]
        way = ways[where % len(ways)]
        return Invalid(way.payload, way.broken, written(way.path))

    def _is_refused(self, way: Breakage) -> bool:
        """As it is, and as JSON would bring it: there is no NaN in it."""
        if self._refusal(way.payload) is None:
            return False
        return self._refusal(msgspec.json.decode(msgspec.json.encode(way.payload))) is not None

    def _refusal(self, data: Any) -> BaseException | None:
        try:
            self.read(data)
        except Exception as error:  # not only a misfit: validators are a user's, and may raise anything
            return error
        return None


def _gives_something(strategy: st.SearchStrategy[Any]) -> bool:
    """Whether *strategy* gives anything; tried before a test begins, which would only say that it was not satisfied."""
    if currently_in_test_context():
        return True  # there hypothesis runs already
    look = settings(
        max_examples=_PATIENCE,
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        find(strategy, lambda _: True, settings=look, random=Random(0))
    except (NoSuchExample, Unsatisfiable):
        return False
    return True


# ── actions ──
def actions(service: type[ActionHost] | ActionHost, *action_types: str) -> st.SearchStrategy[DomainAction]:
    """Actions of a service, with payloads that it accepts and the ids of a business.

    Args:
        service: its class, or an instance.
        action_types: only these; all that it declares if none is given.

    Raises:
        ValueError: it declares no such action, or none at all.
        Unmakeable: as `payloads`.
    """
    routes = chosen(service, action_types)
    return st.one_of([_actions_of(route) for route in routes])


def chosen(service: type[ActionHost] | ActionHost, action_types: Iterable[str]) -> list[Route]:
    """The routes of a service that are meant: those of *action_types*, or all but the catch-all.

    Raises:
        ValueError: there is no such route, or none at all.
    """
    known = {route.action_type: route for route in service.routes if not route.is_catch_all}
    name = plain_name(service if isinstance(service, type) else type(service))
    for one in action_types:
        if one not in known:
            has = f"it has {', '.join(known) or 'none'}"
            raise ValueError(f"{name} has no action {one!r}; {did_you_mean(one, list(known), has)}")
    if not known:
        raise ValueError(f"{name} declares no action; @action on a method declares one")
    wanted = list(dict.fromkeys(action_types))
    return [known[one] for one in wanted] if wanted else list(known.values())


_IDS = st.none() | st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


def payloads_of(route: Route) -> st.SearchStrategy[dict[str, Any]]:
    """Payloads that *route* accepts.

    Raises:
        Unmakeable: as `payloads`; the message names the action.
    """
    try:
        return payloads(route.model)
    except Unmakeable as error:
        raise Unmakeable(f"{route.action_type}: {error}") from error


def _actions_of(route: Route) -> st.SearchStrategy[DomainAction]:
    fields = dict.fromkeys(("tenant_id", "session_id", "task_id", "user_id", "agent_id"), _IDS)
    return st.builds(
        DomainAction,
        action_id=st.uuids(version=4),
        action_type=st.just(route.action_type),
        trace_id=st.none() | st.uuids(version=4),
        data=payloads_of(route),
        **fields,
    )


# ── what strangers write ──
def envelopes(
    action_types: Sequence[str] = ("demo.thing.do",), data: st.SearchStrategy[Any] | None = None
) -> st.SearchStrategy[bytes]:
    """Encoded actions that are nearly right: members replaced, left out, doubled or unknown; bytes changed, lost, or added;
    strange metadata; in both codecs.

    Args:
        action_types: what they ask for.
        data: payloads; empty ones if not given.
    """
    return _hostility.envelopes(tuple(action_types), st.just({}) if data is None else data)


def hostile_entries(
    action_types: Sequence[str] = ("demo.thing.do",), data: st.SearchStrategy[Any] | None = None
) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    """Fields of an entry as a stranger may write them into the stream, doubled ones included.

    Args:
        action_types: as of `envelopes`.
        data: as of `envelopes`.
    """
    return _hostility.entries(tuple(action_types), st.just({}) if data is None else data)
