"""Does a curve of mean returns or scores ever fall? For one training run, and for several (§4, §10).

The test and the bounds are those of paths between policies; here the points are the evaluations of a learning
curve, which all play the same episodes.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from smac.statistics.bounds import Interval, resampling_weights, verdict
from smac.statistics.contrasts import Array, falls
from smac.statistics.depth import depth_interval, fall_candidates
from smac.statistics.monotonicity import monotone_p_value
from smac.statistics.rare import (
    FAILURE,
    draws_for,
    excluded_rate,
    failure_loss,
    worst_case_weights,
)
from smac.statistics.results import Result
from smac.statistics.runs import over_runs

MONOTONE, NOT_MONOTONE, UNDECIDED = "monotone", "not monotone", "undecided"


@dataclass(frozen=True)
class Monotone(Result):
    """Whether a curve ever falls by more than the margin."""

    verdict: str
    """monotone, if even the upper bound of the drawdown is within the margin; not monotone, if even its lower
    bound is above it; else undecided."""
    DD: Interval
    """Drawdown: the largest fall from a point to any later one, with its simultaneous interval."""
    p_value: float
    """Of the hypothesis that the curve never falls (isotonic-null bootstrap); nan with one unit."""
    margin: float
    confidence: float


def finished(values: Array) -> tuple[Array, bool]:
    """The points and episodes that can be used, [..., points, episodes], and whether these are all.

    A point where no episode finished in some run is left out; then every episode that failed anywhere.
    """
    finite = np.isfinite(values)
    every = finite.reshape(-1, *values.shape[-2:])
    points = every.any(axis=2).all(axis=0)
    episodes = every[:, points].all(axis=(0, 1))
    return values[..., points, :][..., episodes], bool(finite.all())


def monotone_curve(
    values: Array, margin: float, *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> Monotone:
    """The verdict on one run, from values [points, episodes]; NaN where an episode failed.

    Its error is that of episodes: another training run may do something else. Never "monotone" where an
    episode failed, since what was left out may be the fall, nor before a failure of the rate that matters
    would have been seen (`rare`): with a margin of 5 % of what a failure costs, 72 episodes.
    """
    R, complete = finished(values)
    points, episodes = R.shape
    rng = np.random.default_rng(seed)
    weights = resampling_weights(episodes, draws, rng)
    level, failure = (1 - confidence) / 2, FAILURE * margin
    seldom = worst_case_weights(episodes, draws_for(level, draws), rng)
    DD = depth_interval(R, falls(points), fall_candidates(points), failure, level, seldom, rng)
    return _judged(DD, monotone_p_value(R, weights), R, complete, margin, confidence)


def monotone_mean_curve(
    values: Array, margin: float, *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> Monotone:
    """The verdict on the mean curve of several runs, from values [runs, points, episodes].

    Runs are the unit, of the bounds (see `runs`) as of the p-value. With one run, or three, nothing bounds
    the drawdown, and the verdict is undecided. Measured at 95 % with 5 runs, 10 evaluations of 40 episodes,
    success or failure at .6 and Gaussian with deviation .5 (300 and 150 samples): on a constant truth "not
    monotone" at margin 0 in 0 to 0.3 %, p below .05 in 4 to 5 %; a fall of .3 was "not monotone" at .05
    in 74 to 75 %, p below .05 in 99 to 100 %. With so few episodes that vary so much "monotone" at margin .05
    was never reached, even on a steady rise: it asks for a bound on the drawdown below .05.
    """
    R, complete = finished(values)
    runs, points, episodes = R.shape
    rng = np.random.default_rng(seed)
    of_runs, of_episodes = (resampling_weights(n, draws, rng) for n in (runs, episodes))
    family = falls(points)
    DD = over_runs(R, family.contrasts, of_runs, of_episodes, confidence).interval(family)
    unseen = excluded_rate(runs * episodes, (1 - confidence) / 2)
    cost = unseen * failure_loss(R.mean(axis=0), FAILURE * margin)
    DD = replace(DD, upper=max(DD.upper, cost))
    return _judged(DD, monotone_p_value(R.mean(axis=2).T, of_runs), R, complete, margin, confidence)


def _judged(
    DD: Interval, p_value: float, R: Array, complete: bool, margin: float, confidence: float
) -> Monotone:
    if np.ptp(R) == 0:  # nothing varied, so nothing bounds what was not seen
        DD = Interval(0.0, 0.0, math.inf)
    found = verdict(DD, margin, MONOTONE, NOT_MONOTONE)
    if not complete and found == MONOTONE:
        found = UNDECIDED
    return Monotone(found, DD, p_value, margin, confidence)
