"""Every option has a variable and a place in the project file; the command line wins, then the variable, then the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.cli.terminal import Finished, Terminal


def selected(done: Finished) -> list[str]:
    """The services whose routes were shown."""
    assert done.code == 0, done.err
    return sorted({row["service"] for row in json.loads(done.out)})


@pytest.fixture
def shop(terminal: Terminal) -> Terminal:
    """A terminal beside `shop.py`, which has two services."""
    head = "from nooble import BaseService, action\n"
    one = "class {0}(BaseService):\n    @action('{0}.thing.do')\n    async def do(self) -> None: ...\n"
    terminal.write("shop.py", head + one.format("orders") + one.format("stock"))
    return terminal


def test_an_option_of_one_command_has_a_variable_of_that_command(shop: Terminal) -> None:
    assert selected(shop.type("routes", "shop", "--json", NOOBLE_ROUTES_SERVICE="stock")) == ["stock"]
    assert selected(shop.type("routes", "shop", NOOBLE_ROUTES_JSON="1", NOOBLE_RUN_SERVICE="stock")) == [
        "orders",
        "stock",
    ]


def test_an_option_of_all_commands_has_a_shorter_one(shop: Terminal) -> None:
    assert selected(shop.type("routes", "--json", NOOBLE_TARGET="shop:stock shop:orders")) == ["orders", "stock"]


def test_the_project_file_has_a_table_for_each_command(shop: Terminal) -> None:
    shop.write(
        "pyproject.toml", '[tool.nooble]\ntarget = "shop"\n[tool.nooble.routes]\nservice = ["stock"]\njson = true\n'
    )
    assert selected(shop.type("routes")) == ["stock"]


def test_a_variable_wins_over_the_project_file_and_the_command_line_over_both(shop: Terminal) -> None:
    shop.write("pyproject.toml", '[tool.nooble]\ntarget = "nowhere"\n[tool.nooble.routes]\nservice = "stock"\n')
    assert selected(shop.type("routes", "--json", "--service", "orders", NOOBLE_TARGET="shop")) == ["orders"]
    assert shop.type("routes").err.startswith("Error: no module named 'nowhere'")


MISTAKES = {
    "a key that is none": (
        "[tool.nooble]\ntarjet = 'shop'",
        r"\[tool.nooble\] in pyproject.toml has 'tarjet', which is no option there; did you mean 'target'\?",
    ),
    "a key of one command": (
        "[tool.nooble]\ngrace = 3",
        r"has 'grace', which is no option there; it belongs to one command: \[tool.nooble.run\]",
    ),
    "a key that the command does not have": (
        "[tool.nooble.run]\ntime-out = 3",
        r"\[tool.nooble.run\] in pyproject.toml has 'time_out', which is no option there; there are concurrency,",
    ),
    "a command that is no table": (
        "[tool.nooble]\nrun = 'shop'",
        r"has run = 'shop'; write a table, \[tool.nooble.run\]",
    ),
    "no TOML": ("[tool.nooble\n", r"pyproject.toml cannot be read: .*line 1"),
}


@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_project_file_is_told(shop: Terminal, text: str, told: str) -> None:
    shop.write("pyproject.toml", text)
    done = shop.type("routes", "shop")
    assert done.code == 2
    assert re.match(f"Error: .*{told}", done.err), done.err


def test_a_value_that_an_option_cannot_have_is_told_wherever_it_stands(shop: Terminal) -> None:
    done = shop.type("run", "shop", NOOBLE_RUN_CONCURRENCY="many")
    assert done.code == 2
    assert "Invalid value for '--concurrency'" in done.err
    shop.write("pyproject.toml", "[tool.nooble.run]\ngrace = -1\n")
    done = shop.type("run", "shop")
    assert done.code == 2
    assert "Invalid value for '--grace'" in done.err


def test_the_version_is_shown(terminal: Terminal) -> None:
    assert terminal.type("--version").out.startswith("nooble ")


def test_without_a_command_there_is_help_and_with_a_mistyped_one_a_hint(terminal: Terminal) -> None:
    assert "Run services until SIGTERM" in terminal.type().out
    done = terminal.type("rnu")
    assert done.code == 2
    assert "Did you mean 'run'?" in done.err


def test_a_number_of_workers_below_one_is_told(shop: Terminal) -> None:
    done = shop.type("run", "shop", "-w", "0")
    assert done.code == 2
    assert "Invalid value for '--workers'" in done.err


# ── failures ──


def test_a_failure_is_one_message(shop: Terminal) -> None:
    shop.write("broken.py", "def x():\n    return {}['stock']\nx()\n")
    done = shop.type("routes", "broken")
    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: importing broken failed: KeyError: 'stock' (broken.py:2)\n"


@pytest.mark.parametrize(("words", "env"), [(["--traceback"], {}), ([], {"NOOBLE_TRACEBACK": "1"})])
def test_a_traceback_is_for_those_who_ask(shop: Terminal, words: list[str], env: dict[str, str]) -> None:
    shop.write("broken.py", "def x():\n    return {}['stock']\nx()\n")
    done = shop.type("routes", "broken", *words, **env)
    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last):")
    assert "KeyError: 'stock'" in done.err


# ── help is quick ──

SLOW = {"redis", "pydantic", "hiredis", "msgspec", "structlog", "asyncio"}
"""What takes time to import; commands that need it import it themselves."""


def imported_by_help(terminal: Terminal, before: str = "") -> set[str]:
    """What `nooble --help` imports, beyond what *before* has."""
    program = f"import sys\n{before}\nhad = set(sys.modules)\nfrom nooble.cli.main import main\n"
    program += "try: main()\nfinally: print(*set(sys.modules) - had, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        check=False,
        capture_output=True,
        text=True,
        env=terminal.environment(),
        cwd=terminal.folder,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_the_command_line_imports_nothing_slow_for_help(terminal: Terminal) -> None:
    assert not SLOW & imported_by_help(terminal, "import nooble")


def test_nor_does_anything_else(terminal: Terminal) -> None:
    assert not SLOW & imported_by_help(terminal)
