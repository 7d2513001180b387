"""The numbers of a curve of mean returns (docs/landscape.md §3). Nothing here is random."""

import math
from dataclasses import dataclass

import numpy as np

from smac.errors import UserError
from smac.statistics.contrasts import Array, families


@dataclass(frozen=True)
class PathNumbers:
    """docs/landscape.md §3 for a curve of mean returns; depths are in units of return and never negative."""

    J_0: float
    J_1: float
    V: float
    """Valley depth: min(J_0, J_1) - min J, or 0."""
    DD: float
    """Drawdown: the largest fall from any point to any later one; 0 on a monotone path. V <= DD."""
    B_chord: float
    """Largest depth below the chord from J_0 to J_1; positive on a convex rise without any valley."""
    B_mean: float
    """(J_0 + J_1) / 2 - min J."""
    D_0: float
    """Initial dip: J_0 - min J, what the deployed *from* policy can lose on the way."""
    W: float
    """Length of the part of [0, 1] on which J < min(J_0, J_1) - margin."""
    area: float
    """Integral of max(0, min(J_0, J_1) - J) over [0, 1]."""
    location: float
    """The alpha of the lowest grid point (the first, if several are equal)."""


def inside(alphas: Array) -> slice:
    """The rows with alpha in [0, 1]; raises unless alphas increase and hold 0, 1 and one between."""
    increasing = alphas.ndim == 1 and bool(np.all(np.diff(alphas) > 0))
    if not increasing or 0.0 not in alphas or 1.0 not in alphas:
        raise UserError("alphas must increase and contain exactly 0.0 and exactly 1.0")
    rows = slice(int(np.searchsorted(alphas, 0.0)), int(np.searchsorted(alphas, 1.0)) + 1)
    if rows.stop - rows.start < 3:
        raise UserError(
            "a path needs at least one point between alpha 0 and 1; its ends alone show no valley"
        )
    return rows


def below(alphas: Array, means: Array, level: float) -> tuple[float, float]:
    """Length of the part of a piecewise linear curve below `level`, and the area between it and the level."""
    depth = level - means
    sunk = np.maximum(depth, 0)
    sunk, extent = sunk[:-1] + sunk[1:], np.abs(depth[:-1]) + np.abs(depth[1:])
    length = np.diff(alphas) * np.divide(sunk, extent, out=np.zeros_like(sunk), where=extent > 0)
    return float(length.sum()), float((length * sunk).sum() / 2)


def path_numbers(means: Array, alphas: Array, margin: float) -> PathNumbers:
    """The numbers of docs/landscape.md §3 for mean returns [points] on the grid `alphas` [points]."""
    rows = inside(alphas)
    J, t = means[rows], alphas[rows]
    values = {name: max(0.0, float(f.peak(f.contrasts @ J))) for name, f in families(t).items()}
    lower_end = min(J[0], J[-1])
    return PathNumbers(
        J_0=float(J[0]),
        J_1=float(J[-1]),
        W=below(t, J, lower_end - margin)[0],
        area=below(t, J, lower_end)[1],
        location=float(t[np.argmin(J)]),
        **values,
    )


def relative_depth(depth: float, J_0: float, J_1: float, J_random: float) -> float:
    """A depth as a share of what the better end gains over a random policy (§3); signs play no part.

    nan where neither end is better than random: then there is no scale. Never |J_1 - J_0|, which may be 0.
    """
    gained = max(J_0, J_1) - J_random
    return depth / gained if gained > 0 else math.nan
