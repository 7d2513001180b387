"""The line between two checkpoints: mean return, its simultaneous band, success, and where a valley counts.

Everything is drawn from a result directory (`result.json` and `returns.npz`), so a picture can be made again
from the files alone. `alpha = 0` is *from* and `alpha = 1` is *to*, always.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.style import (
    GREY,
    INK,
    PLOTLY_FONT,
    VERDICT_COLORS,
    Look,
    embed,
    look,
    number,
    paper,
    plain,
    render,
    save,
    still,
    tint,
    x_title,
    y_title,
)
from smac.errors import UserError
from smac.files import write_text

Result = dict[str, Any]
Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

FIELD_LABELS = {"return": "mean return", "score": "normalised score", "success": "success rate"}


@dataclass(frozen=True)
class Line:
    """What is drawn, as arrays over the points of the path."""

    alphas: Floats
    means: Floats
    lower: Floats
    upper: Floats
    success: Floats
    """Rate among the episodes that finished; NaN where none did."""
    finished: NDArray[np.int64]
    episodes: int
    floor: float
    """The lower of the two ends."""
    level: float
    """The floor minus the margin: a valley counts below it."""
    bottom: int
    """Index of the lowest point inside the path."""
    depth: float
    look: Look

    @property
    def failed(self) -> NDArray[np.int64]:
        """Indices of the points with at least one failed episode."""
        return np.flatnonzero(self.finished < self.episodes)

    @property
    def ends(self) -> tuple[int, int]:
        """Indices of the two checkpoints."""
        return int(np.argmin(np.abs(self.alphas))), int(np.argmin(np.abs(self.alphas - 1)))

    @property
    def roomy_end(self) -> int:
        """0 or 1: the end that lies higher, where there is room for words under the level."""
        start, end = self.ends
        return int(self.means[end] >= self.means[start])


def read_line(directory: Path) -> tuple[Result, dict[str, NDArray[Any]]]:
    """Read `result.json` and `returns.npz` of one path.

    Raises:
        UserError: a file is missing or unreadable, or it is not the result of an interpolation.
    """
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        with np.load(directory / "returns.npz", allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: {directory} is not a finished landscape.") from None
    except (ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"A file in {directory} cannot be read ({error}); run the landscape again.") from None
    if result.get("kind") != "interpolate":
        raise UserError(f"{directory / 'result.json'} is of kind {result.get('kind')!r}, not 'interpolate'.")
    if len(arrays["alphas"]) != len(result["analysis"]["alphas"]):
        raise UserError(f"result.json and returns.npz in {directory} have different numbers of points.")
    return result, arrays


def line_data(result: Result, arrays: Arrays) -> Line:
    """Gather what is drawn from the two files' contents."""
    analysis = result["analysis"]
    alphas, means = _floats(analysis["alphas"]), _floats(analysis["means"])
    lower, upper = _floats(analysis["band"]).T
    returns, successes = arrays["returns"], arrays["successes"]
    done = np.isfinite(returns)
    finished = done.sum(axis=1)
    with np.errstate(invalid="ignore"):
        success = (successes & done).sum(axis=1) / np.where(finished, finished, np.nan)
    start, end = np.argmin(np.abs(alphas)), np.argmin(np.abs(alphas - 1))
    floor = float(min(means[start], means[end]))
    return Line(
        alphas=alphas,
        means=means,
        lower=lower,
        upper=upper,
        success=success,
        finished=finished,
        episodes=returns.shape[1],
        floor=floor,
        level=floor - result["margin"]["delta"],
        bottom=int(np.argmin(np.abs(alphas - analysis["numbers"]["location"]))),
        depth=float(analysis["V"]["estimate"]),
        look=look(result["from"]["algorithm"]),
    )


def end_label(end: Result) -> str:
    """A checkpoint in two words: "offline Cal-QL"."""
    return f"{end['moment']} {look(end['algorithm']).name}"


def depth_text(result: Result) -> str:
    """`V = 85.1 [62, 110]`, the depth with its simultaneous interval."""
    return f"V = {interval_text(result['analysis']['V'])}"


def interval_text(interval: dict[str, float | None]) -> str:
    """`85.1 [62, 110]`; a bound that the episodes do not give is null in the file and infinite here."""
    upper = "∞" if interval["upper"] is None else number(interval["upper"])
    return f"{number(interval['estimate'])} [{number(interval['lower'])}, {upper}]"


def episodes_text(result: Result) -> str:
    """How many episodes a number rests on, and how many were left out because they failed somewhere."""
    used, dropped = (result["analysis"][f"episodes_{name}"] for name in ("used", "dropped"))
    return f"{used} episodes per point" + (f" ({dropped} failed and left out)" if dropped else "")


def y_range(line: Line) -> tuple[float, float]:
    """Limits that hold the band, the level and the words under both."""
    values = np.concatenate([line.means, line.lower, line.upper, [line.level]])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    room = (high - low) or 1.0
    return low - 0.13 * room, high + 0.06 * room


def draw_line(directory: Path) -> list[Path]:
    """Draw a landscape directory: `plot.png`, `plot.pdf` and the interactive, self-contained `plot.html`."""
    result, arrays = read_line(directory)
    with paper():
        fig = Figure(figsize=(4.6, 3.3), layout="constrained")
        ax, success_ax = line_axes(fig)
        draw_on(ax, success_ax, result, arrays)
        fig.align_ylabels()
    page = render(
        "page.html.j2",
        title=f"{look(result['from']['algorithm']).name} on {result['task']}",
        result=result,
        depth=depth_text(result),
        episodes=episodes_text(result),
        ends={name: {"label": end_label(result[name]), **result[name]} for name in ("from", "to")},
        plot=embed(line_figure(result, arrays), "line"),
        still=still(fig),
    )
    return [*save(fig, directory / "plot"), write_text(directory / "plot.html", page)]


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
    ax.plot(*_depth_path(line), color=INK, linewidth=0.8, dashes=(1, 1.6), zorder=4)
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
        left, right = _neighbourhood(line.alphas, index)
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


def line_figure(result: Result, arrays: Arrays) -> Any:
    """The same landscape in plotly, without a title; every trace has a name."""
    line = line_data(result, arrays)
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.82, 0.18], vertical_spacing=0.05)
    for trace in _main_traces(line, result):
        fig.add_trace(trace, row=1, col=1)
    for trace in _success_traces(line):
        fig.add_trace(trace, row=2, col=1)
    _annotate(fig, line, result)
    _lay_out(fig, line, result)
    return fig


def _main_traces(line: Line, result: Result) -> list[Any]:
    """The traces of the upper panel."""
    color, start_end = line.look.color, list(line.ends)
    band = _area("band", line, line.lower, line.upper)
    mean = go.Scatter(
        x=line.alphas, y=line.means, mode="lines+markers", name="mean", line={"color": color, "width": 2.2},
        marker={"size": 4}, customdata=_hover_data(line), hovertemplate=_hover_text(result),
    )  # fmt: skip
    ends = go.Scatter(
        x=line.alphas[start_end], y=line.means[start_end], mode="markers", name="checkpoints",
        marker={"size": 11, "color": ["white", color], "line": {"color": color, "width": 2.2}},
        text=[plain(end_label(result[name])) for name in ("from", "to")],
        customdata=_hover_data(line)[start_end], hovertemplate="<b>%{text}</b><br>" + _hover_text(result),
    )  # fmt: skip
    failed = go.Scatter(
        x=line.alphas[line.failed], y=np.full(len(line.failed), y_range(line)[1]), mode="markers",
        name="failed", cliponaxis=False,
        marker={"symbol": "x-thin", "size": 8, "line": {"color": INK, "width": 1.2}},
        text=[f"{line.episodes - line.finished[i]} of {line.episodes} episodes failed" for i in line.failed],
        hovertemplate="α = %{x:.3g}<br>%{text}<extra></extra>",
    )  # fmt: skip
    return [band, mean, ends, failed]


def _success_traces(line: Line) -> list[Any]:
    """The strip below."""
    rate = go.Scatter(
        x=line.alphas, y=line.success, mode="lines", name="success",
        line={"color": line.look.color, "width": 1.4},
        hovertemplate="α = %{x:.3g}<br>success %{y:.0%}<extra></extra>",
    )  # fmt: skip
    return [_area("success area", line, 0 * line.success, line.success), rate]


def _area(name: str, line: Line, lower: Floats, upper: Floats) -> Any:
    """A tinted area without a line of its own."""
    xs, ys = _outline(line.alphas, lower, upper)
    color = tint(line.look.color)
    return go.Scatter(x=xs, y=ys, fill="toself", fillcolor=color, mode="none", hoverinfo="skip", name=name)


def _hover_data(line: Line) -> Floats:
    """Columns read by `_hover_text`: band, success rate, finished episodes, episodes."""
    episodes = np.full(len(line.alphas), line.episodes)
    return np.column_stack([line.lower, line.upper, line.success, line.finished, episodes])


def _hover_text(result: Result) -> str:
    """What a finger on a point reads."""
    return (
        f"α = %{{x:.3g}}<br>{FIELD_LABELS[result['field']]} %{{y:.4g}}"
        f"<br>{100 * result['analysis']['confidence']:g} % band "
        "[%{customdata[0]:.4g}, %{customdata[1]:.4g}]<br>success %{customdata[2]:.0%}"
        "<br>%{customdata[3]:d} of %{customdata[4]:d} episodes finished<extra></extra>"
    )


def _annotate(fig: Any, line: Line, result: Result) -> None:
    """The level, the depth and the failed stretches, named where they are."""
    side = line.roomy_end
    fig.add_hline(y=line.level, line={"color": INK, "width": 1, "dash": "6px,4px"}, row=1, col=1)
    note = {"showarrow": False, "font": {"size": 11, "color": GREY}, "borderpad": 1}
    fig.add_annotation(
        x=side, xref="x domain", xanchor="right" if side else "left", y=line.level, yref="y", yanchor="top",
        text=f"lower end − margin {number(result['margin']['delta'])}", **note,
    )  # fmt: skip
    if line.depth > 0:
        x, y = line.alphas[line.bottom], line.means[line.bottom]
        (x0, x1, x2), (y0, y1, y2) = _depth_path(line)
        fig.add_shape(
            type="path", path=f"M{x0},{y0} L{x1},{y1} L{x2},{y2}",
            line={"color": INK, "width": 1, "dash": "2px,3px"}, row=1, col=1,
        )  # fmt: skip
        fig.add_annotation(
            x=x, y=float(np.nanmin([y, line.lower[line.bottom]])), yref="y", xref="x", yanchor="top",
            text=f"V = {number(line.depth)}", bgcolor="rgba(255,255,255,0.85)", borderpad=1,
            showarrow=False, font={"size": 13, "color": INK},
        )  # fmt: skip
    for index in line.failed:
        left, right = _neighbourhood(line.alphas, index)
        fig.add_vrect(
            x0=left, x1=right, fillcolor="#ececec", line={"width": 0}, layer="below", row="all", col=1
        )


def _lay_out(fig: Any, line: Line, result: Result) -> None:
    """Axes, fonts and margins; no title, which belongs to the page around the figure."""
    fig.update_layout(
        template="none", height=400, margin={"l": 70, "r": 34, "t": 12, "b": 50}, showlegend=False,
        font={**PLOTLY_FONT, "size": 13}, hoverlabel={"bgcolor": "white", "font": {"color": INK}},
        plot_bgcolor="white", paper_bgcolor="white", dragmode=False,
    )  # fmt: skip
    axis = {"showgrid": False, "zeroline": False, "linecolor": GREY, "ticks": "outside", "fixedrange": True}
    pad = 0.03 * float(np.ptp(line.alphas))
    fig.update_xaxes(**axis, range=[line.alphas.min() - pad, line.alphas.max() + pad])
    fig.update_xaxes(showline=False, ticks="", row=1, col=1)
    labels = [plain(end_label(result[name])) for name in ("from", "to")]
    fig.update_xaxes(
        tickvals=[0, 0.25, 0.5, 0.75, 1], ticktext=[f"0<br>{labels[0]}", "¼", "½", "¾", f"1<br>{labels[1]}"],
        tickangle=0, row=2, col=1,
    )  # fmt: skip
    fig.update_yaxes(**axis)
    fig.update_yaxes(range=y_range(line), nticks=6, row=1, col=1)
    fig.update_yaxes(range=[0, 1.08], tickvals=[0, 1], row=2, col=1)
    y_title(fig, "y", FIELD_LABELS[result["field"]])
    y_title(fig, "y2", "success")
    x_title(fig, "x", "α")


def _depth_path(line: Line) -> tuple[list[float], list[float]]:
    """From the lower end level to above the bottom, then straight down: the second stretch is V long."""
    start, end = line.ends
    x_end = line.alphas[start if line.means[start] <= line.means[end] else end]
    x_bottom = line.alphas[line.bottom]
    return [x_end, x_bottom, x_bottom], [line.floor, line.floor, line.means[line.bottom]]


def _outline(alphas: Floats, lower: Floats, upper: Floats) -> tuple[list[float | None], list[float | None]]:
    """One closed outline per stretch of known points, so that a gap in the data stays a gap in the area."""
    known = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper))
    xs: list[float | None] = []
    ys: list[float | None] = []
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        xs += [*alphas[run], *alphas[run[::-1]], None]
        ys += [*upper[run], *lower[run[::-1]], None]
    return xs, ys


def _neighbourhood(alphas: Floats, index: int) -> tuple[float, float]:
    """Half-way to the neighbours of a point on either side."""
    edges = np.concatenate([alphas[:1], (alphas[1:] + alphas[:-1]) / 2, alphas[-1:]])
    return float(edges[index]), float(edges[index + 1])


def _floats(values: list[Any]) -> Floats:
    """Numbers from JSON, where an unknown value is null."""
    return np.array(values, dtype=np.float64)
