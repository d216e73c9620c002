"""The soak shows what it is to show: nothing lost and nothing doubled, with faults of many kinds; and it would have seen it
otherwise. What it counts is looked at by ledgers in which something is wrong."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.chaos.ledger import Ledger
from tests.chaos.soak import Plan, soak
from tests.chaos.soak_check import Findings, Left, check
from tests.chaos.soak_faults import FAULTS
from tests.chaos.soak_report import Circumstances

SHORT, LONG_ENOUGH = 8.0, 15.0
"""Seconds of a soak; the second in which a fault that shows seldom has shown."""
NOTHING = Left(unfinished=0, dead=Counter(), immortal=[], balance=0, transfers=0)
WELL = (
    *("intent 0 send", "acked 0", "start 0 send 9", "note 0 1500"),
    *("intent 1 callback", "acked 1", "start 1 callback 9", "note 1 1600", "callback 1 1600"),
    *("intent 2 doomed", "acked 2", "start 2 doomed 9"),
    *("intent 3 answer", "unknown 3"),
    *("intent 4 send", "unsent 4"),
    *("intent 5 answer", "acked 5", "start 5 answer 9", "start 5 answer 8", "note 5 4600", "answer 5 right"),
    "fault 2500 worker killed",
)


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Callable[..., Findings]]:
    """Judges a ledger that went well, with lines added or taken away."""
    ledger = Ledger(tmp_path / "ledger")

    def of(*lines: str, without: str = "", **left: object) -> Findings:
        for line in (*WELL, *lines):
            if line != without:
                ledger.write(line)
        facts = {"dead": Counter({2: 1})} | left
        return check(ledger.path, msgspec.structs.replace(NOTHING, **facts), began_ms=1000, ended_ms=5000)

    yield of
    ledger.close()


def test_what_went_well_breaks_nothing(judge: Callable[..., Findings]) -> None:
    """Each acknowledged action has its one end; an unknown one may have none; the numbers are those of the ledger."""
    found = judge()
    assert found.broken == {}
    assert (found.actions, found.completed, found.buried) == (6, 3, 1)
    assert (found.runs, found.most_runs) == (5, 2)
    assert (found.unknown, found.unsent) == (1, 1)
    assert found.a_second == [2, 0, 0, 1, 0]
    assert (found.longest_gap, found.longest_gap_at) == (3.0, 0.6)
    assert found.faults == {"worker killed": 1}
    assert found.marks == [(1.5, "worker killed")]


@pytest.mark.parametrize(
    ("promise", "lines", "without", "left"),
    [
        ("lost", [], "note 0 1500", {}),
        ("lost", [], "", {"dead": Counter()}),
        ("doubled", ["note 0 1700"], "", {}),
        ("doubled", ["answer 5 right"], "", {}),
        ("doubled", ["callback 1 1700"], "", {}),
        ("doubled", [], "", {"dead": Counter({2: 2})}),
        ("torn", [], "callback 1 1600", {}),
        ("torn", ["note 3 1700"], "", {}),
        ("ghosts", ["note 4 1700"], "", {}),
        ("wrong", ["answer 3 wrong", "note 3 1700"], "", {}),
        ("wrong", ["wrong 3"], "", {}),
        ("strays", [], "", {"dead": Counter({2: 1, -1: 1})}),
        ("drifted", [], "", {"balance": 7}),
        ("drifted", ["intent 6 transfer", "acked 6", "note 6 1700"], "", {}),
        ("unfinished", [], "", {"unfinished": 1}),
        ("immortal", [], "", {"immortal": ["a"]}),
        ("DataLost", ["told DataLost 9"], "", {}),
        ("ValueError", ["odd 3 ValueError"], "", {}),
    ],
)
def test_what_went_wrong_is_found(
    judge: Callable[..., Findings], promise: str, lines: list[str], without: str, left: dict[str, object]
) -> None:
    """One thing wrong in the ledger or in the server breaks exactly the promise that names it."""
    assert set(judge(*lines, without=without, **left).broken) == {promise}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_soak_loses_and_doubles_nothing(server_kind: str, tmp_path: Path) -> None:
    """Traffic of all kinds and a fault every half second, whatever chance brings; a report is written."""
    found, circumstances = short_soak(server_kind, tmp_path, SHORT)
    assert found.broken == {}, found.first
    assert found.completed > 100
    assert len(found.faults) > 3
    page = (tmp_path / f"soak-{server_kind}.md").read_text()
    assert str(circumstances.seed) in page
    assert all(name in page for name in FAULTS)
    ElementTree.parse(tmp_path / f"soak-{server_kind}.svg")


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_soak_without_the_fence_finds_doubles(server_kind: str, tmp_path: Path) -> None:
    """The control: the same, and workers commit whatever they believe to have."""
    found, _ = short_soak(server_kind, tmp_path, LONG_ENOUGH, fenced=False)
    assert found.doubled > 0


def short_soak(kind: str, folder: Path, seconds: float, *, fenced: bool = True) -> tuple[Findings, Circumstances]:
    """A soak of some seconds, with its seed on the terminal."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed: {seed}")
    return soak(Plan(kind, seconds, seed, rate=100.0, pause=0.5, fenced=fenced), folder)
