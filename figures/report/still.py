"""The pictures of a report for paper."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from figures.report.data import Comparison, Panel, Report, Whiskers, whiskers
from figures.style import GREY, INK, VERDICT_COLORS, Look, nested_widths, paper

MOST_COLUMNS = 6
PROFILE_TITLE = "Share of training seeds whose path falls by less than x (higher is better)"
DEPTH_NAMES = {"V": "valley depth V", "DD": "drawdown DD"}


def paths_still(found: Comparison) -> Figure:
    """Small multiples on one scale: per method the mean path, then the path of every seed."""
    groups, single, look = [*found.panels.items()], found.single, found.looks
    rows = _single_row(groups) if single else _rows(groups)
    columns = max(len(row) for _, row in rows)
    width = 7.0 if columns > 2 else 2.9 * columns
    with paper():
        fig = Figure(
            figsize=(width, (0.85 * width / columns + 0.52) * len(rows) + 0.25), layout="constrained"
        )
        axes = fig.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
        for line, ((name, row), many) in enumerate(zip(rows, axes, strict=True)):
            for k, ax in enumerate(many):
                if k >= len(row):
                    ax.set_axis_off()
                    continue
                method, panel = row[k]
                _draw(ax, panel, look[method], f"{method}, " if single else "")
                below = line + 1 < len(rows) and k < len(rows[line + 1][1])
                ax.tick_params(labelbottom=not below)
            many[0].set_ylabel(f"{name}\nmean return" if name else "mean return", parse_math=False)
        axes[0, 0].set_ylim(found.limits)
        axes[0, 0].set_xticks([0, 0.5, 1], ["0", "½", "1"])
        fig.supxlabel(
            f"α from offline (0, open) to online (1, filled); shaded: {100 * found.report['confidence']:g} % "
            "simultaneous band; dashed: lower end − margin;\nmonotone?: undecided; falls: online ends below "
            "offline by more than the margin",
            fontsize=7.5, color=GREY,
        )  # fmt: skip
    return fig


Row = tuple[str, list[tuple[str, Panel]]]


def _single_row(groups: list[tuple[str, list[Panel]]]) -> list[Row]:
    """Methods of one seed side by side, in rows of up to four."""
    every = [(name, group[0]) for name, group in groups]
    return [("", every[k : k + 4]) for k in range(0, len(every), 4)]


def _rows(groups: list[tuple[str, list[Panel]]]) -> list[Row]:
    """The panels of a method after its name, in rows that are not too long."""
    longest = min(MOST_COLUMNS, max(len(group) for _, group in groups))
    return [
        (name if first == 0 else "", [(name, panel) for panel in group[first : first + longest]])
        for name, group in groups
        for first in range(0, len(group), longest)
    ]


def _draw(ax: Axes, panel: Panel, look: Look, above: str) -> None:
    for one in panel.behind:
        ax.plot(panel.alphas, one, color=look.color, linewidth=0.5, alpha=0.5)
    ax.fill_between(panel.alphas, panel.lower, panel.upper, color=look.color, alpha=0.2, linewidth=0)
    ax.plot(panel.alphas, panel.means, color=look.color, linewidth=1.3, zorder=3)
    for index, face in zip(panel.ends, ("white", look.color), strict=True):
        x, y = panel.alphas[index], panel.means[index]
        ax.plot(x, y, "o", ms=4, mfc=face, mec=look.color, mew=1.1, zorder=4, clip_on=False)
    ax.axhline(panel.level, color=INK, linewidth=0.6, dashes=(4, 3), zorder=2)
    words: dict[str, Any] = {"ha": "left", "va": "bottom", "fontsize": 7, "parse_math": False}
    ax.set_title("\n\n", fontsize=7)  # keeps the height of three lines; their widths are not to narrow axes
    lines = [
        (f"{above}{panel.title}\n\n", INK, "normal"),
        (f"{panel.verdict}\n", VERDICT_COLORS[panel.verdict], "bold"),
        (panel.monotone_words(short=True), VERDICT_COLORS[panel.monotone], "bold"),
    ]
    for text, color, weight in lines:
        told = ax.text(0, 1.03, text, transform=ax.transAxes, color=color, fontweight=weight, **words)
        told.set_in_layout(False)
    depth = panel.depth.replace(" [", "\n[")
    told = ax.text(
        0.5, 0.02, depth, transform=ax.transAxes, ha="center", va="bottom", fontsize=6, color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}, zorder=5,
    )  # fmt: skip
    told.set_in_layout(False)


def profile_still(found: Comparison) -> Figure:
    """Performance profiles of V and DD: how many runs are shallower than a depth."""
    report, look = found.report, found.looks
    with paper():
        fig = Figure(figsize=(6.75, 2.9), layout="constrained")
        axes = np.atleast_1d(fig.subplots(1, len(report["profiles"]), sharey=True))
        for ax, (name, of) in zip(axes, report["profiles"].items(), strict=True):
            widths = nested_widths(len(of))
            for k, (method, profile) in enumerate(of.items()):
                _draw_profile(ax, profile, look[method], widths[k], whiskers(profile, k, len(of)))
            ax.set_xlabel(profile_label(report, name))
            ax.set_ylim(-0.02, 1.03)
            ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
            ax.set_xlim(0, max(max(one["thresholds"]) for one in of.values()))
        axes[0].set_ylabel("seeds shallower than x")
        legend = fig.legend(
            *axes[0].get_legend_handles_labels(),
            frameon=False,
            loc="outside upper left",
            ncols=3,
            fontsize=7.5,
            title=PROFILE_TITLE,
            alignment="left",
            title_fontsize=8,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return fig


def profile_label(report: Report, name: str) -> str:
    unit = "return" if report["unit"] == "return" else "share of what was gained"
    return f"{DEPTH_NAMES[name]} ({unit})"


def _draw_profile(ax: Axes, profile: dict[str, Any], look: Look, width: float, limits: Whiskers) -> None:
    """A staircase, and its limits at a few places as whiskers: bands of several methods hide each other."""
    label = f"{look.name} ({profile['seeds']} seeds)"
    ax.step(
        profile["thresholds"], profile["shares"], where="post", color=look.color, linestyle=look.linestyle,
        linewidth=width, label=label,
    )  # fmt: skip
    ax.errorbar(
        limits.xs, limits.shares, [limits.below, limits.above], fmt="none", ecolor=look.color,
        elinewidth=0.9, capsize=2, capthick=0.9, zorder=3,
    )  # fmt: skip
