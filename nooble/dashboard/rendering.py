"""Templates and what they may use. Everything is escaped; whatever comes from elsewhere passes `pieces` first."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nooble._version import __version__
from nooble.dashboard import figures, text

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def environment() -> Environment:
    """The templates, compiled once."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= {
        "ago": figures.ago,
        "count": figures.count,
        "iso": figures.iso,
        "json": text.as_json,
        "moment": figures.moment,
        "moment_of_id": figures.moment_of_id,
        "part": lambda value: quote(str(value), safe=""),
        "pieces": text.pieces,
        "plain": text.plain,
        "rate": figures.rate,
        "size": figures.size,
        "span": figures.span,
        "query": _query,
    }
    made.globals |= {"version": __version__}
    return made


def render(template: str, context: dict[str, Any]) -> str:
    """A page, or the part of it that lives."""
    return environment().get_template(template).render(context)


def _query(values: dict[str, Any]) -> str:
    """*values* as a query, without those that are empty."""
    said = {name: one for name, one in values.items() if one not in (None, "", False, ())}
    return urlencode(said, doseq=True, errors="backslashreplace")
