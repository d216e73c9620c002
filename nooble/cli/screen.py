"""What commands show: data as JSON, facts as tables. In colour on a terminal, plain and unbroken anywhere else."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from nooble.cli.harmless import escaped_json

if TYPE_CHECKING:
    from rich.table import Table

Cell = str | tuple[str, str]
"""A text, or a text and its style."""

_UNBROKEN = 1_000
"""Width where nobody reads but a program: no line is folded."""


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    text = escaped_json(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.highlighter import JSONHighlighter

        Console().print(JSONHighlighter()(text), soft_wrap=True)
    else:
        typer.echo(text)


def is_somebody_here() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty()


def table_of(
    headers: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Container[str] = (), *, is_narrow: bool = False
) -> Table:
    """Rows under headers, to be shown by rich. Long cells are folded; nothing in a cell is markup.

    Args:
        headers: of the columns.
        rows: their cells.
        numbers: headers of columns that are aligned to the right and never folded.
        is_narrow: columns stand closer together.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", collapse_padding=is_narrow)
    for header in headers:
        is_number = header in numbers
        table.add_column(header, justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        cells = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        table.add_row(*[Text(text, style=style, overflow="fold") for text, style in cells])
    return table


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Container[str] = ()) -> None:
    """Rows under headers. On a terminal long cells are folded.

    Args:
        headers, rows, numbers: as for `table_of`.
    """
    from rich.console import Console

    table = table_of(headers, rows, numbers)
    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(width=_UNBROKEN, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())
