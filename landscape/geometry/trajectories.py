"""The plane that holds most of a training trajectory, and what a random walk would have given (§5).

Two components nearly always hold most of a trajectory, because they do of a random walk in many dimensions:
about its mean 6 / (pi k)^2 of the variance is on component k, 61 % and 15 % (Antognini and Sohl-Dickstein
2018), and about its final point, which is our default, 2 / (pi (k - 1/2))^2, 81 % and 9 %. With few
checkpoints it is more. So the share of a trajectory is evidence only where it exceeds that of its null.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from landscape.geometry.curves import polyline
from landscape.geometry.directions import DEGENERATE, orthonormalise
from landscape.geometry.grids import Grid
from landscape.geometry.planes import MARGIN, Anchor, Plane, Projection
from landscape.geometry.vectors import Vector
from smac.errors import UserError

About = Literal["final", "mean"]
DRAWS = 200
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class RandomWalk:
    """Explained variance of a random walk with given step lengths, in directions without preference."""

    about: About
    step_lengths: Vector
    dimension: int
    explained: Vector
    """Shares of the variance by component [n], largest first; exact in the limit of many dimensions."""
    simulated: Vector
    """Cumulative shares [draws, n] of simulated walks of this dimension."""
    seed: int

    def upper(self, components: int = 2, confidence: float = CONFIDENCE) -> float:
        """The share that `components` reach in no more than 1 - `confidence` of random walks."""
        return float(np.quantile(self.simulated[:, components - 1], confidence))


def random_walk(
    step_lengths: Vector, dimension: int, *, seed: int, about: About = "final", draws: int = DRAWS
) -> RandomWalk:
    """The null for a trajectory of n steps with `step_lengths` [n] in `dimension` dimensions.

    Costs a few n x n matrices a draw, whatever the dimension: only inner products of the steps matter, and
    those of Gaussian steps follow a Wishart distribution (Bartlett's decomposition).
    """
    lengths = np.asarray(step_lengths, dtype=np.float64)
    sums = _sums(len(lengths), about) * lengths
    rng = np.random.default_rng(seed)
    if dimension < 1 or draws < 1:
        raise UserError(f"a random walk needs dimensions and draws, got {dimension} and {draws}")
    walks = sums @ _steps(len(lengths), dimension, draws, rng) / np.sqrt(dimension)
    variances = np.linalg.svd(walks, compute_uv=False)[:, : len(lengths)] ** 2
    simulated = np.ones((draws, len(lengths)))
    cumulative = np.cumsum(_shares(variances), axis=1)
    simulated[:, : cumulative.shape[1]] = cumulative
    explained = _shares(np.linalg.svd(sums, compute_uv=False) ** 2)[: len(lengths)]
    return RandomWalk(about, lengths, dimension, explained, simulated, seed)


def _sums(steps: int, about: About) -> Vector:
    """What turns steps [n, d] into the rows that are decomposed: [n or n + 1, n]."""
    if about == "final":
        return -np.triu(np.ones((steps, steps)))
    if about == "mean":
        positions = np.tri(steps + 1, steps, -1)
        return positions - positions.mean(axis=0)
    raise UserError(f"a trajectory is decomposed about its final point or its mean, not {about!r}")


def _steps(steps: int, dimension: int, draws: int, rng: np.random.Generator) -> Vector:
    """Matrices A [draws, n, min(n, d)] whose A A^T are the inner products of n standard normal vectors."""
    if dimension <= steps:
        return rng.standard_normal((draws, steps, dimension))
    a = np.tril(rng.standard_normal((draws, steps, steps)), -1)
    diagonal = np.arange(steps)
    a[:, diagonal, diagonal] = np.sqrt(rng.chisquare(dimension - diagonal, size=(draws, steps)))
    return a


def _shares(variances: np.ndarray) -> Vector:
    return variances / variances.sum(axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False)
class TrajectoryPlane:
    """The first two principal components of a trajectory, its checkpoints on them, and those of a random
    walk."""

    plane: Plane
    """Its origin is the final checkpoint, or the mean of all."""
    about: About
    explained: Vector
    """Share of the variance by component, largest first."""
    checkpoints: dict[str, Projection]
    null: RandomWalk

    @property
    def share(self) -> float:
        """Of the variance, on this plane."""
        return float(self.explained[:2].sum())

    @property
    def beyond_null(self) -> bool:
        """Whether the plane holds more than it would of 95 in 100 random walks with the same step lengths.

        In many dimensions all walks are alike, so a tiny excess is beyond them; its size is what counts.
        """
        return self.share > self.null.upper(2)

    @property
    def coordinates(self) -> Vector:
        """Of the checkpoints [n + 1, 2], in the order of training."""
        return np.array([[p.x, p.y] for p in self.checkpoints.values()])

    def grid(self, nx: int = 31, ny: int | None = None, *, margin: float = MARGIN) -> Grid:
        """A grid over all of the trajectory, as `Plane.grid`."""
        return self.plane.grid(nx, ny, margin=margin, include=self.coordinates)

    @property
    def aspect(self) -> float:
        """Height over width of a picture that shows all of the trajectory at equal scales."""
        width, height = np.diff(self.plane.ranges(include=self.coordinates))[:, 0]
        return float(height / width)

    @property
    def sentence(self) -> str:
        expected, upper = float(self.null.explained[:2].sum()), self.null.upper(2)
        own = f"{100 * (self.share - expected):.1f} points of it are the trajectory's own"
        return (
            f"Two components hold {self.share:.1%} of the variance about the {self.about} point; of a random "
            f"walk with the same step lengths they hold {expected:.1%}, and no more than {upper:.1%} in 95 "
            f"of 100 draws: {own if self.beyond_null else 'the plane shows no more order than chance'}."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "plane": self.plane.to_json() | {"aspect": self.aspect},
            "about": self.about,
            "explained": self.explained.tolist(),
            "checkpoints": {name: vars(p) for name, p in self.checkpoints.items()},
            "null": {
                "explained": self.null.explained.tolist(),
                "upper": self.null.upper(2),
                "draws": len(self.null.simulated),
                "seed": self.null.seed,
                "dimension": self.null.dimension,
            },
            "beyond_null": self.beyond_null,
            "sentence": self.sentence,
        }


def plane_of_trajectory(
    checkpoints: dict[str, Vector], *, seed: int, about: About = "final", draws: int = DRAWS
) -> TrajectoryPlane:
    """Principal components of checkpoints [d] in the order of training (Li et al. 2018).

    `about` says what is decomposed. `final` takes theta_i - theta_n, i < n, without centring, so that the
    plane passes through the final checkpoint; `mean` centres, and passes through no checkpoint at all. Their
    shares differ and so do their nulls. The first checkpoint has x > 0, and the one farthest from the x axis
    y > 0. The null has the step lengths of this trajectory and as many dimensions as ever moved; `seed` is
    that of its draws. Raises a UserError where the trajectory lies on one line.
    """
    if len(checkpoints) < 3:
        raise UserError(f"a plane of a trajectory needs at least 3 checkpoints, got {len(checkpoints)}")
    control, names = polyline(checkpoints).control, tuple(checkpoints)
    steps = np.diff(control, axis=0)
    origin = control[-1] if about == "final" else control.mean(axis=0)
    null = random_walk(
        np.linalg.norm(steps, axis=1),
        int(np.count_nonzero(steps.any(axis=0))),
        seed=seed,
        about=about,
        draws=draws,
    )
    rows = (control[:-1] if about == "final" else control) - origin
    basis, variances = _principal(rows)
    anchors = (Anchor(names[-1], 0.0, 0.0, origin.copy()),) if about == "final" else ()
    plane = Plane(f"principal components about the {about} point", origin, basis, anchors)
    projections = {name: plane.project(row) for name, row in zip(names, control, strict=True)}
    return TrajectoryPlane(plane, about, _shares(variances)[: len(steps)], projections, null)


def _principal(rows: Vector) -> tuple[Vector, Vector]:
    """The first two right singular vectors [2, d] of rows [n, d], and all squared singular values [n].

    From the n x n Gram matrix: n is small and d is not.
    """
    variances, left = np.linalg.eigh(rows @ rows.T)
    variances, left = np.maximum(variances[::-1], 0.0), left[:, ::-1]
    if variances[1] < DEGENERATE**2 * variances[0]:
        raise UserError("the trajectory lies on a straight line; a second component would be rounding error")
    first, second = left[:, 0] @ rows, left[:, 1] @ rows
    if first @ rows[0] < 0:
        first = -first
    heights = rows @ second
    if heights[np.argmax(np.abs(heights))] < 0:
        second = -second
    basis, _, _ = orthonormalise(first, second)
    return basis, variances
