"""What the documents say is what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def drawing() -> Any:
    """The script that draws the reference."""
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs/draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings.md", "errors.md", "events.md"])
def test_the_reference_is_in_step_with_the_code(page: str) -> None:
    """If this fails: python docs/draw.py."""
    drawn = drawing().PAGES[page]()
    assert (ROOT / "docs/reference" / page).read_text(encoding="utf-8") == drawn


def test_no_link_between_documents_is_broken() -> None:
    """Every relative link leads to a file."""
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert not broken
