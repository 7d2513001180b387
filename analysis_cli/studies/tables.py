"""Tables of paths on the console."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from rich.table import Table

from analysis_cli.console import console
from landscape.statistics import Interval, PathReport
from landscape.study import Margin

NUMBERS = {
    "V": "valley depth V",
    "DD": "drawdown DD",
    "B_chord": "barrier B_chord",
    "B_mean": "barrier B_mean",
}


def print_points(title: str, report: PathReport, fields: Mapping[str, np.ndarray]) -> None:
    """One row per point: where it is, its mean return with the simultaneous band, success and score."""
    shown = [name for name in ("success", "score") if name in fields]
    table = Table("alpha", "return", "band", *shown, title=title)
    points = zip(report.alphas, report.means, report.band, strict=True)
    for k, (alpha, mean, (low, high)) in enumerate(points):
        others = [f"{fields[name][k]:.2f}" for name in shown]
        table.add_row(f"{alpha:.2f}", f"{mean:.1f}", f"{low:.1f} to {high:.1f}", *others)
    console.print(table)


def print_numbers(reports: Mapping[str, PathReport], margin: Margin) -> None:
    """The numbers of one path, or of several in adjacent columns, with their simultaneous intervals."""
    confidence = next(iter(reports.values())).confidence
    interval = f"{100 * confidence:g} % interval"
    columns = [text for name in reports for text in (f"{name} estimate".strip(), interval)]
    table = Table("", *columns)
    for name, meaning in NUMBERS.items():
        cells = [text for report in reports.values() for text in _cells(getattr(report, name))]
        table.add_row(meaning, *cells)
    table.add_row("margin", f"{margin.delta:.1f}", margin.source)
    console.print(table)


def _cells(interval: Interval) -> tuple[str, str]:
    upper = f"{interval.upper:.1f}" if math.isfinite(interval.upper) else "∞"
    return f"{interval.estimate:.1f}", f"{interval.lower:.1f} to {upper}"
