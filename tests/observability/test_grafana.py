"""The dashboard for Grafana shows what is exported: no panel asks for a metric, a label or a value that there is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from nooble.observability.counting import OUTCOMES
from nooble.observability.families import Families

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs/grafana/nooble.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
_OF_A_QUERY = re.compile(r"\b(nooble_\w+)(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Every name that is exported, and its labels."""
    names: dict[str, set[str]] = {}
    for metric in vars(Families(CollectorRegistry())).values():
        assert isinstance(metric, MetricWrapperBase)
        family, labels = next(iter(metric.describe())), set(metric._labelnames)
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}[family.type]
        names |= {family.name + ending: labels | ({"le"} if ending == "_bucket" else set()) for ending in endings}
    return names


def asked() -> Iterator[tuple[str, str, str]]:
    """Title, metric and matchers of everything that a panel or a variable asks for."""
    for title, query in [*QUERIES, *((one["name"], one.get("definition", "")) for one in variables())]:
        for found in _OF_A_QUERY.finditer(query):
            yield title, found[1], found[2] or ""


def variables() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = DASHBOARD["templating"]["list"]
    return found


def test_every_metric_and_label_that_is_asked_for_is_exported(exported: dict[str, set[str]]) -> None:
    missing = [(title, name) for title, name, _ in asked() if name not in exported]
    assert missing == []
    for title, name, matchers in asked():
        labels = set(re.findall(r"(\w+)(?==|!)", matchers))
        assert labels <= exported[name], title


def test_every_label_that_is_grouped_by_or_shown_is_there(exported: dict[str, set[str]]) -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            names = {found[1] for found in _OF_A_QUERY.finditer(target["expr"])}
            there = set.intersection(*(exported[name] for name in names))
            grouped = {label for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(", ")}
            assert grouped <= there, panel["title"]
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped, panel["title"]


def test_every_outcome_that_is_asked_for_is_one() -> None:
    known = {*OUTCOMES.values(), "ok", "error", "timeout", "failed"}
    for _, _, matchers in asked():
        for value in re.findall(r'outcome[=!~]+"([^"]*)"', matchers):
            assert set(value.split("|")) <= known


def test_everything_that_is_exported_is_shown(exported: dict[str, set[str]]) -> None:
    shown = {name for _, name, _ in asked()}
    sums = {name for name in exported if name.endswith(("_count", "_sum"))}
    assert set(exported) - shown - sums == set()


@pytest.mark.parametrize("query", [query for _, query in QUERIES])
def test_brackets_are_closed(query: str) -> None:
    without_text = re.sub(r'"[^"]*"', "", query)
    for opening, closing in ("()", "{}", "[]"):
        assert without_text.count(opening) == without_text.count(closing)


def test_panels_have_ids_of_their_own_and_do_not_lie_over_each_other() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize(
    "about", ["Actions a second", "Errors a second", "Latency", "Wait, p95", "Lag", "Dead letters", "Workers"]
)
def test_what_somebody_on_call_looks_for_is_there(about: str) -> None:
    assert about in [panel["title"] for panel in PANELS]
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in PANELS)
