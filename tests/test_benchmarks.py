"""The benchmarks run from end to end, on the smallest sizes, and refuse what is no measurement. Nothing is asserted
of speed."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from benchmarks import entries, micro_binding, micro_codec, micro_judge, micro_settlement, report
from benchmarks.__main__ import main, parse
from benchmarks.bench import TINY, Bench
from benchmarks.charts import bars
from benchmarks.environments import PEERS, NotInstalled, python_of
from benchmarks.figures import CPU, RATE, Table, in_turn, take_turns
from benchmarks.programs import Broken, Program
from benchmarks.rows import ROWS
from benchmarks.rows.workers import FLOOR, ONE, OWN
from benchmarks.servers import Server
from benchmarks.targets import TARGETS
from tests.support import servers


def table(**runs: list[float]) -> Table:
    made = Table("worker", "Handle", (CPU,), FLOOR)
    made.runs = {name: [{"cpu_us": value} for value in values] for name, values in runs.items()}
    return made


# ── from end to end ──
@pytest.mark.slow
def test_floor_and_worker_are_measured_and_reported(tmp_path: Path) -> None:
    assert main(["--tiny", "--no-peers", "--rows", "worker", "--out", str(tmp_path)]) == 0
    (found,) = json.loads((tmp_path / "figures.json").read_text())["tables"]
    assert list(found["runs"]) == list(OWN)
    assert not found["failed"]
    assert all(run["cpu_us"] > 0 and run["per_s"] > 0 for runs in found["runs"].values() for run in runs)
    text = (tmp_path / "README.md").read_text()
    assert "Too few rounds to conclude" in text
    assert all(f"| {name} |" in text for name in OWN)
    assert (tmp_path / "worker-cpu-us.svg").read_text().count("<rect") == len(OWN)


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_every_row_can_be_measured(tmp_path: Path) -> None:
    assert main(["--tiny", "--no-peers", "--out", str(tmp_path)]) == 0
    tables = json.loads((tmp_path / "figures.json").read_text())["tables"]
    assert {found["name"].split()[0] for found in tables} == set(ROWS) | {"rest"}
    text = (tmp_path / "README.md").read_text()
    unmeasured = [target.what for target in TARGETS if f"| {target.what} |" not in text]
    assert not unmeasured
    peerless = [line for line in text.splitlines() if line.endswith("| not measured |")]
    assert all("peer" in line or "FastStream" in line for line in peerless)


def test_peer_that_cannot_be_installed_is_told(tmp_path: Path) -> None:
    peer = next(peer for peer in PEERS if peer.packages)
    nowhere = tmp_path / "a file"
    nowhere.write_text("")
    with pytest.raises(NotInstalled, match="cannot install"):
        python_of(peer, nowhere)
    bench: Any = Bench(SimpleNamespace(), TINY, environments=nowhere)
    found = table(floor=[1.0])
    with bench.programs(found, {}, (peer,)) as programs:
        assert programs == {}
    assert "cannot install" in found.failed[peer.title]
    assert f"**{peer.title}** was not measured" in report.figures(found)


@pytest.mark.slow
@pytest.mark.parametrize("micro", [micro_binding, micro_codec, micro_judge, micro_settlement])
def test_micro_benchmarks_run(micro: Any, capsys: pytest.CaptureFixture[str]) -> None:
    micro.main(rounds=1, calls=2)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(micro.cases())


# ── what is refused ──
def test_server_with_other_keys_is_refused(
    server: servers.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.client.set("mine", "1", px=60_000)
    words = ["--tiny", "--no-peers", "--rows", "worker", "--server", server.url, "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "holds 1 keys" in capsys.readouterr().err
    assert server.client.get("mine") == "1"
    assert not (tmp_path / "out").exists()


def test_server_that_may_be_erased_is_used(server: servers.Server) -> None:
    server.client.set("mine", "1", px=60_000)
    with Server(url=server.url, erase=True) as used:
        used.empty()
    assert server.client.dbsize() == 0
    assert server.client.ping()  # a server that was named is left running


@pytest.mark.parametrize("success", [True, False])
def test_answers_are_looked_into(server: servers.Server, success: bool) -> None:
    answer = msgspec.json.encode({"success": success, "data": {"ok": True} if success else None})
    server.client.lpush(f"{entries.QUEUE}0", answer)
    server.client.pexpire(f"{entries.QUEUE}0", 60_000)
    program: Any = SimpleNamespace(drain=lambda *_, **__: {"done": 1, "cpu": 1e-6, "wall": 1e-6})
    with Server(url=server.url, erase=True) as used:
        bench = Bench(used, TINY)
        if success:
            assert bench.drain(program, 1, answered=True)["cpu_us"] == pytest.approx(1)
            return
        with pytest.raises(Broken, match="0 of 1 answers say success"):
            bench.drain(program, 1, answered=True)


def test_handler_that_did_less_is_no_measurement() -> None:
    program: Any = SimpleNamespace(drain=lambda *_, **__: {"done": 9, "cpu": 1e-6, "wall": 1e-6})
    with pytest.raises(Broken, match="9 of 10"):
        Bench(SimpleNamespace(), TINY).drain(program, 10, answered=False)  # type: ignore[arg-type]


def test_program_that_ends_is_told_with_its_last_words(server: servers.Server) -> None:
    with Server(url=server.url, erase=True) as used, pytest.raises(Broken, match="No module named"):
        Program("benchmarks.peers.nobody", used).ready()


@pytest.mark.parametrize("words", [["--rows", "nothing"], ["--rounds", "0"]])
def test_nonsense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(words)
    assert stop.value.code == 2
    assert words[0].strip("-") in capsys.readouterr().err.replace("no such row", "rows")


# ── turns, spread, targets ──
def test_every_variant_has_one_turn_and_the_order_is_turned() -> None:
    names = ["a", "b", "c"]
    orders = [in_turn(names, number) for number in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert all(one != other for one, other in pairwise(orders))
    assert set(Counter(order[0] for order in orders)) == set(names)


def test_variant_that_breaks_is_told_and_has_no_further_turn() -> None:
    asked = []

    def breaks() -> dict[str, float]:
        asked.append(1)
        raise Broken("it fell over")

    made = take_turns(
        Table("t", "T", (CPU,)), {"good": lambda: {"cpu_us": 1.0}, "bad": breaks}, 3, lambda _: None, lambda: None
    )
    assert made.failed == {"bad": "it fell over"}
    assert len(asked) == 1
    assert len(made.runs["good"]) == 3


@pytest.mark.parametrize(("values", "noisy"), [([1.0, 1.1, 1.2], False), ([1.0, 1.1, 1.4], True)])
def test_noise_of_the_base_is_told(values: list[float], noisy: bool) -> None:
    assert bool(report.noise([table(floor=values)])) is noisy


@pytest.mark.parametrize(("others", "noisy"), [([0.01, 0.02], False), ([0.01, 0.4], True)])
def test_busy_neighbours_are_told(others: list[float], noisy: bool) -> None:
    assert bool(report.noise([table(floor=[1.0, 1.1, 1.2])], others)) is noisy


def test_target_is_met_missed_or_not_measured() -> None:
    target = TARGETS[0]
    verdicts = [
        target.verdict(found)
        for found in (
            {"worker": table(**{FLOOR: [10.0], ONE: [9.0]})},
            {"worker": table(**{FLOOR: [10.0], ONE: [12.0]})},
            {},
        )
    ]
    assert verdicts == ["met", "**missed by 20%**", "not measured"]


def test_every_target_can_say_that_it_was_not_measured() -> None:
    assert {target.verdict({}) for target in TARGETS} == {"not measured"}


def test_bars_are_drawn_best_first_and_names_are_escaped() -> None:
    made = Table("t", "A & B", (RATE,))
    made.runs = {"slow <1>": [{"per_s": 1.0}], "fast": [{"per_s": 9.0}]}
    drawn = bars(made, RATE)
    assert drawn is not None
    assert drawn.index(">fast<") < drawn.index("slow &lt;1&gt;")
    assert "A &amp; B" in drawn
