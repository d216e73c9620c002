"""The guide shows the help of every command as it is. `python -m tests.cli.test_guide` writes it there anew."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from nooble.cli.main import app

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
BLOCK = re.compile(r"<!-- help: (\w+) -->\n```text\n(.*?)```", re.DOTALL)
COLOR = re.compile(r"\x1b\[[0-9;]*m")


def help_of(command: str) -> str:
    """What `nooble COMMAND --help` shows in a terminal of a hundred columns."""
    words = ["--help"] if command == "nooble" else [command, "--help"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "100"}, prog_name="nooble").stdout
    return "\n".join(line.rstrip() for line in COLOR.sub("", shown).strip().splitlines()) + "\n"


def written(guide: str) -> str:
    """*guide* with the help of every command as it is."""
    return BLOCK.sub(lambda block: f"<!-- help: {block[1]} -->\n```text\n{help_of(block[1])}```", guide)


def test_the_guide_shows_the_help_of_every_command() -> None:
    shown = dict(BLOCK.findall(GUIDE.read_text()))
    assert sorted(shown) == sorted(
        {"nooble", *(one.callback.__name__ for one in app.registered_commands if one.callback)}
    )
    for command, text in shown.items():
        assert text == help_of(command), "write it anew: python -m tests.cli.test_guide"


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text()))
