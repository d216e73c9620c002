"""The typing file says what it says: every checker that is installed agrees with it, line by line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
API = Path(__file__).with_name("api.py")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mypy_infers_and_refuses_what_the_typing_file_says() -> None:
    pytest.importorskip("mypy")
    checked = run(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(API))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pyright_infers_and_refuses_what_the_typing_file_says() -> None:
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if pyright is None:
        pytest.skip("pyright is not installed")
    checked = run(pyright, "--pythonpath", sys.executable, str(API))
    assert checked.returncode == 0, checked.stdout + checked.stderr
