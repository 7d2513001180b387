"""Planes for paper, with matplotlib: one column wide, nothing smaller than 7 points."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from figures.labels import Box, place, text_size
from figures.plane.colors import COLORMAP, color_of, mappable
from figures.plane.data import Plane, Scale, correlation_text, field_label, scale_of
from figures.plane.key import ROW, draw_key, key_height, legend_entries
from figures.plane.maps import RADIUS, SMALL, WHITE, Frame, draw_map
from figures.style import GREY, INK, look, number, paper, tick_words

COLUMN, PAGE = 3.3 * 72, 6.9 * 72  # widths in points
LEFT, RIGHT, TOP, BELOW = 40.0, 8.0, 17.0, 31.0  # around a map: y label, last tick, title, x label
GAP, SUBTITLE = 34.0, 14.0  # between two maps, and above them
BAR, BAR_WORDS = 6.0, 25.0  # a colour bar, and its ticks and label
TALLEST = 3.4 * 72
ABREAST = 3  # planes in a row; more come in two rows


def plane_still(plane: Plane) -> Figure:
    """The plane as a map, with its key below."""
    return planes_still([plane])


def planes_still(planes: Sequence[Plane]) -> Figure:
    """Planes as maps, at most three in a row, on one scale of colours so that they can be compared by eye."""
    scale = scale_of("return", *planes)
    frames = [_frame(plane, COLUMN - LEFT - RIGHT) for plane in planes]
    entries = [legend_entries(plane) for plane in planes]
    legend = ROW * ((max(map(len, entries)) + 1) // 2)
    tall = max(frame.height for frame in frames)
    oblique = ROW if any(plane.oblique for plane in planes) else 0.0
    each = TOP + tall + BELOW + oblique + BAR + BAR_WORDS + legend + max(map(key_height, planes)) + 4
    columns = len(planes) if len(planes) <= ABREAST else -(-len(planes) // 2)
    sheet = Sheet(COLUMN * columns, each * -(-len(planes) // columns))
    with paper():
        for k, (plane, frame) in enumerate(zip(planes, frames, strict=True)):
            start, head = k % columns * COLUMN, k // columns * each
            spare = (COLUMN - LEFT - RIGHT - frame.width) / 2
            top = head + TOP + tall
            ax = sheet.axes(start + LEFT + spare, top - frame.height, frame.width, frame.height)
            draw_map(ax, frame, "return", scale)
            _dress(ax, plane)
            sheet.title(_title(plane, alone=len(planes) == 1), start, head)
            top += BELOW
            if oblique:
                sheet.words(plane.oblique, start + LEFT, top)
                top += oblique
            bar = sheet.axes(start + LEFT, top, COLUMN - LEFT - RIGHT, BAR)
            draw_bar(bar, scale, f"mean return, {episodes_text(plane)}")
            top += BAR + BAR_WORDS
            draw_legend(sheet.axes(start + 6, top, COLUMN - 12, max(legend, 1)), entries[k])
            key = sheet.axes(start + 6, top + legend, COLUMN - 12, key_height(plane))
            draw_key(key, plane, scale, COLUMN - 12)
    return sheet.fig


def pair_still(plane: Plane) -> Figure:
    """Reward, and what the critic believes: return and Q side by side on the same axes."""
    frame = _frame(plane, (PAGE - LEFT - 2 * RIGHT - GAP) / 2)
    entries = legend_entries(plane)
    start = TOP + SUBTITLE
    sheet = Sheet(PAGE, start + frame.height + BELOW + BAR + BAR_WORDS + (ROW if entries else 0) + 2)
    spare = (PAGE - LEFT - 2 * RIGHT - GAP - 2 * frame.width) / 2
    with paper():
        sheet.title(f"{plane.result.task}: {correlation_text(plane)} between return and Q")
        for k, (field, name, words) in enumerate(
            (
                ("return", "reward", f"mean return, {episodes_text(plane)}"),
                ("q", "what the critic believes", field_label("q")),
            )
        ):
            left, scale = LEFT + spare + k * (frame.width + GAP), scale_of(field, plane)
            ax = sheet.axes(left, start, frame.width, frame.height)
            draw_map(ax, frame, field, scale, names=True)
            _dress(ax, plane, y=k == 0)
            ax.set_title(name, loc="left", pad=3, fontsize=8)
            bar = sheet.axes(left, start + frame.height + BELOW, frame.width, BAR)
            draw_bar(bar, scale, words)
        top = start + frame.height + BELOW + BAR + BAR_WORDS
        draw_legend(sheet.axes(LEFT, top, PAGE - 2 * LEFT, ROW), entries, columns=4)
    return sheet.fig


def surface_still(plane: Plane) -> Figure:
    """The plane in three dimensions; every checkpoint at its own return, with a stem to the surface."""
    scale = scale_of("return", plane)
    height = 2.6 * 72
    sheet = Sheet(COLUMN, TOP + height + BAR + BAR_WORDS + key_height(plane) + 6)
    with paper():
        sheet.title(plane.result.task)
        ax: Any = sheet.axes(-4, TOP - 8, COLUMN - 12, height, projection="3d", computed_zorder=False)
        _draw_surface(ax, plane, scale)
        _draw_stems(ax, plane, scale)
        _dress_surface(ax, plane)
        _number_surface(ax, plane)
        top = TOP + height
        draw_bar(sheet.axes(LEFT, top, COLUMN - 2 * LEFT, BAR), scale, f"mean return, {episodes_text(plane)}")
        top += BAR + BAR_WORDS
        draw_key(sheet.axes(6, top, COLUMN - 12, key_height(plane)), plane, scale, COLUMN - 12)
    return sheet.fig


class Sheet:
    """A figure on which axes are laid by hand, in points from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.fig = Figure(figsize=(width / 72, height / 72))

    def axes(self, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
        """New axes."""
        low = self.height - top - height
        box = (left / self.width, low / self.height, width / self.width, height / self.height)
        return self.fig.add_axes(box, **options)

    def words(self, text: str, left: float, top: float) -> None:
        """A small line."""
        self.fig.text(
            left / self.width, 1 - top / self.height, text, va="top", fontsize=SMALL, parse_math=False
        )  # fmt: skip

    def title(self, text: str, left: float = 0.0, top: float = 0.0) -> None:
        """A bold line."""
        self.fig.text(
            (left + 6) / self.width,
            1 - (top + 3) / self.height,
            text,
            va="top",
            fontsize=9,
            fontweight="bold",
            parse_math=False,
        )


def _title(plane: Plane, *, alone: bool) -> str:
    """The task; beside others also the method."""
    if alone:
        return plane.result.task
    known = plane.result.checkpoints
    anchor = next((c for c in known if c["moment"] == "offline"), known[0])
    return f"{look(anchor['algorithm']).name} on {plane.result.task}"


def episodes_text(plane: Plane) -> str:
    """`8 episodes per point`."""
    return f"{plane.episodes} episode{'s' if plane.episodes > 1 else ''} per point"


def _frame(plane: Plane, width: float) -> Frame:
    """As wide as may be without being too tall."""
    return Frame(plane, min(width, TALLEST / plane.aspect))


def _dress(ax: Axes, plane: Plane, *, y: bool = True) -> None:
    """Names and few ticks."""
    ax.set_xlabel(plane.labels[0], labelpad=1.5)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    if y:
        ax.set_ylabel(plane.labels[1], labelpad=1.5)
    else:
        ax.tick_params(axis="y", labelleft=False)


def draw_bar(ax: Axes, scale: Scale, label: str) -> None:
    """A colour bar with a mark at every contour line, and words at as many as have room."""
    bar = ax.figure.colorbar(mappable(scale), cax=ax, orientation="horizontal", ticks=scale.lines)
    bar.outline.set_linewidth(0.5)
    assert bar.solids is not None
    bar.solids.set(rasterized=False, edgecolor="face")
    words = tick_words(scale.lines)
    width = 72 / ax.figure.dpi * ax.get_window_extent().width
    gap = width * float(scale.lines[1] - scale.lines[0]) / float(np.ptp(scale.limits))
    widest = max(text_size(word, SMALL)[0] for word in words)
    each = 1 + int(1.5 * widest // gap)  # the last one's words end at its mark
    shown = [word if k % each == 0 else "" for k, word in enumerate(words)]
    bar.ax.set_xticks(scale.lines, shown, fontsize=SMALL)
    if np.isclose(bar.ax.get_xlim()[1], scale.lines[-1]):
        bar.ax.get_xticklabels()[-1].set_horizontalalignment("right")  # else the page's edge cuts it
    bar.ax.tick_params(length=2, pad=1.5)
    bar.set_label(label, fontsize=SMALL, labelpad=1)


def draw_legend(ax: Axes, entries: list[tuple[Any, str]], *, columns: int = 2) -> None:
    """What lines and hatches mean."""
    ax.axis("off")
    if entries:
        handles, words = zip(*entries, strict=True)
        legend = ax.legend(
            handles, words, loc="upper left", ncols=columns, frameon=False, fontsize=SMALL, borderpad=0,
            borderaxespad=0, handlelength=2, columnspacing=1.4, labelspacing=0.35, handletextpad=0.6,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)


def _draw_surface(ax: Any, plane: Plane, scale: Scale) -> None:
    """The surface with a hole around every point where nothing finished."""
    surface = plane.fields["return"]
    x, y = np.meshgrid(plane.xs, plane.ys)
    corners = np.stack([surface[:-1, :-1], surface[1:, :-1], surface[:-1, 1:], surface[1:, 1:]])
    colors = COLORMAP(mappable(scale).norm(corners.mean(axis=0)))
    ax.plot_surface(
        x, y, surface, rstride=1, cstride=1, facecolors=colors, linewidth=0.15, edgecolor=(0, 0, 0, 0.25),
        antialiased=True, shade=False, zorder=1,
    )  # fmt: skip


def _draw_stems(ax: Any, plane: Plane, scale: Scale) -> None:
    """Checkpoints at their own return, and how far that is from the surface."""
    for one in plane.checkpoints:
        if np.isfinite([one.own, one.surface]).all():
            ax.plot([one.x] * 2, [one.y] * 2, [one.surface, one.own], color=INK, linewidth=0.9, zorder=3)
            ax.plot([one.x], [one.y], [one.surface], "_", color=INK, ms=5, mew=0.9, zorder=3)
        ax.plot(
            [one.x], [one.y], [one.own], "o", ms=1.7 * RADIUS, mfc=color_of(one.own, scale), mec=INK, mew=0.8,
            zorder=4, gid=one.name,
        )  # fmt: skip
    if len(plane.trajectory) > 1:
        path = np.array([(c.x, c.y, c.own) for c in plane.trajectory]).T
        ax.plot(*path, color=INK, linewidth=0.7, zorder=3.5)


def _dress_surface(ax: Any, plane: Plane) -> None:
    """A box as wide and deep as the plane, seen from above its lower left corner."""
    (left, right), (low, high) = plane.extent
    ax.set(xlim=(left, right), ylim=(low, high))
    ax.set_box_aspect((1, float(np.clip(plane.aspect, 0.5, 2)), 0.62), zoom=1.04)
    ax.view_init(elev=32, azim=-62)
    ax.set_xlabel(plane.labels[0], labelpad=-7, fontsize=SMALL)
    ax.set_ylabel(plane.labels[1], labelpad=-7, fontsize=SMALL)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axis.set_pane_color((1, 1, 1, 0))
        axis._axinfo["grid"].update(color="#dddddd", linewidth=0.4)
        axis.line.set_color(GREY)
    ax.tick_params(labelsize=SMALL, pad=-3)


def _number_surface(ax: Any, plane: Plane) -> None:
    """Numbers beside the markers, apart from each other as seen from here."""
    ax.apply_aspect()
    shown = [one for one in plane.checkpoints if np.isfinite(one.own)]
    if not shown:
        return
    places = np.array([(one.x, one.y, one.own, 1.0) for one in shown])
    x, y, _, depth = ax.get_proj() @ places.T  # homogeneous coordinates
    seen = np.stack([x / depth, y / depth], axis=1)
    points = ax.transData.transform(seen) * 72 / ax.figure.dpi
    sizes = [[text_size(str(one.number), SMALL, bold=True)] for one in shown]
    bounds = Box(0, 0, *(72 * ax.figure.get_size_inches()))
    found = place(points, sizes, bounds, radius=RADIUS, busy=points)
    for one, at, point, label in zip(shown, seen, points, found, strict=True):
        if label:
            ax.annotate(
                str(one.number), at, xytext=np.array(label[1].centre) - point, textcoords="offset points",
                ha="center", va="center", fontsize=SMALL, fontweight="bold", bbox=WHITE, zorder=5,
            )  # fmt: skip
