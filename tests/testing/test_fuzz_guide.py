"""The guide's sections on strategies and fuzzing tell the truth: their examples run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    text = GUIDE.read_text()
    parts = [text[text.index("## A first test") : text.index("## Errors")], text[text.index("## Strategies") :]]
    examples = "\n\n".join(example[1] for part in parts for example in EXAMPLE.finditer(part))
    pytester.makeini(INI)
    pytester.makepyfile(test_guide=examples)
    result = pytester.runpytest_subprocess("-p", "pytest_asyncio.plugin", "-p", "_hypothesis_pytestplugin")
    result.assert_outcomes(passed=len(re.findall(r"^(?:async )?def test_", examples, re.MULTILINE)))
