"""Planes through checkpoints, with the distance of every other checkpoint from them (docs/landscape.md §5).

A point of a plane is origin + x e_1 + y e_2 with e_1, e_2 orthonormal, so x and y are Euclidean distances in
parameter space on both axes and a circle on the plane is a circle in parameter space. Where an axis is a
filter-normalised direction, its `Unit` says how long one filter norm is.

`plane_on_axes` is the exception: its axes are u = b - a and v = c - a themselves, x and y are shares of them,
and the three checkpoints lie at (0, 0), (1, 0) and (0, 1), however long u and v are and whatever their angle.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from landscape.geometry.directions import (
    OneD,
    cosine,
    filter_normalise,
    orthonormalise,
    random_direction,
)
from landscape.geometry.grids import Grid, knotted
from landscape.geometry.groups import restrict
from landscape.geometry.vectors import Layout, Vector, as_vector, as_vectors
from smac.errors import UserError

Axes = Literal["orthonormal", "uv"]

SNAP = 1e-12  # anchors whose coordinates differ by less of the plane's extent share a grid line
SHORTEST = 0.4  # of the longer side: a thinner strip shows nothing of what lies around the checkpoints
MARGIN = 0.2  # of the extent, beyond the anchors on every side


@dataclass(frozen=True, eq=False)
class Anchor:
    """A checkpoint that defines a plane and lies in it, at (x, y)."""

    name: str
    x: float
    y: float
    vector: Vector


@dataclass(frozen=True)
class Unit:
    """What one tick of an axis means: `length` is its size in coordinates of the plane.

    Coordinates are Euclidean lengths in parameter space, but shares of u and v where those are the axes.
    """

    name: str = "distance"
    length: float = 1.0


@dataclass(frozen=True)
class Projection:
    """Where a checkpoint falls on a plane, and how far off the plane it is."""

    x: float
    y: float
    residual: float
    """Euclidean distance from the plane."""
    share: float
    """residual / distance from the origin: 0 in the plane, 1 at right angles to it. 0 at the origin."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane in parameter space, orthonormal unless its axes are u and v; `kind` says how it was chosen."""

    kind: str
    origin: Vector
    basis: Vector
    """e_1 and e_2, [2, d]."""
    anchors: tuple[Anchor, ...] = ()
    units: tuple[Unit, Unit] = (Unit(), Unit())
    seed: int | None = None
    """Seed of the random directions; None where nothing is random."""
    cosine: float | None = None
    """Cosine of the two chosen directions before the second was made orthogonal to the first; of u and v."""
    axes: Axes = "orthonormal"

    def __post_init__(self) -> None:
        if self.basis.shape != (2, *self.origin.shape):
            raise UserError(f"a basis {self.basis.shape} does not fit an origin {self.origin.shape}")
        if self.axes == "orthonormal" and np.abs(self.basis @ self.basis.T - np.eye(2)).max() > 1e-6:
            raise UserError("the basis of a plane must be orthonormal; see `plane_along`")

    def point(self, x: float, y: float) -> Vector:
        """A new vector [d]; at the coordinates of an anchor, the anchor's own, bit for bit."""
        for anchor in self.anchors:
            if (x, y) == (anchor.x, anchor.y):
                return anchor.vector.copy()
        return self.origin + x * self.basis[0] + y * self.basis[1]

    def points(self, coordinates: Iterable[Sequence[float]]) -> Iterator[Vector]:
        """The points at `coordinates` [n, 2], one at a time: memory does not grow with the grid."""
        return (self.point(float(x), float(y)) for x, y in coordinates)

    def project(self, vector: Vector) -> Projection:
        """The nearest point of the plane to a checkpoint [d], and its residual (docs/landscape.md §5)."""
        away = as_vector(vector, "the checkpoint") - self.origin
        if self.axes == "uv":
            (x, y), residual, share = coordinates_in(self.basis, self.origin, vector)
            return Projection(float(x), float(y), residual, share)
        x, y = self.basis @ away
        return Projection(float(x), float(y), *_off(away, np.array([x, y]), self.basis))

    def ranges(self, margin: float = MARGIN, include: Vector | None = None) -> Vector:
        """[[x_low, x_high], [y_low, y_high]] over the anchors and coordinates `include` [n, 2].

        Each side gets `margin` of its extent more. An axis on which nothing lies apart is as long as the
        other one, centred, and no side is shorter than 0.4 of the other; where there is no extent at all,
        both run one unit either way.
        """
        if not (np.isfinite(margin) and margin >= 0):
            raise UserError(f"the margin of a plane must be a finite number >= 0, got {margin}")
        marks = [(anchor.x, anchor.y) for anchor in self.anchors] or [(0.0, 0.0)]
        shown = np.array([*marks, *([] if include is None else include.tolist())])
        low, high = shown.min(axis=0), shown.max(axis=0)
        extent = high - low
        flat = extent <= SNAP * extent.max()
        extra = margin * extent
        if flat.all():
            extra = np.array([one.length for one in self.units])
        elif flat.any():
            extra[flat] = (0.5 + margin) * extent[~flat]
        width = extent + 2 * extra
        extra += np.maximum(SHORTEST * width.max() - width, 0.0) / 2
        return np.stack([low - extra, high + extra], axis=1)

    @property
    def aspect(self) -> float:
        """Height over width of `ranges()`; equal scales are the default."""
        width, height = np.diff(self.ranges())[:, 0]
        return float(height / width)

    def grid(
        self, nx: int = 31, ny: int | None = None, *, margin: float = MARGIN, include: Vector | None = None
    ) -> Grid:
        """A grid [ny, nx] over `ranges` with lines exactly through every anchor.

        Without `ny` the rows are about as far apart as the columns.
        """
        x_range, y_range = self.ranges(margin, include)
        x_knots = np.unique([*x_range, *(anchor.x for anchor in self.anchors)])
        y_knots = np.unique([*y_range, *(anchor.y for anchor in self.anchors)])
        if ny is None:
            ny = max(round((nx - 1) * np.ptp(y_range) / np.ptp(x_range)) + 1, len(y_knots))
        return Grid(knotted(x_knots, nx), knotted(y_knots, ny))

    def to_json(self) -> dict[str, Any]:
        lengths = np.linalg.norm(self.basis, axis=1).tolist()
        return ({"axes": self.axes, "lengths": lengths} if self.axes == "uv" else {}) | {
            "kind": self.kind,
            "anchors": {anchor.name: [anchor.x, anchor.y] for anchor in self.anchors},
            "units": [{"name": one.name, "length": one.length} for one in self.units],
            "aspect": self.aspect,
            "cosine": self.cosine,
            "seed": self.seed,
        }


def _off(away: Vector, coordinates: Vector, directions: Vector) -> tuple[float, float]:
    """Distance of `away` from what its coordinates say, and its share of the length of `away`."""
    residual, length = (float(np.linalg.norm(x)) for x in (away - coordinates @ directions, away))
    return residual, min(residual / length, 1.0) if length else 0.0


def coordinates_in(directions: Vector, origin: Vector, vector: Vector) -> tuple[Vector, float, float]:
    """Coordinates [k] of a checkpoint along any directions [k, d], its residual and share.

    Least squares, so the directions need be neither orthogonal nor of unit length; cosines would be wrong for
    them (docs/landscape.md §5). Raises a UserError where they are linearly dependent.
    """
    away = as_vector(vector, "the checkpoint") - as_vector(origin, "the origin")
    scale = np.linalg.norm(directions, axis=1)
    if not scale.all():
        raise UserError("one of the directions is zero and points nowhere")
    solved, _, rank, _ = np.linalg.lstsq((directions / scale[:, None]).T, away, rcond=1e-10)
    if rank < len(directions):
        raise UserError(f"the {len(directions)} directions span only {rank} dimensions")
    coordinates = solved / scale
    return coordinates, *_off(away, coordinates, directions)


def _snapped(values: Sequence[float]) -> list[float]:
    """Coordinates that differ by rounding only become equal, so that they share one grid line."""
    tolerance = SNAP * max(map(abs, values))
    kept: list[float] = []
    for value in values:
        kept.append(next((other for other in kept if abs(other - value) <= tolerance), value))
    return kept


def _anchors(
    names: Sequence[str], vectors: Sequence[Vector], xs: Sequence[float], ys: Sequence[float]
) -> tuple[Anchor, ...]:
    described = zip(names, _snapped(xs), _snapped(ys), vectors, strict=True)
    return tuple(Anchor(name, float(x), float(y), vector) for name, x, y, vector in described)


def _check_apart(names: Sequence[str], vectors: Sequence[Vector]) -> None:
    for j, second in enumerate(vectors):
        for i, first in enumerate(vectors[:j]):
            if np.array_equal(first, second):
                raise UserError(
                    f"checkpoints {names[i]!r} and {names[j]!r} are equal; a plane needs checkpoints apart"
                )


def plane_through(a: Vector, b: Vector, c: Vector, names: tuple[str, str, str] = ("a", "b", "c")) -> Plane:
    """The plane through three checkpoints [d]: a at (0, 0), b on the positive x axis, c at y > 0.

    e_1 = (b - a) / ||b - a|| and e_2 is what Gram-Schmidt leaves of c - a (Garipov et al. 2018). Raises a
    UserError where two of the checkpoints are equal, or where the three lie on a line.
    """
    vectors = as_vectors(dict(zip(names, (a, b, c), strict=True)))
    _check_apart(names, vectors)
    start, end, third = vectors
    try:
        basis, x, y = orthonormalise(end - start, third - start)
    except UserError as error:
        raise UserError(f"{names[0]!r}, {names[1]!r} and {names[2]!r} span no plane: {error}") from None
    length = float(np.linalg.norm(end - start))
    anchors = _anchors(names, vectors, [0.0, length, x], [0.0, 0.0, y])
    return Plane("checkpoints", start, basis, anchors, cosine=cosine(end - start, third - start))


def plane_on_axes(a: Vector, b: Vector, c: Vector, names: tuple[str, str, str] = ("a", "b", "c")) -> Plane:
    """The plane through three checkpoints [d] on the axes u = b - a and v = c - a (Figure 1 of SMAC's paper).

    A point is a + x u + y v: a is at (0, 0), b at (1, 0) and c at (0, 1), exactly. The same plane as
    `plane_through`, sheared: neither lengths nor angles on it are those of parameter space, see `lengths` and
    `cosine` in its JSON. Raises a UserError where the three lie on a line.
    """
    through = plane_through(a, b, c, names)
    origin, first, second = (anchor.vector for anchor in through.anchors)
    basis = np.stack([first - origin, second - origin])
    anchors = _anchors(names, (origin, first, second), [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    units = (Unit("u"), Unit("v"))
    return Plane("checkpoints", origin, basis, anchors, units, cosine=through.cosine, axes="uv")


def plane_along(
    origin: Vector, u: Vector, v: Vector, *, kind: str = "directions", name: str = "origin"
) -> Plane:
    """The plane from a checkpoint [d] along u and the part of v at right angles to u.

    For directions of one's own: eigenvectors of a Hessian, or the first update (`update_direction`) against
    the way to the online checkpoint. Lengths do not matter; v points to y > 0.
    """
    start, first, second = as_vectors({name: origin, "u": u, "v": v})
    basis, _, _ = orthonormalise(first, second)
    return Plane(kind, start, basis, _anchors([name], [start], [0.0], [0.0]), cosine=cosine(first, second))


def plane_with_random(
    start: Vector,
    end: Vector,
    layout: Layout,
    *,
    seed: int,
    moving: Sequence[str] = ("*",),
    one_d: OneD = "zero",
    names: tuple[str, str] = ("from", "to"),
) -> Plane:
    """The plane through two checkpoints [d] and along a random direction, filter-normalised at `start`.

    x is the distance along the straight line. The random direction moves the tensors matching `moving` only.
    It is made orthogonal to the line last, after the normalisation, so its filters have the norms of those at
    `start` only up to a share of about `cosine`; one filter norm on the y axis is the length of what is left,
    given in `units`.
    """
    theta_from, theta_to = as_vectors(dict(zip(names, (start, end), strict=True)))
    _check_apart(names, [theta_from, theta_to])
    along = theta_to - theta_from
    drawn = _random_filters(theta_from, layout, seed, moving, one_d)
    basis, _, length = orthonormalise(along, drawn)
    anchors = _anchors(names, [theta_from, theta_to], [0.0, float(np.linalg.norm(along))], [0.0, 0.0])
    units = (Unit(), Unit("filter norms", length))
    return Plane("checkpoints and random", theta_from, basis, anchors, units, seed, cosine(along, drawn))


def _random_filters(theta: Vector, layout: Layout, seed: int, moving: Sequence[str], one_d: OneD) -> Vector:
    direction = random_direction(layout.dimension, seed)
    return restrict(filter_normalise(direction, theta, layout, one_d), layout, moving)
