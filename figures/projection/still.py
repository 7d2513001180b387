"""A projection for paper, with matplotlib: nothing smaller than 7 points, and the warning on the picture."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from figures.files import Floats
from figures.labels import Box, place, text_size, wrapped
from figures.plane.colors import color_of
from figures.plane.key import fitted
from figures.plane.maps import SMALL, WHITE
from figures.plane.still import BAR, BAR_WORDS, RIGHT, TOP, Sheet, draw_bar, draw_legend
from figures.projection.data import Projection, Run, summary_text
from figures.style import GREY, INK, counted, look, number, paper

WIDTH, SIDE = 5.6 * 72, 1.95 * 72  # points: the picture, and its key at the right
ROW = 10.5  # points: a line of words
DOT, END = 2.1, 3.7  # radii in points: a checkpoint on the way, and the ends of a run
ARROW = 12.0  # points: a stretch this long carries an arrow
BESIDE = 5.5  # points: an arrow from the line where markers cover it
FEW = 8  # runs whose ends have their names on the map; the key has those of all
REACH = 14.0  # points: farther from its marker a name says nothing
START_MARK, END_MARK = "s", "o"


def projection_still(found: Projection) -> Figure:
    """All runs on the map, with key, colour bar, and what the picture does not show."""
    left = 40.0 if found.labels else 8.0
    below = 31.0 if found.labels else 8.0
    width = WIDTH - left - SIDE - RIGHT
    height = width * found.aspect
    entries = _entries(found)
    body = max(height + below, ROW * 1.2 * (len(entries) + 1) + BAR + BAR_WORDS + 16)
    words = [
        *wrapped(summary_text(found), SMALL, WIDTH - 14),
        *wrapped(found.result.result["warning"], SMALL, WIDTH - 14),
    ]
    sheet = Sheet(WIDTH, TOP + body + ROW * len(words) + 6)
    with paper():
        sheet.title(found.result.task)
        ax = sheet.axes(left, TOP, width, height)
        _draw_map(ax, found, width, height)
        _dress(ax, found)
        side = left + width + 10
        draw_bar(
            sheet.axes(side, TOP + 4, SIDE - 12, BAR), found.scale,
            f"own mean return, {counted(found.episodes, 'episode')}",
        )  # fmt: skip
        draw_legend(sheet.axes(side, TOP + BAR + BAR_WORDS + 12, SIDE - 10, 1), entries, columns=1)
        for k, line in enumerate(words):
            y = 1 - (TOP + body + 2 + ROW * k) / sheet.height
            sheet.fig.text(7 / WIDTH, y, line, fontsize=SMALL, va="top", color=INK, parse_math=False)
    return sheet.fig


def _draw_map(ax: Axes, found: Projection, width: float, height: float) -> None:
    (left, right), (low, high) = found.extent
    ax.set(xlim=(left, right), ylim=(low, high))
    positions, per_unit = found.positions, width / (right - left)
    for run in found.runs:
        _draw_run(ax, found, run, positions, per_unit)
    ends = {k for run in found.runs for k in (run.start, run.end)}
    for k, point in enumerate(found.points):
        if k in ends:
            continue
        ax.plot(
            point.x, point.y, "o" if np.isfinite(point.own) else "X", ms=2 * DOT, mew=0.35, mec=INK,
            mfc=color_of(point.own, found.scale), zorder=4, gid=point.name,
        )  # fmt: skip
    for run in found.runs:
        for k, mark in ((run.end, END_MARK), (run.start, START_MARK)):
            point, edge = found.points[k], found.looks[run.group].color
            ax.plot(
                point.x, point.y, mark if np.isfinite(point.own) else "X", ms=2 * END, mew=1.3,
                mec=INK if mark == START_MARK else edge, mfc=color_of(point.own, found.scale),
                zorder=6 if mark == START_MARK else 5, gid=point.name,
            )  # fmt: skip
    _write_ends(ax, found, (positions - (left, low)) * per_unit, Box(1, 1, width - 2, height - 2), per_unit)


def _draw_run(ax: Axes, found: Projection, run: Run, positions: Floats, per_unit: float) -> None:
    """A run's way in its method's colour and dashes, with arrows in the direction of time."""
    style = found.looks[run.group]
    way = positions[list(run.points)]
    ax.plot(
        *way.T, color=style.color, linestyle=style.linestyle, linewidth=1.1, zorder=3, gid=run.name,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )  # fmt: skip
    for start, end in _arrows(way * per_unit):
        ax.annotate(
            "", tuple(end / per_unit), tuple(start / per_unit), zorder=4.5,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.22,head_length=0.42", "color": style.color, "linewidth": 0.8,
                "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0,
            },
        )  # fmt: skip


def _arrows(way: Floats) -> list[tuple[Floats, Floats]]:
    """Starts and ends of arrows along a way [n, 2], all in points of 1/72 inch.

    On every long stretch; where all are short, one beside the middle of the way, as markers cover the line.
    """
    legs = np.diff(way, axis=0)
    lengths = np.linalg.norm(legs, axis=1)
    if long := np.flatnonzero(lengths > ARROW).tolist():
        return [(way[i] + 0.5 * legs[i], way[i] + 0.62 * legs[i]) for i in long]
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    if not travelled[-1] > 2 * ARROW:
        return []
    middle = travelled[-1] / 2
    start, end = (
        np.array([np.interp(at, travelled, axis) for axis in way.T])
        for at in (middle - ARROW / 2, middle + ARROW / 2)
    )
    along = end - start
    beside = np.array([-along[1], along[0]]) * BESIDE / max(float(np.linalg.norm(along)), 1e-9)
    return [(start + beside, end + beside)]


def _write_ends(ax: Axes, found: Projection, points: Floats, box: Box, per_unit: float) -> None:
    """The offline method at every start and, of few runs, the online one at every end, where is room."""
    starts = {run.start: look(run.offline).name for run in found.runs}
    ends = {run.end: (look(run.online).name, found.looks[run.group].color) for run in found.runs}
    texts = [(k, f"offline {name}", INK) for k, name in starts.items()]
    texts += [(k, *words) for k, words in ends.items() if len(found.runs) <= FEW]
    order = np.array([k for k, _, _ in texts])
    sizes = [[text_size(text, SMALL, bold=True)] for _, text, _ in texts]
    marks = points[[run.end for run in found.runs]].repeat(4, axis=0)  # worse to cover than others
    busy = np.concatenate([np.delete(points, order, axis=0), _along(found, points), marks])
    placed = place(points[order], sizes, box, radius=END + 1.5, busy=busy)
    corner = np.array([found.extent[0][0], found.extent[1][0]])
    for (k, text, color), label in zip(texts, placed, strict=True):
        if label is None or _away(label[1], points[k]) > REACH:
            continue
        x, y = corner + np.array(label[1].centre) / per_unit
        ax.text(
            x, y, text, fontsize=SMALL, fontweight="bold", color=color, ha="center", va="center", bbox=WHITE,
            zorder=7, parse_math=False, gid=f"label {k}",
        )  # fmt: skip


def _away(box: Box, point: Floats) -> float:
    """How far a box is from a point."""
    nearest = np.clip(point, (box.left, box.low), (box.left + box.width, box.low + box.height))
    return float(np.linalg.norm(nearest - point))


def _along(found: Projection, points: Floats) -> Floats:
    """Points all along the runs, about six points of 1/72 inch apart."""
    legs = [
        np.linspace(points[a], points[b], 1 + int(np.linalg.norm(points[b] - points[a]) / 6))
        for run in found.runs
        for a, b in zip(run.points[:-1], run.points[1:], strict=True)
    ]
    return np.concatenate(legs)


def _dress(ax: Axes, found: Projection) -> None:
    """Ticks only where they mean something."""
    ax.set_aspect("equal")
    if found.labels is None:
        ax.set(xticks=[], yticks=[])
        for side in ("top", "right"):
            ax.spines[side].set_visible(True)
        for spine in ax.spines.values():
            spine.set(color=GREY, linewidth=0.5)
        return
    ax.set_xlabel(found.labels[0], labelpad=1.5)
    ax.set_ylabel(found.labels[1], labelpad=1.5)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _entries(found: Projection) -> list[tuple[Any, str]]:
    """A line for every method, and what the markers are."""
    room = SIDE - 36
    entries: list[tuple[Any, str]] = [
        (
            Line2D([], [], color=style.color, dashes=style.dashes or (None, None), linewidth=1.6),
            fitted(found.group_text(group), room),
        )
        for group, style in found.looks.items()
    ]
    marks = (
        (START_MARK, 1.3, 2 * END, "start: offline"),
        ("o", 0.35, 2 * DOT, "on the way"),
        (END_MARK, 1.3, 2 * END, "end: online"),
    )
    for mark, edge, size, text in marks:
        entries.append(
            (Line2D([], [], linestyle="", marker=mark, ms=size, mew=edge, mec=INK, mfc="white"), text)
        )
    if any(not np.isfinite(point.own) for point in found.points):
        entries.append(
            (Line2D([], [], linestyle="", marker="X", ms=6, mec=INK, mfc="white"), "no episode finished")
        )
    return entries
