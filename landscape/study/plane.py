"""`plane`: the return on a plane through policies, with every checkpoint's own return in addition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from landscape.evaluate import DEFAULT, Evaluation, Point, Progress, evaluate
from landscape.fields import NO_FIELDS, FieldOptions, Measured, Measurement
from landscape.geometry import Grid, unflatten
from landscape.study.charts import Chart, Choice, View, lay_out
from landscape.study.common import (
    Margin,
    Study,
    check_complete,
    describe_evaluation,
    describe_policy,
    episode_arrays,
    failures,
    fields_of,
    margin_of,
    none_solved,
    plain,
    rows_of,
)
from smac.rollout import Rollouts
from smac.statistics.classical import student_half_width
from smac.tasks import Task, get_task

CONFIDENCE = 0.95


@dataclass(frozen=True, repr=False)
class PlaneStudy(Study):
    """Returns on a grid over a plane, and of every checkpoint itself on the same episodes.

    Row j * nx + i of `rollouts` is the policy at (xs[i], ys[j]) of the grid; row k of `own` is policy k of
    the chart.
    """

    kind = "plane"
    task: Task
    chart: Chart
    grid: Grid
    evaluation: Evaluation
    rollouts: Rollouts
    own: Rollouts
    margin: Margin | None
    beside: Measured
    """Fields of the grid's points that cost no episodes."""

    @property
    def surfaces(self) -> dict[str, np.ndarray]:
        """Every field by name, [ny, nx]; nan where nothing finished."""
        fields = fields_of(self.task, self.rollouts) | self.beside.fields
        return {name: self.grid.surface(values) for name, values in fields.items()}

    @property
    def shown(self) -> np.ndarray:
        """What the surface of returns says at every checkpoint, [checkpoints]; nan outside the grid."""
        surface = self.surfaces["return"]
        return np.array([surface_value(self.grid, surface, p.x, p.y) for p in self.chart.places])

    @property
    def measured(self) -> list[dict[str, float | None]]:
        """Every checkpoint's own mean return with its interval, and its other fields."""
        fields = {name: plain(values) for name, values in fields_of(self.task, self.own).items()}
        intervals = [mean_interval(returns) for returns in self.own.returns]
        return [
            {"return": fields["return"][k], "low": low, "high": high}
            | {name: values[k] for name, values in fields.items() if name != "return"}
            for k, (low, high) in enumerate(intervals)
        ]

    @property
    def sentence(self) -> str:
        """The lowest and the highest return, and how far the surface is from the checkpoints."""
        surface = self.surfaces["return"]
        if not np.isfinite(surface).any():
            return f"{self.chart.where}, not one episode finished."
        text = (
            f"{self.chart.where}, the mean return runs from {np.nanmin(surface):.1f} to "
            f"{np.nanmax(surface):.1f}. {self._checked()} {self._residuals()}"
            f"{self.beside.sentence(surface.ravel())}"
        )
        if self.chart.trajectory:
            text += f" {self.chart.trajectory.sentence}"
        if failed := failures(self.rollouts):
            text += f" Episodes that did not finish: {_counted(failed)}."
        return text + none_solved(self.task, self.rollouts)

    def _checked(self) -> str:
        """The checkpoint that the surface shows worst; the table has all of them."""
        lost = [
            name
            for name, measured in zip(self.chart.names, self.measured, strict=True)
            if measured["return"] is None
        ]
        failed = f" No episode of {', '.join(lost)} finished." if lost else ""
        seen = [
            (measured["return"], float(shown), name)
            for name, measured, shown in zip(self.chart.names, self.measured, self.shown, strict=True)
            if measured["return"] is not None and np.isfinite(shown)
        ]
        if not seen:
            return f"No checkpoint lies on the part that is shown.{failed}"
        own, surface, worst = max(seen, key=lambda one: abs(one[0] - one[1]))
        return (
            f"The surface shows {worst} worst: its own return is {own:.1f}, where the surface has "
            f"{surface:.1f}.{failed}"
        )

    def _residuals(self) -> str:
        places = self.chart.places
        k = int(np.argmax([place.residual for place in places]))
        if not places[k].residual:
            return "All of them lie in the plane."
        return (
            f"Farthest off the plane is {self.chart.names[k]}: by {places[k].residual:.3g}, "
            f"{places[k].share:.0%} of its distance from the origin."
        )

    def to_json(self) -> dict[str, Any]:
        chart, trajectory = self.chart, self.chart.trajectory
        margin = None if self.margin is None else vars(self.margin)
        return describe_evaluation(self.task, self.evaluation) | {
            "plane": chart.plane.to_json(),
            "xs": self.grid.xs.tolist(),
            "ys": self.grid.ys.tolist(),
            "fields": {name: plain(values) for name, values in self.surfaces.items()},
            **self.beside.to_json(self.surfaces["return"].ravel()),
            "checkpoints": self._checkpoints(),
            "trajectory": None if chart.trained is None else list(chart.trained),
            "trajectory_plane": None if trajectory is None else trajectory.to_json(),
            "margin": margin,
            "failures": failures(self.rollouts),
            "sentence": self.sentence,
        }

    def _checkpoints(self) -> list[dict[str, Any]]:
        chart = self.chart
        columns = (chart.policies, chart.names, chart.places, self.measured, plain(self.shown))
        return [
            describe_policy(policy)
            | {"name": name, "anchor": name in chart.anchors, **vars(place)}
            | {"measured": measured, "surface": shown}
            for policy, name, place, measured, shown in zip(*columns, strict=True)
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        own = {"checkpoint_returns": self.own.returns, "checkpoint_statuses": self.own.statuses}
        axes = {"xs": self.grid.xs, "ys": self.grid.ys}
        return axes | episode_arrays(self.rollouts, self.evaluation, self.grid.shape) | own


def plane(
    choice: Choice,
    *,
    view: View = View(),  # noqa: B008 (frozen)
    margin: float | None = None,
    beside: FieldOptions = NO_FIELDS,
    evaluation: Evaluation = DEFAULT,
    progress: Progress | None = None,
) -> PlaneStudy:
    """Evaluate the actors on a grid over a plane, and the checkpoints themselves on the same episodes.

    `beside` are fields to measure at every point without episodes, such as what a critic thinks of it.
    The margin is that of other studies, and is None where the task has no references and none is given.
    Raises UserError where the checkpoints span no plane, do not fit each other, or an option makes no sense.
    """
    chart = lay_out(choice, evaluation)
    task = get_task(chart.policies[0].description.task)
    allowed = _margin(task, margin)
    grid = chart.grid(view)
    from_to = [(chart.policies[k], chart.names[k]) for k in chart.ends]
    measurement = Measurement(beside, from_to, task, evaluation)
    own = [policy.params for policy in chart.policies]
    count = len(own) + len(grid.coordinates)
    points = chain(own, grid_points(chart, grid))
    played = evaluate(chart.policies[0].spec, task, points, count, evaluation, progress=progress)
    check_complete(played, evaluation)
    return PlaneStudy(
        task,
        chart,
        grid,
        evaluation,
        rows_of(played, slice(len(own), None)),
        rows_of(played, slice(len(own))),
        allowed,
        measurement.of(grid_points(chart, grid), len(grid.coordinates)),
    )


def grid_points(chart: Chart, grid: Grid) -> Iterator[Point]:
    """The policies of a grid, row by row, one at a time: memory does not grow with their number."""
    return (unflatten(vector, chart.layout) for vector in chart.plane.points(grid.coordinates))


def surface_value(grid: Grid, surface: np.ndarray, x: float, y: float) -> float:
    """A surface [ny, nx] between its points, bilinear; nan outside the grid and next to a nan."""
    (i, u), (j, v) = _cell(grid.xs, x), _cell(grid.ys, y)
    weights = np.outer([1 - v, v], [1 - u, u])
    corners, used = surface[j : j + 2, i : i + 2], weights != 0
    if not 0 <= min(u, v) <= max(u, v) <= 1:
        return np.nan
    return float(weights[used] @ corners[used])


def _cell(axis: np.ndarray, position: float) -> tuple[int, float]:
    """Index of the cell, and the position in it, from 0 to 1 if it is on the axis."""
    i = int(np.clip(np.searchsorted(axis, position, side="right") - 1, 0, len(axis) - 2))
    return i, float((position - axis[i]) / (axis[i + 1] - axis[i]))


def mean_interval(returns: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float | None, float | None]:
    """Student's interval of the mean over finished episodes [episodes]; None with fewer than two."""
    finished = returns[np.isfinite(returns)]
    if len(finished) < 2:
        return None, None
    mean, half = float(finished.mean()), float(student_half_width(finished, confidence))
    return mean - half, mean + half


def _margin(task: Task, given: float | None) -> Margin | None:
    if given is None and (task.random_return is None or task.expert_return is None):
        return None
    return margin_of(task, given)


def _counted(failed: dict[str, int]) -> str:
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in failed.items())
