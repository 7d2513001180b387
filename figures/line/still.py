"""Landscapes for paper, with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.line.data import (
    FIELD_LABELS,
    Arrays,
    Line,
    Result,
    common_range,
    depth_path,
    depth_text,
    end_label,
    episodes_text,
    line_data,
    neighbourhood,
    read_line,
    y_range,
)
from figures.style import GREY, INK, VERDICT_COLORS, look, number, paper, save


def line_still(result: Result, arrays: Arrays) -> Figure:
    """One landscape."""
    with paper():
        fig = Figure(figsize=(4.6, 3.3), layout="constrained")
        ax, success_ax = line_axes(fig)
        draw_on(ax, success_ax, result, arrays)
        fig.align_ylabels()
    return fig


def lines_still(lines: Sequence[tuple[Result, Arrays]]) -> Figure:
    """Several landscapes side by side, on one scale so that they can be compared by eye."""
    with paper():
        fig = Figure(figsize=(3.5 * len(lines), 2.9), layout="constrained")
        parts = np.atleast_1d(np.asarray(fig.subfigures(1, len(lines), wspace=0.06)))
        for part, (result, arrays) in zip(parts, lines, strict=True):
            ax, success_ax = line_axes(part)
            draw_on(ax, success_ax, result, arrays)
            ax.set_ylim(common_range(lines))
            part.align_ylabels()
    return fig


def draw_lines(directories: Sequence[Path], stem: Path) -> list[Path]:
    """Draw several landscape directories side by side: `stem.png` and `stem.pdf`."""
    return save(lines_still([read_line(directory) for directory in directories]), stem)


def line_axes(fig: Any) -> tuple[Axes, Axes]:
    """The two panels of one landscape, returns above a thin success strip, in a figure or subfigure."""
    ax, success_ax = fig.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1]})
    return ax, success_ax


def draw_on(ax: Axes, success_ax: Axes, result: Result, arrays: Arrays) -> None:
    """Draw one landscape with matplotlib into two axes that share x; call it inside `style.paper()`."""
    line = line_data(result, arrays)
    color = line.look.color
    ax.fill_between(line.alphas, line.lower, line.upper, color=color, alpha=0.2, linewidth=0)
    ax.plot(line.alphas, line.means, color=color, zorder=3, marker=".", markersize=3.5)
    for index, face in zip(line.ends, ("white", color), strict=True):
        ax.plot(line.alphas[index], line.means[index], "o", ms=6.5, mfc=face, mec=color, mew=1.6, zorder=5)
    _draw_level(ax, line, result["margin"]["delta"])
    if line.depth > 0:
        _draw_depth(ax, line)
    _draw_failures(ax, line)
    ax.set_ylim(y_range(line))
    ax.set_ylabel(FIELD_LABELS[result["field"]])
    ax.tick_params(axis="x", length=0, labelbottom=False)
    _draw_title(ax, result)
    _draw_success(success_ax, line, result)


def _draw_title(ax: Axes, result: Result) -> None:
    """The method and verdict at the left, the numbers it rests on at the right."""
    verdict = result["analysis"]["verdict"]
    name = look(result["from"]["algorithm"]).name
    left = ax.set_title(f"{name}: {verdict}", loc="left", fontweight="bold", color=VERDICT_COLORS[verdict])
    right = ax.set_title(depth_text(result), loc="right", fontsize=8)
    for title in (left, right):
        title.set_parse_math(False)


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
    x, y = line.alphas[line.bottom], line.means[line.bottom]
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
    """Hatch the stretch around every point where an episode failed, and say how many did."""
    for index in line.failed:
        left, right = neighbourhood(line.alphas, index)
        ax.axvspan(left, right, facecolor="none", edgecolor="#b0b0b0", hatch="/////", linewidth=0, zorder=1)
        ax.annotate(
            f"{line.episodes - line.finished[index]} of {line.episodes} failed",
            (line.alphas[index], 0.985),
            xycoords=("data", "axes fraction"),
            rotation=90,
            ha="center",
            va="top",
            fontsize=6,
            color=GREY,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            zorder=2,
        )


def _draw_success(ax: Axes, line: Line, result: Result) -> None:
    """The thin strip below: success rate, and the two checkpoints named on the alpha axis."""
    ax.fill_between(line.alphas, 0, line.success, color=line.look.color, alpha=0.2, linewidth=0)
    ax.plot(line.alphas, line.success, color=line.look.color, linewidth=1.1)
    ax.set_ylim(0, 1.08)
    ax.set_yticks([0, 1])
    ax.set_ylabel("success")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set_xticks(
        ticks, [f"0\n{end_label(result['from'])}", "0.25", "0.5", "0.75", f"1\n{end_label(result['to'])}"]
    )
    for text in ax.get_xticklabels():
        text.set_parse_math(False)
    confidence = 100 * result["analysis"]["confidence"]
    ax.set_xlabel(
        f"α\n{episodes_text(result)}, {confidence:g} % simultaneous band",
        labelpad=-9,
        linespacing=1.5,
    )
    pad = 0.03 * float(np.ptp(line.alphas))
    ax.set_xlim(line.alphas.min() - pad, line.alphas.max() + pad)
