"""The guide tells the truth: its examples run as they stand, one after the other, and print what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "exactly-once.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.leaves_keys("what the example keeps in Redis")
def test_the_examples_of_the_guide_run(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("ENVIRONMENT", "test")
    text, scope = GUIDE.read_text(), {"__name__": "guide"}
    for example in EXAMPLE.finditer(text):
        lines_above = "\n" * text.count("\n", 0, example.start(1))
        exec(compile(lines_above + example[1], str(GUIDE), "exec", dont_inherit=True), scope)
    assert "{'ada': '-5', 'bob': '5'}" in capsys.readouterr().out.splitlines()


def test_the_guide_names_every_effect() -> None:
    from nooble.models.effects import Effects

    public = [name for name in vars(Effects) if not name.startswith("_") and callable(getattr(Effects, name))]
    text = GUIDE.read_text()
    assert [name for name in public if f"`{name}(" not in text and f"{name}(" not in text] == []
