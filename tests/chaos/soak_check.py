"""The judgement of a soak: the ledger and what the server still holds go in, findings come out. The ledger is read line by
line, and one byte is kept a fact and action."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class Left(msgspec.Struct):
    """What the server holds when all is said and done.

    Attributes:
        unfinished: entries, pending deliveries and retries that are left.
        dead: numbers of the actions in the dead letters, with how often each is there; -1 for one that has no number.
        immortal: keys without a lifetime that need one.
        balance: sum of all balances; `None` where nooble has no effects.
        transfers: what the counter of transfers says.
    """

    unfinished: int
    dead: Counter[int]
    immortal: list[str]
    balance: int | None
    transfers: int


class Findings(msgspec.Struct):
    """What a soak has shown. What `broken` returns must be empty; all else is there to be read."""

    actions: int = 0
    completed: int = 0
    runs: int = 0
    most_runs: int = 0
    unknown: int = 0
    unsent: int = 0
    calls: Counter[str] = msgspec.field(default_factory=Counter)
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    told: Counter[str] = msgspec.field(default_factory=Counter)
    odd: Counter[str] = msgspec.field(default_factory=Counter)
    marks: list[tuple[float, str]] = msgspec.field(default_factory=list)
    a_second: list[int] = msgspec.field(default_factory=list)
    longest_gap: float = 0.0
    longest_gap_at: float = 0.0
    buried: int = 0
    # what must be nothing
    lost: int = 0
    doubled: int = 0
    torn: int = 0
    ghosts: int = 0
    wrong: int = 0
    drifted: int = 0
    strays: int = 0
    unfinished: int = 0
    immortal: int = 0
    late: int = 0
    first: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def broken(self) -> dict[str, int]:
        """Which promises were broken, with how often."""
        names = ("lost", "doubled", "torn", "ghosts", "wrong", "drifted", "strays", "unfinished", "immortal")
        facts = {name: getattr(self, name) for name in names}
        told = {name: self.told[name] for name in ("DataLost", "Held", "Unwritten")}
        return {name: count for name, count in (facts | told | self.odd).items() if count}


class Column:
    """One small number for each action, 0 at first, 255 at most."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __getitem__(self, number: int) -> int:
        return self._bytes[number] if number < len(self._bytes) else 0

    def __setitem__(self, number: int, value: int) -> None:
        if number >= len(self._bytes):
            self._bytes.extend(bytes(max(1024, number + 1 - len(self._bytes))))
        self._bytes[number] = min(value, 255)

    def most(self) -> int:
        """The largest."""
        return max(self._bytes, default=0)


KNOWN = {"acked": 1, "unknown": 2, "unsent": 3}
ACKED, UNKNOWN, UNSENT = KNOWN.values()


def check(path: Path, left: Left, began_ms: int, ended_ms: int) -> Findings:
    """Join the ledger at *path* with what is *left* in the server.

    Args:
        path: where the ledger is.
        left: what the server holds.
        began_ms, ended_ms: when traffic began and ended, by the clock of the wall.
    """
    f = Findings()
    kinds: list[str] = []
    kind_of, known, out, back, starts = Column(), Column(), Column(), Column(), Column()
    last = began_ms
    for words in _lines(path):
        match words:
            case ["intent", number, kind]:
                if kind not in kinds:
                    kinds.append(kind)
                kind_of[int(number)] = kinds.index(kind) + 1
                f.actions += 1
            case [("acked" | "unknown" | "unsent") as word, number]:
                known[int(number)] = KNOWN[word]
            case ["start", number, kind, _]:
                f.runs += 1
                if kind != "ship":
                    starts[int(number)] += 1
            case ["note", number, at]:
                out[int(number)] += 1
                last = _time(f, int(at), last, began_ms, ended_ms)
            case ["callback", number, _]:
                back[int(number)] += 1
            case ["answer", number, verdict]:
                back[int(number)] += 1
                f.wrong += verdict == "wrong"
            case [("right" | "wrong" | "timeout" | "expired") as word, _]:
                f.calls[word] += 1
                f.wrong += word == "wrong"
            case ["late", *_]:
                f.late += 1
            case ["odd", _, name]:
                f.odd[name] += 1
            case ["told", name, _]:
                f.told[name] += 1
            case ["fault", at, *name]:
                f.faults[" ".join(name)] += 1
                f.marks.append(((int(at) - began_ms) / 1000, " ".join(name)))
    last = _time(f, max(last, ended_ms), last, began_ms, ended_ms, count=0)
    f.most_runs = starts.most()
    for number in range(f.actions):
        kind = kinds[kind_of[number] - 1] if kind_of[number] else "?"
        f.kinds[kind] += 1
        _judge(f, number, kind, known[number], out[number], back[number], left.dead[number])
    f.completed = f.completed or sum(f.a_second)
    _judge_the_rest(f, left, sum(out[n] for n in range(f.actions) if kinds[kind_of[n] - 1] == "transfer"))
    return f


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open() as lines:
        for line in lines:
            yield line.rstrip("\n").split(" ")


def _time(f: Findings, at: int, last: int, began_ms: int, ended_ms: int, count: int = 1) -> int:
    """Where *at* falls among the seconds, and how long nothing had come before it while there was traffic."""
    gap = (min(at, ended_ms) - last) / 1000
    if gap > f.longest_gap:
        f.longest_gap, f.longest_gap_at = gap, (last - began_ms) / 1000
    second = max(0, at - began_ms) // 1000
    f.a_second.extend([0] * (second + 1 - len(f.a_second)))
    f.a_second[second] += count
    return max(at, last)


def _judge(f: Findings, number: int, kind: str, known: int, out: int, back: int, dead: int) -> None:
    """One action: it must have come to one end if it was acknowledged, to one at most if that is not known, and to none if
    it was refused. An end of some kinds has two parts, a note and an answer or callback: both or neither."""
    f.unknown += known == UNKNOWN
    f.unsent += known == UNSENT
    ends = out + dead
    f.completed += out > 0
    f.buried += dead
    if known == ACKED and not ends:
        _blame(f, "lost", number)
    if ends > 1 or back > 1:
        f.doubled += max(ends, back, 1) - 1
        f.first.setdefault("doubled", number)
    if kind in ("callback", "answer") and (out > 0) != (back > 0):
        _blame(f, "torn", number)
    if known == UNSENT and ends:
        _blame(f, "ghosts", number)
    if dead and kind != "doomed":
        _blame(f, "strays", number)
    if out and kind == "doomed":
        _blame(f, "wrong", number)


def _judge_the_rest(f: Findings, left: Left, transfers: int) -> None:
    f.strays += left.dead[-1]
    f.unfinished = left.unfinished
    f.immortal = len(left.immortal)
    if left.balance is not None:
        f.drifted = abs(left.balance) + abs(left.transfers - transfers)


def _blame(f: Findings, what: str, number: int) -> None:
    setattr(f, what, getattr(f, what) + 1)
    f.first.setdefault(what, number)


def numbers_in(entries: Iterable[dict[str, str]]) -> Iterator[int]:
    """The numbers of actions in dead letters; -1 for one that cannot be read."""
    for fields in entries:
        found = re.search(r'"n":\s*(\d+)', fields.get("data", ""))
        yield int(found[1]) if found else -1
