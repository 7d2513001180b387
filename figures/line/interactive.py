"""The same landscapes in plotly."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from figures.line.data import (
    FIELD_LABELS,
    Arrays,
    Floats,
    Line,
    Result,
    depth_path,
    end_label,
    line_data,
    neighbourhood,
    y_range,
)
from figures.style import GREY, INK, PLOTLY_FONT, number, plain, tint, x_title, y_title


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
        left, right = neighbourhood(line.alphas, index)
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


def _outline(alphas: Floats, lower: Floats, upper: Floats) -> tuple[list[float | None], list[float | None]]:
    """One closed outline per stretch of known points, so that a gap in the data stays a gap in the area."""
    known = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper))
    xs: list[float | None] = []
    ys: list[float | None] = []
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        xs += [*alphas[run], *alphas[run[::-1]], None]
        ys += [*upper[run], *lower[run[::-1]], None]
    return xs, ys
