"""The guides tell the truth: their examples run as they stand, one after the other, and print what they say."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from nooble.observability.families import Families

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"


def blocks(guide: str, language: str) -> list[str]:
    """The blocks of a guide in one language."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(*command: str, url: str) -> str:
    """What a program prints."""
    environment = os.environ | {"REDIS_URL": url, "ENVIRONMENT": "test", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guide_to_metrics(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "guide.py").write_text("\n".join(blocks("metrics.md", "python")))
    lines = run(str(tmp_path / "guide.py"), url=redis_url).splitlines()
    handled = 'nooble_messages_handled_total{action="shop.order.place",outcome="completed",service="shop"} 1.0'
    assert handled in lines
    assert 'nooble_calls_total{action="shop.order.place",outcome="ok",service="shop"} 1.0' in lines


def test_the_guide_to_tracing(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "guide.py").write_text("\n".join(blocks("tracing.md", "python")))
    said = run(str(tmp_path / "guide.py"), url=redis_url)
    assert blocks("tracing.md", "text")[0] in said


def test_the_guide_to_metrics_has_every_metric_as_it_is() -> None:
    text = (GUIDES / "metrics.md").read_text(encoding="utf-8")
    for metric in vars(Families(CollectorRegistry())).values():
        family = next(iter(metric.describe()))
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        assert f"| `{name}` | {family.type} | {labels} | {family.documentation} |" in text


def test_the_alerts_of_the_guide_ask_for_what_there_is() -> None:
    (text,) = blocks("metrics.md", "yaml")
    rules: list[Any] = yaml.safe_load(text)["groups"][0]["rules"]
    guide = (GUIDES / "metrics.md").read_text(encoding="utf-8")
    assert len(rules) == 5
    for rule in rules:
        for name in re.findall(r"nooble_\w+", rule["expr"]):
            assert f"| `{name}` |" in guide


def test_the_example_shows_a_call_a_follow_up_and_a_retry_in_one_trace(redis_url: str) -> None:
    spans = [line.split() for line in run("examples/tracing.py", url=redis_url).splitlines() if " from " in line]
    assert len({span[0] for span in spans}) == 1
    by_id = {span[1]: span for span in spans}
    first, second = (span for span in spans if span[4:7] == ["consumer", "process", "correo.aviso.enviar"])
    assert (first[7:], second[7:]) == (["1", "HANDLER_ERROR"], ["2"])
    follow_up = by_id[first[3]]
    assert follow_up[4:] == ["producer", "send", "correo.aviso.enviar"]
    handled = by_id[follow_up[3]]
    call = by_id[handled[3]]
    assert (handled[4:7], call[5:]) == (["consumer", "process", "tienda.pedido.crear"], ["send", "tienda.pedido.crear"])
    assert by_id[call[3]][4:] == ["internal", "POST"]
    assert second[3] == first[3]


def test_the_table_of_events_is_in_step_with_the_code() -> None:
    """If this fails: python docs/draw.py."""
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs/draw.py")
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    drawn = drawing.events_page()
    assert (ROOT / "docs/reference/events.md").read_text(encoding="utf-8") == drawn


def test_every_field_of_every_event_has_a_meaning() -> None:
    from nooble import events

    page = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    for name in events.__all__:
        kind = getattr(events, name)
        if isinstance(kind, type) and issubclass(kind, events.Event) and not kind.__doc__.startswith("Base of "):
            assert f"| `{name}`" in page
            for field in kind.__struct_fields__:
                assert f"`{field}`" in page, (name, field)


@pytest.mark.parametrize("guide", ["metrics.md", "tracing.md"])
def test_no_line_of_a_guide_is_too_long_to_read(guide: str) -> None:
    text = (GUIDES / guide).read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > 130 and not line.startswith("|")] == []
