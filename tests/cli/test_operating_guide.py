"""What the guide to operating types can be typed, and its program runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import redis
import typer.main

from nooble.cli.main import app
from tests.cli.terminal import Terminal
from tests.support.servers import Server

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "operating.md").read_text()
TYPED = re.findall(r"^\$ nooble (.*)$", GUIDE, re.MULTILINE)


def test_every_command_of_the_guide_can_be_typed() -> None:
    assert len(TYPED) > 15
    for line in TYPED:
        command = typer.main.get_command(app)
        words = shlex.split(line.partition(" | ")[0])
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)  # every option is one, every argument has its place


def test_its_program_runs(terminal: Terminal, server: Server) -> None:
    client: redis.Redis = server.client
    client.xadd(
        "nooble4:development:pedidos:streams:main", {"data": '{"action_type":"pedidos.pedido.crear","data":{}}'}
    )
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=terminal.folder,
        env=terminal.environment({"REDIS_URL": server.url}),
    )
    assert done.returncode == 0, done.stderr
    assert "waiting pedidos.pedido.crear" in done.stdout
    assert "no worker" in done.stdout
