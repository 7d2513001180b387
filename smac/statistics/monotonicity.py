"""Does the return ever fall along a path? Tests for episodes that are paired over the points (§10).

Only the upper simultaneous bound on the drawdown can say "monotone"; a test that does not reject cannot.
"""

import math
from functools import reduce
from itertools import permutations

import numpy as np
from scipy.special import ndtr

from smac.statistics.contrasts import Array

SLACK = 1.0  # rises of fewer standard errors than this count as flat under the null


def drawdown(curves: Array) -> Array:
    """Largest fall to any later point, over the last axis: [..., points] -> [...] (docs/landscape.md §3)."""
    return np.max(np.maximum.accumulate(curves, axis=-1) - curves, axis=-1)


def monotone_p_value(R: Array, weights: Array, slack: float = SLACK) -> float:
    """p-value of "the return never falls from alpha 0 to 1": isotonic-null bootstrap on the drawdown (§10).

    R [points, episodes]; `weights` [draws, episodes] from `resampling_weights`. nan with one episode.

    The null is the isotonic fit f of the means. A fit follows the noise and so rises where the truth is flat,
    which leaves too little room for a fall: on stairs and plateaus the plain bootstrap (slack 0) rejected up
    to 8.2 % (N = 50, 1000 samples) at a nominal 5 %. So the rise between two points counts as 0 unless it is
    more than `slack` standard errors of their paired difference (moment selection, Andrews and Soares 2010).
    With slack 1 the largest of 36 measured rates was 6.0 % (random walk over the points, N = 50; Monte Carlo
    error 0.7 %) and their mean 3.0 %. The price in power is small: a dip of 4 standard errors on a rise of 10
    was found in 98 % of samples (plain: 99 %) at N = 10, one of 2 on a flat path in 41 % (plain: 50 %).
    """
    from scipy.optimize import isotonic_regression  # slow to load

    points, episodes = R.shape
    if episodes < 2:
        return math.nan
    means = R.mean(axis=1)
    f, residuals = isotonic_regression(means).x, R - means[:, None]
    s, t = np.triu_indices(points, k=1)
    rise = f[t] - f[s]
    errors = np.sqrt(np.mean((residuals[s] - residuals[t]) ** 2, axis=1) / (episodes - 1))
    rise = np.where(rise > slack * errors, rise, 0.0)
    shifts = weights @ residuals.T * math.sqrt(episodes / (episodes - 1))
    falls = np.zeros(len(weights))
    for point in range(points - 1):  # from one point to all later ones: keeps memory to [draws, points]
        here = s == point
        falls = np.maximum(falls, np.max(shifts[:, [point]] - shifts[:, point + 1 :] - rise[here], axis=1))
    as_deep = falls >= drawdown(means) - 1e-12 * np.abs(R).max()
    return float((1 + np.count_nonzero(as_deep)) / (len(weights) + 1))


def trend_p_value(R: Array) -> float:
    """p-value of "no trend" against a rise from alpha 0 to 1: Page's L test, blocks = episodes (§10).

    A small value says that returns rise overall, not that they never fall. R [points, episodes]; nan with
    one episode. Exact up to 5 points and 12 episodes (up to 20 of 3 points), else asymptotic, as
    `scipy.stats.page_trend_test` has it, which takes half a second to load; ties (sparse rewards) make it
    conservative.
    """
    points, episodes = R.shape
    if episodes < 2:
        return math.nan
    statistic = float(np.arange(1, points + 1) @ sum(_midranks(column) for column in R.T))
    if points <= 5 and episodes <= (12 if points > 3 else 20):
        return float(_page_distribution(points, episodes)[int(statistic) :].sum())
    mean = episodes * points * (points + 1) ** 2 / 4
    variance = episodes * points**2 * (points + 1) * (points**2 - 1) / 144
    return float(ndtr((mean - statistic) / math.sqrt(variance)))


def _midranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values) + np.searchsorted(ordered, values, "right") + 1) / 2


def _page_distribution(points: int, episodes: int) -> Array:
    """Probability of every value 0, 1, ... of Page's L where all orders are equally likely (Page 1963)."""
    ranks = np.arange(1, points + 1)
    one = np.bincount([ranks @ order for order in permutations(ranks)]) / math.factorial(points)
    return reduce(np.convolve, [one] * episodes)
