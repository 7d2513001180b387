"""Bounds on how deep a curve falls, each side as tight as it may be (docs/landscape.md §4).

Valley depth V and drawdown DD are the largest of many contrasts of a curve, and the two sides differ.

* Upper. "At most u" is wrong only if the one deepest contrast exceeds its own bound, so every contrast needs
  its own bound only, not one that holds for all at once (an intersection-union test, Berger 1982). The bounds
  are those of `rare`: they allow for failures that no episode showed.
* Lower. Every contrast lies below the depth, and so does one chosen on other episodes. It is chosen on one
  half and measured on the other, the halves are swapped, and random halvings averaged (§9), with Student's t
  for the error. Means over neighbouring points are among the contrasts: of a broad valley they are known
  better than its lowest point. These bounds do not allow for failures at the higher points that no episode
  showed; `rare.fall_p_value` does.

Each side spends half of 1 - confidence. Measured at a nominal 5 % on normal, exponential, t and paired noise
of one standard deviation, 10 to 50 episodes, margin a quarter (200 samples each; the table is
results/landscape/calibration.md): V was missed in 0 to 2 % on a broad valley, which 20 episodes decided in 60
to 80 % where bounds for all contrasts at once (max-T) decided 9 to 24 %; on a valley of a single point in 43
to 45 % (6 to 7 %). The largest error is 6.5 %, at a valley below ends that differ by a little more than their
noise, where halves take the upper end for the lower one.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from smac.statistics.bounds import Interval, rounding, unseen
from smac.statistics.contrasts import Array, Family, lower_end
from smac.statistics.rare import (
    joint_upper_limits,
    losses,
    upper_limits,
    worst_case_means,
)

SPLITS = 20  # random halvings of the episodes
WIDTHS = (1, 3, 5)  # neighbouring points that are averaged
CAUTION = 2.0  # a place is chosen for its bound at twice the t: half the episodes, and the best of many


@dataclass(frozen=True)
class Candidates:
    """Contrasts [references, m, points], each no larger than the depth when taken from the lower reference.

    V has both ends as references, DD has one "reference", each point being compared with any later one.
    """

    contrasts: Array
    width: Array
    """[m] points that are averaged."""


def valley_candidates(points: int) -> Candidates:
    """Either end minus the mean of neighbouring inner points."""
    ends, inner = np.eye(points)[[0, -1]], _windows(points)
    inside = {w: A[(A[:, 0] == 0) & (A[:, -1] == 0)] for w, A in inner.items()}
    each = np.concatenate(list(inside.values()))
    return Candidates(ends[:, None] - each, _repeated(inside))


def fall_candidates(points: int) -> Candidates:
    """The mean of neighbouring points minus that of as many later ones."""
    found = {}
    for width, A in _windows(points).items():
        s, t = np.triu_indices(len(A), k=width)
        found[width] = A[s] - A[t]
    return Candidates(np.concatenate(list(found.values()))[None], _repeated(found))


def _windows(points: int) -> dict[int, Array]:
    """By width, means over neighbouring points [places, points]."""
    found = {}
    for width in WIDTHS:
        places = points - width + 1
        found[width] = np.sum([np.eye(max(places, 0), points, k) for k in range(width)], axis=0) / width
    return found


def _repeated(found: dict[int, Array]) -> Array:
    return np.repeat(list(found), [len(A) for A in found.values()])


def halvings(episodes: int, splits: int, rng: np.random.Generator) -> Array:
    """Weights [2 splits, episodes] that average over one half, and row k + splits over the other one."""
    first = np.zeros((splits, episodes))
    for row in first:
        row[rng.permutation(episodes)[: episodes // 2]] = 1.0
    both = np.concatenate([first, 1 - first])
    return np.asarray(both / both.sum(axis=1, keepdims=True))


def crossfit_lower(R: Array, candidates: Candidates, level: float, rng: np.random.Generator) -> float:
    """Lower bound of a depth of R [points, episodes]; -inf with fewer than 4 episodes."""
    episodes = R.shape[1]
    if episodes < 4:
        return -math.inf
    H = halvings(episodes, SPLITS, rng)
    D = np.einsum("rmp,pn->rmn", candidates.contrasts, R)
    means = D @ H.T
    variances = np.maximum(D**2 @ H.T - means**2, 0.0)
    halves = np.arange(H.shape[0])
    lower = np.argmin(means[:, 0], axis=0)  # the reference that a half finds to be the lower one
    found, spread = means[lower, :, halves].T, variances[lower, :, halves].T
    for width in np.unique(candidates.width):
        same = candidates.width == width
        spread[same] = spread[same].mean(axis=0)
    t = float(stdtrit(episodes - 2, 1 - level))
    best = np.argmax(found - CAUTION * t * np.sqrt(spread / episodes), axis=0)
    other = np.roll(halves, SPLITS)
    size = 1 / H[other].max(axis=1)
    estimate = float(means[lower, best, other].mean())
    error = math.sqrt(float(np.mean(variances[lower, best, other] / (size - 1))) / 2)
    if error <= rounding(R):  # agreeing episodes are not exact knowledge
        return estimate - unseen(R, R.shape[0], 1 - 2 * level)
    return estimate - t * error


def upper(R: Array, family: Family, failure: float, level: float, weights: Array) -> float:
    """Upper bound of the peak of a family of contrasts of R [points, episodes]; inf with one episode.

    `failure`: what a failed episode loses at least.
    """
    if R.shape[1] == 1:
        return math.inf
    D, worst = family.contrasts @ R, losses(R, family.contrasts, failure)
    means = worst_case_means(D, worst, weights)
    if family.peak is lower_end:
        m = len(D) // 2
        each = np.minimum(*joint_upper_limits(means[:, :m], means[:, m:], level))
        return float(each.max())
    return float(upper_limits(means, level).max())


def depth_interval(
    R: Array,
    family: Family,
    candidates: Candidates,
    failure: float,
    level: float,
    weights: Array,
    rng: np.random.Generator,
) -> Interval:
    """A depth of R [points, episodes], max(0, peak of the family); either bound errs with at most `level`.

    `weights` come from `rare.worst_case_weights`.
    """
    estimate = max(0.0, float(family.peak(family.contrasts @ R.mean(axis=1))))
    low = min(estimate, max(0.0, crossfit_lower(R, candidates, level, rng)))
    return Interval(estimate, low, max(estimate, upper(R, family, failure, level, weights)))


def crossfit_falls(R: Array, rng: np.random.Generator, splits: int = SPLITS) -> Array:
    """Largest fall to a later point, found on one half of the episodes and measured on the other.

    R [..., points, episodes] -> [...]; the same halvings for all leading axes. Its mean is 0 on a flat truth,
    below 0 on a rising one where noise hides that it rises, and too small where noise hides the bottom; so
    single values are negative, too. nan with one episode.
    """
    episodes = R.shape[-1]
    if episodes < 2:
        return np.full(R.shape[:-2], np.nan)
    means = R @ halvings(episodes, splits, rng).T
    t = np.argmax(np.maximum.accumulate(means, axis=-2) - means, axis=-2, keepdims=True)
    earlier = np.arange(R.shape[-2])[:, None] <= t
    s = np.argmax(np.where(earlier, means, -np.inf), axis=-2, keepdims=True)
    other = np.roll(means, splits, axis=-1)
    falls = np.take_along_axis(other, s, axis=-2) - np.take_along_axis(other, t, axis=-2)
    return np.asarray(falls.mean(axis=(-2, -1)))
