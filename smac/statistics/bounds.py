"""Simultaneous bootstrap bounds on contrasts of a return matrix, pushed through max and min.

Throughout, R [points, episodes] holds returns on shared episode seeds: column j is one seed at every point,
so resampling columns keeps the pairing (docs/landscape.md §9).

Every bound is a bootstrap-t maximum divided by the *pooled* standard error of its family, recomputed in every
draw. It was chosen by simulation (Gaussian, exponential and sparse discrete returns; 5 and 21 points; N = 10,
20, 50). Dividing each contrast by its own standard error is 1.6 to 1.9 times as wide, and infinite where a
resampled difference is constant; not dividing at all (plain max-T) is 6 % tighter but misses V in up to 13 %
of samples at a nominal 5 %; pooling missed V in 1.2 % on average and in no case beyond simulation error. It
also gives a width to contrasts whose paired differences happen to be all equal. What it cannot see is an
outcome that no episode showed: with N episodes, events rarer than about 3/N usually go unseen, and bounds may
then be too narrow by their share of the return (DD and B_mean, where both ends fail in 3 % of episodes: up to
19 % missed). Upper bounds that verdicts rest on are therefore those of `rare`, and `depth` bounds V and DD.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from smac.statistics.contrasts import Array, Family

POWER = 0.8  # chance of a decision that `Bounds.units_for` plans for


@dataclass(frozen=True)
class Interval:
    """A number with a confidence interval; an infinite bound means that the episodes bound nothing."""

    estimate: float
    lower: float
    upper: float


def verdict(depth: Interval, margin: float, small: str = "connected", large: str = "valley") -> str:
    """`small` if even the upper bound is within the margin, `large` if even the lower is above it (§4)."""
    if depth.upper <= margin:
        return small
    return large if depth.lower > margin else "undecided"


def resampling_weights(episodes: int, draws: int, rng: np.random.Generator) -> Array:
    """Bootstrap weights [draws, episodes]; `weights @ R.T` are the means of resampled columns."""
    return rng.multinomial(episodes, np.full(episodes, 1 / episodes), size=draws) / episodes


@dataclass(frozen=True)
class Bounds:
    """Contrast estimates [m] with one half-width that holds for all of them at once."""

    estimates: Array
    half_width: float
    error: float
    """Pooled standard error of the contrasts."""
    units: int
    """What was resampled and counts as the sample size: episodes, or training seeds."""

    def interval(self, family: Family) -> Interval:
        """Conservative interval of max(0, peak): max and min of bounds of one width shift the peak by it."""
        centre, h = float(family.peak(self.estimates)), self.half_width
        return Interval(max(0.0, centre), max(0.0, centre - h), max(0.0, centre + h))

    def units_for(self, family: Family, margin: float) -> int | None:
        """Further units expected to place the number on its side of `margin`, with probability 0.8 (§9).

        N >= (z_{1-alpha'} + z_power)^2 sigma_d^2 / gap^2, z_{1-alpha'} being the max-T quantile, sigma_d the
        pooled standard deviation of the paired differences and gap the distance of the peak from the margin.
        None when the peak lies on the margin, or when there are too few units to know sigma_d. The gap of a
        small sample is itself uncertain: after a pilot of 10 episodes, 67 to 79 % of such plans decided.
        """
        gap = abs(float(family.peak(self.estimates)) - margin)
        if gap == 0 or not math.isfinite(self.half_width):
            return None
        needed = self.units * ((self.half_width + ndtri(POWER) * self.error) / gap) ** 2
        return max(1, math.ceil(needed) - self.units)


def simultaneous(R: Array, contrasts: Array, weights: Array, confidence: float) -> Bounds:
    """max-T bounds on all contrasts @ mean(R) at once (bootstrap-t with the pooled standard error).

    `weights` [draws, episodes] come from `resampling_weights`. Two degenerate cases stay honest. One episode
    has no spread: the half-width is infinite. If no paired difference varies over the episodes although the
    contrasts are not all 0, something unseen may still happen: see `unseen`.
    """
    means = R.mean(axis=1)
    estimates, m, episodes = contrasts @ means, len(contrasts), R.shape[1]
    if episodes == 1:
        return Bounds(estimates, math.inf, math.inf, episodes)
    deviations = contrasts @ (R - means[:, None])
    if constant(deviations, R).all():
        moved = np.abs(estimates).max() > rounding(R)
        return Bounds(estimates, unseen(R, m, confidence) if moved else 0.0, 0.0, episodes)
    shifts, pooled = _resample(deviations, weights)
    T = ratio(np.abs(shifts).max(axis=1), pooled)
    variance = float(np.mean(deviations**2))
    half_width = quantile(T, confidence) * math.sqrt(variance)
    return Bounds(estimates, float(half_width), math.sqrt(variance / (episodes - 1)), episodes)


def unseen(R: Array, m: int, confidence: float) -> float:
    """Half-width for m contrasts that came out the same in every episode (the exact "rule of three").

    An outcome that no episode showed may have a share p of all episodes with (1 - p)^N = alpha / 2m, and may
    move the return by as much as the whole range of R.
    """
    share = 1 - ((1 - confidence) / (2 * m)) ** (1 / R.shape[1])
    return share * float(np.ptp(R))


def pointwise(R: Array, weights: Array, confidence: float, band: float) -> Array:
    """Half-widths [points] of paired bootstrap-t intervals, each for the mean return of its own point alone.

    Use `simultaneous` for any claim about a minimum or "somewhere". A point gets no less than the half-width
    that holds for an average point, so one whose few returns happen to agree does not look exact. Without any
    spread to learn from, all points get `band`, the simultaneous half-width.
    """
    deviations = R - R.mean(axis=1, keepdims=True)
    if R.shape[1] == 1 or constant(deviations, R).all():
        return np.full(len(R), band)
    shifts, pooled = _resample(deviations, weights)
    T = ratio(np.abs(shifts), pooled[:, None])
    own, average = quantile(T, confidence, axis=0), quantile(T, confidence)
    return np.maximum(own, average) * math.sqrt(np.mean(deviations**2))


def constant(deviations: Array, R: Array) -> NDArray[np.bool_]:
    """Rows [m] that do not vary over the episodes, up to the rounding of returns of this size."""
    return np.abs(deviations).max(axis=1) <= rounding(R)


def rounding(R: Array) -> float:
    return 1e-12 * float(np.abs(R).max())


def _resample(deviations: Array, weights: Array) -> tuple[Array, Array]:
    """Resampled means of the deviations [draws, m] and their pooled standard deviation [draws]."""
    shifts = weights @ deviations.T
    variances = weights @ np.mean(deviations**2, axis=0) - np.mean(shifts**2, axis=1)
    return shifts, root(variances, float(np.mean(deviations**2)))


def root(variances: Array, size: float) -> Array:
    """Standard deviations; what is no more than rounding of numbers of this `size` (squared) becomes 0."""
    return np.sqrt(np.where(variances > 1e-12 * size, variances, 0.0))


def ratio(size: Array, scale: Array) -> Array:
    """size / scale; infinite where a draw has shifted without any spread, 0 where it has not shifted."""
    size, scale = np.broadcast_arrays(size, scale)
    return np.divide(size, scale, out=np.where(size > 0, np.inf, 0.0), where=scale > 0)


def quantile(values: Array, level: float, axis: int | None = None) -> Array:
    # "higher" picks a drawn value; interpolation would mix infinite and finite ones into nan
    return np.asarray(np.quantile(values, level, axis=axis, method="higher"))
