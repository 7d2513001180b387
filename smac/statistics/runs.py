"""Bounds on a mean curve of several training runs, with the run as the unit.

Returns [seeds, points, episodes] share their episode seeds over points *and* training runs, so two things
vary: which runs were trained, and which episodes were played. Half-widths are the larger one of two
bootstraps, each divided by the pooled standard error of its kind (see `bounds`):

* over runs alone, whose episodes are averaged first: right when every run plays its own episodes;
* over runs and, independently, over episodes (pigeonhole bootstrap, Owen 2007), with the variance of both.

Measured on 21 points, 20 episodes, a valley whose depth varies over runs with a skewed (exponential)
distribution, 200 samples each, nominal 95 %: with 10 runs and strong luck common to all runs, runs alone
missed the band in 56 % and V in 14 %, and so did episodes resampled within runs (47 %, 19 %), both bootstraps
together 5 % and 0 %. Where luck is not shared, runs and episodes together missed V in 8 to 12 % (5 and 10
runs), runs alone in 5 to 8 %; the larger one of the two in no more than 8 %. With 3 runs the bounds are
infinite.
"""

import math

import numpy as np

from smac.statistics.bounds import Bounds, quantile, ratio, root, simultaneous
from smac.statistics.contrasts import Array


def over_runs(R: Array, contrasts: Array, of_runs: Array, of_episodes: Array, confidence: float) -> Bounds:
    """Simultaneous bounds on contrasts @ mean path for new runs and new episodes; see the module's text.

    R [seeds, points, episodes]; weights [draws, seeds] and [draws, episodes] from `resampling_weights`.
    Infinite with one run or one episode.
    """
    runs, _, episodes = R.shape
    alone = simultaneous(R.mean(axis=2).T, contrasts, of_runs, confidence)
    if runs == 1 or episodes == 1:
        return Bounds(alone.estimates, math.inf, math.inf, runs)
    T, error = _both(R, contrasts, of_runs, of_episodes)
    half_width = max(alone.half_width, float(quantile(T, confidence)) * error)
    return Bounds(alone.estimates, half_width, max(alone.error, error), runs)


def _both(R: Array, contrasts: Array, of_runs: Array, of_episodes: Array) -> tuple[Array, float]:
    """Studentised maxima [draws] of the pigeonhole bootstrap, and the pooled standard error.

    The squared error is that of the runs' means plus that of the episodes' means; the noise of single
    episodes is in both, so it counts twice (conservative).
    """
    runs, _, episodes = R.shape
    largest, variance = np.zeros((2, len(of_runs)))
    squared = 0.0
    for contrast in contrasts:  # one at a time: memory stays [draws, seeds + episodes]
        D = np.einsum("k,skn->sn", contrast, R)
        D = D - D.mean()
        by_run, by_episode = of_episodes @ D.T, of_runs @ D
        shift = np.sum(of_runs * by_run, axis=1)
        variance += (np.sum(of_runs * by_run**2, axis=1) - shift**2) / (runs - 1)
        variance += (np.sum(of_episodes * by_episode**2, axis=1) - shift**2) / (episodes - 1)
        largest = np.maximum(largest, np.abs(shift))
        squared += np.mean(D.mean(axis=1) ** 2) / (runs - 1) + np.mean(D.mean(axis=0) ** 2) / (episodes - 1)
    m = len(contrasts)
    return ratio(largest, root(variance / m, squared / m)), math.sqrt(squared / m)
