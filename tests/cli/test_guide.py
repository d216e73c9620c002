"""The guide shows the help of every command as it is. `python -m tests.cli.test_guide` writes it there anew."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from nooble.cli.main import app

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
BLOCK = re.compile(r"<!-- help: (\w+) -->\n```text\n(.*?)```", re.DOTALL)
GROUP_BLOCK = re.compile(r"<!-- help of (\w+): (\w+) -->\n```text\n(.*?)```", re.DOTALL)
COLOR = re.compile(r"\x1b\[[0-9;]*m")


def help_of(*words: str) -> str:
    """What `nooble WORDS --help` shows in a terminal of a hundred columns."""
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100"}, prog_name="nooble").stdout
    return "\n".join(line.rstrip() for line in COLOR.sub("", shown).strip().splitlines()) + "\n"


def help_of_command(command: str) -> str:
    """The help of a command, or of all of it."""
    return help_of() if command == "nooble" else help_of(command)


def help_in_group(group: str, command: str) -> str:
    """The help of a command of a group, or of the group by its own name."""
    return help_of(group) if command == group else help_of(group, command)


def written(guide: str) -> str:
    """*guide* with the help of every command as it is."""
    guide = BLOCK.sub(lambda block: f"<!-- help: {block[1]} -->\n```text\n{help_of_command(block[1])}```", guide)
    return GROUP_BLOCK.sub(
        lambda block: f"<!-- help of {block[1]}: {block[2]} -->\n```text\n{help_in_group(block[1], block[2])}```", guide
    )


def test_the_guide_shows_the_help_of_every_command() -> None:
    shown = dict(BLOCK.findall(GUIDE.read_text()))
    assert sorted(shown) == sorted(
        {"nooble", *(one.callback.__name__ for one in app.registered_commands if one.callback)}
    )
    for command, text in shown.items():
        assert text == help_of_command(command), "write it anew: python -m tests.cli.test_guide"


def test_the_guide_shows_the_help_of_every_command_of_a_group() -> None:
    shown = {(group, command): text for group, command, text in GROUP_BLOCK.findall(GUIDE.read_text())}
    assert set(shown) == {
        (group.name, name)
        for group in app.registered_groups
        for name in (group.name, *(one.name for one in group.typer_instance.registered_commands))
    }
    for place, text in shown.items():
        assert text == help_in_group(*place), "write it anew: python -m tests.cli.test_guide"


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text()))
