"""The guide tells the truth: its examples run as they stand, as tests in a project of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHER_SECTIONS = re.compile(r"^## (?=.*(?:[Ss]trateg|[Ff]uzz|[Pp]ayloads made)).*\Z", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_guide_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    text = OTHER_SECTIONS.sub("", GUIDE.read_text())
    examples = "\n\n".join(example[1] for example in EXAMPLE.finditer(text))
    pytester.makeini(INI)
    pytester.makepyfile(test_guide=examples)
    result = pytester.runpytest_subprocess("-p", "pytest_asyncio.plugin", "-p", "nooble.testing.plugin")
    result.assert_outcomes(passed=len(re.findall(r"^async def test_", examples, re.MULTILINE)))
