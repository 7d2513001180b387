"""One path per training run: what the paths of a method have in common, with the run as the unit (§9).

Returns [seeds, points, episodes] share their episode seeds over points *and* training runs; the bounds are
those of `smac.statistics.runs`.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from landscape.statistics.numbers import PathNumbers, inside, path_numbers
from landscape.statistics.path import Limits, analyse_path, check_options, limits
from landscape.statistics.seeds import Aggregate, aggregate
from smac.errors import UserError
from smac.statistics.bounds import Bounds, Interval, resampling_weights, verdict
from smac.statistics.contrasts import Array, families
from smac.statistics.curve import MONOTONE, NOT_MONOTONE, UNDECIDED
from smac.statistics.monotonicity import drawdown
from smac.statistics.rare import FAILURE, excluded_rate, failure_loss
from smac.statistics.results import Result
from smac.statistics.runs import over_runs

VERDICTS, MONOTONES = ("connected", "valley", "undecided"), (MONOTONE, NOT_MONOTONE, UNDECIDED)


@dataclass(frozen=True)
class MethodReport(Result):
    """What `analyse_seeds` found out about a method. Points lie in [0, 1]; every bound is for new runs.

    The mean path averages over runs, so valleys at different places fill each other up: `verdict` is about
    the mean path, `V_iqm` and `verdicts` are about the runs.
    """

    alphas: tuple[float, ...]
    means: tuple[float, ...]
    """The mean path: over runs and episodes."""
    band: Limits
    """Simultaneous bounds of the mean path."""
    numbers: PathNumbers
    """Of the mean path, as are the intervals V to D_0."""
    V: Interval
    DD: Interval
    B_chord: Interval
    B_mean: Interval
    D_0: Interval
    margin: float
    verdict: str
    """connected | valley | undecided, for V of the mean path against the margin."""
    extra_seeds: int | None
    """If undecided: how many more training runs would decide it (rough); None if no number is known to."""
    verdicts: Mapping[str, int]
    """Runs by the verdict on their own path, against all of their own episodes."""
    monotone: str
    """monotone | not monotone | undecided, for DD of the mean path against the margin."""
    monotones: Mapping[str, int]
    """Runs by the verdict on whether their own path is monotone, against all of their own episodes."""
    run_V: tuple[float, ...]
    """Cross-fitted valley depth of every run; nan with one episode."""
    run_DD: tuple[float, ...]
    """Drawdown of every run's mean curve; noise makes it too large."""
    V_iqm: Aggregate | None
    """Interquartile mean of `run_V` over runs, given these episodes; None with one episode."""
    seeds: int
    episodes_used: int
    episodes_dropped: int
    """Episodes that failed anywhere in any run are dropped in all, and nothing is "connected" then."""
    confidence: float
    draws: int
    seed: int


def analyse_seeds(
    returns: Array,
    alphas: Array,
    *,
    margin: float,
    failure: float | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> MethodReport:
    """Mean path, intervals and verdict of a method from returns [seeds, points, episodes].

    Every training run has its own path; all share alphas and episode seeds. More episodes never make up for
    few runs: they narrow the bounds only as far as episodes are what varies. `failure` is that of
    `analyse_path`: no upper bound is below what failures may cost that no episode of any run showed. Raises
    UserError on a wrong shape or grid, or if no episode finished everywhere.
    """
    R, alphas = np.asarray(returns, np.float64), np.asarray(alphas, np.float64)
    if R.ndim != 3 or alphas.shape != R.shape[1:2] or not len(R):
        raise UserError(
            f"returns must be [seeds, points, episodes] for {alphas.size} alphas, got shape {R.shape}"
        )
    check_options(margin, confidence, draws)
    rows = inside(alphas)
    R, t = R[:, rows], alphas[rows]
    finished = np.isfinite(R).all(axis=(0, 1))
    if not finished.any():
        raise UserError("no episode finished at every point of every run; look at the statuses")
    R = np.compress(finished, R, axis=2)
    runs, points, episodes = R.shape
    complete, silent = bool(finished.all()), bool(np.ptp(R) == 0)

    rng = np.random.default_rng(seed)
    of_runs, of_episodes = (resampling_weights(n, draws, rng) for n in (runs, episodes))

    def bound(contrasts: Array) -> Bounds:
        return over_runs(R, contrasts, of_runs, of_episodes, confidence)

    family = families(t)
    bounds = {name: bound(f.contrasts) for name, f in family.items()}
    depth = {name: bounds[name].interval(f) for name, f in family.items()}
    least = FAILURE * margin if failure is None else failure
    unseen = excluded_rate(runs * episodes, (1 - confidence) / 2) * failure_loss(R.mean(axis=0), least)
    depth = {name: replace(found, upper=max(found.upper, unseen)) for name, found in depth.items()}
    if silent:  # nothing varied, so nothing bounds what was not seen
        depth = {name: Interval(found.estimate, 0.0, math.inf) for name, found in depth.items()}
    means = R.mean(axis=(0, 2))
    width = math.inf if silent else bound(np.eye(points)).half_width
    found = verdict(depth["V"], margin)
    rising = verdict(depth["DD"], margin, MONOTONE, NOT_MONOTONE)
    undecided = found == "undecided"
    own = [
        analyse_path(run, t, margin=margin, failure=failure, confidence=confidence, draws=draws, seed=seed)
        for run in R
    ]
    run_V = tuple(report.V_crossfit for report in own)
    return MethodReport(
        alphas=tuple(t.tolist()),
        means=tuple(means.tolist()),
        band=limits(means, np.full(points, width)),
        numbers=path_numbers(means, t, margin),
        **depth,
        margin=float(margin),
        verdict=found if complete or found != "connected" else "undecided",
        extra_seeds=bounds["V"].units_for(family["V"], margin) if undecided and not silent else None,
        verdicts=_counted([report.verdict for report in own], complete, VERDICTS),
        monotone=rising if complete or rising != MONOTONE else UNDECIDED,
        monotones=_counted([report.monotone for report in own], complete, MONOTONES),
        run_V=run_V,
        run_DD=tuple(drawdown(R.mean(axis=2)).tolist()),
        V_iqm=_iqm(run_V, confidence, seed),
        seeds=runs,
        episodes_used=episodes,
        episodes_dropped=int(np.count_nonzero(~finished)),
        confidence=confidence,
        draws=draws,
        seed=seed,
    )


def _counted(verdicts: list[str], complete: bool, names: tuple[str, ...]) -> dict[str, int]:
    """How many runs have each verdict; none has the first, good one where a fall may be hidden."""
    good, *_, undecided = names
    counts = Counter(v if complete or v != good else undecided for v in verdicts)
    return {name: counts[name] for name in names}


def _iqm(run_V: tuple[float, ...], confidence: float, seed: int) -> Aggregate | None:
    if any(math.isnan(V) for V in run_V):
        return None
    return aggregate({"runs": np.array(run_V)}, confidence=confidence, seed=seed)
