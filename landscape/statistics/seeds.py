"""Numbers over training seeds: the unit of every claim about a method is the training run, not the episode.

One scalar per run (a valley depth, a final return, ...) comes as a mapping from stratum, such as the task, to
its values [seeds], so no axis can be mistaken for another. A run without a finite value is an error and never
left out in silence.

Intervals resample seeds within strata (stratified bootstrap, Agarwal et al. 2021) and read *expanded*
percentiles (Hesterberg 2015): the plain ones are too short for few seeds. Measured on six distributions
(Gaussian, skewed, zero-inflated, bimodal; 600 samples each), a nominal 95 % interval of the IQM missed

    seeds per task      5        5        5       10       10       20       20
    tasks               1        3        6        1        6        1        6
    plain percentile   6-13 %   8-12 %   7-11 %   5-8 %    5-9 %   4-7 %    5-8 %
    expanded           5-9 %    4-6 %    4-8 %    2-3 %    4-7 %   2-5 %    3-7 %
    Student, winsorised 8-37 %  5-6 %    3-6 %    6-13 %   4-6 %   6-7 %    4-8 %

The studentised bootstrap covers too, but is often infinite. With one task and fewer than 5 seeds nothing
covers (3 seeds: 24 to 29 % missed), so then no finite bounds are given; 3 seeds each of 3 or 6 tasks miss in
4 to 11 %.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from smac.errors import UserError
from smac.statistics.classical import wilson
from smac.statistics.contrasts import Array
from smac.statistics.results import Result

Strata = Mapping[str, Array]
"""From stratum (a task) to one value per training seed, [seeds]; the numbers of seeds may differ."""

FREEDOM = 4  # fewer degrees of freedom than this, seeds minus strata, bound nothing


def iqm(values: Array) -> Array:
    """Interquartile mean over the last axis: the mean without the lowest and the highest quarter.

    Of n values floor(n / 4) are cut on either side, as by `scipy.stats.trim_mean` and rliable.
    """
    n = values.shape[-1]
    cut = n // 4
    return np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)


@dataclass(frozen=True)
class Aggregate(Result):
    """One number of all runs of a method."""

    estimate: float
    lower: float
    upper: float
    """Infinite bounds: too few seeds, or seeds that do not differ at all, bound nothing."""
    seeds: Mapping[str, int]
    """Training seeds by stratum."""
    confidence: float
    draws: int
    seed: int


def aggregate(
    values: Strata,
    statistic: Callable[[Array], Array] = iqm,
    *,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Aggregate:
    """A statistic of all runs together, with an interval for new training seeds on the same strata.

    `statistic` maps [..., runs] to [...]. Raises UserError on an empty stratum or a value that is not finite.
    """
    strata = check_strata(values)
    rng = np.random.default_rng(seed)
    resampled = np.concatenate(
        [x[rng.integers(len(x), size=(draws, len(x)))] for x in strata.values()], axis=-1
    )
    tail = expanded_tail([len(x) for x in strata.values()], confidence)
    bounded = tail > 0 and any(np.ptp(x) > 0 for x in strata.values())
    lower, upper = np.quantile(statistic(resampled), [tail, 1 - tail]) if bounded else (-np.inf, np.inf)
    return Aggregate(
        estimate=float(statistic(np.concatenate(list(strata.values())))),
        lower=float(lower),
        upper=float(upper),
        seeds={name: len(x) for name, x in strata.items()},
        confidence=confidence,
        draws=draws,
        seed=seed,
    )


def check_strata(values: Strata) -> dict[str, Array]:
    """The strata as float arrays; raises a UserError that names the one that cannot be used."""
    if not values:
        raise UserError("there is no run to summarise")
    strata = {name: np.asarray(x, np.float64) for name, x in values.items()}
    for name, x in strata.items():
        if x.ndim != 1 or not len(x):
            raise UserError(f"{name}: one value per training seed is needed, got an array of shape {x.shape}")
        if not np.isfinite(x).all():
            bad = np.flatnonzero(~np.isfinite(x)).tolist()
            raise UserError(f"{name}: the values of seeds number {bad} are not finite; look at those runs")
    return strata


def expanded_tail(seeds: list[int], confidence: float) -> float:
    """Tail probability of the percentiles to read; 0 where so few seeds bound nothing.

    Phi(-sqrt(n / (n - 1)) t), with Student's t for the degrees of freedom and the average n of the strata
    (Hesterberg 2015 for one stratum).
    """
    freedom, n = sum(seeds) - len(seeds), sum(seeds) / len(seeds)
    if freedom < FREEDOM or min(seeds) < 2:
        return 0.0
    t = stdtrit(freedom, 0.5 + confidence / 2)
    return float(ndtr(-np.sqrt(n / (n - 1)) * t))


@dataclass(frozen=True)
class Profile(Result):
    """Performance profile (Agarwal et al. 2021): how many runs lie above each threshold."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]
    """Share of all runs with a value above the threshold: higher is better for returns, worse for depths."""
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    """Point-wise Wilson limits; the seed is the unit."""
    seeds: int
    confidence: float


def profile(values: Strata, thresholds: Array, confidence: float = 0.95) -> Profile:
    """The performance profile of one scalar per run, such as V or DD, at `thresholds`."""
    runs = np.concatenate(list(check_strata(values).values()))
    above = (runs > np.asarray(thresholds, np.float64)[:, None]).sum(axis=1)
    bounds = [wilson(int(k), len(runs), confidence) for k in above]
    return Profile(
        thresholds=tuple(np.asarray(thresholds, np.float64).tolist()),
        shares=tuple((above / len(runs)).tolist()),
        lower=tuple(low for low, _ in bounds),
        upper=tuple(high for _, high in bounds),
        seeds=len(runs),
        confidence=confidence,
    )
