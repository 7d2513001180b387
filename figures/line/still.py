"""Landscapes for paper, with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.line.data import (
    Behind,
    Line,
    common_range,
    depth_path,
    depth_text,
    end_label,
    ends_title,
    episodes_text,
    failed_text,
    fall_text,
    field_label,
    monotone_text,
    neighbourhood,
    read_line,
    y_range,
)
from figures.style import GREY, INK, VERDICT_COLORS, number, paper, save
from landscape.results import PathResult

LINES = (4.0, 16.0, 29.0)  # points above the axes: how monotone, how deep, and the title


def line_still(line: Line) -> Figure:
    """One landscape."""
    with paper():
        fig = Figure(figsize=(4.6, 3.3), layout="constrained")
        ax, success_ax = line_axes(fig, success=line.result.tells_success)
        draw_on(ax, success_ax, line)
        fig.align_ylabels()
    return fig


def lines_still(lines: Sequence[Line]) -> Figure:
    """Several landscapes side by side, on one scale so that they can be compared by eye."""
    with paper():
        fig = Figure(figsize=(3.5 * len(lines), 2.9), layout="constrained")
        parts = np.atleast_1d(np.asarray(fig.subfigures(1, len(lines), wspace=0.06)))
        for part, line in zip(parts, lines, strict=True):
            ax, success_ax = line_axes(part, success=line.result.tells_success)
            draw_on(ax, success_ax, line)
            ax.set_ylim(common_range(lines))
            part.align_ylabels()
    return fig


def draw_lines(directories: Sequence[Path], stem: Path) -> list[Path]:
    """Draw several landscape directories side by side: `stem.png` and `stem.pdf`."""
    return save(lines_still([read_line(directory) for directory in directories]), stem)


def line_axes(fig: Any, *, success: bool = True) -> tuple[Axes, Axes | None]:
    """The panels of one landscape in a figure or subfigure: returns above a thin strip of success."""
    if not success:
        return fig.subplots(), None
    ax, success_ax = fig.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1]})
    return ax, success_ax


def draw_on(ax: Axes, success_ax: Axes | None, line: Line) -> None:
    """Draw one landscape with matplotlib into two axes that share x; call it inside `style.paper()`."""
    color = line.look.color
    if line.behind:
        _draw_behind(ax, line, line.behind)
    ax.fill_between(line.xs, line.lower, line.upper, color=color, alpha=0.2, linewidth=0)
    ax.plot(line.xs, line.means, color=color, zorder=3, marker=".", markersize=3.5)
    for index, face in zip(line.ends, ("white", color), strict=True):
        ax.plot(line.xs[index], line.means[index], "o", ms=6.5, mfc=face, mec=color, mew=1.6, zorder=5)
    _draw_level(ax, line, line.result.margin)
    if line.depth > 0:
        _draw_depth(ax, line)
    _draw_failures(ax, line)
    ax.set_ylim(y_range(line))
    ax.set_ylabel(field_label(line.result))
    _draw_title(ax, line)
    if success_ax is not None:
        ax.tick_params(axis="x", length=0, labelbottom=False)
        _draw_success(success_ax, line)
    _draw_x_axis(ax if success_ax is None else success_ax, line)


def _draw_behind(ax: Axes, line: Line, behind: Behind) -> None:
    """What the path is compared with, in grey, and both named above with their depths."""
    ax.fill_between(behind.xs, behind.lower, behind.upper, color=GREY, alpha=0.16, linewidth=0, zorder=0.8)
    (grey,) = ax.plot(behind.xs, behind.means, color=GREY, linewidth=1.2, dashes=(3, 1.5), zorder=2.8)
    (own,) = ax.plot([], [], color=line.look.color, marker=".", markersize=3.5)
    names = [f"{behind.own_label}: V = {line.depth_words}", f"{behind.label}: {behind.depth}"]
    legend = ax.legend(
        [own, grey], names, loc="lower left", bbox_to_anchor=(-0.01, 1.01), ncols=2, frameon=False,
        fontsize=7.5, handlelength=1.6, columnspacing=1.4, borderaxespad=0, handletextpad=0.5,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_title(ax: Axes, line: Line) -> None:
    """Both ends and the verdict; below them the numbers they rest on, unless the legend has these."""
    verdict, name = line.result.verdict, ends_title(line.result)
    title = ax.set_title(
        f"{name}: {verdict}", loc="left", fontweight="bold", color=VERDICT_COLORS[verdict],
        pad=20.0 if line.behind else LINES[-1],
    )  # fmt: skip
    title.set_parse_math(False)
    if not line.behind:
        _draw_numbers(ax, line.result)


def _draw_numbers(ax: Axes, result: PathResult) -> None:
    """The depth; whether the return is monotone, and the largest fall that this rests on."""
    words: dict[str, Any] = {
        "xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom", "fontsize": 7.5,
        "parse_math": False,
    }  # fmt: skip
    color, (low, high, _) = VERDICT_COLORS[result.monotone], LINES
    ax.annotate(depth_text(result), (1, 1), (0, high), ha="right", **words)
    ax.annotate(monotone_text(result), (0, 1), (0, low), ha="left", fontweight="bold", color=color, **words)
    ax.annotate(fall_text(result), (1, 1), (0, low), ha="right", **words)


def _draw_level(ax: Axes, line: Line, delta: float) -> None:
    """The dashed level under which a valley counts, named where the curve leaves room."""
    ax.axhline(line.level, color=INK, linewidth=0.8, dashes=(4, 3), zorder=2)
    side = line.roomy_end
    ax.annotate(
        f"lower end − margin {number(delta)}",
        (side, line.level),
        xycoords=("axes fraction", "data"),
        xytext=(-3 if side else 3, -2.5),
        textcoords="offset points",
        ha="right" if side else "left",
        va="top",
        fontsize=6.5,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75},
        zorder=2.5,
    )


def _draw_depth(ax: Axes, line: Line) -> None:
    """A dotted path from the lower end to above the bottom and down to it, and the depth in words."""
    x, y = line.xs[line.bottom], line.means[line.bottom]
    ax.plot(*depth_path(line), color=INK, linewidth=0.8, dashes=(1, 1.6), zorder=4)
    ax.plot(x, y, "v", ms=5, mfc="white", mec=INK, mew=0.9, zorder=6)
    base = np.nanmin([y, line.lower[line.bottom]])
    ax.annotate(
        f"V = {number(line.depth)}",
        (x, base),
        xytext=(0, -3),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=7.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        zorder=6,
    )


def _draw_failures(ax: Axes, line: Line) -> None:
    """Hatch the stretch around every point where an episode failed, closer where all did, and count."""
    for index in line.failed:
        left, right = neighbourhood(line.xs, index)
        color, hatch = ("#8a8a8a", "xxxxx") if index in line.dead else ("#b0b0b0", "/////")
        ax.axvspan(left, right, facecolor="none", edgecolor=color, hatch=hatch, linewidth=0, zorder=1)
    for run in line.failed_runs:
        ax.annotate(
            failed_text(line, run),
            (float(line.xs[run[[0, -1]]].mean()), 0.985),
            xycoords=("data", "axes fraction"),
            rotation=90,
            ha="center",
            va="top",
            fontsize=7,
            color=GREY,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            zorder=2,
        )


def _draw_success(ax: Axes, line: Line) -> None:
    """The thin strip below: success rate."""
    assert line.success is not None
    ax.fill_between(line.xs, 0, line.success, color=line.look.color, alpha=0.2, linewidth=0)
    ax.plot(line.xs, line.success, color=line.look.color, linewidth=1.1)
    if line.behind and line.behind.success is not None:
        ax.plot(line.behind.xs, line.behind.success, color=GREY, linewidth=0.9, dashes=(3, 1.5))
    ax.set_ylim(0, 1.08)
    ax.set_yticks([0, 1])
    ax.set_ylabel("success")


def _draw_x_axis(ax: Axes, line: Line) -> None:
    """Ticks, the two checkpoints named under theirs, and what every point rests on."""
    words = list(line.axis.words)
    for i, end in zip((0, -1), line.result.ends, strict=True):
        words[i] = f"{words[i]}\n{end_label(end)}"
    ax.set_xticks(line.axis.positions.tolist(), words)
    for text in ax.get_xticklabels():
        text.set_parse_math(False)
    confidence = 100 * line.result.confidence
    ax.set_xlabel(
        f"{line.axis.label}\n{episodes_text(line.result)}, {confidence:g} % simultaneous band",
        labelpad=-9,
        linespacing=1.5,
    )
    pad = 0.03 * float(np.ptp(line.xs))
    ax.set_xlim(line.xs.min() - pad, line.xs.max() + pad)
