"""The same planes in plotly. Every trace has a name; hover texts are plain strings in `text`."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from figures.files import Floats
from figures.labels import place, shortened, text_size
from figures.plane.colors import COLORSCALE
from figures.plane.data import Checkpoint, Plane, Scale, field_label, scale_of
from figures.plane.maps import Frame
from figures.style import GREY, INK, PLOTLY_FONT, number, plain, tick_words

PHONE = 300.0  # points: a map on a telephone, for which the words are placed
WORDS = 11.0  # points
MARGINS = {"l": 58, "r": 16, "t": 8, "b": 108}  # pixels around a map: below it the x axis and the colour bar
RADIUS = 7.0
HOVER = {"bgcolor": "white", "font": {"color": INK}, "align": "left"}
WHITE = "rgba(255,255,255,0.8)"


def plane_figure(plane: Plane, field: str = "return", *, names: bool = True) -> Any:
    """A field of a plane as a map, without a title; `names` writes the anchors' names beside the numbers.

    Its height is left to the page, which makes it fit the width.
    """
    scale = scale_of(field, plane)
    fig = go.Figure()
    fig.add_trace(_map(plane, field, scale))
    for trace in [*_failed(plane), *_level(plane, field), *_training(plane)]:
        fig.add_trace(trace)
    fig.add_trace(_checkpoints(plane, scale if field == "return" else None))
    _annotate(fig, plane, names)
    _lay_out_map(fig, plane)
    return fig


def surface_figure(plane: Plane) -> Any:
    """Returns in three dimensions; every checkpoint at its own return, with a stem to the surface."""
    scale = scale_of("return", plane)
    low, high = scale.limits
    fig = go.Figure(
        go.Surface(
            x=plane.xs, y=plane.ys, z=plane.fields["return"], name="surface", colorscale=COLORSCALE,
            cmin=low, cmax=high, colorbar=_bar("return", scale), text=hover_texts(plane, "return"),
            hovertemplate="%{text}<extra></extra>",
            lighting={"ambient": 0.85, "diffuse": 0.25, "specular": 0.05},
            contours={"z": {"show": True, "start": low, "end": high, "size": _step(scale), "color": INK}},
        )
    )  # fmt: skip
    for trace in _stems(plane):
        fig.add_trace(trace)
    own = _checkpoints(plane, scale)
    fig.add_trace(
        go.Scatter3d(
            x=own.x, y=own.y, z=[c.own for c in plane.checkpoints], name="checkpoints", mode="markers+text",
            marker={**own.marker.to_plotly_json(), "size": 7, "line": {"color": INK, "width": 2}},
            text=[f"<b>{c.number}</b>" for c in plane.checkpoints], textposition="top center",
            textfont={"size": 14, "color": INK}, customdata=own.text,
            hovertemplate="%{customdata}<extra></extra>",
        )
    )  # fmt: skip
    _lay_out_surface(fig, plane)
    return fig


def hover_texts(plane: Plane, field: str) -> NDArray[np.object_]:
    """What a finger on each point of the grid reads [ny, nx]."""
    texts = np.empty(plane.finished.shape, dtype=object)
    for j, i in np.ndindex(texts.shape):
        rows = [f"({number(float(plane.xs[i]))}, {number(float(plane.ys[j]))})"]
        for name in dict.fromkeys(("return", field)):
            rows.append(f"{plain(field_label(name))} {number(float(plane.fields[name][j, i]), 4)}")
        if plane.success is not None and np.isfinite(plane.success[j, i]):
            rows.append(f"success {100 * plane.success[j, i]:.0f} %")
        rows.append(f"{plane.finished[j, i]} of {plane.episodes} episodes finished")
        texts[j, i] = "<br>".join(rows)
    return texts


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """What a finger on a checkpoint reads."""
    interval = "" if np.isnan(checkpoint.low) else f", interval {checkpoint.own_text.split(' ', 1)[1]}"
    off = "in the plane" if checkpoint.share_text == "0" else f"{checkpoint.share_text} off the plane"
    return (
        f"<b>{checkpoint.number} {plain(checkpoint.name)}</b>"
        f"<br>own return {number(checkpoint.own)}{interval}"
        f"<br>the surface says {number(checkpoint.surface)}<br>{off}"
    )


def _map(plane: Plane, field: str, scale: Scale) -> Any:
    """The surface; what is under a white hatch is that of the neighbours, and is not told."""
    low, high = scale.limits
    return go.Contour(
        x=plane.xs, y=plane.ys, z=plane.filled(field), name=field, colorscale=COLORSCALE, zmin=low, zmax=high,
        text=hover_texts(plane, field), hovertemplate="%{text}<extra></extra>",
        contours={
            "coloring": "heatmap", "start": scale.lines[1], "end": scale.lines[-2], "size": _step(scale),
            "showlabels": True, "labelfont": {"size": 11, "color": INK},
        },
        line={"width": 0.7, "color": INK}, colorbar=_bar(field, scale),
    )  # fmt: skip


def _step(scale: Scale) -> float:
    return float(scale.lines[1] - scale.lines[0])


def _bar(field: str, scale: Scale) -> dict[str, Any]:
    """A colour bar below the map, where a telephone has room for it."""
    return {
        "orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "thickness": 10, "len": 1,
        "outlinewidth": 0, "title": {**_axis_title(field_label(field), None), "side": "bottom"},
        "ypad": 0, "xpad": 0, "tickvals": scale.lines, "ticktext": tick_words(scale.lines),
    }  # fmt: skip


def _failed(plane: Plane) -> list[Any]:
    """Hatched cells: on the surface where some episodes failed, on white where all did."""
    traces = []
    for name, cells, shape, ground in (
        ("some failed", plane.some_failed, "/", "rgba(255,255,255,0.35)"),
        ("all failed", plane.all_failed, "x", "white"),
    ):
        if not cells.any():
            continue
        xs: list[float | None] = []
        ys: list[float | None] = []
        for j, i in np.argwhere(cells):
            left, right, low, high = plane.cell(int(j), int(i))
            xs += [left, right, right, left, left, None]
            ys += [low, low, high, high, low, None]
        traces.append(
            go.Scatter(
                x=xs, y=ys, mode="none", fill="toself", hoverinfo="skip", name=name,
                fillpattern={"shape": shape, "fgcolor": INK, "bgcolor": ground, "size": 6, "solidity": 0.18},
            )
        )  # fmt: skip
    return traces


def _level(plane: Plane, field: str) -> list[Any]:
    """The line below which a valley counts, on the map of returns."""
    surface = plane.fields["return"]
    if field != "return" or plane.level is None or not np.nanmin(surface) < plane.level < np.nanmax(surface):
        return []
    shared = {
        "x": plane.xs, "y": plane.ys, "z": surface, "showscale": False, "hoverinfo": "skip",
        "autocontour": False,
        "contours": {"coloring": "none", "start": plane.level, "end": plane.level, "size": 1},
    }  # fmt: skip
    return [
        go.Contour(**shared, name="level ground", line={"width": 4, "color": "white"}),
        go.Contour(**shared, name="level", line={"width": 2, "color": INK, "dash": "6px,3px"}),
    ]


def _training(plane: Plane) -> list[Any]:
    """A thin line through the checkpoints in the order of training, with arrows at its corners."""
    if len(plane.trajectory) < 2:
        return []
    xs, ys = np.array([(c.x, c.y) for c in plane.trajectory]).T
    middle = [
        (axis[:-1] + 0.55 * np.diff(axis)) for axis in (xs, ys)
    ]  # an arrow in the middle of every stretch
    path = [np.insert(axis, np.arange(1, len(axis)), mid) for axis, mid in zip((xs, ys), middle, strict=True)]
    arrows = [0, 11] * (len(xs) - 1) + [0]
    return [
        go.Scatter(
            x=xs, y=ys, mode="lines", name="training ground", hoverinfo="skip",
            line={"color": "white", "width": 4},
        ),
        go.Scatter(
            x=path[0], y=path[1], mode="lines+markers", name="training", hoverinfo="skip",
            line={"color": INK, "width": 1.4},
            marker={
                "symbol": "arrow", "angleref": "previous", "size": arrows, "color": INK, "opacity": 1,
                "line": {"width": 0},
            },
        ),
    ]  # fmt: skip


def _checkpoints(plane: Plane, scale: Scale | None) -> Any:
    """Markers in the colour of what the checkpoints measured; white on maps of other fields."""
    known = [c.own for c in plane.checkpoints]
    low, high = scale.limits if scale else (0.0, 1.0)
    colors = ["white"] * len(known) if scale is None else known
    return go.Scatter(
        x=[c.x for c in plane.checkpoints], y=[c.y for c in plane.checkpoints], mode="markers",
        name="checkpoints", cliponaxis=False,
        marker={
            "size": 2 * RADIUS, "color": colors, "colorscale": COLORSCALE, "cmin": low, "cmax": high,
            "symbol": ["circle" if np.isfinite(value) else "x" for value in known],
            "line": {"color": INK, "width": 1.6},
        },
        text=[checkpoint_text(c) for c in plane.checkpoints], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _annotate(fig: Any, plane: Plane, names: bool) -> None:
    """Numbers beside the markers, placed so that they do not overlap on a telephone, or on anything wider."""
    frame = Frame(plane, PHONE)
    points = frame.points(*np.array([(c.x, c.y) for c in plane.checkpoints]).T)
    ends = plane.trajectory[:1] + plane.trajectory[-1:]
    texts = [
        [f"{c.number} {shortened(c.name, 16)}", str(c.number)]
        if names and (c.anchor or c in ends)
        else [str(c.number)]
        for c in plane.checkpoints
    ]
    sizes = [[text_size(text, WORDS, bold=True) for text in one] for one in texts]
    found = place(points, sizes, frame.box, radius=RADIUS, busy=points)
    for one, checkpoint, point, label in zip(texts, plane.checkpoints, points, found, strict=True):
        if label is None:
            continue
        wording, box = label
        right, up = np.array(box.centre) - point
        fig.add_annotation(
            x=checkpoint.x, y=checkpoint.y, xshift=right, yshift=up, text=f"<b>{plain(one[wording])}</b>",
            showarrow=False, font={"size": WORDS, "color": INK}, bgcolor=WHITE, borderpad=0,
        )  # fmt: skip


def _axis_title(text: str, standoff: int | None = 6) -> dict[str, Any]:
    """A title no larger than the words around it; plotly's own are."""
    return {"text": plain(text), "font": {"size": 13}} | ({"standoff": standoff} if standoff else {})


def _lay_out_map(fig: Any, plane: Plane) -> None:
    """Equal scales, few ticks, no tools."""
    (left, right), (low, high) = plane.extent
    axis = {
        "showgrid": False,
        "zeroline": False,
        "linecolor": GREY,
        "ticks": "outside",
        "fixedrange": True,
        "nticks": 6,
    }
    fig.update_layout(
        template="none", margin=MARGINS, showlegend=False, autosize=True,
        font={**PLOTLY_FONT, "size": 13}, hoverlabel=HOVER,
        plot_bgcolor="white", paper_bgcolor="white", dragmode=False,
    )  # fmt: skip
    fig.update_xaxes(**axis, range=[left, right], title=_axis_title(plane.labels[0]), constrain="domain")
    fig.update_yaxes(
        **axis, range=[low, high], title=_axis_title(plane.labels[1]), constrain="domain",
        scaleanchor="x", scaleratio=plane.scale, constraintoward="top",
    )  # fmt: skip


def _stems(plane: Plane) -> list[Any]:
    """From the surface to every checkpoint's own return, and the training through these."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    zs: list[float | None] = []
    for one in plane.checkpoints:
        if np.isfinite([one.own, one.surface]).all():
            xs, ys, zs = (
                [*xs, one.x, one.x, None],
                [*ys, one.y, one.y, None],
                [*zs, one.surface, one.own, None],
            )
    line = {"color": INK, "width": 5}
    found = [go.Scatter3d(x=xs, y=ys, z=zs, mode="lines", name="stems", hoverinfo="skip", line=line)]
    if len(plane.trajectory) > 1:
        path: Floats = np.array([(c.x, c.y, c.own) for c in plane.trajectory]).T
        x, y, z = path
        thin = {"color": INK, "width": 2}
        found.append(go.Scatter3d(x=x, y=y, z=z, mode="lines", name="training", hoverinfo="skip", line=thin))
    return found


def _lay_out_surface(fig: Any, plane: Plane) -> None:
    """A box as wide and deep as the plane, seen from above its lower left corner."""
    (left, right), (low, high) = plane.extent
    axis = {
        "showbackground": False,
        "gridcolor": "#dddddd",
        "zeroline": False,
        "nticks": 5,
        "linecolor": GREY,
    }
    deep = float(np.clip(plane.aspect, 0.5, 2))
    fig.update_layout(
        template="none", margin={"l": 0, "r": 0, "t": 0, "b": 8}, showlegend=False, autosize=True,
        font={**PLOTLY_FONT, "size": 12}, hoverlabel=HOVER,
        paper_bgcolor="white",
        scene={
            "xaxis": {**axis, "title": {"text": plain(plane.labels[0])}, "range": [left, right]},
            "yaxis": {**axis, "title": {"text": plain(plane.labels[1])}, "range": [low, high]},
            "zaxis": {**axis, "title": {"text": "return"}},
            "aspectmode": "manual", "aspectratio": {"x": 1.25, "y": 1.25 * deep, "z": 0.75},
            "camera": {"eye": {"x": -0.85, "y": -1.9, "z": 1.05}, "center": {"x": 0, "y": 0, "z": -0.2}},
            "dragmode": "turntable",
        },
    )  # fmt: skip
    fig.update_traces(colorbar={"len": 0.85}, selector={"type": "surface"})
