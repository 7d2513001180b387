"""`landscape plane`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, EvaluationOptions, finish
from landscape.fields import FieldOptions
from landscape.study import Choice, PlaneStudy, View, plane
from landscape.study.runs import in_order
from smac.errors import UserError


@dataclass(frozen=True)
class Plane:
    """Evaluate the plane through checkpoints by rollouts: the return around them and at them."""

    examples: ClassVar = (
        "landscape plane --through a.safetensors b.safetensors c.safetensors --axes uv",
        "landscape plane --trajectory runs/finetune/seed-0 --nx 15 --ny 15 --out runs/plane",
    )
    often: ClassVar = ("through", "trajectory", "axes", "nx", "ny", *OFTEN)
    verdict: ClassVar = True
    through: tuple[Path, ...] = ()
    """Three checkpoints, or two and a random filter-normalised direction (y)."""
    trajectory: tuple[Path, ...] = ()
    """Checkpoints in the order of training, or the `seed-K` folder of a fine-tuning run: the plane of their
    first two principal components, with those of a random walk for comparison."""
    update: tuple[Path, ...] = ()
    """A checkpoint before and one after an update: x is its direction, y a random filter-normalised one."""
    also: tuple[Path, ...] = ()
    """Further checkpoints, projected onto the plane, drawn, and evaluated themselves."""
    axes: Literal["orthonormal", "uv"] = "orthonormal"
    """Of three checkpoints A B C: distances at right angles, or u = B - A and v = C - A themselves, so that
    A is at (0, 0), B at (1, 0) and C at (0, 1), as in Figure 1 of SMAC's paper."""
    direction_seed: int = 0
    """Seed of the random direction."""
    one_d: Literal["zero", "match", "keep"] = "zero"
    """Biases and norms in the random direction: zero, scaled to the norm of the policy's own, or as drawn."""
    about: Literal["final", "mean"] = "final"
    """Centre of the principal components of a trajectory: its final checkpoint, or its mean."""
    nx: int | None = None
    """Number of columns; default: 21 points on the longer side, and about square cells."""
    ny: int | None = None
    """Number of rows."""
    x: str | None = None
    """LOW:HIGH:POINTS instead, as in --x=-0.5:1.5:21, in units of the axis (Euclidean distance, updates,
    or filter norms), from the first checkpoint; of a trajectory, from its last."""
    y: str | None = None
    """The same for y."""
    margin: float | None = None
    """Difference of returns that does not matter; default: 5 % of the task's score range, if it has one."""
    fields: FieldOptions = field(default_factory=FieldOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        choice = Choice(
            self.through,
            self.trajectory,
            self.update,
            self.also,
            self.direction_seed,
            self.one_d,
            self.about,
            self.axes,
        )
        with self.evaluation.study(self) as out:
            with progress("episodes") as show:
                result = plane(
                    choice,
                    view=View(self.nx, self.ny, self.x, self.y),
                    margin=self.margin,
                    beside=self.fields,
                    evaluation=self.evaluation.settings(out),
                    progress=show,
                )
            print_plane(result)
            finish(result, out, command_line("landscape"))

    def planned(self) -> Planned:
        columns, rows = axis_points(self.nx, self.x), axis_points(self.ny, self.y)
        first = [*self.through, *self.update, *in_order(list(self.trajectory))][:1]
        if not first:
            raise UserError("name checkpoints with --through, --trajectory or --update")
        episodes = columns * rows * self.evaluation.episodes
        what = f"about {columns} x {rows} points, and the checkpoints themselves"
        return self.evaluation.plan(first[0], what, episodes)


def axis_points(count: int | None, view: str | None) -> int:
    """How many points an axis has, as --nx or --x says; the longer axis has 21 if neither is given."""
    last = view.rpartition(":")[2] if view else ""
    return int(last) if last.isdigit() else count or 21


def print_axes(result: PlaneStudy) -> None:
    """What u and v are, their lengths and the cosine between them."""
    names, about = result.chart.names, result.chart.plane.to_json()
    for axis, end, length in zip("uv", names[1:3], about["lengths"], strict=True):
        console.print(f"{axis} = {end} - {names[0]}, of length {length:.3g}", markup=False)
    console.print(f"cosine of u and v: {about['cosine']:.2f}")


def print_plane(result: PlaneStudy) -> None:
    """Where the checkpoints are, what they return, and what the surface says there."""
    rows, columns = result.grid.shape
    table = Table(
        "checkpoint", "x", "y", "off the plane", "own return", "95 % interval", "surface",
        title=f"{columns} x {rows} points, {result.evaluation.episodes} episodes each",
    )  # fmt: skip
    places = zip(result.chart.names, result.chart.places, result.measured, result.shown, strict=True)
    for name, place, own, shown in places:
        low, high = own["low"], own["high"]
        interval = "" if low is None or high is None else f"{low:.1f} to {high:.1f}"
        table.add_row(
            name, f"{place.x:.3g}", f"{place.y:.3g}", f"{place.residual:.3g} ({place.share:.0%})",
            "" if own["return"] is None else f"{own['return']:.1f}", interval, f"{shown:.1f}",
        )  # fmt: skip
    console.print(table)
    if result.chart.plane.axes == "uv":
        print_axes(result)
        console.print(result.sentence, style="bold", markup=False)
        return
    for axis, unit in zip(("--x", "--y"), result.chart.plane.units, strict=True):
        if unit.name != "distance":
            console.print(f"{axis} is in {unit.name}, {unit.length:.3g} of the distances above", markup=False)
    console.print(result.sentence, style="bold", markup=False)
