"""The same landscapes in plotly."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from figures.files import Floats
from figures.line.data import (
    Line,
    depth_path,
    end_label,
    field_label,
    neighbourhood,
    y_range,
)
from figures.style import GREY, INK, PLOTLY_FONT, number, plain, tint, x_title, y_title

SHORT = 6  # letters
FRACTIONS = {"0.25": "¼", "0.5": "½", "0.75": "¾"}


def line_figure(line: Line) -> Any:
    """The same landscape in plotly, without a title; every trace has a name."""
    if line.success is None:
        fig = make_subplots(rows=1, cols=1)
    else:
        fig = make_subplots(
            rows=2, cols=1, shared_xaxes=True, row_heights=[0.82, 0.18], vertical_spacing=0.05
        )
    for trace in [*_behind_traces(line), *_main_traces(line)]:
        fig.add_trace(trace, row=1, col=1)
    for trace in _success_traces(line):
        fig.add_trace(trace, row=2, col=1)
    _annotate(fig, line)
    _lay_out(fig, line)
    return fig


def _main_traces(line: Line) -> list[Any]:
    """The traces of the upper panel."""
    color, start_end = line.look.color, list(line.ends)
    band = _area("band", line.xs, line.lower, line.upper, tint(color))
    mean = go.Scatter(
        x=line.xs, y=line.means, mode="lines+markers", name="mean", line={"color": color, "width": 2.2},
        marker={"size": 4}, customdata=_hover_data(line), hovertemplate=_hover_text(line),
    )  # fmt: skip
    ends = go.Scatter(
        x=line.xs[start_end], y=line.means[start_end], mode="markers", name="checkpoints",
        marker={"size": 11, "color": ["white", color], "line": {"color": color, "width": 2.2}},
        text=[plain(end_label(end)) for end in line.result.ends],
        customdata=_hover_data(line)[start_end],
        hovertemplate="<b>%{text}</b><br>" + _hover_text(line),
    )  # fmt: skip
    lost = (line.episodes - line.finished)[line.failed]
    failed = go.Scatter(
        x=line.xs[line.failed], y=np.full(len(line.failed), y_range(line)[1]), mode="markers",
        name="failed", cliponaxis=False,
        marker={"symbol": "x-thin", "size": 8, "line": {"color": INK, "width": 1.2}},
        text=[f"{k} of {n} episodes failed" for k, n in zip(lost, line.episodes[line.failed], strict=True)],
        hovertemplate=f"{line.axis.symbol}%{{x:.3g}}<br>%{{text}}<extra></extra>",
    )  # fmt: skip
    return [band, mean, ends, failed]


def _behind_traces(line: Line) -> list[Any]:
    """What the path is compared with, in grey."""
    behind = line.behind
    if behind is None:
        return []
    mean = go.Scatter(
        x=behind.xs, y=behind.means, mode="lines", name="behind",
        line={"color": GREY, "width": 1.6, "dash": "6px,3px"},
        hovertemplate=f"<b>{plain(behind.label)}</b><br>{line.axis.symbol}%{{x:.3g}}"
        f"<br>{field_label(line.result)} %{{y:.4g}}<extra></extra>",
    )  # fmt: skip
    return [_area("band behind", behind.xs, behind.lower, behind.upper, tint(GREY, 0.16)), mean]


def _success_traces(line: Line) -> list[Any]:
    """The strip below; none for a task that tells no success."""
    if line.success is None:
        return []
    rate = go.Scatter(
        x=line.xs, y=line.success, mode="lines", name="success",
        line={"color": line.look.color, "width": 1.4},
        hovertemplate=f"{line.axis.symbol}%{{x:.3g}}<br>success %{{y:.0%}}<extra></extra>",
    )  # fmt: skip
    return [_area("success area", line.xs, 0 * line.success, line.success, tint(line.look.color)), rate]


def _area(name: str, xs: Floats, lower: Floats, upper: Floats, color: str) -> Any:
    """A tinted area without a line of its own."""
    x, y = _outline(xs, lower, upper)
    return go.Scatter(x=x, y=y, fill="toself", fillcolor=color, mode="none", hoverinfo="skip", name=name)


def _hover_data(line: Line) -> Floats:
    """Columns read by `_hover_text`: band, success rate, finished episodes, episodes."""
    success = np.full(len(line.xs), np.nan) if line.success is None else line.success
    return np.column_stack([line.lower, line.upper, success, line.finished, line.episodes])


def _hover_text(line: Line) -> str:
    """What a finger on a point reads."""
    success = "" if line.success is None else "<br>success %{customdata[2]:.0%}"
    return (
        f"{line.axis.symbol}%{{x:.3g}}<br>{field_label(line.result)} %{{y:.4g}}"
        f"<br>{100 * line.result.confidence:g} % band "
        f"[%{{customdata[0]:.4g}}, %{{customdata[1]:.4g}}]{success}"
        "<br>%{customdata[3]:d} of %{customdata[4]:d} episodes finished<extra></extra>"
    )


def _annotate(fig: Any, line: Line) -> None:
    """The level, the depth and the failed stretches, named where they are."""
    side = line.roomy_end
    fig.add_hline(y=line.level, line={"color": INK, "width": 1, "dash": "6px,4px"}, row=1, col=1)
    note = {"showarrow": False, "font": {"size": 11, "color": GREY}, "borderpad": 1}
    fig.add_annotation(
        x=side, xref="x domain", xanchor="right" if side else "left", y=line.level, yref="y", yanchor="top",
        text=f"lower end − margin {number(line.result.margin)}", **note,
    )  # fmt: skip
    if line.depth > 0:
        x, y = line.xs[line.bottom], line.means[line.bottom]
        (x0, x1, x2), (y0, y1, y2) = depth_path(line)
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
        left, right = neighbourhood(line.xs, index)
        gray = "#d2d2d2" if index in line.dead else "#ececec"
        fig.add_vrect(x0=left, x1=right, fillcolor=gray, line={"width": 0}, layer="below", row="all", col=1)


def _lay_out(fig: Any, line: Line) -> None:
    """Axes, fonts and margins; no title, which belongs to the page around the figure."""
    fig.update_layout(
        template="none", height=400, margin={"l": 70, "r": 34, "t": 12, "b": 50}, showlegend=False,
        font={**PLOTLY_FONT, "size": 13}, hoverlabel={"bgcolor": "white", "font": {"color": INK}},
        plot_bgcolor="white", paper_bgcolor="white", dragmode=False,
    )  # fmt: skip
    axis = {"showgrid": False, "zeroline": False, "linecolor": GREY, "ticks": "outside", "fixedrange": True}
    pad = 0.03 * float(np.ptp(line.xs))
    fig.update_xaxes(**axis, range=[line.xs.min() - pad, line.xs.max() + pad])
    fig.update_yaxes(**axis)
    fig.update_yaxes(range=y_range(line), nticks=6, row=1, col=1)
    y_title(fig, "y", field_label(line.result))
    between = len(line.axis.label) <= SHORT  # fits between the names of the two ends, on a telephone too
    x_title(fig, "x", line.axis.label, lines=1 if between else 2)
    if not between:
        fig.update_layout(height=417, margin={"b": 67})
    words = [FRACTIONS.get(word, word) for word in line.axis.words]
    for i, end in zip((0, -1), line.result.ends, strict=True):
        words[i] = f"{words[i]}<br>{plain(end_label(end))}"
    bottom = 1 if line.success is None else 2
    fig.update_xaxes(tickvals=line.axis.positions, ticktext=words, tickangle=0, row=bottom, col=1)
    if line.success is not None:
        fig.update_xaxes(showline=False, ticks="", row=1, col=1)
        fig.update_yaxes(range=[0, 1.08], tickvals=[0, 1], row=2, col=1)
        y_title(fig, "y2", "success")


def _outline(xs: Floats, lower: Floats, upper: Floats) -> tuple[list[float | None], list[float | None]]:
    """One closed outline per stretch of known points, so that a gap in the data stays a gap in the area."""
    known = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper))
    x: list[float | None] = []
    y: list[float | None] = []
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        x += [*xs[run], *xs[run[::-1]], None]
        y += [*upper[run], *lower[run[::-1]], None]
    return x, y
