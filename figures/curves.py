"""Learning curves across the switch from offline to online training.

The two phases count different things, so they get an axis each: offline gradient steps run up to the
switch at zero, online environment steps run on from it. Runs that trained offline for different times still
meet there.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.library import write_page
from figures.style import (
    GREY,
    INK,
    PLOTLY_FONT,
    Look,
    between,
    embed,
    look,
    nested_widths,
    paper,
    plain,
    render,
    save,
    spread,
    steps,
    still,
    x_title,
    y_title,
)
from smac.agents import variant_of
from smac.errors import UserError

Floats = NDArray[np.float64]

PHASES = ("offline", "online")
METRICS = {"eval/success": "success rate", "eval/score": "score", "eval/return": "mean return"}
WIDTHS = (0.36, 0.64)
NO_OFFLINE = (0.03, 0.97)  # where nothing was evaluated before the switch
UNITS = {"offline": "gradient steps", "online": "environment steps"}


@dataclass(frozen=True)
class CurvePair:
    """One method: the run that trained it offline and the run that took it online."""

    label: str
    pretrain_dir: Path
    finetune_dir: Path


@dataclass(frozen=True)
class Series:
    """One metric of one seed in one phase."""

    seed: int
    steps: Floats
    values: Floats


@dataclass(frozen=True)
class Method:
    """One line of the figure: `series[metric][phase]` holds one `Series` per seed."""

    label: str
    look: Look
    series: dict[str, dict[str, list[Series]]]

    def bold(self, metric: str, phase: str) -> tuple[Floats, Floats]:
        """The line to be drawn bold: the mean over seeds, at the steps that all of them have."""
        return mean_series(self.series[metric][phase])


def method_of(config: Mapping[str, Any]) -> str:
    """Name of the method that a run trained, with its variant if that changes anything: `smac.paper`."""
    algorithm, variant = str(config["algorithm"]), config.get("variant")
    return f"{algorithm}.{variant}" if variant_of(algorithm, variant) else algorithm


def read_config(directory: Path) -> dict[str, Any]:
    """Read the `config.json` of a training run."""
    path = directory / "config.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {directory} is not a training run.") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from None


def read_series(directory: Path, phase: str, metric: str) -> list[Series]:
    """Read one metric of one phase from `metrics.csv`, a series per seed in order of steps.

    Rows that did not log the metric, or logged something that is not finite, are left out. Offline steps are
    counted to the switch: the last step of the phase becomes 0, earlier ones are negative.

    Raises:
        UserError: the file is missing, or lacks one of the columns `phase`, `step`, `seed`.
    """
    path = directory / "metrics.csv"
    points: dict[int, dict[int, float]] = defaultdict(dict)
    last = 0
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["phase"] != phase:
                    continue
                step = int(float(row["step"]))
                last = max(last, step)
                if row.get(metric):
                    points[int(row["seed"])][step] = float(row[metric])
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {directory} is not a training run.") from None
    except KeyError as error:
        raise UserError(f"{path} has no column {error}.") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} has a cell that cannot be read ({error}).") from None
    shift = last if phase == "offline" else 0
    found = []
    for seed, values in sorted(points.items()):
        kept = sorted((step - shift, value) for step, value in values.items() if math.isfinite(value))
        if kept:
            xs, ys = np.array(kept, dtype=np.float64).T
            found.append(Series(seed, xs, ys))
    return found


def mean_series(series: Sequence[Series]) -> tuple[Floats, Floats]:
    """The mean over seeds at the steps that every seed has: `(steps, values)`, empty without series."""
    if not series:
        return np.empty(0), np.empty(0)
    common = sorted(set.intersection(*(set(one.steps) for one in series)))
    values = [one.values[np.searchsorted(one.steps, common)] for one in series]
    return np.array(common), np.mean(values, axis=0)


def read_methods(pairs: Sequence[CurvePair]) -> list[Method]:
    """Read every run of a figure; the offline algorithm decides a line's look."""
    methods = []
    for pair in pairs:
        directories = dict(zip(PHASES, (pair.pretrain_dir, pair.finetune_dir), strict=True))
        series = {
            metric: {phase: read_series(directory, phase, metric) for phase, directory in directories.items()}
            for metric in METRICS
        }
        if not any(per_phase["online"] for per_phase in series.values()):
            raise UserError(f"{pair.finetune_dir / 'metrics.csv'} has no evaluation in the online phase.")
        methods.append(Method(pair.label, look(method_of(read_config(pair.pretrain_dir))), series))
    return methods


def draw_curves(pairs: Sequence[CurvePair], stem: Path) -> list[Path]:
    """Draw the learning curves of some methods: `stem.png`, `stem.pdf` and the page `stem.html`."""
    methods = read_methods(pairs)
    fig = curves_still(methods)
    page = render(
        "curves.html.j2",
        title="Across the switch from offline to online",
        plot=embed(curves_figure(methods), "curves"),
        still=still(fig),
        seeds=seed_count(methods),
        pairs=pairs,
    )
    return [*save(fig, stem), write_page(stem.with_name(stem.name + ".html"), page)]


def run_figure(directory: Path) -> Figure:
    """Learning curves of one run, in the phase that it trained: thin lines per seed, bold their mean."""
    config = read_config(directory)
    phase = "offline" if config.get("command") == "pretrain" else "online"
    series = {
        metric: {each: read_series(directory, each, metric) if each == phase else [] for each in PHASES}
        for metric in METRICS
    }
    own = look(method_of(config))
    methods = [Method(own.name, own, series)]
    metrics = shown_metrics(methods, phase)
    if not metrics:
        raise UserError(f"{directory / 'metrics.csv'} has no evaluation yet.")
    with paper():
        fig = Figure(figsize=(4.5, 1.9 * len(metrics)), layout="constrained")
        axes = fig.subplots(len(metrics), 1, squeeze=False, sharex=True)[:, 0]
        for ax, metric in zip(axes, metrics, strict=True):
            _draw_phase(ax, methods, metric, phase)
            ax.set_ylabel(METRICS[metric])
            ax.xaxis.set_major_formatter(FuncFormatter(steps))
        axes[0].set_title(f"{own.name} on {config['task']}", loc="left")
        axes[-1].set_xlabel(f"{phase}: {UNITS[phase]}{' to the end' if phase == 'offline' else ''}")
    return fig


def seed_count(methods: Sequence[Method]) -> int:
    """The fewest training seeds behind any of the methods."""
    return min(max(len(per_phase["online"]) for per_phase in method.series.values()) for method in methods)


def shown_metrics(methods: Sequence[Method], phase: str = "online") -> list[str]:
    """The metrics that at least one run has logged in a phase, one panel each.

    The score only where episodes succeed too rarely to see anything, as by all of Kitchen's sub-tasks.
    """
    found = [m for m in METRICS if any(method.series[m][phase] for method in methods)]
    rare = "eval/success" in found and not _ever(methods, "eval/success") and _ever(methods, "eval/score")
    return [m for m in found if m != ("eval/success" if rare else "eval/score")]


def _ever(methods: Sequence[Method], metric: str) -> bool:
    """Whether it is ever above 0."""
    found = [one for method in methods for of in method.series[metric].values() for one in of]
    return any((one.values > 0).any() for one in found)


def curves_still(methods: Sequence[Method]) -> Figure:
    """The figure for paper: one row per metric, offline left of the switch and online right of it."""
    metrics = shown_metrics(methods)
    with paper():
        width, height = 6.75, 0.75 + 1.7 * len(metrics)
        names = 0.15 + 0.085 * max(len(method.label) for method in methods)  # inches that the names need
        fig = Figure(figsize=(width, height))
        axes = fig.subplots(
            len(metrics), 2, squeeze=False, sharex="col", sharey="row",
            gridspec_kw={
                "width_ratios": widths(methods), "wspace": 0, "hspace": 0.14, "left": 0.6 / width,
                "right": 1 - names / width, "bottom": 0.45 / height, "top": 1 - 0.22 / height,
            },
        )  # fmt: skip
        for row, metric in zip(axes, metrics, strict=True):
            for ax, phase in zip(row, PHASES, strict=True):
                _draw_phase(ax, methods, metric, phase)
            _dress_row(row, methods, metric)
        _dress_bottom(axes[-1], methods)
        axes[0, 1].annotate(
            "switch", (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
            ha="center", fontsize=7.5, color=GREY,
        )  # fmt: skip
        fig.align_ylabels(axes[:, 0])
    return fig


def _draw_phase(ax: Axes, methods: Sequence[Method], metric: str, phase: str) -> None:
    """One panel: thin lines per seed where there are several, and a bold line per method."""
    for method, width in zip(methods, nested_widths(len(methods), 2.8), strict=True):
        series = method.series[metric][phase]
        for one in series if len(series) > 1 else []:
            ax.plot(one.steps, one.values, color=method.look.color, linewidth=0.5, alpha=0.45)
        xs, ys = method.bold(metric, phase)
        ax.plot(
            xs, ys, color=method.look.color, linestyle=method.look.linestyle, linewidth=width,
            marker=method.look.marker, markersize=2.6, zorder=3, clip_on=False,
            markevery=max(1, len(xs) // 25),
        )  # fmt: skip


def _dress_row(row: Sequence[Axes], methods: Sequence[Method], metric: str) -> None:
    """Limits, the switch line and the methods' names at the ends of their lines."""
    offline, online = row
    low, high = value_range(methods, metric)
    offline.set_ylim(low, high)
    offline.set_ylabel(METRICS[metric])
    online.spines["left"].set(color=INK, linewidth=0.9)
    online.tick_params(axis="y", length=0, labelleft=False)
    for method, x, y in end_labels(methods, metric, 0.085 * (high - low)):
        online.annotate(
            method.label, (x, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8,
            fontweight="bold", color=method.look.color, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _dress_bottom(row: Sequence[Axes], methods: Sequence[Method]) -> None:
    """Step axes: offline counts up to the switch, and the zero belongs to both."""
    for ax, phase in zip(row, PHASES, strict=True):
        ax.set_xlim(step_range(methods, phase))
        ax.set_xticks(step_ticks(methods, phase))
        ax.xaxis.set_major_formatter(FuncFormatter(steps))
        if phase == "online" or _before(methods):
            ax.set_xlabel(f"{phase}: {UNITS[phase]}")


def widths(methods: Sequence[Method]) -> tuple[float, float]:
    """Shares of the two phases."""
    return WIDTHS if _before(methods) else NO_OFFLINE


def _before(methods: Sequence[Method]) -> bool:
    """Whether there are evaluations before the switch."""
    found = [one for method in methods for per in method.series.values() for one in per["offline"]]
    return any(one.steps[0] < 0 for one in found)


def step_range(methods: Sequence[Method], phase: str) -> tuple[float, float]:
    """Limits of a step axis: the first offline evaluation to the switch, or the switch to the last."""
    found = [one.steps for method in methods for per in method.series.values() for one in per[phase]]
    every = np.concatenate([*found, [0.0]])
    return (1.02 * every.min() or -1.0, 0.0) if phase == "offline" else (0.0, 1.02 * every.max() or 1.0)


def step_ticks(methods: Sequence[Method], phase: str) -> list[float]:
    """Round ticks inside the limits; zero is left to the online axis."""
    if phase == "offline" and not _before(methods):
        return []
    low, high = step_range(methods, phase)
    ticks = MaxNLocator(3 if phase == "offline" else 4, steps=[1, 2.5, 5, 10]).tick_values(low, high)
    return [float(x) for x in ticks if low <= x <= high and (x or phase == "online")]


def value_range(methods: Sequence[Method], metric: str) -> tuple[float, float]:
    """Limits of a panel: everything drawn with a little room; a success rate always shows 0 to 1."""
    values = np.concatenate(
        [one.values for method in methods for phase in PHASES for one in method.series[metric][phase]]
        + ([np.array([0.0, 1.0])] if metric == "eval/success" else [])
    )
    room = 0.04 * (float(np.ptp(values)) or 1.0)
    return float(values.min()) - room, float(values.max()) + room


def end_labels(methods: Sequence[Method], metric: str, gap: float) -> list[tuple[Method, float, float]]:
    """Where to write each method's name: at the end of the longest line, heights moved apart by `gap`."""
    drawn = [method for method in methods if len(method.bold(metric, "online")[0])]
    ends = [method.bold(metric, "online") for method in drawn]
    right = max(float(xs[-1]) for xs, _ in ends)
    heights = between(spread([float(ys[-1]) for _, ys in ends], gap), *value_range(methods, metric), gap)
    return [(method, right, height) for method, height in zip(drawn, heights, strict=True)]


def curves_figure(methods: Sequence[Method]) -> Any:
    """The same figure in plotly. A trace is named `label|metric|phase`, or `...|seed 3` for a thin line."""
    metrics = shown_metrics(methods)
    fig = make_subplots(
        rows=len(metrics), cols=2, shared_xaxes=True, shared_yaxes=True, column_widths=widths(methods),
        horizontal_spacing=0, vertical_spacing=0.07,
    )  # fmt: skip
    for row, metric in enumerate(metrics, start=1):
        for col, phase in enumerate(PHASES, start=1):
            for method, width in zip(methods, nested_widths(len(methods), 4.5, 2.0), strict=True):
                for trace in _traces(method, metric, phase, width):
                    fig.add_trace(trace, row=row, col=col)
        _dress_plotly_row(fig, methods, metric, row)
    _lay_out(fig, methods, len(metrics))
    return fig


def _traces(method: Method, metric: str, phase: str, width: float) -> list[Any]:
    """Thin lines per seed where there are several, then the bold line."""
    name = f"{plain(method.label)}|{metric}|{phase}"
    series = method.series[metric][phase]
    thin = [
        go.Scatter(
            x=one.steps, y=one.values, mode="lines", name=f"{name}|seed {one.seed}", hoverinfo="skip",
            opacity=0.4, line={"color": method.look.color, "width": 0.8},
        )
        for one in (series if len(series) > 1 else [])
    ]  # fmt: skip
    xs, ys = method.bold(metric, phase)
    bold = go.Scatter(
        x=xs, y=ys, mode="lines+markers", name=name, cliponaxis=False,
        line={"color": method.look.color, "width": width, "dash": method.look.plotly_dash},
        marker={"size": 5, "symbol": method.look.plotly_marker},
        text=[steps(x) for x in xs],
        hovertemplate=f"<b>{plain(method.label)}</b><br>{phase} step %{{text}}"
        f"<br>{METRICS[metric]} %{{y:.3g}}<extra></extra>",
    )  # fmt: skip
    return [*thin, bold]


def _dress_plotly_row(fig: Any, methods: Sequence[Method], metric: str, row: int) -> None:
    """Limits, the name of the axis, and the methods' names at the ends of their lines."""
    low, high = value_range(methods, metric)
    left, right = f"{2 * row - 1}" if row > 1 else "", f"{2 * row}"
    fig.update_yaxes(range=[low, high], row=row)
    y_title(fig, f"y{left}", METRICS[metric])
    for method, x, y in end_labels(methods, metric, 0.1 * (high - low)):
        fig.add_annotation(
            text=f"<b>{plain(method.label)}</b>", x=x, y=y, xref=f"x{right}", yref=f"y{right}",
            xanchor="left", xshift=7, showarrow=False, font={"color": method.look.color, "size": 13},
        )  # fmt: skip


def _lay_out(fig: Any, methods: Sequence[Method], rows: int) -> None:
    """Axes, fonts, margins and the switch."""
    axis = {"showgrid": False, "zeroline": False, "linecolor": GREY, "ticks": "outside", "fixedrange": True}
    fig.update_layout(
        template="none", height=90 + 205 * rows, margin={"l": 70, "r": 72, "t": 26, "b": 64},
        showlegend=False, font={**PLOTLY_FONT, "size": 13}, plot_bgcolor="white",
        hoverlabel={"bgcolor": "white", "font": {"color": INK}}, paper_bgcolor="white", dragmode=False,
    )  # fmt: skip
    fig.update_yaxes(**axis, nticks=6, rangemode="normal")
    fig.update_yaxes(linecolor=INK, linewidth=1.5, ticks="", col=2)
    fig.update_xaxes(**axis, tickangle=0)
    for col, phase in enumerate(PHASES, start=1):
        ticks = step_ticks(methods, phase)
        fig.update_xaxes(
            range=step_range(methods, phase), tickvals=ticks, ticktext=list(map(steps, ticks)), col=col
        )
        if phase == "online" or _before(methods):
            x_title(fig, f"x{col}".removesuffix("1"), f"{phase}<br>{UNITS[phase]}")
    fig.add_annotation(
        text="switch", x=widths(methods)[0], xref="paper", y=1, yref="paper", yanchor="bottom",
        showarrow=False, font={"size": 12, "color": GREY},
    )  # fmt: skip
