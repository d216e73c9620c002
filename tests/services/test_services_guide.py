"""The guide tells the truth: its examples run as they stand, one after the other, and print what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "services.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_guide_run(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("ENVIRONMENT", "test")
    text, scope = GUIDE.read_text(), {"__name__": "guide"}
    for example in EXAMPLE.finditer(text):
        lines_above = "\n" * text.count("\n", 0, example.start(1))
        exec(compile(lines_above + example[1], str(GUIDE), "exec", dont_inherit=True), scope)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "number=1 customer='ada'"
    assert printed[1:3] == ["2", "no idea what stock.item.steal is"]
    assert "$.data.customer Field required" in printed
    assert "payments.payment.charge: PaymentService.charge(Payment) -> int | Charge a card | ('money',)" in printed
    assert "1 ada" in printed
    assert re.fullmatch(
        r".*services\.md:\d+, WrongService\.create: unknown option 'retrys'; did you mean 'retry'\?", printed[-1]
    )
