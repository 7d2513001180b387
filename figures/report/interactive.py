"""The pictures of a report in plotly."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from figures.report.data import Comparison, Floats, Panel, Report, Whiskers, whiskers
from figures.report.still import profile_label
from figures.style import GREY, INK, PLOTLY_FONT, Look, nested_widths, plain, tint, y_title

AXIS = {"showgrid": False, "zeroline": False, "linecolor": GREY, "ticks": "outside", "fixedrange": True}


def panel_figure(panel: Panel, look: Look, limits: tuple[float, float]) -> Any:
    """One small multiple, without a title; every trace has a name."""
    fig = go.Figure()
    for k, one in enumerate(panel.behind):
        fig.add_scatter(
            x=panel.alphas, y=one, mode="lines", name=f"seed {k}", hoverinfo="skip", opacity=0.5,
            line={"color": look.color, "width": 0.8},
        )  # fmt: skip
    fig.add_trace(_band(panel, look))
    fig.add_scatter(
        x=panel.alphas, y=panel.means, mode="lines+markers", name="mean", marker={"size": 3},
        line={"color": look.color, "width": 2}, customdata=np.column_stack([panel.lower, panel.upper]),
        hovertemplate="α = %{x:.3g}<br>mean return %{y:.4g}<br>band [%{customdata[0]:.4g}, "
        "%{customdata[1]:.4g}]<br>" + plain(panel.note) + "<extra></extra>",
    )  # fmt: skip
    ends = panel.ends
    fig.add_scatter(
        x=panel.alphas[ends], y=panel.means[ends], mode="markers", name="checkpoints", hoverinfo="skip",
        marker={"size": 8, "color": ["white", look.color], "line": {"color": look.color, "width": 1.8}},
    )  # fmt: skip
    fig.add_hline(y=panel.level, line={"color": INK, "width": 1, "dash": "6px,4px"})
    _lay_out(fig, 215)
    fig.update_layout(margin={"l": 46, "r": 24, "t": 6, "b": 44})
    pad = 0.03 * float(np.ptp(panel.alphas))
    fig.update_xaxes(
        **AXIS, range=[panel.alphas.min() - pad, panel.alphas.max() + pad], tickvals=[0, 0.5, 1],
        ticktext=["0<br>offline", "½", "1<br>online"], tickangle=0, ticklabeloverflow="allow",
    )  # fmt: skip
    fig.update_yaxes(**AXIS, range=limits, nticks=5)
    return fig


def profile_figure(found: Comparison) -> Any:
    """Performance profiles of V and DD side by side."""
    report, look = found.report, found.looks
    profiles = report["profiles"]
    fig = make_subplots(rows=1, cols=len(profiles), shared_yaxes=True, horizontal_spacing=0.06)
    for col, (name, of) in enumerate(profiles.items(), start=1):
        widths = nested_widths(len(of), 4.5, 1.8)
        for k, (method, profile) in enumerate(of.items()):
            limits = whiskers(profile, k, len(of))
            for trace in _profile_traces(method, profile, look[method], widths[k], limits, legend=col == 1):
                fig.add_trace(trace, row=1, col=col)
        fig.update_xaxes(
            **AXIS, title={"text": _in_lines(profile_label(report, name)), "standoff": 8}, col=col
        )
        fig.update_xaxes(range=[0, max(max(one["thresholds"]) for one in of.values())], col=col)
    _lay_out(fig, 290 + 22 * len(found.looks))  # on a telephone every name has a line
    fig.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 62, "r": 16, "t": 36, "b": 84},
    )  # fmt: skip
    fig.update_yaxes(**AXIS, range=[-0.02, 1.03], tickformat=".0%")
    y_title(fig, "y", "seeds shallower than x")
    return fig


def _in_lines(label: str) -> str:
    """A label so narrow that two of them have room side by side on a telephone."""
    return label.replace(" (", "<br>(").replace("share of ", "share of<br>")


def _profile_traces(
    method: str, profile: Report, look: Look, width: float, limits: Whiskers, *, legend: bool
) -> list[Any]:
    """A staircase, and its limits at a few places as whiskers."""
    xs, name = np.asarray(profile["thresholds"]), plain(f"{method} ({profile['seeds']} seeds)")
    curve = go.Scatter(
        x=xs, y=profile["shares"], mode="lines", name=name, showlegend=legend, legendgroup=name,
        line={"color": look.color, "width": width, "dash": look.plotly_dash, "shape": "hv"},
        customdata=np.column_stack([profile["lower"], profile["upper"]]),
        hovertemplate=f"<b>{plain(method)}</b><br>%{{y:.0%}} of seeds are shallower than %{{x:.3g}}"
        "<br>[%{customdata[0]:.0%}, %{customdata[1]:.0%}]<extra></extra>",
    )  # fmt: skip
    ends = go.Scatter(
        x=limits.xs, y=limits.shares, mode="markers", name=f"{name} limits", showlegend=False,
        legendgroup=name, hoverinfo="skip", marker={"size": 1, "color": look.color},
        error_y={
            "array": limits.above, "arrayminus": limits.below, "color": look.color,
            "thickness": 1.3, "width": 3,
        },
    )  # fmt: skip
    return [curve, ends]


def _band(panel: Panel, look: Look) -> Any:
    xs, ys = _outline(panel.alphas, panel.lower, panel.upper)
    return go.Scatter(
        x=xs, y=ys, fill="toself", fillcolor=tint(look.color), mode="none", hoverinfo="skip", name="band"
    )


def _outline(alphas: Floats, lower: Floats, upper: Floats) -> tuple[list[float | None], list[float | None]]:
    """One closed outline per stretch of bounded points; nothing where there is no band."""
    known = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper))
    xs: list[float | None] = []
    ys: list[float | None] = []
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(run):
            xs += [*alphas[run], *alphas[run[::-1]], None]
            ys += [*upper[run], *lower[run[::-1]], None]
    return xs, ys


def _lay_out(fig: Any, height: int) -> None:
    fig.update_layout(
        template="none", height=height, showlegend=False, font={**PLOTLY_FONT, "size": 12}, dragmode=False,
        hoverlabel={"bgcolor": "white", "font": {"color": INK}}, plot_bgcolor="white", paper_bgcolor="white",
    )  # fmt: skip
