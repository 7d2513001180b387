"""Cliffs (Sullivan et al. 2022) with a definition that is safe for negative returns (4.11).

The original asks for a return of at most half the one before the step, and a drop of more than a quarter of
the global range. The first is meaningless for negative returns, so a cliff is a drop of more than `share` of
what the best point gains over a random policy.
"""

import math
from dataclasses import dataclass

import numpy as np

from landscape.statistics.path import check_options
from smac.errors import UserError
from smac.statistics.bounds import Interval, resampling_weights, simultaneous, verdict
from smac.statistics.contrasts import Array
from smac.statistics.results import Result

SHARE = 0.25


@dataclass(frozen=True)
class Cliff(Result):
    """Whether one step falls off a cliff."""

    drop: float
    """Mean return before the step minus the one after it; negative where the step helps."""
    threshold: float
    """share * (best mean return - J_random)."""
    excess: Interval
    """drop - threshold; the bounds allow for every point of the grid to be the best one."""
    verdict: str
    """cliff | no cliff | undecided."""
    reason: str


def cliff(
    returns: Array,
    J_random: float,
    *,
    before: int = 0,
    after: int = 1,
    share: float = SHARE,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Cliff:
    """Is the step from row `before` to row `after` of returns [points, episodes] a cliff?

    The rows are all points that were measured, on shared episode seeds; the best of them sets the scale.
    Episodes that failed anywhere are dropped, and then nothing is declared to be no cliff.
    """
    R = np.asarray(returns, np.float64)
    check_options(share, confidence, draws)
    if R.ndim != 2 or len(R) < 2:
        raise UserError(f"returns must be [points, episodes] with at least two points, got shape {R.shape}")
    finished = np.isfinite(R).all(axis=0)
    R, complete = np.compress(finished, R, axis=1), bool(finished.all())
    if R.shape[1] == 0:
        raise UserError("no episode finished at every point; look at the statuses of the failed ones")
    means = R.mean(axis=1)
    drop, threshold = float(means[before] - means[after]), float(share * (means.max() - J_random))
    if threshold <= 0 < share:
        reason = "no point is better than a random policy, so there is no scale for a cliff"
        return Cliff(drop, threshold, Interval(drop - threshold, -math.inf, math.inf), "undecided", reason)
    J = np.eye(len(R))
    weights = resampling_weights(R.shape[1], draws, np.random.default_rng(seed))
    half = simultaneous(R, J[before] - J[after] - share * J, weights, confidence).half_width
    half = math.inf if np.ptp(R) == 0 else half
    excess = Interval(drop - threshold, drop - threshold - half, drop - threshold + half)
    found = verdict(excess, 0.0, "no cliff", "cliff")
    reason = f"the drop of {drop:.4g} compares with a threshold of {threshold:.4g}, give or take {half:.4g}"
    if found == "no cliff" and not complete:
        found, reason = "undecided", "failed episodes were dropped, and they may hide a cliff"
    return Cliff(drop, threshold, excess, found, reason)
