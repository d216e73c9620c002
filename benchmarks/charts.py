"""Bars as small SVGs, drawn by hand: readable in light and dark, no dependency."""

from __future__ import annotations

from html import escape

from benchmarks.figures import Column, Table

_WIDTH, _LABEL, _BAR, _GAP, _TOP = 800, 285, 22, 8, 48
_COLOURS = {"nooble": "#2563eb", "floor": "#9ca3af", "peer": "#d97706"}
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2937}.t{font-weight:600;font-size:15px}.n{fill:#6b7280;font-size:12px}"
    "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.n{fill:#9ca3af}}"
)


def bars(table: Table, column: Column) -> str | None:
    """One bar for each variant of *table*, the best on top; `None` if there is nothing to show."""
    found = [(name, table.median(name, column.key)) for name in table.runs]
    rows = sorted(((value, name) for name, value in found if value is not None), reverse=not column.less_is_better)
    if not rows:
        return None
    most = max(value for value, _ in rows) or 1.0
    height = _TOP + len(rows) * (_BAR + _GAP) + 12
    better = "less is better" if column.less_is_better else "more is better"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(table.title)}: {escape(column.title)}"><style>{_STYLE}</style>',
        f'<text class="t" x="0" y="18">{escape(table.title)}</text>',
        f'<text class="n" x="0" y="36">{escape(column.title)}, medians; {better}</text>',
    ]
    for number, (value, name) in enumerate(rows):
        y = _TOP + number * (_BAR + _GAP)
        length = max(1.0, value / most * (_WIDTH - _LABEL - 90))
        colour = _COLOURS["peer" if name in table.peers else "nooble" if name.startswith("nooble") else "floor"]
        parts.append(f'<text x="{_LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="3" fill="{colour}"/>')
        shown = f"{value:,.{column.digits}f}"
        parts.append(f'<text x="{_LABEL + length + 6:.1f}" y="{y + 16}">{shown}</text>')
    return "\n".join([*parts, "</svg>", ""])


def file_name(table: Table, column: Column) -> str:
    """Where the bars of a table go."""
    return f"{table.name.replace(' ', '-').replace(',', '')}-{column.key.replace('_', '-')}.svg"
