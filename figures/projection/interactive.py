"""The same projection in plotly. Every trace has a name; hover texts are plain strings in `text`."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from figures.plane.colors import COLORSCALE
from figures.projection.data import Projection, Run
from figures.style import GREY, INK, PLOTLY_FONT, number, plain, tick_words

MARGINS = {"l": 58, "r": 16, "t": 44, "b": 100}
HOVER = {"bgcolor": "white", "font": {"color": INK}, "align": "left"}


def projection_figure(found: Projection) -> Any:
    """All runs, without a title; its height is left to the page. A click on the key hides a method's ways."""
    fig = go.Figure()
    met: set[str] = set()
    for run in found.runs:
        fig.add_trace(_way(found, run, shown=run.group not in met))
        met.add(run.group)
    ends = {k for run in found.runs for k in (run.start, run.end)}
    between = [k for k in range(len(found.points)) if k not in ends]
    starts = list(dict.fromkeys(run.start for run in found.runs))
    stops = [k for k in dict.fromkeys(run.end for run in found.runs) if k not in starts]
    fig.add_trace(_markers(found, "on the way", between, "circle", 8, 0.8))
    colors = {run.end: found.looks[run.group].color for run in found.runs}
    rings = [colors[k] for k in stops]
    fig.add_trace(_markers(found, "end: online", stops, "circle", 15, 2.6, edges=rings))
    fig.add_trace(_markers(found, "start: offline", starts, "square", 15, 2.4, bar=True))
    _lay_out(fig, found)
    return fig


def point_text(found: Projection, k: int) -> str:
    """What a finger on a point reads."""
    point = found.points[k]
    rows = [f"<b>{plain(point.name)}</b>", f"return {plain(point.own_text)}"]
    if point.success is not None:
        rows.append(f"success {100 * point.success:.0f} %")
    through = [run for run in found.runs if k in run.points]
    if len(through) > 1:
        rows.append(f"of {len(through)} runs: {plain(', '.join(run.name for run in through[:6]))}")
    return "<br>".join(rows)


def _way(found: Projection, run: Run, *, shown: bool) -> Any:
    """A run's line, with an arrow in the middle of every stretch."""
    style = found.looks[run.group]
    way = found.positions[list(run.points)]
    middle = way[:-1] + 0.55 * np.diff(way, axis=0)
    path = np.insert(way, np.arange(1, len(way)), middle, axis=0)
    return go.Scatter(
        x=path[:, 0], y=path[:, 1], mode="lines+markers", name=plain(found.group_text(run.group)),
        legendgroup=run.group, showlegend=shown, hoverinfo="skip",
        line={"color": style.color, "width": 1.8, "dash": style.plotly_dash},
        marker={
            "symbol": "arrow", "angleref": "previous", "size": [0, 9] * (len(way) - 1) + [0],
            "color": style.color, "opacity": 1, "line": {"width": 0},
        },
    )  # fmt: skip


def _markers(
    found: Projection, name: str, rows: list[int], symbol: str, size: float, edge: float,
    *, edges: list[str] | None = None, bar: bool = False,
) -> Any:  # fmt: skip
    """Points in the colours of their returns."""
    points = [found.points[k] for k in rows]
    known = [point.own for point in points]  # NaN has no colour
    low, high = found.scale.limits
    marker = {
        "size": size, "color": known, "colorscale": COLORSCALE, "cmin": low, "cmax": high,
        "symbol": [symbol if np.isfinite(value) else "x" for value in known],
        "line": {"color": edges or INK, "width": edge}, "opacity": 1,
    }  # fmt: skip
    if bar:
        marker["colorbar"] = {
            "orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "thickness": 10, "len": 1,
            "outlinewidth": 0, "ypad": 0, "xpad": 0, "tickvals": found.scale.lines,
            "ticktext": tick_words(found.scale.lines),
            "title": {"text": "own mean return", "font": {"size": 13}, "side": "bottom"},
        }  # fmt: skip
    return go.Scatter(
        x=[p.x for p in points], y=[p.y for p in points], mode="markers", name=name, marker=marker,
        showlegend=False, cliponaxis=False, text=[point_text(found, k) for k in rows],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _lay_out(fig: Any, found: Projection) -> None:
    """Equal scales; ticks only where they mean something; the key above."""
    (left, right), (low, high) = found.extent
    axis = {
        "showgrid": False,
        "zeroline": False,
        "linecolor": GREY,
        "mirror": True,
        "nticks": 6,
        "fixedrange": True,
    }
    axis |= {"ticks": "outside"} if found.labels else {"showticklabels": False, "ticks": ""}
    fig.update_layout(
        template="none", margin=MARGINS if found.labels else {**MARGINS, "l": 8, "b": 66}, autosize=True,
        font={**PLOTLY_FONT, "size": 13}, hoverlabel=HOVER, plot_bgcolor="white", paper_bgcolor="white",
        dragmode=False, legend={
            "orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left",
            "bgcolor": "rgba(0,0,0,0)", "itemsizing": "constant",
        },
    )  # fmt: skip
    x_text, y_text = found.labels or ("", "")
    fig.update_xaxes(
        **axis, range=[left, right], constrain="domain",
        title={"text": plain(x_text), "font": {"size": 13}, "standoff": 6},
    )  # fmt: skip
    fig.update_yaxes(
        **axis, range=[low, high], constrain="domain", scaleanchor="x", constraintoward="top",
        title={"text": plain(y_text), "font": {"size": 13}, "standoff": 6},
    )  # fmt: skip


def run_rows(found: Projection) -> list[dict[str, str]]:
    """The table under the picture: returns of every run at its start, at worst and at its end."""
    rows = []
    for run in found.runs:
        own = np.array([found.points[k].own for k in run.points])
        known = np.isfinite(own).any()
        worst = int(np.nanargmin(own)) if known else 0
        rows.append(
            {
                "name": run.name,
                "start": found.points[run.start].own_text,
                "worst": f"{found.points[run.points[worst]].own_text}, step {run.steps[worst]}"
                if known
                else "–",
                "end": found.points[run.end].own_text,
                "checkpoints": number(len(own)),
            }
        )
    return rows
