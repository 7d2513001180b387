"""One page that tells a whole study: curves across the switch, landscapes, verdicts, and how to repeat it.

The page is an HTML file that needs plotly.min.js beside it and no network. Every number on it is read from
result files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from figures.curves import (
    CurvePair,
    Method,
    curves_figure,
    curves_still,
    read_methods,
    seed_count,
)
from figures.library import write_page
from figures.line.data import Line, common_range, read_line
from figures.line.interactive import line_figure
from figures.line.still import lines_still
from figures.style import embed, interval_text, look, number, render, still
from landscape.results import PathResult
from smac.errors import UserError

SUCCESS = "eval/success"
LINE_PHRASES = {
    "valley": "the straight line crosses a valley",
    "connected": "the straight line has no valley",
    "undecided": "whether the straight line has a valley is undecided",
}
MONOTONE_PHRASES = {
    "monotone": "the return is monotone on it",
    "not monotone": "the return is not monotone on it",
    "undecided": "whether the return is monotone on it is undecided",
}


@dataclass(frozen=True)
class DemoMethod:
    """Where the files of one method lie."""

    name: str
    pretrain_dir: Path
    finetune_dir: Path
    landscape_dir: Path


@dataclass(frozen=True)
class Success:
    """A method's success rates, each the mean over training seeds."""

    offline: float
    """Of the checkpoint as it came, measured at online step 0."""
    worst: float
    """The lowest evaluation of each seed's online phase."""
    final: float


@dataclass(frozen=True)
class Row:
    """What the page says about one method."""

    name: str
    result: PathResult
    success: Success
    depth: str
    drawdown: str
    plot: Markup


def demo_page(
    methods: Sequence[DemoMethod], path: Path, *, commands: Sequence[str], wall_seconds: float | None
) -> Path:
    """Write the page and return its path.

    Args:
        methods: the methods to compare, in the order in which they are shown.
        path: the HTML file to write.
        commands: the command lines that made all of it.
        wall_seconds: how long that took; None where it was interrupted and so is not known.

    Raises:
        UserError: a result file is missing or unreadable, or a run logged no success rate online.
    """
    curves = read_methods([CurvePair(m.name, m.pretrain_dir, m.finetune_dir) for m in methods])
    lines = [read_line(method.landscape_dir) for method in methods]
    plots = _landscape_plots(lines)
    rows = [
        Row(
            name=method.name,
            result=line.result,
            success=_success(curve, method.finetune_dir),
            depth=interval_text(line.result.analysis["V"]),
            drawdown=interval_text(line.result.analysis["DD"]),
            plot=plot,
        )
        for method, curve, line, plot in zip(methods, curves, lines, plots, strict=True)
    ]
    page = render(
        "demo.html.j2",
        title="; ".join(headline(row.name, row.result, row.success) for row in rows),
        story=_story(rows),
        rows=rows,
        seeds=seed_count(curves),
        curves=embed(curves_figure(curves), "curves"),
        curves_still=still(curves_still(curves)),
        landscapes_still=still(lines_still(lines)),
        commands=commands,
        versions={k: version for line in lines for k, version in line.result.result["versions"].items()},
        margins=_join(_unique(_margin_text(line.result) for line in lines)),
        wall_time=None if wall_seconds is None else wall_time(wall_seconds),
    )
    return write_page(path, page)


def wall_time(seconds: float) -> str:
    """`2 h 5 min`, `3 min 12 s` or `45 s`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _margin_text(result: PathResult) -> str:
    """`9 (5 % of the task's score range)`."""
    return f"{number(result.margin)} ({result.result['margin']['source']})"


def _success(method: Method, directory: Path) -> Success:
    """The success rates of the online phase: at the switch, at worst and at the end."""
    series = method.series[SUCCESS]["online"]
    if not series:
        raise UserError(f"{directory / 'metrics.csv'} has no {SUCCESS} in the online phase.")
    first, worst, last = np.mean(
        [(one.values[0], one.values.min(), one.values[-1]) for one in series], axis=0
    )
    return Success(float(first), float(worst), float(last))


def _landscape_plots(lines: Sequence[Line]) -> list[Markup]:
    """The interactive landscapes, on one scale so that they can be compared by eye."""
    limits = common_range(lines)
    plots = []
    for index, line in enumerate(lines):
        figure = line_figure(line)
        figure.update_yaxes(range=limits, row=1, col=1)
        figure.update_layout(height=370)
        plots.append(embed(figure, f"landscape-{index}"))
    return plots


def headline(name: str, result: PathResult, success: Success) -> str:
    """The drop of training, the verdict of the line, and whether it is monotone, each in its own words."""
    drop = "never fell below its value at the switch"
    if success.worst < success.offline:
        drop = f"fell from {_percent(success.offline)} to {_percent(success.worst)}"
    line, monotone = LINE_PHRASES[result.verdict], MONOTONE_PHRASES[result.monotone]
    return f"{name}: in training success {drop}, {line}, {monotone}"


def demo_headlines(methods: Sequence[DemoMethod]) -> list[str]:
    """`headline` of every method, from its files; UserError as for `demo_page`."""
    curves = read_methods([CurvePair(m.name, m.pretrain_dir, m.finetune_dir) for m in methods])
    return [
        headline(m.name, read_line(m.landscape_dir).result, _success(curve, m.finetune_dir))
        for m, curve in zip(methods, curves, strict=True)
    ]


def _story(rows: Sequence[Row]) -> str:
    """Two sentences: what was done, and what success did across the switch."""
    task = _join(_unique(row.result.task for row in rows))
    learners = _join(_unique(look(row.result.ends[1]["algorithm"]).name for row in rows))
    names = _join([row.name for row in rows])
    done = f"{names} learned {task} from offline data, and {learners} then continued online from there."
    return f"{done} {_capital(_join([_journey(row) for row in rows]))}."


def _journey(row: Row) -> str:
    """One method's success across the switch, as a clause."""
    success = row.success
    if success.worst < success.offline:
        way = f"fell from {_percent(success.offline)} to {_percent(success.worst)}"
    else:
        way = f"never fell below its {_percent(success.offline)} at the switch"
    return f"{row.name}'s success {way} and ended at {_percent(success.final)}"


def _percent(rate: float) -> str:
    """`80 %`, kept on one line."""
    return f"{100 * rate:.0f}\N{NO-BREAK SPACE}%"


def _unique(values: Any) -> list[str]:
    """The different values, in order of appearance."""
    return list(dict.fromkeys(values))


def _join(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; clauses that hold an "and" themselves are joined by semicolons."""
    if any(" and " in part for part in parts):
        return "; ".join(parts)
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _capital(text: str) -> str:
    """The first letter of a sentence."""
    return text[:1].upper() + text[1:]
