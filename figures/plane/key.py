"""The key under a map: every checkpoint, its own return, what the surface says there, how far it is off."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures.labels import shortened, text_size
from figures.plane.colors import color_of
from figures.plane.data import Checkpoint, Plane, Scale
from figures.plane.maps import SMALL
from figures.style import GREY, INK, number

ROW = 11.0  # points
MOST = 12  # checkpoints in a key; a page lists all of them


def key_rows(plane: Plane) -> list[Checkpoint]:
    """All checkpoints, or where they are too many the anchors and those the surface is farthest from."""
    if len(plane.checkpoints) <= MOST:
        return list(plane.checkpoints)
    gaps = [
        (np.inf if c.anchor else np.nan_to_num(abs(c.own - c.surface), nan=-1.0)) for c in plane.checkpoints
    ]
    kept = np.argsort(gaps, kind="stable")[::-1][: MOST - 1]
    return [plane.checkpoints[i] for i in sorted(kept)]


def key_height(plane: Plane) -> float:
    """In points, with the line of headings."""
    rows = key_rows(plane)
    return ROW * (1.3 + len(rows) + (len(rows) < len(plane.checkpoints)))


def draw_key(ax: Axes, plane: Plane, scale: Scale, width: float) -> None:
    """Draw the key into empty axes of `width` points and `key_height` points."""
    height = key_height(plane)
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    off, surface = width, width - 40
    own = surface - 36
    y = 0.6 * ROW
    for x, align, text in (
        (0, "left", "colour: own return"), (own, "right", "own return"),
        (surface, "right", "surface"), (off, "right", "off plane"),
    ):  # fmt: skip
        ax.text(x, y, text, ha=align, va="center", fontsize=SMALL, color=GREY)
    rows = key_rows(plane)
    for row, one in enumerate(rows, start=1):
        y = ROW * (0.7 + row)
        ax.plot(
            3.6, y, "o" if np.isfinite(one.own) else "X", ms=6, mew=0.7, mec=INK, mfc=color_of(one.own, scale)
        )
        ax.text(18.5, y, str(one.number), ha="right", va="center", fontsize=SMALL, fontweight="bold")
        room = own - text_size(one.short_text, SMALL)[0] - 26
        ax.text(22, y, fitted(one.name, room), va="center", fontsize=SMALL, parse_math=False)
        for x, text in ((own, one.short_text), (surface, number(one.surface)), (off, one.share_text)):
            ax.text(x, y, text, ha="right", va="center", fontsize=SMALL)
    if len(rows) < len(plane.checkpoints):
        left = len(plane.checkpoints) - len(rows)
        ax.text(
            22, y + ROW, f"and {left} more, nearer to the surface", va="center", fontsize=SMALL, color=GREY
        )


def fitted(text: str, room: float) -> str:
    """A text shortened until it is no wider than `room` points."""
    letters = len(text)
    while letters > 3 and text_size(shortened(text, letters), SMALL)[0] > room:
        letters -= 1
    return shortened(text, letters)


def legend_entries(plane: Plane, *, level: bool = True) -> list[tuple[Any, str]]:
    """What the map's lines and hatches mean, those that are there."""
    found: list[tuple[Any, str]] = []
    if level and plane.level is not None:
        line = Line2D([], [], color=INK, linewidth=1.2, dashes=(4, 2))
        found.append((line, level_text(plane)))
    if len(plane.trajectory) > 1:
        found.append((Line2D([], [], color=INK, linewidth=0.8, marker=">", ms=3.5), "training"))
    for cells, hatch, text in (
        (plane.some_failed, "/////", "some episodes failed"),
        (plane.all_failed, "xxxxx", "all failed"),
    ):
        if cells.any():
            found.append((Patch(facecolor="white", edgecolor=INK, hatch=hatch, linewidth=0.4), text))
    return found


def level_text(plane: Plane) -> str:
    """What the level line means; says so where no surface is below it."""
    assert plane.level is not None
    what = "lower end" if len(plane.ends) > 1 else shortened(plane.ends[0], 16)
    name = f"{what} − margin {number(plane.margin)}"
    return name if np.nanmin(plane.fields["return"]) < plane.level else f"{name}: nowhere"
