"""Which plane: through checkpoints, of a trajectory, or along an update; and who is drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landscape.evaluate import Evaluation
from landscape.geometry import (
    Grid,
    Layout,
    Plane,
    Projection,
    TrajectoryPlane,
    Unit,
    Vector,
    as_vector,
    flatten,
    knotted,
    layout_of,
    parse_axis,
    plane_of_trajectory,
    plane_on_axes,
    plane_through,
    plane_with_random,
)
from landscape.geometry.directions import OneD
from landscape.geometry.planes import MARGIN, Axes
from landscape.geometry.trajectories import About
from landscape.study.common import labels, load_policies
from landscape.study.runs import Source, in_order
from smac.errors import UserError
from smac.policies import PolicyCheckpoint

POINTS = 21  # on the longer side
FEWEST = 5  # on the shorter one, unless a number is given


@dataclass(frozen=True)
class Choice:
    """What a plane is laid through: exactly one of the first three."""

    through: Sequence[Source] = ()
    """Three checkpoints, or two and a random direction."""
    trajectory: Sequence[Source] = ()
    """Checkpoints in the order of training, or a run's `seed-K` folder: their principal components."""
    update: Sequence[Source] = ()
    """A checkpoint before and after an update: its direction, and a random one."""
    also: Sequence[Source] = ()
    """More checkpoints, which are projected."""
    direction_seed: int = 0
    """Seed of the random direction."""
    one_d: OneD = "zero"
    """What the random direction does to tensors of one dimension, see `filter_normalise`."""
    about: About = "final"
    """What a trajectory is decomposed about."""
    axes: Axes = "orthonormal"
    """`uv`, through three checkpoints: the axes are the ways from the first to the others."""


@dataclass(frozen=True)
class View:
    """Which part of a plane, and how many points."""

    nx: int | None = None
    """Columns; by default the longer side has `POINTS` points and cells are about square."""
    ny: int | None = None
    x: str | None = None
    """low:high:points in units of the axis (`Plane.units`); by default all checkpoints and a margin."""
    y: str | None = None


@dataclass(frozen=True, eq=False)
class Chart:
    """A plane, and all checkpoints that are drawn on it."""

    plane: Plane
    layout: Layout
    policies: tuple[PolicyCheckpoint, ...]
    names: tuple[str, ...]
    """Of the policies, no two alike."""
    places: tuple[Projection, ...]
    """Of the policies on the plane; an anchor's residual is exactly 0."""
    ends: tuple[int, int]
    """Which policies are *from* and *to*."""
    trained: tuple[str, ...] | None = None
    """Names in the order of training."""
    trajectory: TrajectoryPlane | None = None

    @property
    def anchors(self) -> frozenset[str]:
        """Names of the checkpoints that define the plane and lie in it."""
        return frozenset(anchor.name for anchor in self.plane.anchors)

    @property
    def where(self) -> str:
        """The plane in words."""
        if self.trained:
            ends = f"{self.trained[0]} to {self.trained[-1]}"
            return f"On the first two principal components of the trajectory from {ends}"
        names = self.names
        updates = self.plane.units[0].name == "updates"
        on, to = ("along the update from", "to") if updates else ("through", "and")
        if len(self.anchors) == 3:
            axes = ", on the axes u and v" if self.plane.axes == "uv" else ""
            return f"On the plane {on} {names[0]}, {names[1]} and {names[2]}{axes}"
        return f"On the plane {on} {names[0]} {to} {names[1]} and along a random direction"

    def grid(self, view: View) -> Grid:
        """The points to evaluate, with lines exactly through the anchors unless the axes are given."""
        _check_view(view)
        asked = [
            None if text is None else parse_axis(text) * unit.length
            for text, unit in zip((view.x, view.y), self.plane.units, strict=True)
        ]
        ranges = self.plane.ranges(MARGIN, np.array([[place.x, place.y] for place in self.places]))
        marks = [[getattr(anchor, axis) for anchor in self.plane.anchors] for axis in ("x", "y")]
        knots = [np.unique([*own, *inside]) for own, inside in zip(ranges, marks, strict=True)]
        numbers = (view.nx, view.ny)
        given = [n if axis is None else len(axis) for n, axis in zip(numbers, asked, strict=True)]
        shown = [own if axis is None else axis for own, axis in zip(ranges, asked, strict=True)]
        spans = [float(np.ptp(each)) for each in shown]
        counts = _counts(given, spans, [len(each) for each in knots])
        _check_room(view, [len(each) for each in knots])
        xs, ys = (
            knotted(each, count) if axis is None else axis
            for axis, each, count in zip(asked, knots, counts, strict=True)
        )
        return Grid(xs, ys)


def _check_view(view: View) -> None:
    for axis, count in (("x", view.nx), ("y", view.ny)):
        if count is not None and getattr(view, axis) is not None:
            raise UserError(f"--{axis} says how many points there are; leave out --n{axis}")
        if count is not None and count < 2:
            raise UserError(f"--n{axis} must be at least 2, got {count}")


def _check_room(view: View, least: Sequence[int]) -> None:
    for axis, count, fewest in zip("xy", (view.nx, view.ny), least, strict=True):
        if count is not None and count < fewest:
            raise UserError(
                f"--n{axis} must be at least {fewest} here, got {count}: the grid goes through its edges and "
                f"every checkpoint that defines the plane; --{axis} takes any other"
            )


def _counts(given: Sequence[int | None], spans: Sequence[float], least: Sequence[int]) -> list[int]:
    """Points on both axes, for cells that are about square where no number is given."""
    cells = [span / (n - 1) for span, n in zip(spans, given, strict=True) if n is not None]
    cell = cells[0] if cells else max(spans) / (POINTS - 1)
    return [
        max(round(span / cell) + 1, FEWEST, fewest) if n is None else n
        for n, span, fewest in zip(given, spans, least, strict=True)
    ]


def lay_out(choice: Choice, evaluation: Evaluation) -> Chart:
    """The plane that is asked for. UserError where the checkpoints span none, or do not fit each other."""
    given = {name: getattr(choice, name) for name in ("through", "trajectory", "update")}
    asked = [name for name, sources in given.items() if len(sources)]
    if len(asked) != 1:
        raise UserError(
            "a plane is laid through checkpoints: give exactly one of --through, --trajectory and --update"
            + (f", not {' and '.join(f'--{name}' for name in asked)}" if asked else "")
        )
    own = given[asked[0]]
    if asked[0] == "trajectory":
        own = in_order(own)
    _check_count(asked[0], len(own))
    _check_axes(choice.axes, asked[0], len(own))
    _check_once([*own, *choice.also])
    policies = load_policies([*own, *choice.also], evaluation)
    names = labels(policies)
    layout = layout_of(policies[0].params)
    vectors = [as_vector(flatten(p.params, layout), str(p.path)) for p in policies]
    spanned = dict(zip(names[: len(own)], vectors, strict=False))
    found: dict[str, Any] = {"ends": (0, 1)}
    if asked[0] == "trajectory":
        found = _of_trajectory(spanned, choice, evaluation.seed)
    elif len(own) == 3:
        a, b, c = spanned.values()
        laid = plane_on_axes if choice.axes == "uv" else plane_through
        found["plane"] = laid(a, b, c, (names[0], names[1], names[2]))
    else:
        found["plane"] = _with_random(spanned, layout, choice, updates=asked[0] == "update")
    places = tuple(_place(found["plane"], n, v) for n, v in zip(names, vectors, strict=True))
    return Chart(layout=layout, policies=tuple(policies), names=tuple(names), places=places, **found)


def _of_trajectory(spanned: dict[str, Vector], choice: Choice, seed: int) -> dict[str, Any]:
    found = plane_of_trajectory(spanned, seed=seed, about=choice.about)
    return {
        "plane": found.plane,
        "ends": (0, len(spanned) - 1),
        "trained": tuple(spanned),
        "trajectory": found,
    }


def _with_random(spanned: dict[str, Vector], layout: Layout, choice: Choice, *, updates: bool) -> Plane:
    start, end = spanned.values()
    first, second = spanned
    found = plane_with_random(
        start, end, layout, seed=choice.direction_seed, one_d=choice.one_d, names=(first, second)
    )
    if not updates:
        return found
    length = float(np.linalg.norm(end - start))
    return replace(found, kind="update and random", units=(Unit("updates", length), found.units[1]))


def _place(plane: Plane, name: str, vector: Vector) -> Projection:
    for anchor in plane.anchors:
        if anchor.name == name:
            return Projection(anchor.x, anchor.y, 0.0, 0.0)
    return plane.project(vector)


def _check_count(option: str, count: int) -> None:
    if option == "through" and count not in (2, 3):
        raise UserError(f"--through takes three checkpoints, or two and a random direction, got {count}")
    if option == "trajectory" and count < 3:
        raise UserError(f"--trajectory takes at least 3 checkpoints or a run's seed-K folder, got {count}")
    if option == "update" and count != 2:
        raise UserError(f"--update takes the checkpoints before and after the update, got {count}")


def _check_axes(axes: Axes, option: str, count: int) -> None:
    if axes == "uv" and (option, count) != ("through", 3):
        raise UserError(
            "--axes uv takes three checkpoints with --through: u is the way from the first to the second, v "
            f"from the first to the third; got {count} with --{option}"
        )


def _check_once(sources: Sequence[Source]) -> None:
    seen: set[Path] = set()
    for source in sources:
        path = Path(source.path if isinstance(source, PolicyCheckpoint) else source)
        if path.resolve() in seen:
            raise UserError(f"{path}: is named twice")
        seen.add(path.resolve())
