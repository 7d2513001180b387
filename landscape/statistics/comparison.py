"""Two or more methods compared over training seeds: probability of improvement and its p-value."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from landscape.statistics.seeds import Strata, check_strata, expanded_tail
from smac.errors import UserError
from smac.statistics.bounds import Interval
from smac.statistics.contrasts import Array
from smac.statistics.results import Result


@dataclass(frozen=True)
class Improvement(Result):
    """How probable it is that a run of method a has a larger value than a run of method b."""

    a: str
    b: str
    probability: Interval
    """P(a > b) + P(a = b) / 2, averaged over the strata; its interval is for new training seeds."""
    p_value: float
    """Two-sided permutation test of "a and b have the same distribution in every stratum"."""
    p_holm: float
    """The same after Holm's correction for all comparisons made together."""
    confidence: float
    draws: int
    seed: int
    seeds: tuple[int, int] = (0, 0)
    """Of a and of b, over all strata."""


def compare(
    methods: Mapping[str, Strata],
    *,
    reference: str | None = None,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> tuple[Improvement, ...]:
    """All pairs of methods, or all others against `reference`, with p-values corrected by Holm.

    `methods` maps a method to its values by stratum; all must have the same strata. Larger is taken to be
    better: pass negated depths, or read P(a > b) of a depth as the probability of a deeper valley.
    """
    strata = {name: check_strata(values) for name, values in methods.items()}
    if reference is not None and reference not in strata:
        raise UserError(f"there is no method {reference!r} to compare with; there are {', '.join(strata)}")
    names = list(strata)
    if reference is None:
        pairs = list(itertools.combinations(names, 2))
    else:
        pairs = [(name, reference) for name in names if name != reference]
    rng = np.random.default_rng(seed)
    found, sizes = [], []
    for a, b in pairs:
        if strata[a].keys() != strata[b].keys():
            odd = sorted(strata[a].keys() ^ strata[b].keys())
            raise UserError(f"{a} and {b} were not run on the same tasks: {', '.join(odd)}")
        cells = [(strata[a][name], strata[b][name]) for name in strata[a]]
        interval = improvement(cells, confidence, draws, rng)
        p = improvement_p_value(cells, draws, rng)
        found.append((a, b, no_more_than(interval, p, confidence), p))
        sizes.append((sum(len(one) for one, _ in cells), sum(len(other) for _, other in cells)))
    corrected = holm([p for *_, p in found])
    return tuple(
        Improvement(*one, p_holm=p, confidence=confidence, draws=draws, seed=seed, seeds=size)
        for one, p, size in zip(found, corrected, sizes, strict=True)
    )


def no_more_than(interval: Interval, p_value: float, confidence: float) -> Interval:
    """An interval that leaves out one half only where the p-value does, too."""
    if p_value <= 1 - confidence:
        return interval
    return Interval(interval.estimate, min(interval.lower, 0.5), max(interval.upper, 0.5))


def smallest_p_value(cells: Sequence[tuple[Array, Array]]) -> float:
    """The smallest p-value that so few seeds can reach: 0.1 for three against three in one stratum."""
    orders = math.prod(math.comb(len(a) + len(b), len(a)) for a, b in cells)
    return min(1.0, 2 / orders)


def agreed(plain: Sequence[Improvement], crossfit: Sequence[Improvement]) -> tuple[Improvement, ...]:
    """Comparisons of depths of which noise does not decide, from those of plain and of cross-fitted ones.

    Noise makes a plain depth too large, and a cross-fitted one right or too small. So where two methods
    differ in the noise of their episodes alone, the two say the opposite. A difference counts as far as both
    show it in the same direction: the larger p-value, and the interval that holds both. Measured (1500
    samples; 3, 5, 10 seeds; 20, 100 episodes; noise 1 against 1, 3, 10; flat, rising, falling and dipping
    truths): p <= .05 in at most 3.9 %, where the plain drawdowns alone gave up to 100 % and the cross-fitted
    ones up to 32 %. A dip of one standard deviation was told from none in 96 to 100 % with 5 seeds.
    """
    return tuple(_agreed(one, other) for one, other in zip(plain, crossfit, strict=True))


def _agreed(plain: Improvement, crossfit: Improvement) -> Improvement:
    first, second = plain.probability, crossfit.probability
    same = (first.estimate - 0.5) * (second.estimate - 0.5) > 0
    p = max(plain.p_value, crossfit.p_value) if same else 1.0
    both = Interval(second.estimate, min(first.lower, second.lower), max(first.upper, second.upper))
    return replace(crossfit, probability=no_more_than(both, p, crossfit.confidence), p_value=p, p_holm=p)


def probability_of_improvement(a: Array, b: Array) -> float:
    """P(a > b) + P(a = b) / 2 for values [seeds of a] and [seeds of b] (Mann-Whitney)."""
    return float((np.sign(a[:, None] - b) + 1).mean() / 2)


def improvement(
    cells: Sequence[tuple[Array, Array]], confidence: float, draws: int, rng: np.random.Generator
) -> Interval:
    """Mean probability of improvement over strata, with the wider of two intervals at either side.

    One is the stratified bootstrap of rliable with expanded percentiles (`seeds.expanded_tail`), which has no
    width where every run of a beats every run of b; the other is Newcombe's score interval per stratum (2006,
    method 5), put together by its recovered variances (Zou and Donner 2008). Measured at a nominal 95 % on
    seven pairs of distributions, 1, 3 and 6 strata, and 5, 10, 20 seeds (400 samples each): the plain
    percentile bootstrap missed in 4 to 13 %, and 38 % for a probability of 0.92 and 5 seeds; the wider of
    the two missed in 0 to 6 %.
    """
    points = np.array([probability_of_improvement(a, b) for a, b in cells])
    estimate = float(points.mean())
    score = np.array([_newcombe(a, b, confidence) for a, b in cells])
    spread = np.sqrt(np.sum((score - points[:, None]) ** 2, axis=0)) / len(cells)
    lower, upper = estimate - spread[0], estimate + spread[1]
    tail = expanded_tail([len(x) for cell in cells for x in cell], confidence)
    if tail == 0.0 or smallest_p_value(cells) > 1 - confidence:  # so few support no claim
        return Interval(estimate, 0.0, 1.0)
    drawn = np.mean([_resampled(a, b, draws, rng) for a, b in cells], axis=0)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(estimate, max(0.0, float(min(low, lower))), min(1.0, float(max(high, upper))))


def improvement_p_value(cells: Sequence[tuple[Array, Array]], draws: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of equal distributions: method labels are permuted within each stratum. Exact.

    The statistic is the distance of the mean probability of improvement from 1/2.
    """
    from scipy.stats import rankdata  # slow to load

    observed, drawn = np.zeros(()), np.zeros(draws)
    for a, b in cells:
        n, m = len(a), len(b)
        ranks = rankdata(np.concatenate([a, b]))
        shuffled = rng.permuted(np.tile(ranks, (draws, 1)), axis=1)
        observed = observed + _from_ranks(ranks[:n].sum(), n, m) - 0.5
        drawn += _from_ranks(shuffled[:, :n].sum(axis=1), n, m) - 0.5
    as_far = np.abs(drawn) >= abs(observed) - 1e-12
    return float((1 + np.count_nonzero(as_far)) / (draws + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected by Holm (1979), in their order.

    Rejecting those that are <= alpha keeps the chance of even one false rejection <= alpha.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def _from_ranks(rank_sum: Array, n: int, m: int) -> Array:
    return (rank_sum - n * (n + 1) / 2) / (n * m)


def _resampled(a: Array, b: Array, draws: int, rng: np.random.Generator) -> Array:
    """Probability of improvement in bootstrap samples [draws] of both methods' seeds."""
    wins = (np.sign(a[:, None] - b) + 1) / 2
    of_a = rng.multinomial(len(a), np.full(len(a), 1 / len(a)), size=draws) / len(a)
    of_b = rng.multinomial(len(b), np.full(len(b), 1 / len(b)), size=draws) / len(b)
    return np.einsum("di,ij,dj->d", of_a, wins, of_b, optimize=True)


def _newcombe(a: Array, b: Array, confidence: float) -> tuple[float, float]:
    """Score interval of P(a > b): all q with |p - q| <= z sd(q), sd under exponential distributions."""
    from scipy.optimize import brentq  # slow to load

    p, n, m = probability_of_improvement(a, b), len(a), len(b)
    z, inner = ndtri(0.5 + confidence / 2), (n + m) / 2 - 1

    def sd(q: float) -> float:
        return math.sqrt(q * (1 - q) * (1 + inner * ((1 - q) / (2 - q) + q / (1 + q))) / (n * m))

    tiny = 1e-9  # q = p = 0 and q = p = 1 solve the equation, but are not the bound looked for
    lower = 0.0 if p <= 0 else brentq(lambda q: p - q - z * sd(q), 0, p - tiny)
    upper = 1.0 if p >= 1 else brentq(lambda q: q - p - z * sd(q), p + tiny, 1)
    return float(lower), float(upper)
