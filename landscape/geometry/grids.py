"""Where to evaluate: positions that hit given knots exactly, and rectangular grids over a plane."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landscape.geometry.vectors import Vector
from smac.errors import UserError


def share_out(lengths: Sequence[float], intervals: int) -> list[int]:
    """Intervals for each leg, at least one, so that the widest interval is as narrow as it can be."""
    if intervals < len(lengths):
        raise UserError(
            f"a grid through {len(lengths) + 1} fixed positions needs as many points, got {intervals + 1}"
        )
    counts = [1] * len(lengths)
    widest = [(-length, i) for i, length in enumerate(lengths)]
    heapq.heapify(widest)
    for _ in range(intervals - len(lengths)):
        _, i = heapq.heappop(widest)
        counts[i] += 1
        heapq.heappush(widest, (-lengths[i] / counts[i], i))
    return counts


def knotted(knots: Sequence[float] | Vector, points: int) -> Vector:
    """Increasing positions [points] from the first knot to the last, with every knot among them exactly.

    Between two knots they are evenly spaced; each leg gets its share of the points, so the spacing of
    different legs may differ a little.
    """
    fixed = np.unique(np.asarray(knots, dtype=np.float64))
    if len(fixed) < 2 or not np.isfinite(fixed).all():
        raise UserError(f"a grid needs two different finite positions, got {list(knots)}")
    counts = share_out(np.diff(fixed).tolist(), points - 1)
    legs = [np.linspace(fixed[i], fixed[i + 1], count, endpoint=False) for i, count in enumerate(counts)]
    return np.concatenate([*legs, fixed[-1:]])


def axis(low: float, high: float, points: int) -> Vector:
    """Evenly spaced positions [points] from exactly `low` to exactly `high`; any finite bounds, 0 too."""
    if not (np.isfinite([low, high]).all() and low < high):
        raise UserError(f"an axis runs from a lower to a higher finite bound, got {low} to {high}")
    if points < 2:
        raise UserError(f"an axis needs at least 2 points, got {points}")
    return np.linspace(low, high, points)


def parse_axis(text: str) -> Vector:
    """The axis that `low:high:points` names, such as `0:1:21`."""
    try:
        low, high, points = text.split(":")
        return axis(float(low), float(high), int(points))
    except ValueError:
        raise UserError(f"{text!r} is no axis; write low:high:points, such as -0.5:1.5:41") from None


@dataclass(frozen=True, eq=False)
class Grid:
    """Points (xs[i], ys[j]) of a plane. Row j, column i of a surface [ny, nx] belongs to (xs[i], ys[j]).

    This is the order of `matplotlib`'s contour(xs, ys, surface) and of plotly's z.
    """

    xs: Vector
    ys: Vector

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.ys), len(self.xs)

    @property
    def aspect(self) -> float:
        """Height over width: what a picture needs for a Euclidean distance to look the same both ways."""
        return float((self.ys[-1] - self.ys[0]) / (self.xs[-1] - self.xs[0]))

    @property
    def coordinates(self) -> Vector:
        """(x, y) of every point [ny * nx, 2], row by row: x varies fastest."""
        x, y = np.meshgrid(self.xs, self.ys)
        return np.stack([x.ravel(), y.ravel()], axis=1)

    def surface(self, values: np.ndarray) -> np.ndarray:
        """Values [ny * nx, ...] in the order of `coordinates`, as a surface [ny, nx, ...]; nan stays nan."""
        values = np.asarray(values)
        if not values.ndim or len(values) != len(self.xs) * len(self.ys):
            raise UserError(
                f"values of shape {values.shape} do not fit a grid of {len(self.ys)} rows "
                f"and {len(self.xs)} columns"
            )
        return values.reshape(*self.shape, *values.shape[1:])
