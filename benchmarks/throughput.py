"""The two rows that the hot path is worked on with: `python -m benchmarks.throughput [--actions N] [--rounds N]`.

The same as `python -m benchmarks --rows worker,forget --no-peers`, with the figures printed instead of a report kept."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.__main__ import main


def run(words: list[str]) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        code = main([*words, "--rows", "worker,forget", "--no-peers", "--out", folder])
        report = Path(folder, "README.md")
        if report.exists():
            print(report.read_text(encoding="utf-8").partition("## Handle")[2])
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
