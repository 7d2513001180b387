"""What a notebook shows of a result: its sentence, its picture, and a small table."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from figures.style import number, still

CELL = "padding: 1px 10px 1px 0; text-align: left"


def card(title: str, picture: Figure | None, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A piece of HTML; `rows` are numbers by the name of their row and then of their column."""
    parts = [Markup("<p>{}</p>").format(title)]
    if picture is not None:
        source = f"data:image/svg+xml;base64,{still(picture)}"
        parts.append(Markup('<img src="{}" alt="{}" style="max-width: 100%">').format(source, title))
    if rows:
        parts.append(table(rows))
    return str(Markup("<div>{}</div>").format(Markup("").join(parts)))


def table(rows: Mapping[str, Mapping[str, Any]]) -> Markup:
    """A table of text and numbers with three digits; a row that lacks a column has nothing there."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [[name, *(_text(row.get(column, "")) for column in columns)] for name, row in rows.items()]
    return Markup("<table>{}</table>").format(Markup("").join(map(_row, [["", *columns], *lines])))


def _row(line: Sequence[str]) -> Markup:
    return Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, line)))


def _cell(text: str) -> Markup:
    return Markup('<td style="{}">{}</td>').format(CELL, escape(text))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else number(value)
