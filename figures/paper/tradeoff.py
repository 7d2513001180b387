"""Strong offline against smooth online: every pair's offline success over its dip, and what nothing beats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from figures.paper.dips import DIP_WORDS, dip_name, number
from figures.style import INK, look

MARKERS = {"sac": "o", "td3": "s", "td3_bc": "^", "awr": "D"}


def front(dip: np.ndarray, success: np.ndarray) -> np.ndarray:
    """Indices of the points that no other beats in one and equals or beats in the other, by rising dip."""
    at_least = (dip[:, None] >= dip) & (success[:, None] <= success)
    better = at_least & ((dip[:, None] > dip) | (success[:, None] < success))
    found = np.flatnonzero(~better.any(1))
    return found[np.lexsort((success[found], dip[found]))]


def draw_tradeoff(tasks: Mapping[str, Any], asked: float) -> plt.Figure:
    """A panel per task; `tasks` are the contents of `transfer.json`, `asked` is the dip that was asked for.

    The upper left is what one wants. Bars are intervals over seeds.
    """
    kind = dip_name(tasks.values())
    width = 0.6 + 2.3 * len(tasks)
    fig, axes = plt.subplots(1, len(tasks), figsize=(width, 2.9), squeeze=False)
    for ax, (name, task) in zip(axes[0], tasks.items(), strict=True):
        _panel(ax, task, kind)
        ax.axvline(asked, color=INK, lw=0.8, ls=(0, (4, 3)))
        ax.set_title(name)
        ax.set_xlabel(f"{DIP_WORDS[kind]} at the switch")
    axes[0][0].set_ylabel("success offline")
    pairs = [cell.split("-") for task in tasks.values() for cell in task["online"]]
    dots = [_dot(look(a).color, "o", look(a).name) for a in dict.fromkeys(a for a, _ in pairs)]
    shapes = [_dot(INK, MARKERS[b], f"→ {look(b).name}") for b in dict.fromkeys(b for _, b in pairs)]
    handles = [*dots, *shapes]
    columns = min(len(handles), int(width / 0.95))
    fig.tight_layout(rect=(0, 0.04 + 0.08 * -(-len(handles) // columns), 1, 1))
    fig.legend(handles=handles, loc="lower center", ncols=columns, frameon=False)
    return fig


def _panel(ax: Axes, task: Mapping[str, Any], kind: str) -> None:
    pairs = [cell.split("-") for cell in task["online"]]
    across = [number(task["online"]["-".join(pair)], kind) for pair in pairs]
    up = [task["offline"][a]["over_seeds"]["success"] for a, _ in pairs]
    for (a, b), x, y in zip(pairs, across, up, strict=True):
        color = look(a).color
        if x["low"] is not None:
            ax.hlines(y["mean"], x["low"], x["high"], color=color, lw=0.8, alpha=0.5)
        if y["low"] is not None:
            ax.vlines(x["mean"], y["low"], y["high"], color=color, lw=0.8, alpha=0.5)
        ax.plot(x["mean"], y["mean"], MARKERS[b], color=color, ms=4.5)
    dip, success = np.array([x["mean"] for x in across]), np.array([y["mean"] for y in up])
    best = front(dip, success)
    ax.step(dip[best], success[best], where="post", color=INK, lw=0.9, alpha=0.5, zorder=0)


def _dot(color: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=color, marker=marker, ls="", ms=4.5, label=label)
