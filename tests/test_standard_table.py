"""The table in docs/standard.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_test_that_the_table_names_is_there() -> None:
    """A sentence of the standard without a test would be a promise without a proof."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/standard.md").read_text(encoding="utf-8")))
    found = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    assert named <= found, f"docs/standard.md names tests that are not there: {sorted(named - found)}"
