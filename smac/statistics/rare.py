"""Rare failures: what episodes that showed none, or few, can exclude.

A mean may rest on an outcome that no episode showed: of N episodes none shows a failure of probability p with
probability (1 - p)^N, so only rates above 1 - level^(1/N), about 3 / N at 5 %, are excluded (the rule of
three). A bootstrap never draws what was not seen. So upper bounds are Gaffke's (2005; Learned-Miller and
Thomas 2020): the quantile of a mean with random weights, uniform on the simplex, over the episodes *and one
more, the worst that can happen*. For success or failure that is Clopper and Pearson's exact bound, without a
failure it is the rule of three, and with many episodes of light-tailed noise it is the usual one.

The worst is not known from returns that never failed. It is taken to be what the caller says, such as the
score range of a task, or `FAILURE` margins, as a margin is 5 % of that range unless it is given. Where the
returns show a larger loss, that one counts. A single failure that costs more than both may go unseen.
"""

import math

import numpy as np

from smac.statistics.bounds import quantile
from smac.statistics.contrasts import Array

FAILURE = 20.0  # margins that a failed episode is taken to lose, where nothing is known of it
TAIL = 5  # draws that must lie beyond a quantile, however small its level


def excluded_rate(episodes: int, level: float, points: int = 1) -> float:
    """Failures more frequent than this at any of `points` would show, with probability 1 - level."""
    return float(1 - (level / points) ** (1 / episodes))


def episodes_to_see(rate: float, level: float) -> int:
    """Episodes after which a failure of this rate has been seen, with probability 1 - level."""
    return 1 if rate >= 1 else math.ceil(math.log(level) / math.log1p(-rate))


def losses(R: Array, contrasts: Array, least: float) -> Array:
    """What a failure may add to contrasts [m] of R [points, episodes]: `least`, or more if more was seen.

    Seen is the distance from the better side of the contrast to the lowest return of all.
    """
    better = np.maximum(contrasts, 0.0)
    return np.maximum(least, better @ (R.mean(axis=1) - R.min()))


def failure_loss(R: Array, least: float) -> float:
    """The largest of `losses`: what one failure at any point of R [points, episodes] is taken to cost."""
    return max(least, float(R.mean(axis=1).max() - R.min()))


def worst_case_weights(episodes: int, draws: int, rng: np.random.Generator) -> Array:
    """Weights [draws, episodes + 1], uniform on the simplex; the last one is of what was not seen."""
    shares = rng.exponential(size=(draws, episodes + 1))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def draws_for(level: float, draws: int) -> int:
    """Draws for a quantile at this level: `draws`, or more if it is small."""
    return max(draws, math.ceil(TAIL / level))


def worst_case_means(D: Array, worst: Array, weights: Array) -> Array:
    """Random means [draws, m] of D [m, episodes] and one more episode, `worst` [m] or the largest seen."""
    return weights[:, :-1] @ D.T + weights[:, -1:] * np.maximum(worst, D.max(axis=1))


def upper_limits(means: Array, level: float) -> Array:
    """Upper bounds [m], each by itself, from `worst_case_means` [draws, m]."""
    return quantile(means, 1 - level, axis=0)


def joint_upper_limits(first: Array, second: Array, level: float) -> tuple[Array, Array]:
    """Upper bounds [m] and [m] that hold for both of a pair at once, equally likely to fail.

    Each pair gets the smallest common rank that both draws [draws, m] stay within: for pairs that move
    together that is the bound of one, for unrelated ones about that at level / 2.
    """
    ranks = [np.argsort(np.argsort(draws, axis=0), axis=0) for draws in (first, second)]
    both = quantile(np.maximum(*ranks).astype(np.float64), 1 - level, axis=0).astype(np.int64)
    at = np.arange(first.shape[1])
    return np.sort(first, axis=0)[both, at], np.sort(second, axis=0)[both, at]


def fall_p_value(R: Array, failure: float, weights: Array) -> float:
    """p-value of "the largest fall of R [points, episodes] is an accident of failures hardly seen".

    A curve that never falls may look as if it fell where failures at the higher point are rarer among these
    episodes than they are. So the share of random means, with one more failure, that do not fall; `failure`
    is what it loses beyond the other point in the same episode, or more if more was seen.
    """
    means = R.mean(axis=1)
    t = int(np.argmax(np.maximum.accumulate(means) - means))
    s = int(np.argmax(means[: t + 1]))
    contrast = np.eye(len(R))[[t]] - np.eye(len(R))[[s]]
    rises = worst_case_means(contrast @ R, np.array([failure]), weights) >= 0
    return float((1 + np.count_nonzero(rises)) / (len(rises) + 1))
