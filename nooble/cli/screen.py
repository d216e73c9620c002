"""What commands show: data as JSON, facts as tables. In colour on a terminal, plain and unbroken anywhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}
"""State of something that was looked at → its mark and colour."""


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print_json(text, ensure_ascii=False)
    else:
        typer.echo(text)


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under headers; on a terminal, long cells are folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else 1_000
    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*[Text(cell, overflow="fold") for cell in row])
    Console(width=width).print(table)
