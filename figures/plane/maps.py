"""One map of a plane in matplotlib axes: surface, contour lines, failures, checkpoints, training."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from figures.files import Floats
from figures.labels import Box, around, place, shortened, text_size
from figures.plane.colors import COLORMAP, color_of, mappable
from figures.plane.data import Checkpoint, Plane, Scale
from figures.style import INK, tick_words

RADIUS = 3.6  # of a marker, in points
SMALL = 7.0  # points: the smallest words
ARROW = 13.0  # points: a stretch of training this long carries an arrow
FEW = 7  # checkpoints that still leave room for their shares on the map
SHORT = 20  # letters of a checkpoint's name on the map
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.7, "alpha": 0.8}
HATCHES = (("white", 1.5), (INK, 0.45))  # under and over, to be seen on dark and on light


@dataclass(frozen=True)
class Frame:
    """Axes of known size, so that words can be placed before anything is drawn."""

    plane: Plane
    width: float
    """In points."""

    @property
    def height(self) -> float:
        return self.width * self.plane.aspect

    @property
    def box(self) -> Box:
        """Where words may be."""
        return Box(1, 1, self.width - 2, self.height - 2)

    def points(self, xs: Floats, ys: Floats) -> Floats:
        """Positions [n, 2] in points from the lower left corner."""
        (left, right), (low, high) = self.plane.extent
        return np.stack(
            [(xs - left) / (right - left) * self.width, (ys - low) / (high - low) * self.height], axis=-1
        )

    def data(self, points: Floats) -> Floats:
        """The other way round."""
        (left, right), (low, high) = self.plane.extent
        x, y = np.asarray(points).T
        return np.stack(
            [left + x / self.width * (right - left), low + y / self.height * (high - low)], axis=-1
        )


def draw_map(ax: Axes, frame: Frame, field: str, scale: Scale, *, names: bool = False) -> None:
    """Draw a field of a plane; call it inside `style.paper()`.

    Only on the map of returns are the checkpoints filled in the colour of what they measured. `names` writes
    all of their names where there is room; else only the anchors', and the key has those of the others.
    """
    plane = frame.plane
    (left, right), (low, high) = plane.extent
    ax.set(xlim=(left, right), ylim=(low, high))
    ax.set_aspect(plane.scale)
    surface = plane.filled(field)
    fill = ax.contourf(
        plane.xs, plane.ys, surface, levels=scale.bands, cmap=COLORMAP, norm=mappable(scale).norm, zorder=1
    )
    fill.set_edgecolor("face")  # else hairlines show between the bands
    _draw_failed(ax, plane, plane.some_failed, "////", white=False)
    _draw_failed(ax, plane, plane.all_failed, "xxxx", white=True)
    level = _draw_level(ax, frame, surface) if field == "return" else np.empty((0, 2))
    _draw_trajectory(ax, frame)
    taken = _draw_checkpoints(ax, frame, scale if field == "return" else None, level, names)
    _draw_lines(ax, frame, surface, scale, [*taken, *(around(x, y, 0.5) for x, y in level)])


def _draw_failed(ax: Axes, plane: Plane, cells: NDArray[np.bool_], hatch: str, *, white: bool) -> None:
    """Hatch cells of the grid, on white where there is no surface at all."""
    if not cells.any():
        return
    outline = Path.make_compound_path(
        *(_rectangle(*plane.cell(int(j), int(i))) for j, i in np.argwhere(cells))
    )
    name = "all failed" if white else "some failed"
    for k, (color, width) in enumerate([(INK, 0.45)] if white else HATCHES):
        ax.add_patch(
            PathPatch(
                outline,
                facecolor="white" if white else "none",
                edgecolor=color,
                hatch=hatch,
                linewidth=0,
                hatch_linewidth=width,
                zorder=2 + 0.1 * k,
                gid=name,
            )
        )


def _rectangle(left: float, right: float, low: float, high: float) -> Path:
    corners = [(left, low), (right, low), (right, high), (left, high), (left, low)]
    return Path(corners, closed=True)


def _draw_level(ax: Axes, frame: Frame, surface: Floats) -> Floats:
    """The line below which a valley counts; returns points along it [n, 2]."""
    plane = frame.plane
    if plane.level is None or not surface.min() < plane.level < surface.max():
        return np.empty((0, 2))
    for color, width in (("white", 2.4), (INK, 1.2)):
        drawn = ax.contour(
            plane.xs, plane.ys, surface, levels=[plane.level], colors=color, linewidths=width,
            linestyles="-" if color == "white" else [(0, (4, 2))], zorder=3,
        )  # fmt: skip
    return np.concatenate([_sampled(frame, segment) for segment in drawn.allsegs[0]])


def _draw_lines(ax: Axes, frame: Frame, surface: Floats, scale: Scale, taken: list[Box]) -> None:
    """Contour lines, each labelled once where no other words, marker or line is."""
    if np.ptp(surface) == 0:
        return
    lines = ax.contour(
        frame.plane.xs, frame.plane.ys, surface, levels=scale.lines[1:-1], colors=INK, linewidths=0.6,
        linestyles="-", alpha=0.75, zorder=2.5,
    )  # fmt: skip
    spots, taken = [], list(taken)
    words = dict(zip(scale.lines.tolist(), tick_words(scale.lines), strict=True))
    for level, segments in zip(lines.levels, lines.allsegs, strict=True):
        if not segments:
            continue
        along = _sampled(frame, max(segments, key=len))
        half = 0.5 * text_size(words[float(level)], SMALL)[0]
        middle_first = along[np.argsort(np.abs(np.arange(len(along)) - len(along) / 2), kind="stable")]
        boxes = [around(x, y, half) for x, y in middle_first]
        free = [box for box in boxes if box.inside(frame.box) and not any(box.hits(other) for other in taken)]
        if free:
            x, y = frame.data(np.array(free[0].centre))
            spots.append((float(x), float(y)))
            taken.append(free[0])
    lines.clabel(
        fmt=lambda level: words[float(level)], fontsize=SMALL, colors=INK, manual=spots, inline_spacing=2
    )
    for text in lines.labelTexts:
        text.set_bbox({**WHITE, "pad": 0.2, "alpha": 0.55})


def _draw_trajectory(ax: Axes, frame: Frame) -> None:
    """A thin line through the checkpoints in the order of training, with arrows."""
    found = frame.plane.trajectory
    if len(found) < 2:
        return
    xs, ys = np.array([(c.x, c.y) for c in found]).T
    ax.plot(xs, ys, color="white", linewidth=2.2, zorder=4)
    ax.plot(xs, ys, color=INK, linewidth=0.8, zorder=4.1, gid="training")
    lengths = np.linalg.norm(np.diff(frame.points(xs, ys), axis=0), axis=1)
    for i in sorted({int(np.argmax(lengths)), *np.flatnonzero(lengths > ARROW).tolist()}):
        start, end = np.array([xs[i], ys[i]]), np.array([xs[i + 1], ys[i + 1]])
        ax.annotate(
            "", start + 0.62 * (end - start), start + 0.5 * (end - start), zorder=4.2,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.22,head_length=0.4", "color": INK, "linewidth": 0.8,
                "mutation_scale": 8, "shrinkA": 0, "shrinkB": 0,
            },
        )  # fmt: skip


def _draw_checkpoints(ax: Axes, frame: Frame, scale: Scale | None, level: Floats, names: bool) -> list[Box]:
    """Every checkpoint and its words; returns what they and the training take up, in points."""
    plane = frame.plane
    for checkpoint in plane.checkpoints:
        ax.plot(
            checkpoint.x, checkpoint.y, ms=2 * RADIUS, mew=0.8, mec=INK, zorder=5, clip_on=False,
            mfc="white" if scale is None else color_of(checkpoint.own, scale), gid=checkpoint.name,
            marker="o" if np.isfinite(checkpoint.own) else "X",
        )  # fmt: skip
    points = frame.points(*np.array([(c.x, c.y) for c in plane.checkpoints]).T)
    training = _sampled(frame, np.array([(c.x, c.y) for c in plane.trajectory]).reshape(-1, 2))
    ends = plane.trajectory[:1] + plane.trajectory[-1:]
    few = len(plane.checkpoints) <= FEW
    texts = [wordings(c, name=names or c.anchor or c in ends, share=few) for c in plane.checkpoints]
    sizes = [[text_size(text, SMALL, bold=True) for text in one] for one in texts]
    busy = np.concatenate([training, level, _failed_points(frame)])
    found = place(points, sizes, frame.box, radius=RADIUS, busy=busy)
    taken = [around(x, y, RADIUS) for x, y in points] + [around(x, y, 1.0) for x, y in training]
    for point, one, label in zip(points, texts, found, strict=True):
        if label:
            wording, box = label
            _write(ax, frame, one[wording], point, box)
            taken.append(box)
    return taken


def _write(ax: Axes, frame: Frame, text: str, point: Floats, box: Box) -> None:
    """Words in their box, with a hair line to the marker where they are away from it."""
    nearest = np.clip(point, (box.left, box.low), (box.left + box.width, box.low + box.height))
    if np.linalg.norm(nearest - point) > RADIUS + 4:
        xs, ys = frame.data(np.stack([point, nearest])).T
        ax.plot(xs, ys, color=INK, linewidth=0.5, zorder=4.5)
    x, y = frame.data(np.array(box.centre))
    ax.text(
        x, y, text, fontsize=SMALL, fontweight="bold", ha="center", va="center", bbox=WHITE, zorder=6,
        parse_math=False,
    )  # fmt: skip


def wordings(checkpoint: Checkpoint, *, name: bool, share: bool) -> list[str]:
    """Labels on the map, the longest first; the number alone always says which row of the key it is."""
    rank = str(checkpoint.number)
    named = [f"{rank} {shortened(checkpoint.name, SHORT)}"] if name else []
    if not share or checkpoint.share_text == "0":
        return [*named, rank]
    return [f"{words}, {checkpoint.share_text} off" for words in [*named, rank]] + [rank]


def _sampled(frame: Frame, line: Floats) -> Floats:
    """Points along a line through [n, 2], about three points apart; none for fewer than two."""
    corners = frame.points(*line.T)
    legs = [np.linspace(a, b, 1 + max(1, int(np.linalg.norm(b - a) / 3))) for a, b in pairwise(corners)]
    return np.concatenate(legs) if legs else np.empty((0, 2))


def _failed_points(frame: Frame) -> Floats:
    """Points all over the cells that are hatched."""
    plane, found = frame.plane, [np.empty((0, 2))]
    for j, i in np.argwhere(plane.some_failed | plane.all_failed):
        left, right, low, high = plane.cell(int(j), int(i))
        xs, ys = np.meshgrid(np.linspace(left, right, 5), np.linspace(low, high, 5))
        found.append(frame.points(xs.ravel(), ys.ravel()))
    return np.concatenate(found)
